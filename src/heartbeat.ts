/**
 * Signs of life: a peer that has been silent is asked for one, and given up when
 * it gives none. One timer looks after all the peers of the process.
 *
 * @module
 */

import type { Backlog } from "./backlog.ts";
import { CloseCode } from "./error.ts";
import type { Limits } from "./limits.ts";
import { startTimer } from "./timer.ts";

/** What a heartbeat needs of its peer. */
export interface Patient {
  readonly limits: Limits;
  /** Asks the other side for any answer; `false` if it can't be asked. */
  ping(): boolean;
  cut(code: number, reason: string): void;
  report(error: unknown): void;
}

/** What is looked after, from its open event to its end. */
const heartbeats = new Set<Heartbeat>();

/** Stops the timer. */
let stopTimer: (() => void) | undefined;

/** Milliseconds from one look to the next: the shortest that a peer needs. */
let period = Infinity;

/** When the next look is due, and when the last one was. */
let due = Infinity;
let last = 0;

// Between a look that was late and the messages that wait to be handled, nobody
// can be said to be silent. But where every look is late, as in a page in the
// background, the end must come at some time.
const mostReprieves = 3;

/** The heartbeat of one connection. */
export class Heartbeat {
  /** Whether anything arrived since the last look: all that a message costs. */
  isHeard = true;
  readonly #peer: Patient;
  readonly #backlog: Backlog;
  /** The look before the last message came. */
  #heard = 0;
  /** Since when an answer is awaited. */
  #asked: number | undefined;
  #reprieves = 0;

  constructor(peer: Patient, backlog: Backlog) {
    this.#peer = peer;
    this.#backlog = backlog;
  }

  /** Whether nothing has been heard since the last ping, but perhaps just now. */
  get isAsking(): boolean {
    return this.#asked !== undefined;
  }

  /**
   * Milliseconds between two looks, at most. With a quarter of the shorter time,
   * what is rounded up to a look adds up to less than both times together.
   */
  get period(): number {
    const { pingAfter, pingWithin, bufferedTime } = this.#peer.limits;
    return Math.min(pingAfter, pingWithin, bufferedTime) / 4;
  }

  /** Begins to look after the peer, whose connection has just opened. */
  start(): void {
    this.isHeard = true;
    this.#asked = undefined;
    this.#reprieves = 0;
    this.#backlog.begin();
    if (this.period === Infinity) return;
    heartbeats.add(this);
    if (this.period >= period) return;
    const now = performance.now();
    if (stopTimer === undefined) last = now;
    period = this.period;
    wakeAt(Math.min(due, now + period), now);
  }

  /** Stops; nothing is left once the last peer does. */
  stop(): void {
    heartbeats.delete(this);
    if (heartbeats.size > 0) return;
    stopTimer?.();
    stopTimer = undefined;
    period = due = Infinity;
  }

  /**
   * Looks for what arrived and what waits to leave.
   *
   * @param before When the last look was.
   * @param isLate Whether the process slept or was busy, so that what arrived
   * meanwhile may not have been handled.
   */
  look(now: number, before: number, isLate: boolean): void {
    this.#backlog.look(now, isLate);
    if (this.isHeard) {
      this.isHeard = false;
      this.#heard = before;
      this.#asked = undefined;
      this.#reprieves = 0;
    }
    const { pingAfter, pingWithin } = this.#peer.limits;
    if (this.#asked === undefined) {
      // The next look may be too late to ask and still be done in time.
      const isSilent = now + 2 * this.period > this.#heard + pingAfter;
      if (isSilent && this.#peer.ping()) this.#asked = now;
    } else if (isLate && this.#reprieves < mostReprieves) {
      this.#asked = now;
      this.#reprieves++;
    } else if (now - this.#asked >= pingWithin) {
      const reason = `No sign of life within ${pingWithin} ms of a ping`;
      this.#peer.cut(CloseCode.HeartbeatLost, reason);
    }
  }

  /** Tells the peer what should not have been thrown. */
  report(error: unknown): void {
    this.#peer.report(error);
  }
}

function wakeAt(time: number, now: number): void {
  stopTimer?.();
  due = time;
  stopTimer = startTimer(time - now, lookAtAll);
}

function lookAtAll(): void {
  const now = performance.now();
  const isLate = now - due > period / 2;
  const before = last;
  last = now;
  period = due = Infinity;
  for (const heartbeat of heartbeats) {
    period = Math.min(period, heartbeat.period);
    try {
      heartbeat.look(now, before, isLate);
    } catch (error) {
      heartbeat.report(error); // The others are not to blame.
    }
  }
  if (heartbeats.size > 0) wakeAt(now + period, now);
}
