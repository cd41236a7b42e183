/**
 * Bounds on the other side: its rate, the depth of its messages, the number of
 * invalid messages, and the time of the methods that it calls.
 *
 * @see PROTOCOL.md, "Limits"
 *
 * @module
 */

import type { Core, CorePart, RunningCall } from "../peer/core.ts";
import { complain } from "../peer/owner.ts";
import type { IncomingBatch } from "../peer/seams.ts";
import { decline, failWith, leave } from "../peer/incoming.ts";
import { cut } from "../peer/life.ts";
import type { Bounds } from "../peer/seams.ts";
import { namedError } from "../runtime/errors.ts";
import { refuseDepth, refuseLength } from "./unread.ts";
import { isDeeperThan } from "../wire/depth.ts";
import {
  badProtocol,
  handlerTimeout,
  rateLimited,
  tooManyRequests,
} from "../wire/codes.ts";
import type { Notification, Request } from "../wire/message.ts";

// Calls that may be on their way before their sender hears of the first refusal.
const mostUnheard = 1_024;

// Milliseconds: the longest wait that a refusal names.
const longestWait = 60_000;

// The protocol's own methods, without calls to lent objects.
const ownMethod = /^(rpc\.|\$\/(?!invokeProxy\/))/;

/** The part that bounds the other side. */
export const bounds: CorePart = {
  name: "bounds",
  attach(core) {
    core.bounds = new PeerBounds(core);
  },
};

// Characters of a server's message that are searched for depth, 5 ms at most.
// Searching 64 MiB would take half as long as parsing them.
const mostTrusted = 1_048_576;

class PeerBounds implements Bounds {
  readonly #core: Core;
  // Made for the first message that counts: most peers have no rate, and send
  // nothing invalid.
  #counts: Counts | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  // Short enough for V8 to inline it: most peers have no rate.
  admits(
    call: Request | Notification,
    batch: IncomingBatch | undefined,
  ): boolean {
    return this.#core.limits.messageRate === Infinity ||
      this.#admits(call, batch);
  }

  #admits(
    call: Request | Notification,
    batch: IncomingBatch | undefined,
  ): boolean {
    const wait = this.#take();
    if (wait === 0) return true;
    const core = this.#core;
    const message = `More than ${core.limits.messageRate} messages a second`;
    if (core.state !== "open") return false;
    // The protocol's own methods pass: cancelling and pings must work.
    if (ownMethod.test(call.method)) return true;
    if (call.type === "request") {
      decline(core, call, batch, {
        code: rateLimited,
        message: `${message}, not executed`,
        data: { retryAfterMs: wait, executed: false },
      });
    } else if (!this.#counts!.isDropping) {
      this.#counts!.isDropping = true;
      const what = `Cannot take notification "${call.method}"`;
      complain(
        core,
        new RangeError(
          `${what}: ${message}, see limits.messageRate; nor can those that follow`,
        ),
      );
    }
    return false;
  }

  count(): boolean {
    return this.#take() === 0;
  }

  /** Counts a message; returns the milliseconds by which it is too early, or 0. */
  #take(): number {
    const { messageRate, messageBurst } = this.#core.limits;
    if (messageRate === Infinity) return 0;
    const counts = this.#counts ??= new Counts();
    counts.last = counts.rate ??= new Bucket(messageRate, messageBurst);
    if (counts.rate.take()) return 0;
    const patience = counts.last = counts.patience ??= new Bucket(
      2 * messageRate,
      messageBurst + mostUnheard,
    );
    if (!patience.take()) {
      const reason = `More than ${messageRate} messages a second`;
      cut(this.#core, tooManyRequests, reason);
    }
    // Nothing was refused for a while.
    if (patience.missing === 1) counts.isDropping = false;
    // Each refused call gets a later time, or all would come again at once.
    const place = patience.missing / messageRate * 1_000;
    return Math.ceil(Math.min(Math.max(place, 1), longestWait));
  }

  giveBack(): void {
    this.#counts?.last?.giveBack();
  }

  countInvalid(): boolean {
    const { invalidMessages, invalidWindow } = this.#core.limits;
    if (invalidMessages === Infinity) return true;
    const counts = this.#counts ??= new Counts();
    counts.invalid ??= new Recent(invalidWindow);
    if (counts.invalid.add() <= invalidMessages) return true;
    const reason =
      `More than ${invalidMessages} invalid messages in ${invalidWindow} ms`;
    cut(this.#core, badProtocol, reason);
    return false;
  }

  refuseLength(data: unknown): void {
    refuseLength(this.#core, data);
  }

  refuseDepth(text: string): void {
    refuseDepth(this.#core, text);
  }

  sweep(now: number): number {
    const core = this.#core;
    const { running: all } = core.connection;
    let next = Infinity;
    for (const running of all ?? []) {
      if (running.deadline > now) {
        next = Math.min(next, running.deadline);
        continue;
      }
      leaveOverdue(core, running);
      const why =
        `No sign of life from the method within ${core.limits.handlerTimeout} ms`;
      failWith(core, running, handlerTimeout, why);
      running.abort(
        namedError(`${why}: "${running.method}"`, "TimeoutError"),
      );
    }
    core.crowd?.next(core, core.connection);
    return next;
  }

  isTooDeep(text: string, levels: number): boolean {
    const isTrusted = this.#core.makeSocket !== undefined;
    return isDeeperThan(levels, isTrusted ? text.slice(0, mostTrusted) : text);
  }
}

/**
 * Gives the place of a method that has run out of time to others. A running
 * function can't be ended, so this is done for at most `incoming` methods.
 */
function leaveOverdue(core: Core, running: RunningCall): void {
  const { connection } = core;
  const overdue = connection.overdue ??= new Set();
  running.deadline = Infinity;
  if (overdue.size >= core.limits.incoming) return;
  leave(core, running);
  overdue.add(running);
}

/** The counts of one peer's messages. */
class Counts {
  /** The rate's bucket; made for the first message. */
  rate: Bucket | undefined;
  /** The bucket of refusals: when it is empty, the connection is closed. */
  patience: Bucket | undefined;
  /** The bucket that the last token was taken from. */
  last: Bucket | undefined;
  /**
   * Whether the owner was told that notifications are dropped; told once in a row
   * of them.
   */
  isDropping = false;
  invalid: Recent | undefined;
}

/** A token bucket: `burst` tokens at once, then `perSecond` of them. */
class Bucket {
  readonly #perMillisecond: number;
  readonly #burst: number;
  #tokens: number;
  #time: number = performance.now();

  constructor(perSecond: number, burst: number) {
    this.#perMillisecond = perSecond / 1_000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Takes one token, if there is one. */
  take(): boolean {
    const now = performance.now();
    this.#tokens = Math.min(
      this.#burst,
      this.#tokens + (now - this.#time) * this.#perMillisecond,
    );
    this.#time = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Number of tokens that are missing from a full bucket. */
  get missing(): number {
    return this.#burst - this.#tokens;
  }

  /** Gives the last token back. */
  giveBack(): void {
    this.#tokens++;
  }
}

/** A count of rare events within some time. */
class Recent {
  readonly #milliseconds: number;
  #times: number[] = [];

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
  }

  /** Adds an event, and counts those within the time. */
  add(): number {
    const now = performance.now();
    const count = this.#times.push(now);
    const first = this.#times.findIndex((t) => now - t < this.#milliseconds);
    this.#times.splice(0, first);
    return count - first;
  }
}
