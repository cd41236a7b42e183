/**
 * What was sent to a peer and has not left yet, because it reads too slowly.
 *
 * @see {@link https://websockets.spec.whatwg.org/#dom-websocket-bufferedamount}
 *
 * @module
 */

import { Deferred } from "../peer/deferred.ts";
import { CloseCode } from "../wire/error.ts";
import type { Limits } from "../wire/limits.ts";

/** What a backlog needs of its peer. */
export interface Sender {
  readonly limits: Limits;
  /** Bytes that the socket has not sent yet. */
  bufferedAmount(): number;
  /** Messages that wait for the handshake. */
  queued(): number;
  cut(code: number, reason: string): void;
}

/**
 * How much may be sent between two looks, because to look is a call into the
 * runtime; and how much may wait for what is called little.
 */
const step = 65_536;

/** What waits in one peer's socket. */
export class Backlog {
  readonly #sender: Sender;
  readonly #step: number;
  /** Characters that were sent since the last look. */
  #unseen = 0;
  /** Since when every look saw too much. */
  #since: number | undefined;
  /** Who waits until little waits. */
  #drained: Deferred<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(sender: Sender) {
    const { buffered, bufferedMost } = sender.limits;
    this.#sender = sender;
    this.#step = Math.min(step, buffered, bufferedMost);
  }

  /** Takes note of what was sent. */
  add(length: number): void {
    this.#unseen += length;
    if (this.#unseen >= this.#step) this.look(performance.now());
  }

  /**
   * Looks how much waits, and closes if that is too much.
   *
   * @param isLate Whether the process slept, and couldn't send meanwhile.
   */
  look(now: number, isLate = false): void {
    // What was little, and to which nothing was added, still is.
    if (this.#unseen === 0 && this.#since === undefined) return;
    this.#unseen = 0;
    const { buffered, bufferedTime, bufferedMost } = this.#sender.limits;
    const amount = this.#sender.bufferedAmount();
    if (amount > bufferedMost) this.#close(`${bufferedMost} bytes wait`);
    else if (amount <= buffered) this.#since = undefined;
    else if (this.#since === undefined || isLate) this.#since = now;
    else if (now - this.#since >= bufferedTime) {
      this.#close(`${buffered} bytes waited for ${bufferedTime} ms`);
    }
  }

  /** Resolves when little waits. */
  drained(): Promise<void> {
    if (this.#isLittle()) return Promise.resolve();
    if (this.#drained === undefined) {
      this.#drained = new Deferred();
      this.#poll(1);
    }
    return this.#drained.promise;
  }

  /** A new connection has sent nothing. */
  begin(): void {
    this.#unseen = 0;
    this.#since = undefined;
  }

  /** Nothing will be sent any more. */
  end(reason: () => Error): void {
    clearTimeout(this.#timer);
    this.#drained?.reject(reason());
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
    return this.#sender.queued() === 0 &&
      this.#sender.bufferedAmount() <= step;
  }

  #close(what: string): void {
    const reason = `Slow consumer: more than ${what}`;
    this.#sender.cut(CloseCode.SlowConsumer, reason);
  }
}
