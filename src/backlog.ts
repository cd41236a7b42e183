/**
 * What was sent to a peer and has not left yet, because it reads too slowly.
 *
 * @see {@link https://websockets.spec.whatwg.org/#dom-websocket-bufferedamount}
 *
 * @module
 */

import { CloseCode } from "./error.ts";
import type { Limits } from "./limits.ts";

/** What a backlog needs of its peer. */
export interface Sender {
  readonly limits: Limits;
  /** Bytes that the socket has not sent yet. */
  bufferedAmount(): number;
  close(code: number, reason: string): void;
}

/** How much may be sent between two looks: to look is a call into the runtime. */
const step = 65_536;

/** What waits in one peer's socket. */
export class Backlog {
  readonly #sender: Sender;
  readonly #step: number;
  /** Characters that were sent since the last look. */
  #unseen = 0;
  /** Since when every look saw too much. */
  #since: number | undefined;

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
    if (amount > bufferedMost) this.#close(`more than ${bufferedMost} bytes`);
    else if (amount <= buffered) this.#since = undefined;
    else if (this.#since === undefined || isLate) this.#since = now;
    else if (now - this.#since >= bufferedTime) {
      this.#close(`more than ${buffered} bytes for ${bufferedTime} ms`);
    }
  }

  #close(what: string): void {
    this.#sender.close(CloseCode.SlowConsumer, `Slow consumer: ${what} wait`);
  }
}
