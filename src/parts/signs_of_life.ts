/**
 * Signs of life, and readers that are too slow: a peer that has been silent is
 * asked for one, and given up when it gives none; one that reads too slowly is
 * given up before it costs the memory of all others. One timer looks after all the
 * peers of the process.
 *
 * @see {@link https://websockets.spec.whatwg.org/#dom-websocket-bufferedamount}
 *
 * @module
 */

import { Deferred } from "../line/deferred.ts";
import { Alarm, type Sleeper } from "../line/timers.ts";
import type { Core, CorePart } from "../peer/core.ts";
import { cut } from "../peer/life.ts";
import { closedError, isClosed } from "../peer/owner.ts";
import type { Backlog, Heartbeat, Living } from "../peer/seams.ts";
import { send, versionOf } from "../peer/sending.ts";
import { heartbeatLost, slowConsumer } from "../wire/codes.ts";

import { writeRequest } from "../wire/message.ts";

/** Lets a peer look after its connection. */
export const signsOfLife: CorePart = {
  name: "signsOfLife",
  attach(core) {
    const backlog = new PeerBacklog(core);
    const heartbeat = new PeerHeartbeat(core, backlog);
    core.backlog = backlog;
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
  readonly #backlog: PeerBacklog;
  /** The look before the last message came. */
  #heard = 0;
  /** Since when an answer is awaited. */
  #asked: number | undefined;
  #reprieves = 0;

  /** The id of the last ping, until it is answered. */
  #ping: number | undefined;

  constructor(core: Core, backlog: PeerBacklog) {
    this.#core = core;
    this.#backlog = backlog;
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
    const { pingAfter, pingWithin, bufferedTime } = this.#core.limits;
    return Math.max(Math.min(pingAfter, pingWithin, bufferedTime) / 4, least);
  }

  open(): void {
    this.isHeard = true;
    this.#asked = undefined;
    this.#reprieves = 0;
    this.#backlog.begin();
    const { period } = this;
    if (period !== Infinity) alarm.set(this, period);
  }

  stop(): void {
    this.#ping = undefined;
    alarm.delete(this);
  }

  end(): void {
    this.#backlog.end();
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

/**
 * How much may be sent between two looks, because to look is a call into the
 * runtime; and how much may wait for what is called little.
 */
const step = 65_536;

/** What waits in one peer's socket. */
class PeerBacklog implements Backlog {
  readonly #core: Core;
  readonly #step: number;
  /** Characters that were sent since the last look. */
  #unseen = 0;
  /** Since when every look saw too much. */
  #since: number | undefined;
  #hasOpened = false;
  /** Who waits until little waits. */
  #drained: Deferred<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(core: Core) {
    const { buffered, bufferedMost } = core.limits;
    this.#core = core;
    this.#step = Math.min(step, buffered, bufferedMost);
  }

  /** Takes note of what was sent. */
  add(length: number): void {
    this.#unseen += length;
    if (this.#unseen >= this.#step) this.look(performance.now());
  }

  /**
   * Looks how much waits, and closes if that is too much.
   *
   * @param isLate Whether the process slept, and couldn't send meanwhile.
   */
  look(now: number, isLate = false): void {
    // What was little, and to which nothing was added, still is.
    if (this.#unseen === 0 && this.#since === undefined) return;
    this.#unseen = 0;
    const { buffered, bufferedTime, bufferedMost } = this.#core.limits;
    const amount = this.#amount();
    if (amount > bufferedMost) this.#close(`${bufferedMost} bytes wait`);
    else if (amount <= buffered) this.#since = undefined;
    else if (this.#since === undefined || isLate) this.#since = now;
    else if (now - this.#since >= bufferedTime) {
      this.#close(`${buffered} bytes waited for ${bufferedTime} ms`);
    }
  }

  /** Resolves when little waits. */
  drained(): Promise<void> {
    if (isClosed(this.#core)) return Promise.reject(this.#error());
    if (this.#isLittle()) return Promise.resolve();
    if (this.#drained === undefined) {
      this.#drained = new Deferred();
      this.#poll(1);
    }
    return this.#drained.promise;
  }

  /** A new connection has sent nothing. */
  begin(): void {
    this.#hasOpened = true;
    this.#unseen = 0;
    this.#since = undefined;
  }

  /** Nothing will be sent any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#drained?.reject(this.#error());
  }

  /** What never opened has sent nothing. */
  #error(): Error {
    return closedError(this.#core, "Cannot drain", this.#hasOpened);
  }

  /** Looks again and again, more and more seldom: there is no event for it. */
  #poll(delay: number): void {
    this.#timer = setTimeout(() => {
      if (!this.#isLittle()) return this.#poll(Math.min(2 * delay, 16));
      this.#drained?.resolve();
      this.#drained = undefined;
    }, delay);
  }

  #isLittle(): boolean {
    return this.#core.queue.length === 0 && this.#amount() <= step;
  }

  /** Bytes that the socket has not sent yet. */
  #amount(): number {
    return this.#core.ws?.bufferedAmount ?? 0;
  }

  #close(what: string): void {
    const reason = `Slow consumer: more than ${what}`;
    cut(this.#core, slowConsumer, reason);
  }
}
