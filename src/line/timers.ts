/**
 * Timers, of which there are few, because one serves many.
 *
 * @module
 */

import { isIsolating } from "../runtime/isolates.ts";
import { startTimerUnloaded, timerProperty } from "../runtime/timers.ts";

// Those by whom somebody plays with time put other timers, another Date and mostly
// another clock in the place of the platform's, and take them back: what was started
// before rings in another time, or never.
let era = 0;
let timers: unknown;
let date: unknown;

/** The number of the era, after a look whether it is another one. */
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

/** The number of the era, as far as a look can tell that costs nothing. */
export function eraOfNow(): number {
  return date === Date ? era : lookAtEra();
}

/** Who is woken by an {@linkcode Alarm}. */
export interface Sleeper {
  /** Where its alarm has it, which nobody else says; -1: nowhere. */
  place: number;
  /**
   * Does what there is to do; now and then twice at a time, where another one has
   * let somebody sleep.
   *
   * @param due When the alarm should have rung.
   * @param before When it rang the last time.
   */
  wake(now: number, due: number, before: number): void;
  /** When to wake it again; Infinity: not unless it is set anew. */
  wakeAt(now: number): number;
  /** Tells the owner of an error that is nobody else's. */
  report(error: unknown): void;
}

/**
 * A timer for many, all of whom it wakes when the first of them is due: one each
 * would be a large part of an idle connection.
 */
export class Alarm {
  // No Set: thousands of connections come and go, and each knows its place.
  readonly #sleepers: Sleeper[] = [];
  #stop: (() => void) | undefined;
  #due = Infinity;
  /** Milliseconds from when it was set to when it is due. */
  #span = Infinity;
  #before = 0;
  /** When its timer was started. */
  #era = 0;

  /** When it rings, in milliseconds of the monotonic clock; Infinity: never. */
  get due(): number {
    return this.#due;
  }

  /** Wakes someone within some milliseconds. */
  set(sleeper: Sleeper, within: number): void {
    if (sleeper.place === -1) {
      sleeper.place = this.#sleepers.push(sleeper) - 1;
    }
    if (this.#era !== lookAtEra()) this.#forget();
    // No look at the clock where it rings soon enough in any case.
    if (within >= this.#span) return;
    const now = performance.now();
    if (this.#stop === undefined) this.#before = now;
    this.#setTimer(now + within, now);
  }

  /** Lets someone sleep; nothing is left of the alarm once the last one does. */
  delete(sleeper: Sleeper): void {
    this.#remove(sleeper);
    if (this.#sleepers.length === 0) this.#forget();
  }

  #forget(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#due = this.#span = Infinity;
  }

  /** The last one takes its place. */
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
    // From the last one on: who takes another's place meanwhile has been woken.
    for (let index = this.#sleepers.length - 1; index >= 0; index--) {
      const sleeper = this.#sleepers[index];
      if (sleeper === undefined) continue; // Others were let sleep, too.
      try {
        sleeper.wake(now, due, before);
      } catch (error) {
        sleeper.report(error); // The others are not to blame.
      }
      const time = sleeper.wakeAt(now);
      if (time === Infinity) this.#remove(sleeper);
      next = Math.min(next, time);
    }
    if (this.#sleepers.length > 0) this.#setTimer(next, now);
  }
}

/** The alarm that serves all of the process, or one of its own where none may. */
export function alarmOf(all: Alarm): Alarm {
  return isIsolating ? new Alarm() : all;
}

// A longer wait would end at once.
const most = 0x7fff_ffff;

/** Calls something after some milliseconds; returns how not to. */
export function startTimer(delay: number, ring: () => void): () => void {
  delay = Math.min(delay, most);
  const stop = startTimerUnloaded(delay, ring);
  if (stop !== undefined) return stop;
  // Who started it stops it: others may have taken their place by then.
  const { setTimeout, clearTimeout } = globalThis;
  const id = setTimeout(ring, delay);
  return () => clearTimeout(id);
}
