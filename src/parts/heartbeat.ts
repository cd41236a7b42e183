/**
 * Signs of life: a peer that has been silent is asked for one, and given up when it
 * gives none. One timer looks after all the peers of the process.
 *
 * @module
 */

import { Alarm, type Sleeper } from "../line/timers.ts";
import type { Core, CorePart } from "../peer/core.ts";
import { cut } from "../peer/life.ts";
import type { Heartbeat, Living } from "../peer/seams.ts";
import { send, versionOf } from "../peer/sending.ts";
import { heartbeatLost } from "../wire/codes.ts";
import { writeRequest } from "../wire/message.ts";

/** Lets a peer look whether the other one lives. */
export const heartbeat: CorePart = {
  name: "heartbeat",
  attach(core) {
    const heartbeat = new PeerHeartbeat(core);
    core.heartbeat = heartbeat;
    core.living.push(heartbeat);
  },
};

/** Wakes those that are looked after, from their open event to their end. */
const alarm = /* @__PURE__ */ new Alarm();

// Milliseconds; limits of 0 must not keep a process busy.
const least = 10;

// Between a look that was late and the messages that wait to be handled, nobody
// can be said to be silent. But where every look is late, as in a page in the
// background, the end must come at some time.
const mostReprieves = 3;

/** The heartbeat of one connection. */
class PeerHeartbeat implements Heartbeat, Living, Sleeper {
  /** Whether anything arrived since the last look: all that a message costs. */
  isHeard = true;
  place = -1;
  readonly #core: Core;
  /** The look before the last message came. */
  #heard = 0;
  /** Since when an answer is awaited. */
  #asked: number | undefined;
  #reprieves = 0;

  /** The id of the last ping, until it is answered. */
  #ping: number | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  isAnswer(id: unknown): boolean {
    if (this.#ping === undefined || id !== this.#ping) return false;
    this.#ping = undefined;
    return true;
  }

  // The first word after a ping is about that: every call waits for longer.
  isBlamed(): boolean {
    if (this.#ping === undefined || this.#asked === undefined) return false;
    this.#ping = undefined;
    return true;
  }

  /**
   * Milliseconds between two looks, at most. With a quarter of the shorter time,
   * what is rounded up to a look adds up to less than both times together.
   */
  get period(): number {
    const { pingAfter, pingWithin } = this.#core.limits;
    return Math.max(Math.min(pingAfter, pingWithin) / 4, least);
  }

  open(): void {
    this.isHeard = true;
    this.#asked = undefined;
    this.#reprieves = 0;
    const { period } = this;
    if (period !== Infinity) alarm.set(this, period);
  }

  stop(): void {
    this.#ping = undefined;
    alarm.delete(this);
  }

  /** Looks for what arrived. */
  wake(now: number, due: number, before: number): void {
    // The process slept or was busy: what arrived may not have been handled.
    const isLate = now - due > this.period / 2;
    if (this.isHeard) {
      this.isHeard = false;
      this.#heard = before;
      this.#asked = undefined;
      this.#reprieves = 0;
    }
    const { pingAfter, pingWithin } = this.#core.limits;
    if (this.#asked === undefined) {
      // The next look may be too late to ask and still be done in time.
      const isSilent = now + 2 * this.period > this.#heard + pingAfter;
      if (isSilent && this.#askForSign()) this.#asked = now;
    } else if (isLate && this.#reprieves < mostReprieves) {
      this.#asked = now;
      this.#reprieves++;
    } else if (now - this.#asked >= pingWithin) {
      const reason = `No sign of life within ${pingWithin} ms of a ping`;
      cut(this.#core, heartbeatLost, reason);
    }
  }

  wakeAt(now: number): number {
    return now + this.period;
  }

  report(error: unknown): void {
    this.#core.report(error);
  }

  /**
   * Asks for a sign of life, beside all the calls: with an error, too, a peer says
   * that it lives. To 1.0 and bare peers it could be one more invalid message.
   */
  #askForSign(): boolean {
    const core = this.#core;
    if (versionOf(core) !== "2.0") return false;
    this.#ping = core.pending.takeId();
    send(core, writeRequest(this.#ping, "rpc.ping", undefined));
    return true;
  }
}
