/**
 * Bounds of what the other side may send: how often, how deeply nested, how often
 * something that is no JSON-RPC, and how long a method may take for it.
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

// Calls that may be under way before their sender hears of the first refusal.
const mostUnheard = 1_024;

// Milliseconds: no refusal names a longer wait.
const longestWait = 60_000;

// The protocol's own, but for calls to what was lent.
const ownMethod = /^(rpc\.|\$\/(?!invokeProxy\/))/;

/** Bounds what a peer may be sent. */
export const bounds: CorePart = {
  name: "bounds",
  attach(core) {
    core.bounds = new PeerBounds(core);
  },
};

// So many characters of what a server sends are looked through, 5 ms at most: to look
// through 64 MiB would take half as long as it takes to parse them.
const mostTrusted = 1_048_576;

class PeerBounds implements Bounds {
  readonly #core: Core;
  /** Made for the first message, where there is a rate. */
  #rate: Bucket | undefined;
  /** The refusals that are left: after the last of them the connection is closed. */
  #patience: Bucket | undefined;
  /** The bucket that the last token was taken of. */
  #last: Bucket | undefined;
  /** Whether the owner was told that notifications are dropped: once a row. */
  #isDropping = false;
  #invalid: Recent | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  admits(
    call: Request | Notification,
    batch: IncomingBatch | undefined,
  ): boolean {
    const wait = this.#take();
    if (wait === 0) return true;
    const core = this.#core;
    const message = `More than ${core.limits.messageRate} messages a second`;
    if (core.state !== "open") return false;
    // Else nobody could cancel, or be heard to be alive.
    if (ownMethod.test(call.method)) return true;
    if (call.type === "request") {
      decline(core, call, batch, {
        code: rateLimited,
        message: `${message}, not executed`,
        data: { retryAfterMs: wait, executed: false },
      });
    } else if (!this.#isDropping) {
      this.#isDropping = true;
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

  /** Counts a message; returns how many milliseconds too early it is. */
  #take(): number {
    const { messageRate, messageBurst } = this.#core.limits;
    if (messageRate === Infinity) return 0;
    this.#last = this.#rate ??= new Bucket(messageRate, messageBurst);
    if (this.#rate.take()) return 0;
    this.#last = this.#patience ??= new Bucket(
      2 * messageRate,
      messageBurst + mostUnheard,
    );
    if (!this.#patience.take()) {
      const reason = `More than ${messageRate} messages a second`;
      cut(this.#core, tooManyRequests, reason);
    }
    // Nobody was refused for a while.
    if (this.#patience.missing === 1) this.#isDropping = false;
    // A place in the row of all that were refused, or they would all come at once.
    const place = this.#patience.missing / messageRate * 1_000;
    return Math.ceil(Math.min(Math.max(place, 1), longestWait));
  }

  giveBack(): void {
    this.#last?.giveBack();
  }

  countInvalid(): boolean {
    const { invalidMessages, invalidWindow } = this.#core.limits;
    if (invalidMessages === Infinity) return true;
    this.#invalid ??= new Recent(invalidWindow);
    if (this.#invalid.add() <= invalidMessages) return true;
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
 * The time of a method is over, which nobody can end: as many as may run have their
 * places taken by others, no more.
 */
function leaveOverdue(core: Core, running: RunningCall): void {
  const { connection } = core;
  const overdue = connection.overdue ??= new Set();
  running.deadline = Infinity;
  if (overdue.size >= core.limits.incoming) return;
  leave(core, running);
  overdue.add(running);
}

/** A token bucket: `burst` at once, and then as many as come back in time. */
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

  /** How many were taken and have not come back. */
  get missing(): number {
    return this.#burst - this.#tokens;
  }

  /** Gives the last one back. */
  giveBack(): void {
    this.#tokens++;
  }
}

/** A count of what happened within some time, for what should hardly ever happen. */
class Recent {
  readonly #milliseconds: number;
  #times: number[] = [];

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
  }

  /** Adds one that happens now, and counts those within the time. */
  add(): number {
    const now = performance.now();
    const count = this.#times.push(now);
    const first = this.#times.findIndex((t) => now - t < this.#milliseconds);
    this.#times.splice(0, first);
    return count - first;
  }
}
