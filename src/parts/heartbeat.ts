/**
 * The heartbeat: a silent peer is pinged, and its connection closed if no sign of
 * life comes. One timer serves all peers of the process.
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

/** The part that watches whether the other side is alive. */
export const heartbeat: CorePart = {
  name: "heartbeat",
  attach(core) {
    const heartbeat = new PeerHeartbeat(core);
    core.heartbeat = heartbeat;
    core.enlist(heartbeat);
  },
};

/**
 * The timer of all heartbeats; each is in it from the open event to the end of its
 * connection.
 */
const alarm = /* @__PURE__ */ new Alarm();

// Milliseconds: the shortest time between two looks, so that limits of 0 don't keep
// a process busy.
const least = 10;

// How often a late look is excused. When a look is late, the process was busy, and
// messages may wait that it has not heard. But if every look is late, as in a page
// in the background, a dead connection must end at some time.
const mostReprieves = 3;

// The id of the ping: no call has it, since their ids are numbers.
const id = "rpc.ping";
/** The request that asks for a sign of life. */
export const ping: string =
  `{"jsonrpc":"2.0","method":"rpc.ping","params":[],"id":"${id}"}`;

/** The answer to {@linkcode ping}. */
export const pong: string = `{"jsonrpc":"2.0","result":null,"id":"${id}"}`;

/**
 * The mark by which a peer shows that it answers `rpc.ping`: a space at the end of
 * a frame, which means nothing in JSON. A client whose socket has no ping marks its
 * first frame, and a server of this library marks its next frame in return. Other
 * programs notice nothing.
 */
const mark = " ";

// Most characters of a frame that is marked, so that the mark exceeds no limit.
const longest = 65_536;

/** The part of a `ws` socket that pings. */
interface PingingSocket {
  ping(): void;
  on(type: "pong", listener: (event: never) => void): void;
  off(type: "pong", listener: (event: never) => void): void;
}

/** The pings of a peer, and what is known of the other side by them. */
class Pings {
  /** The socket's `bufferedAmount` at the last look. */
  waiting = 0;
  /** The socket whose pongs are listened to. */
  socket: PingingSocket | undefined;
  /** Whether the last ping was not answered. */
  isUnanswered = false;
  /** Whether an error without an id may be the answer to the last ping. */
  isBlamable = false;
  /** Whether the last ping was sent since the last look. */
  isNew = false;
  /** The id of the oldest call that was under way at the last ping; 0: none. */
  call = 0;
  /** Whether a ping was ever answered, on any connection. */
  isKnown = false;
  /** Whether one was answered while a call was under way. */
  isReady = false;
  /** Whether the other side has sent messages, but never answered a ping. */
  isMute = false;
  /** Whether a connection ended right after a ping: then no more are sent. */
  isShy = false;
}

/** The heartbeat of a peer, over all of its connections. */
class PeerHeartbeat implements Heartbeat, Living, Sleeper {
  next: Living | undefined;
  /**
   * Whether anything arrived since the last look. Setting it is all that a message
   * costs.
   */
  isHeard = true;
  /** Whether the next frame gets the mark. */
  isMarking = false;
  /** Whether the other side has sent the mark: it answers `rpc.ping`. */
  isMarked = false;
  place = -1;
  readonly #core: Core;
  readonly #alarm: Alarm = alarmOf(alarm);
  /** The time of the look before the last message came. */
  #heard = 0;
  /** The time of the ping that is not answered; `undefined`: there is none. */
  #asked: number | undefined;
  #reprieves = 0;
  // Made for the first ping: most peers send something before it is due.
  #pings: Pings | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  hearAnswer(): void {
    const pings = this.#pings ??= new Pings();
    this.isHeard = pings.isKnown = true;
    pings.isUnanswered = false;
    if (this.#isCalling(pings)) pings.isReady = true;
  }

  mark(frame: string): string {
    // Copying a long frame would cost more than marking a later one.
    if (frame.length > longest) return frame;
    this.isMarking = false;
    return frame + mark;
  }

  hearMark(frame: string): void {
    // A mark stands right behind the closing bracket; a program that writes white
    // space for other reasons writes more of it.
    if (!/[}\]]$/.test(frame.slice(-2, -1))) return;
    // The client marks first, the server answers.
    if (!this.isMarked) this.isMarking = this.#core.makeSocket === undefined;
    this.isMarked = true;
  }

  isAnswer(it: unknown): boolean {
    if (it !== id) return false;
    this.hearAnswer();
    this.#pings!.isBlamable = false;
    return true;
  }

  // The first error without an id after a ping is taken for the ping's answer,
  // since all calls that wait are older. Even after a pong: aria2 (1.36) answers a
  // ping, and takes it for a message, too.
  isBlamed(): boolean {
    const pings = this.#pings;
    if (!pings?.isBlamable || this.#asked === undefined) return false;
    pings.isBlamable = false;
    return true;
  }

  /**
   * Milliseconds between two looks: a quarter of the shorter time, so that rounding
   * up to looks never exceeds both times together.
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
    // Without pings there is no timer, so that a Durable Object can sleep.
    if (this.#core.limits.pingAfter !== Infinity) this.#alarm.set(this, period);
  }

  stop(): void {
    this.#alarm.delete(this);
    const pings = this.#pings;
    if (pings === undefined) return;
    if (pings.isNew && !pings.isKnown) pings.isShy = true;
    pings.isNew = pings.isBlamable = pings.isUnanswered = false;
    pings.socket?.off("pong", this.#core.listener);
    pings.socket = undefined;
  }

  /** Looks whether anything arrived, and pings or gives up if not. */
  wake(now: number, due: number, before: number): void {
    // The process slept or was busy; messages may have arrived that it has not
    // handled.
    const isLate = now - due > this.period / 2;
    const pings = this.#pings;
    if (pings !== undefined) {
      pings.isNew = false;
      if (this.#asked !== undefined && this.#isReading(pings)) {
        this.isHeard = true;
      }
    }
    if (this.isHeard) {
      this.isHeard = false;
      this.#heard = before;
      this.#asked = undefined;
      this.#reprieves = 0;
    }
    const { pingAfter, pingWithin } = this.#core.limits;
    if (this.#asked === undefined) {
      // Pings now if the next look would be too late.
      const isSilent = now + 2 * this.period > this.#heard + pingAfter;
      if (isSilent && this.#ask()) this.#asked = now;
    } else if (isLate && this.#reprieves < mostReprieves) {
      this.#asked = now;
      this.#reprieves++;
    } else if (now - this.#asked < pingWithin) return;
    else if (this.#isExcused(pings!)) this.#asked = now;
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

  /** Pings the other side; returns `false` if it may not know how to answer. */
  #ask(): boolean {
    return this.#ping() || this.#request() || this.#delegate();
  }

  /** Leaves the ping to the server's platform, which tells of no answer. */
  #delegate(): false {
    const { keeper, limits, ws } = this.#core;
    if (isSending(this.#core)) keeper?.ping?.(ws!, limits.pingWithin);
    return false;
  }

  /** Whether the socket has a ping of its own. */
  #canPing(): boolean {
    const { ping, on } = this.#core.ws as unknown as Partial<PingingSocket>;
    return typeof ping === "function" && typeof on === "function";
  }

  /** Pings by the WebSocket's own ping, if the socket has one. */
  #ping(): boolean {
    const core = this.#core;
    const ws = core.ws as unknown as PingingSocket;
    if (!this.#canPing() || this.#pings?.isShy || !isSending(core)) {
      return false;
    }
    // Node's inspector (24) closes the connection after a ping.
    if (core.makeSocket !== undefined && core.options.version === "bare") {
      return false;
    }
    const pings = this.#note();
    if (pings.socket !== ws) {
      pings.socket = ws;
      ws.on("pong", core.listener);
    }
    ws.ping();
    return true;
  }

  /**
   * Pings by the request `rpc.ping`. Only to peers that are known to answer it: to
   * others the frame might look like the answer to a call of theirs.
   */
  #request(): boolean {
    const core = this.#core;
    const isKnown = (this.#pings?.isKnown || this.isMarked) &&
      versionOf(core) === "2.0";
    if (!isKnown && !core.sharing?.isShared || !isSending(core)) return false;
    this.#note();
    sendFrame(core, ping);
    return true;
  }

  /**
   * Notes the oldest call that is under way, which may be the reason if no answer
   * comes.
   */
  #note(): Pings {
    const pings = this.#pings ??= new Pings();
    if (pings.isUnanswered && !pings.isKnown) pings.isMute = true;
    pings.isNew = pings.isBlamable = pings.isUnanswered = true;
    this.#isReading(pings);
    const calls = this.#core.pending.all();
    pings.call = calls.find(({ sent }) => sent)?.id ?? 0;
    return pings;
  }

  /**
   * Whether the socket has sent something since the last look. The ping stands
   * behind it in the buffer.
   */
  #isReading(pings: Pings): boolean {
    const before = pings.waiting;
    pings.waiting = this.#core.ws?.bufferedAmount ?? 0;
    return pings.waiting < before;
  }

  #isCalling({ call }: Pings): boolean {
    return this.#core.pending.get(call) !== undefined;
  }

  /**
   * Whether there may be another reason for the silence: many servers handle one
   * call at a time, and read nothing meanwhile.
   */
  #isExcused(pings: Pings): boolean {
    // The ping waits behind long messages; slow_readers.ts decides whether anybody
    // reads those.
    if (this.#core.backlog?.isHolding) return true;
    if (this.#core.sharing?.isShared || this.isMarked) return false;
    return pings.isMute && !pings.isKnown ||
      !pings.isReady && this.#isCalling(pings);
  }
}
