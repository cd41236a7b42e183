/**
 * Readers that are too slow: one is given up before it costs the memory of all
 * others. One timer looks after all the peers of the process in whose sockets much
 * waits.
 *
 * @see {@link https://websockets.spec.whatwg.org/#dom-websocket-bufferedamount}
 *
 * @module
 */

import { Deferred } from "../line/deferred.ts";
import { Alarm, type Sleeper } from "../line/timers.ts";
import type { Core, CorePart } from "../peer/core.ts";
import { cut } from "../peer/life.ts";
import { closedError, isClosed } from "../peer/owner.ts";
import type { Backlog, Living } from "../peer/seams.ts";
import { slowConsumer } from "../wire/codes.ts";

/** Lets a peer look how much waits to leave. */
export const slowReaders: CorePart = {
  name: "slowReaders",
  attach(core) {
    const backlog = new PeerBacklog(core);
    core.backlog = backlog;
    core.living.push(backlog);
  },
};

/** Wakes those in whose sockets much waits. */
const alarm = /* @__PURE__ */ new Alarm();

// Milliseconds; limits of 0 must not keep a process busy.
const least = 10;

/**
 * How much may be sent between two looks, because to look is a call into the
 * runtime; and how much may wait for what is called little.
 */
const step = 65_536;

/** What waits in one peer's socket. */
class PeerBacklog implements Backlog, Living, Sleeper {
  place = -1;
  readonly #core: Core;
  readonly #step: number;
  /** Characters that were sent since the last look. */
  #unseen = 0;
  /** Since when every look saw too much. */
  #since: number | undefined;
  #hasOpened = false;
  /** Who waits until little waits. */
  #drained: Deferred<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(core: Core) {
    const { buffered, bufferedMost } = core.limits;
    this.#core = core;
    this.#step = Math.min(step, buffered, bufferedMost);
  }

  /** Milliseconds between two looks while much waits. */
  get #period(): number {
    return Math.max(this.#core.limits.bufferedTime / 4, least);
  }

  /** Takes note of what was sent. */
  add(length: number): void {
    this.#unseen += length;
    if (this.#unseen >= this.#step) this.#look(performance.now(), false);
  }

  /**
   * Looks how much waits, and closes if that is too much.
   *
   * @param isLate Whether the process slept, and couldn't send meanwhile.
   */
  #look(now: number, isLate: boolean): void {
    this.#unseen = 0;
    const { buffered, bufferedTime, bufferedMost } = this.#core.limits;
    const amount = this.#amount();
    if (amount > bufferedMost) this.#close(`${bufferedMost} bytes wait`);
    else if (amount <= buffered) this.#since = undefined;
    else if (this.#since === undefined || isLate) {
      this.#since = now;
      if (bufferedTime !== Infinity) alarm.set(this, this.#period);
    } else if (now - this.#since >= bufferedTime) {
      this.#close(`${buffered} bytes waited for ${bufferedTime} ms`);
    }
  }

  wake(now: number, due: number): void {
    if (this.#since !== undefined) {
      this.#look(now, now - due > this.#period / 2);
    }
  }

  wakeAt(now: number): number {
    return this.#since === undefined ? Infinity : now + this.#period;
  }

  report(error: unknown): void {
    this.#core.report(error);
  }

  /** Resolves when little waits. */
  drained(): Promise<void> {
    if (isClosed(this.#core)) return Promise.reject(this.#error());
    if (this.#isLittle()) return Promise.resolve();
    if (this.#drained === undefined) {
      this.#drained = new Deferred();
      this.#poll(1);
    }
    return this.#drained.promise;
  }

  /** A new connection has sent nothing. */
  open(): void {
    this.#hasOpened = true;
    this.#unseen = 0;
  }

  stop(): void {
    this.#since = undefined;
    alarm.delete(this);
  }

  /** Nothing will be sent any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#drained?.reject(this.#error());
  }

  /** What never opened has sent nothing. */
  #error(): Error {
    return closedError(this.#core, "Cannot drain", this.#hasOpened);
  }

  /** Looks again and again, more and more seldom: there is no event for it. */
  #poll(delay: number): void {
    this.#timer = setTimeout(() => {
      if (!this.#isLittle()) return this.#poll(Math.min(2 * delay, 16));
      this.#drained?.resolve();
      this.#drained = undefined;
    }, delay);
  }

  #isLittle(): boolean {
    return this.#core.queue.length === 0 && this.#amount() <= step;
  }

  /** Bytes that the socket has not sent yet. */
  #amount(): number {
    return this.#core.ws?.bufferedAmount ?? 0;
  }

  #close(what: string): void {
    const reason = `Slow consumer: more than ${what}`;
    cut(this.#core, slowConsumer, reason);
  }
}
