/**
 * Bounds of what the other side may send: how often, how deeply nested, how often
 * something that is no JSON-RPC, and how long a method may take for it.
 *
 * @see PROTOCOL.md, "Limits"
 *
 * @module
 */

import type { Core, CorePart } from "../peer/core.ts";
import { failWith, leave } from "../peer/incoming.ts";
import { cut } from "../peer/life.ts";
import type { Bounds } from "../peer/seams.ts";
import { isDeeperThan } from "../wire/depth.ts";
import { badProtocol, handlerTimeout, tooManyRequests } from "../wire/codes.ts";

/** Gives a peer bounds. */
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
  #invalid: Recent | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  count(): boolean {
    const { messageRate, messageBurst } = this.#core.limits;
    if (messageRate === Infinity) return true;
    this.#rate ??= new Bucket(messageRate, messageBurst);
    if (this.#rate.take()) return true;
    const reason = `More than ${messageRate} messages a second`;
    cut(this.#core, tooManyRequests, reason);
    return false;
  }

  giveBack(): void {
    this.#rate?.giveBack();
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

  sweep(now: number): number {
    const core = this.#core;
    const { running: all } = core.connection;
    let next = Infinity;
    for (const running of all ?? []) {
      if (running.deadline > now) {
        next = Math.min(next, running.deadline);
        continue;
      }
      leave(core.connection, running);
      const why =
        `No sign of life from the method within ${core.limits.handlerTimeout} ms`;
      failWith(core, running, handlerTimeout, why);
      running.abort(
        new DOMException(`${why}: "${running.method}"`, "TimeoutError"),
      );
    }
    core.draining?.look();
    return next;
  }

  isTooDeep(text: string, levels: number): boolean {
    const isTrusted = this.#core.makeSocket !== undefined;
    return isDeeperThan(levels, isTrusted ? text.slice(0, mostTrusted) : text);
  }
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

  /** Gives the last one back. */
  giveBack(): void {
    this.#tokens++;
  }
}

/** What happened of late, for what should hardly ever happen. */
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
