/**
 * The deadlines of calls and handshakes, kept by one timer for the process: a
 * timer per call would cost more than the call, and one per peer a part of its
 * connection.
 *
 * @module
 */

import { Alarm, alarmOf, eraOfNow, lookAtEra, type Sleeper } from "./timers.ts";

/** Who has calls that are due at some time. */
export interface Sweeper {
  /**
   * Ends what was due before `now`, and says when the next is due: Infinity if
   * nothing waits.
   */
  sweep(now: number): number;
  /** Tells the owner of an error that is nobody else's. */
  report(error: unknown): void;
}

/** Wakes all for whom something waits. */
const deadlineAlarm = /* @__PURE__ */ new Alarm();

/**
 * Tells when calls are due, and looks for those that are.
 *
 * Reading the clock for every call would cost as much as writing its envelope,
 * so a deadline is counted from the next look, which is never more than `grain`
 * away: a call is given its time-out at least, and a sixteenth more at most.
 */
export class Deadlines implements Sleeper {
  place = -1;
  readonly #sweeper: Sweeper;
  readonly #grain: number;
  readonly #alarm: Alarm = alarmOf(deadlineAlarm);
  /** When to look next; Infinity: nothing waits. */
  #next = Infinity;
  /** In which era that is, if somebody plays with time. */
  #era = 0;
  #isOver = false;

  /**
   * @param shortest The shortest of the usual time-outs in milliseconds.
   * @param sweeper Whose calls they are.
   */
  constructor(shortest: number, sweeper: Sweeper) {
    this.#grain = Math.max(shortest / 16, 1);
    this.#sweeper = sweeper;
  }

  /** The deadline of what begins now and may take `timeout` milliseconds. */
  after(timeout: number): number {
    if (timeout === Infinity) return Infinity;
    if (
      this.#next === Infinity || timeout < 16 * this.#grain ||
      this.#era !== eraOfNow()
    ) {
      const now = performance.now();
      const era = lookAtEra();
      if (this.#era !== era) {
        this.#era = era;
        this.#next = Infinity;
      }
      const deadline = now + timeout;
      this.#lookAt(Math.min(deadline, now + this.#grain), now);
      return deadline;
    }
    return this.#next + timeout;
  }

  wake(now: number): void {
    if (this.#next > now) return;
    // Whoever is told of an end may begin something new.
    this.#next = Infinity;
    const next = this.#sweeper.sweep(now);
    if (next !== Infinity) {
      this.#lookAt(Math.min(next, now + this.#grain), now);
    }
  }

  wakeAt(): number {
    return this.#next;
  }

  report(error: unknown): void {
    this.#sweeper.report(error);
  }

  /** Stops for good. */
  clear(): void {
    this.#isOver = true;
    this.#alarm.delete(this);
  }

  #lookAt(time: number, now: number): void {
    if (this.#isOver || this.#next <= time) return;
    this.#alarm.set(this, time - now);
    // Sooner than need be, but together with others.
    this.#next = this.#alarm.due;
  }
}
