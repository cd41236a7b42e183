/**
 * Signs of life: a peer that has been silent is asked for one, and given up when
 * it gives none. One timer looks after all the peers of the process.
 *
 * @module
 */

import type { Backlog } from "./backlog.ts";
import { CloseCode } from "../wire/error.ts";
import type { Limits } from "../wire/limits.ts";
import { Alarm, type Sleeper } from "../line/timers.ts";

/** What a heartbeat needs of its peer. */
export interface Patient {
  readonly limits: Limits;
  /** Asks the other side for any answer; `false` if it can't be asked. */
  ping(): boolean;
  cut(code: number, reason: string): void;
  report(error: unknown): void;
}

/** Wakes those that are looked after, from their open event to their end. */
const alarm = new Alarm();

// Between a look that was late and the messages that wait to be handled, nobody
// can be said to be silent. But where every look is late, as in a page in the
// background, the end must come at some time.
const mostReprieves = 3;

/** The heartbeat of one connection. */
export class Heartbeat implements Sleeper {
  /** Whether anything arrived since the last look: all that a message costs. */
  isHeard = true;
  place = -1;
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
    return Math.max(1, Math.min(pingAfter, pingWithin, bufferedTime) / 4);
  }

  /** Begins to look after the peer, whose connection has just opened. */
  start(): void {
    this.isHeard = true;
    this.#asked = undefined;
    this.#reprieves = 0;
    this.#backlog.begin();
    const { period } = this;
    if (period !== Infinity) alarm.set(this, period);
  }

  /** Stops. */
  stop(): void {
    alarm.delete(this);
  }

  /** Looks for what arrived and what waits to leave. */
  wake(now: number, due: number, before: number): void {
    // The process slept or was busy: what arrived may not have been handled.
    const isLate = now - due > this.period / 2;
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

  wakeAt(now: number): number {
    return now + this.period;
  }

  report(error: unknown): void {
    this.#peer.report(error);
  }
}
