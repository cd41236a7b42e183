/**
 * The deadlines of calls, kept by one timer for all the peers of the process: a
 * timer per call would cost more than the call, and one per peer a part of its
 * connection.
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

/** Those for whom something waits. */
const waiting = new Set<Deadlines>();

let timer: ReturnType<typeof setTimeout> | undefined;

/** When the timer wakes. */
let wake = Infinity;

/**
 * Tells when calls are due, and looks for those that are.
 *
 * Reading the clock for every call would cost as much as writing its envelope,
 * so a deadline is counted from the next look, which is never more than `grain`
 * away: a call is given its time-out at least, and a sixteenth more at most.
 */
export class Deadlines {
  readonly #sweeper: Sweeper;
  readonly #grain: number;
  /** When to look next; Infinity: nothing waits. */
  #next = Infinity;
  #isOver = false;

  /**
   * @param shortest The shortest of the usual time-outs in milliseconds.
   * @param sweeper Whose calls they are.
   */
  constructor(shortest: number, sweeper: Sweeper) {
    this.#grain = shortest / 16;
    this.#sweeper = sweeper;
  }

  /** When to look next; Infinity: nothing waits. */
  get next(): number {
    return this.#next;
  }

  /** The deadline of what begins now and may take `timeout` milliseconds. */
  after(timeout: number): number {
    if (timeout === Infinity) return Infinity;
    if (this.#next === Infinity || timeout < 16 * this.#grain) {
      const now = performance.now();
      const deadline = now + timeout;
      this.#lookAt(Math.min(deadline, now + this.#grain), now);
      return deadline;
    }
    return this.#next + timeout;
  }

  /** Looks for what is due. */
  look(now: number): void {
    // Should it throw, this is when it is asked again.
    this.#next = now + this.#grain;
    const next = this.#sweeper.sweep(now);
    if (next === Infinity) {
      waiting.delete(this);
      this.#next = Infinity;
    } else this.#next = Math.min(this.#next, next);
  }

  /** Stops for good; nothing is left once the last one does. */
  clear(): void {
    this.#isOver = true;
    waiting.delete(this);
    if (waiting.size > 0) return;
    clearTimeout(timer);
    timer = undefined;
    wake = Infinity;
  }

  #lookAt(time: number, now: number): void {
    if (this.#isOver || this.#next <= time) return;
    waiting.add(this);
    if (time < wake) wakeAt(time, now);
    // Sooner than need be, but together with others.
    this.#next = wake;
  }
}

function wakeAt(time: number, now: number): void {
  clearTimeout(timer);
  wake = time;
  timer = setTimeout(lookAtAll, Math.ceil(time - now));
}

function lookAtAll(): void {
  const now = performance.now();
  timer = undefined;
  wake = Infinity;
  try {
    for (const deadlines of waiting) {
      if (deadlines.next <= now) deadlines.look(now);
    }
  } finally {
    let next = Infinity;
    for (const deadlines of waiting) next = Math.min(next, deadlines.next);
    if (next < wake) wakeAt(next, now);
  }
}
