/**
 * Time that passes only when a test says so: `setTimeout` and the monotonic
 * clock that the deadlines read.
 *
 * @module
 */

import { mock } from "node:test";

/** Stops time; disposing lets it go on. */
export class FakeTime implements Disposable {
  readonly #now = performance.now;
  #elapsed = 0;

  constructor() {
    mock.timers.enable({ apis: ["setTimeout"] });
    performance.now = (): number => this.#elapsed;
  }

  /** Lets that many milliseconds pass, and then everything that is due. */
  async pass(milliseconds: number): Promise<void> {
    this.#elapsed += milliseconds;
    mock.timers.tick(milliseconds);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }

  [Symbol.dispose](): void {
    mock.timers.reset();
    performance.now = this.#now;
  }
}
