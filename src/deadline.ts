/**
 * The deadlines of one peer's calls, kept by one timer: a timer per call would
 * cost more than the call.
 *
 * @module
 */

/** Who has calls that are due at some time. */
export interface Sweeper {
  /**
   * Ends what was due before `now`, and says when the next is due: Infinity if
   * nothing waits.
   */
  sweep(now: number): number;
}

/**
 * Tells when calls are due, and wakes up to look for those that are.
 *
 * Reading the clock for every call would cost as much as writing its envelope,
 * so a deadline is counted from the next time that the timer wakes, which is
 * never more than `grain` away: a call is given its time-out at least, and a
 * sixteenth more at most.
 */
export class Deadlines {
  readonly #sweeper: Sweeper;
  readonly #grain: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wake = 0;
  #isOver = false;

  /**
   * @param shortest The shortest of the usual time-outs in milliseconds.
   * @param sweeper Whose calls they are.
   */
  constructor(shortest: number, sweeper: Sweeper) {
    this.#grain = shortest / 16;
    this.#sweeper = sweeper;
  }

  /** The deadline of what begins now and may take `timeout` milliseconds. */
  after(timeout: number): number {
    if (timeout === Infinity) return Infinity;
    if (this.#timer === undefined || timeout < 16 * this.#grain) {
      const now = performance.now();
      const deadline = now + timeout;
      this.#wakeAt(Math.min(deadline, now + this.#grain), now);
      return deadline;
    }
    return this.#wake + timeout;
  }

  /** Stops for good. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isOver = true;
  }

  #wakeAt(time: number, now: number): void {
    if (this.#isOver) return;
    if (this.#timer !== undefined) {
      if (this.#wake <= time) return;
      clearTimeout(this.#timer);
    }
    this.#wake = time;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const now = performance.now();
      const next = this.#sweeper.sweep(now);
      if (next !== Infinity) {
        this.#wakeAt(Math.min(next, now + this.#grain), now);
      }
    }, Math.ceil(time - now));
  }
}
