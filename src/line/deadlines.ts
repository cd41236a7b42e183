/**
 * The deadlines of calls and handshakes, all kept by one timer of the process: a
 * timer for each call would cost more than the call, and one for each peer a part
 * of its connection's memory.
 *
 * @module
 */

import { Alarm, alarmOf, eraOfNow, lookAtEra, type Sleeper } from "./timers.ts";

/** The owner of deadlines: a peer's core. */
export interface Sweeper {
  /**
   * Ends whatever was due before `now`. Returns the time of the next deadline;
   * Infinity: there is none.
   */
  sweep(now: number): number;
  /** Tells the owner of an error that `sweep` threw. */
  report(error: unknown): void;
}

/** The one timer of all deadlines. */
const deadlineAlarm = /* @__PURE__ */ new Alarm();

/**
 * The deadlines of one peer's calls.
 *
 * Reading the clock for every call would cost as much as writing its envelope. So a
 * deadline counts from the next look at the clock, which is at most `grain` away: a
 * call gets at least its time-out, and at most a sixteenth more.
 */
export class Deadlines implements Sleeper {
  place = -1;
  readonly #sweeper: Sweeper;
  readonly #grain: number;
  readonly #alarm: Alarm = alarmOf(deadlineAlarm);
  /** The time of the next look; Infinity: there are no deadlines. */
  #next = Infinity;
  /** The era of that time; see {@linkcode eraOfNow}. */
  #era = 0;
  #isOver = false;

  /**
   * @param shortest The shortest of the usual time-outs, in milliseconds.
   * @param sweeper The owner of the deadlines.
   */
  constructor(shortest: number, sweeper: Sweeper) {
    this.#grain = Math.max(shortest / 16, 1);
    this.#sweeper = sweeper;
  }

  /** The deadline of a call that begins now and may take `timeout` milliseconds. */
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
      this.#lookAt(Math.min(deadline, now + this.#grain), now, era);
      return deadline;
    }
    return this.#next + timeout;
  }

  wake(now: number): void {
    if (this.#next > now) return;
    // Set before `sweep`, because a caller that is told of an end may begin a new
    // call.
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

  #lookAt(time: number, now: number, era?: number): void {
    if (this.#isOver || this.#next <= time) return;
    this.#alarm.set(this, time - now, era);
    // The alarm may be due earlier, for others.
    this.#next = this.#alarm.due;
  }
}
