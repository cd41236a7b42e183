/**
 * How often something may happen.
 *
 * @module
 */

/** A token bucket: `burst` at once, and then as many as come back in time. */
export class Bucket {
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
export class Recent {
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
