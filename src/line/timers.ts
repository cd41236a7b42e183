/**
 * Timers, each shared by many peers.
 *
 * @module
 */

import { isIsolating } from "../runtime/isolates.ts";
import { startTimerUnloaded, timerProperty } from "../runtime/timers.ts";

// Fake timers, as in tests, replace the platform's timers, Date and mostly its
// clock, and put them back later: a timer that was started before rings at another
// time, or never. So each replacement begins an era, in which everything is started
// again.
let era = 0;
let timers: unknown;
let date: unknown;

/** The number of the era, after comparing timers and Date with those in use. */
export function lookAtEra(): number {
  const { value, get } = timerProperty() ?? {};
  const inUse = value ?? get;
  if (timers !== inUse || date !== Date) {
    timers = inUse;
    date = Date;
    era++;
  }
  return era;
}

/** The number of the era by comparing only Date, which costs next to nothing. */
export function eraOfNow(): number {
  return date === Date ? era : lookAtEra();
}

/** A user of an {@linkcode Alarm}. */
export interface Sleeper {
  /** Its index in the alarm's list, set by the alarm alone; -1: it is not in it. */
  place: number;
  /**
   * Called when the alarm rings. It may be called twice for one ring, if another
   * sleeper removed itself or a third one during the ring.
   *
   * @param due The time when the alarm should have rung.
   * @param before The time when it rang before.
   */
  wake(now: number, due: number, before: number): void;
  /** The time of the next call; Infinity: none until the alarm is set again. */
  wakeAt(now: number): number;
  /** Tells the owner of an error that `wake` threw. */
  report(error: unknown): void;
}

/**
 * One timer for many sleepers: it wakes all of them when the first one is due. A
 * timer for each would be a large part of an idle connection's memory.
 */
export class Alarm {
  // An array, because each sleeper knows its index: cheaper than a Set for
  // thousands of connections that come and go.
  readonly #sleepers: Sleeper[] = [];
  #stop: (() => void) | undefined;
  #due = Infinity;
  /** Milliseconds between setting the timer and its ring. */
  #span = Infinity;
  #before = 0;
  /** The era in which the timer was started. */
  #era = 0;

  /** The time of the ring, of `performance.now()`; Infinity: never. */
  get due(): number {
    return this.#due;
  }

  /**
   * Wakes a sleeper within some milliseconds.
   *
   * @param era The era, for whoever has just looked at it.
   */
  set(
    sleeper: Sleeper,
    within: number,
    era: number = lookAtEra(),
  ): void {
    if (sleeper.place === -1) {
      sleeper.place = this.#sleepers.push(sleeper) - 1;
    }
    if (this.#era !== era) this.#forget();
    // The clock isn't read if the timer rings soon enough in any case.
    if (within >= this.#span) return;
    const now = performance.now();
    if (this.#stop === undefined) this.#before = now;
    this.#setTimer(now + within, now);
  }

  /** Removes a sleeper; with the last one the timer is stopped. */
  delete(sleeper: Sleeper): void {
    this.#remove(sleeper);
    if (this.#sleepers.length === 0) this.#forget();
  }

  #forget(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#due = this.#span = Infinity;
  }

  /** Removes a sleeper from the list; the last one takes its place. */
  #remove(sleeper: Sleeper): void {
    if (sleeper.place === -1) return;
    const last = this.#sleepers.pop()!;
    if (last !== sleeper) {
      this.#sleepers[sleeper.place] = last;
      last.place = sleeper.place;
    }
    sleeper.place = -1;
  }

  #setTimer(time: number, now: number): void {
    if (time >= this.#due) return;
    this.#stop?.();
    this.#era = era;
    this.#due = time;
    this.#span = time - now;
    this.#stop = startTimer(Math.ceil(this.#span), () => this.#ring());
  }

  #ring(): void {
    const now = performance.now();
    const due = this.#due;
    const before = this.#before;
    this.#before = now;
    this.#stop = undefined;
    this.#due = this.#span = Infinity;
    let next = Infinity;
    // Backwards: a sleeper that takes the place of a removed one has been woken
    // already.
    for (let index = this.#sleepers.length - 1; index >= 0; index--) {
      const sleeper = this.#sleepers[index];
      if (sleeper === undefined) continue; // Others were removed, too.
      try {
        sleeper.wake(now, due, before);
      } catch (error) {
        sleeper.report(error); // Caught, so that the others are woken.
      }
      const time = sleeper.wakeAt(now);
      if (time === Infinity) this.#remove(sleeper);
      next = Math.min(next, time);
    }
    if (this.#sleepers.length > 0) this.#setTimer(next, now);
  }
}

/** The alarm of the process, or a new one where connections can't share timers. */
export function alarmOf(all: Alarm): Alarm {
  return isIsolating ? new Alarm() : all;
}

// The longest delay of a timer: a longer one would ring at once.
const most = 0x7fff_ffff;

/** Calls a function after some milliseconds; returns a function that cancels it. */
export function startTimer(delay: number, ring: () => void): () => void {
  delay = Math.min(delay, most);
  const stop = startTimerUnloaded(delay, ring);
  if (stop !== undefined) return stop;
  // Both are read now: fake timers may have replaced clearTimeout by the time of
  // the stop.
  const { setTimeout, clearTimeout } = globalThis;
  const id = setTimeout(ring, delay);
  return () => clearTimeout(id);
}
