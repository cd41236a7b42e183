/**
 * Chance that can be had again: numbers that follow from a seed.
 *
 * @see {@link https://gist.github.com/tommyettinger/46a874533244883189143505d203312c} for mulberry32
 *
 * @module
 */

/** A sequence of numbers that its seed decides. */
export class Random {
  #state: number;

  /** @param seed A whole number, of which 32 bits count. */
  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A number of 0 or more, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number of 0 or more, below another. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** `true` as often as one in so many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  /** One of some values. */
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}
