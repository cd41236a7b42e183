/**
 * Time that passes only when a test says so: `setTimeout`, `setInterval`,
 * `AbortSignal.timeout` and the monotonic clock that the deadlines read.
 *
 * @module
 */

import { mock } from "node:test";
import { afterTurn } from "../src/line/task.ts";

/** Stops time; disposing lets it go on. */
export class FakeTime implements Disposable {
  readonly #now = performance.now;
  readonly #timeout = AbortSignal.timeout;
  #elapsed = 0;

  constructor() {
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    performance.now = (): number => this.#elapsed;
    AbortSignal.timeout = (milliseconds): AbortSignal => {
      // Node's takes no others, and throws where nobody catches it.
      if (!Number.isInteger(milliseconds) || milliseconds < 0) {
        throw new RangeError(`Not a whole number: ${milliseconds}`);
      }
      const controller = new AbortController();
      setTimeout(() => controller.abort(), milliseconds);
      return controller.signal;
    };
  }

  /** Lets that many milliseconds pass, and then everything that is due. */
  async pass(milliseconds: number): Promise<void> {
    this.#elapsed += milliseconds;
    mock.timers.tick(milliseconds);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }

  /**
   * Lets that many milliseconds pass for a process that is awake: whatever is due
   * happens then, within a quarter of a second. What happens late would look to it
   * as if it had slept.
   */
  async flow(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= 250) {
      await this.pass(Math.min(left, 250));
    }
  }

  [Symbol.dispose](): void {
    mock.timers.reset();
    performance.now = this.#now;
    AbortSignal.timeout = this.#timeout;
  }
}

/**
 * Runs something in a time that is in a hurry: 10 ms pass as soon as nothing else is
 * to be done. For what waits for seconds, but would wait for any.
 */
export async function hurry(run: () => Promise<void>): Promise<void> {
  using time = new FakeTime();
  let isOver = false;
  const over = run().finally(() => isOver = true);
  over.catch(() => {}); // It is awaited below.
  while (!isOver) {
    await new Promise<void>((resolve) => void afterTurn(resolve));
    await time.pass(10);
  }
  await over;
}
