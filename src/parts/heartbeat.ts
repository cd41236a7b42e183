/**
 * Signs of life: a peer that has been silent is asked for one, and given up when it
 * gives none. One timer looks after all the peers of the process.
 *
 * @see PROTOCOL.md, "Liveness"
 *
 * @module
 */

import { Alarm, alarmOf, type Sleeper } from "../line/timers.ts";
import type { Core, CorePart } from "../peer/core.ts";
import { cut } from "../peer/life.ts";
import { isSending } from "../peer/owner.ts";
import type { Heartbeat, Living } from "../peer/seams.ts";
import { sendFrame, versionOf } from "../peer/sending.ts";
import { heartbeatLost } from "../wire/codes.ts";

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

// An id that nobody else's call has.
const id = "rpc.ping";
/** The question. */
export const ping: string =
  `{"jsonrpc":"2.0","method":"rpc.ping","params":[],"id":"${id}"}`;

/** What a peer answers it. */
export const pong: string = `{"jsonrpc":"2.0","result":null,"id":"${id}"}`;

/**
 * The mark of who answers `rpc.ping`: a space, which says nothing in JSON. A client
 * whose socket has no ping ends its first frame with it, a server of this library
 * then the frame after that. Nobody else's text or reader is touched by it.
 */
const mark = " ";

// Characters of a frame that is marked; no limit is met because of it.
const longest = 65_536;

/** The part of the sockets of `ws` by which the other end can be asked. */
interface PingingSocket {
  ping(): void;
  on(type: "pong", listener: (event: never) => void): void;
  off(type: "pong", listener: (event: never) => void): void;
}

/** The heartbeat of one connection after the other. */
class PeerHeartbeat implements Heartbeat, Living, Sleeper {
  /** Whether anything arrived since the last look: all that a message costs. */
  isHeard = true;
  /** Whether the next frame is to end with the mark. */
  isMarking = false;
  /** Whether the other side has shown by the mark that it answers `rpc.ping`. */
  isMarked = false;
  place = -1;
  readonly #core: Core;
  readonly #alarm: Alarm = alarmOf(alarm);
  /** The look before the last message came. */
  #heard = 0;
  /** Since when an answer is awaited. */
  #asked: number | undefined;
  #reprieves = 0;
  /** How much waited to leave at the last look since. */
  #waiting = 0;
  /** The socket whose pongs are listened to. */
  #socket: PingingSocket | undefined;
  /** Whether the last ping was not answered. */
  #isUnanswered = false;
  /** Whether an error without an id may be about the last ping. */
  #isBlamable = false;
  /** Whether it was sent since the last look. */
  #isNew = false;
  /** The call that ran when the peer was asked, the longest; 0: none. */
  #call = 0;
  /** Whether a ping was answered, on whatever connection. */
  #isKnown = false;
  /** Whether one was, while a call ran. */
  #isReady = false;
  /** Whether the other side has spoken, but answered no ping. */
  #isMute = false;
  /** Whether a connection ended for the question. */
  #isShy = false;

  constructor(core: Core) {
    this.#core = core;
  }

  hearAnswer(): void {
    this.isHeard = this.#isKnown = true;
    this.#isUnanswered = false;
    if (this.#isCalling()) this.#isReady = true;
  }

  mark(frame: string): string {
    // To copy a long one would cost more than to wait for the next.
    if (frame.length > longest) return frame;
    this.isMarking = false;
    return frame + mark;
  }

  hearMark(frame: string): void {
    // Who writes white space writes more, or nothing else: that is no mark.
    if (!/[}\]]$/.test(frame.slice(-2, -1))) return;
    // Whoever made the socket began, and is answered.
    if (!this.isMarked) this.isMarking = this.#core.makeSocket === undefined;
    this.isMarked = true;
  }

  isAnswer(it: unknown): boolean {
    if (it !== id) return false;
    this.#isBlamable = false;
    this.hearAnswer();
    return true;
  }

  // The first word after a ping is about that: every call waits for longer. So it
  // is after a pong, too: aria2 (1.36) takes pings for messages.
  isBlamed(): boolean {
    const isBlamed = this.#isBlamable && this.#asked !== undefined;
    if (isBlamed) this.#isBlamable = false;
    return isBlamed;
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
    const { makeSocket, sharing } = this.#core;
    this.isMarked = false;
    this.isMarking = makeSocket !== undefined && sharing === undefined &&
      !this.#canPing() && versionOf(this.#core) === "2.0";
    const { period } = this;
    // Who never asks has nothing to look for, and lets a Durable Object sleep.
    if (this.#core.limits.pingAfter !== Infinity) this.#alarm.set(this, period);
  }

  stop(): void {
    if (this.#isNew && !this.#isKnown) this.#isShy = true;
    this.#isNew = this.#isBlamable = this.#isUnanswered = false;
    this.#socket?.off("pong", this.#core.listener);
    this.#socket = undefined;
    this.#alarm.delete(this);
  }

  /** Looks for what arrived. */
  wake(now: number, due: number, before: number): void {
    // The process slept or was busy: what arrived may not have been handled.
    const isLate = now - due > this.period / 2;
    this.#isNew = false;
    if (this.#asked !== undefined && this.#isReading()) this.isHeard = true;
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
      if (isSilent && this.#ask()) this.#asked = now;
    } else if (isLate && this.#reprieves < mostReprieves) {
      this.#asked = now;
      this.#reprieves++;
    } else if (now - this.#asked < pingWithin) return;
    else if (this.#isExcused()) this.#asked = now;
    else {
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

  /** Asks for a sign of life, unless the peer may not know how to give one. */
  #ask(): boolean {
    return this.#ping() || this.#request();
  }

  /** Whether the socket has a ping of its own. */
  #canPing(): boolean {
    const { ping, on } = this.#core.ws as unknown as Partial<PingingSocket>;
    return typeof ping === "function" && typeof on === "function";
  }

  /** Asks by the WebSocket's own ping, where the socket has one. */
  #ping(): boolean {
    const core = this.#core;
    const ws = core.ws as unknown as PingingSocket;
    if (!this.#canPing() || this.#isShy || !isSending(core)) return false;
    // Node's inspector (24) closes.
    if (core.makeSocket !== undefined && core.options.version === "bare") {
      return false;
    }
    if (this.#socket !== ws) {
      this.#socket = ws;
      ws.on("pong", core.listener);
    }
    this.#note();
    ws.ping();
    return true;
  }

  /**
   * Asks by a call, beside all the others. To who doesn't know it, that could be
   * the answer to a call of his own.
   */
  #request(): boolean {
    const core = this.#core;
    const isKnown = (this.#isKnown || this.isMarked) &&
      versionOf(core) === "2.0";
    if (!isKnown && !core.sharing?.isShared || !isSending(core)) return false;
    this.#note();
    sendFrame(core, ping);
    return true;
  }

  /** Takes note of what runs, which may be why no answer comes. */
  #note(): void {
    if (this.#isUnanswered && !this.#isKnown) this.#isMute = true;
    this.#isNew = this.#isBlamable = this.#isUnanswered = true;
    this.#isReading();
    const calls = this.#core.pending.all();
    this.#call = calls.find(({ sent }) => sent)?.id ?? 0;
  }

  /** Whether something has left since the last look: the question stands behind it. */
  #isReading(): boolean {
    const before = this.#waiting;
    this.#waiting = this.#core.ws?.bufferedAmount ?? 0;
    return this.#waiting < before;
  }

  #isCalling(): boolean {
    return this.#core.pending.get(this.#call) !== undefined;
  }

  /**
   * Whether silence may have another reason than death: many a server takes one
   * call at a time, and nothing meanwhile.
   */
  #isExcused(): boolean {
    // The question waits behind something long: it is for slow_readers.ts to say
    // whether anybody takes that.
    if (this.#core.backlog?.isHolding) return true;
    if (this.#core.sharing?.isShared || this.isMarked) return false;
    return this.#isMute && !this.#isKnown ||
      !this.#isReady && this.#isCalling();
  }
}
