/**
 * The sockets of `ws`, made for peers: what leaves in one turn shares system calls,
 * and what arrives is told with little ado.
 *
 * @see {@link https://github.com/websockets/ws/blob/master/doc/ws.md}
 *
 * @module
 */

import type { Duplex } from "node:stream";
import { Buffer } from "node:buffer";
import { Gathered, telling, textsOf } from "../line/gathered.ts";
import { ReadyState, type SocketEvent } from "../line/socket.ts";
// @ts-types="./ws.d.ts"
import { WebSocket } from "ws";

/** What a server answers a handshake with; Bun doesn't tell by which connection. */
interface Response {
  readonly socket: Duplex | null;
}

type Listener = (event: SocketEvent) => void;

// Who has gathered nothing has this, so that all who are told the same share it.
const nothing = new Gathered<Buffer>();

/** By what `ws` (8.23) writes; not part of its documented face. */
interface Writer {
  readonly _sender?: { readonly _socket?: unknown } | null;
}

/** What Node's own time-outs look at; not part of its documented face. */
interface Internals {
  readonly _handle?: { readonly writeQueueSize?: number } | null;
  readonly _writableState?: { readonly writelen?: number };
}

// As much is gathered before it leaves, so that the other end is at work on it while
// this one goes on.
const mostLength = 16_384;

// What a message counts for at least: a short one costs work, too.
const leastLength = 1_024;

// What a frame has beside its text, at most.
const mostHead = 10;

// So many bytes may have been on their way when this side closed, 65,536 short
// messages. Who sends as fast as he can has sent 200 times as much before his five
// seconds are over, and the others have waited for all of it.
const mostLate = 16_777_216;
const leastLate = 256;

// So many pongs may wait in a socket. Each is an object or two there, though it has
// two bytes for `bufferedAmount`: empty pings whose pongs nobody read took 120 bytes
// of memory for each of theirs.
const mostPongs = 64;

// After so many pings nothing is read of a socket for a millisecond: on Deno 1,300,000
// in a second kept the neighbours waiting for 4.3 s.
const mostPings = 1_024;

/**
 * A socket that hands what a peer sends in one turn of the event loop to the system
 * in few calls, which cost more than all else that a small message does (bench/, "64
 * in flight"). On the wire nothing differs. The first of a turn leaves at once, so
 * that nobody waits who asks for one thing after the other; unless it is for many.
 *
 * A server's that compresses nothing writes its frames itself, those of a turn into one
 * buffer, which all have who are told the same in it: `ws` makes a head and two writes
 * of each (bench/, "Rooms": a fifth of the time).
 *
 * It tells its peer of messages and errors by functions that all sockets share, and
 * by no more than a {@linkcode SocketEvent}: a wrapper for each, as `ws` has it, is a
 * part of what an idle connection weighs (bench/, "2,000 idle"). The peer is taken to
 * be who listens first: a service that did so before it called `super` would be told
 * so little. Everybody else is told as usual.
 */
export class PeerSocket extends WebSocket {
  /** The peer of a server's, once there is one. */
  peer: { close(code: number, reason: string): void } | undefined;
  /** What carries it, once it is open; where it isn't known, nothing is gathered. */
  stream: Duplex | undefined;
  readonly #isServer: boolean;
  /** Who is told of messages, and who of errors, in the short way. */
  #onmessage: Listener | undefined;
  #onerror: Listener | undefined;
  /** The turn in which it has sent something. */
  #turn = 0;
  /** What waits for the turn's end, in characters; -1: nothing does. */
  #waiting = -1;
  /** The texts of it, where this side writes the frames. */
  #gathered: Gathered<Buffer> = nothing;
  /** Whether it does; `undefined`: nothing was sent yet. */
  #isFraming: boolean | undefined;
  /** Bytes that came after this side's close. */
  #late = 0;
  /** The pongs that wait in it, once there has been a ping. */
  #pongs: Pongs | undefined;

  /**
   * @param url Where to; null: `ws` has accepted it.
   * @param protocols The subprotocols to offer.
   * @param options Those of `ws`.
   */
  constructor(url: string | null, protocols?: string[], options?: object) {
    super(url, protocols, options);
    this.#isServer = url === null;
    if (url !== null) this.on("upgrade", PeerSocket.#takeStream);
  }

  static #takeStream(this: PeerSocket, response: Response): void {
    this.stream = response.socket ?? undefined;
  }

  /**
   * As `ws` has it, without what has left already of a write that has not ended: all
   * that waited for the last one is one write (1 MiB to a reader of 80 kB a second:
   * nothing leaves for 13 seconds, and then all of it). Node alone tells.
   */
  override get bufferedAmount(): number {
    const amount = super.bufferedAmount + this.#gathered.length;
    const { _handle, _writableState } = (this.stream ?? {}) as Internals;
    const left = (_writableState?.writelen ?? 0) -
      (_handle?.writeQueueSize ?? Infinity);
    return left > 0 ? Math.max(amount - left, 0) : amount;
  }

  override send(data: string, ...rest: unknown[]): void {
    const { stream } = this;
    if (stream === undefined) return super.send(data, ...rest);
    this.#isFraming ??= this.#canFrame(stream);
    if (this.#isFraming) {
      if (
        rest.length === 0 && typeof data === "string" &&
        this.readyState === ReadyState.Open
      ) return this.#frame(stream, data);
      // What else its owner sends may be what others have to wait for.
      this.#flush();
      this.#isFraming = false;
    }
    if (this.#waiting === -1) {
      if (this.#isFirst()) return super.send(data, ...rest);
      stream.cork();
    }
    super.send(data, ...rest);
    if (!this.#isMuch(data)) return;
    stream.uncork();
    stream.cork();
  }

  /** Does so as `ws` would, but one write, and one buffer, has all that is gathered. */
  #frame(stream: Duplex, text: string): void {
    if (this.#waiting === -1 && this.#isFirst()) {
      // Many may be sent it: a frame that messages share.
      stream.write(nothing.with(text).made ??= framed([text]));
      return;
    }
    this.#gathered = this.#gathered.with(text);
    if (this.#isMuch(text)) this.#flush();
  }

  /** Whether what is sent leaves at once; if not, this begins to gather. */
  #isFirst(): boolean {
    const isFirst = this.#turn !== turn.number && !telling.isForMany;
    if (isFirst) {
      this.#turn = turn.number;
      awaitNext();
    } else {
      this.#waiting = 0;
      awaitEnd(this);
    }
    return isFirst;
  }

  /** Whether what is gathered is to leave, with this. */
  #isMuch({ length }: string): boolean {
    // There is other work enough while many are told.
    this.#waiting += telling.isForMany ? length : Math.max(length, leastLength);
    if (this.#waiting < mostLength) return false;
    this.#waiting = 0;
    return true;
  }

  /**
   * Whether frames can be written here: `ws` writes to the same stream (in Bun it is
   * another one), and neither masks nor compresses them.
   */
  #canFrame(stream: Duplex): boolean {
    return this.#isServer && this.extensions === "" &&
      (this as Writer)._sender?._socket === stream;
  }

  #flush(): void {
    const gathered = this.#gathered;
    if (gathered === nothing) return;
    this.#gathered = nothing;
    // One that was cut meanwhile takes nothing.
    if (!this.stream!.writable) return;
    this.stream!.write(gathered.made ??= framed(textsOf(gathered)));
  }

  /** Begins the close handshake, after what was sent. */
  override close(code?: number, reason?: string): void {
    this.#flush();
    super.close(code, reason);
  }

  /** Asks for a sign of life, after what was sent. */
  override ping(...rest: unknown[]): void {
    this.#flush();
    super.ping(...rest);
  }

  /**
   * As `ws` has it while little waits. Beyond that the last ping alone is answered,
   * once the others' answers have left, as RFC 6455, section 5.5.3, allows: `ws`
   * itself (8.23) cuts who sends 61 in one piece.
   */
  override pong(data?: unknown, mask?: boolean, done?: Done): void {
    const pongs = this.#pongs ??= new Pongs(this);
    pongs.rest();
    if (pongs.isFull(data, mask)) return done?.();
    super.pong(data, mask, (error) => {
      pongs.leave();
      done?.(error);
    });
  }

  /** Sends what was gathered: the turn has ended. */
  endTurn(): void {
    this.#waiting = -1;
    if (this.#isFraming) this.#flush();
    else this.stream?.uncork();
  }

  override addEventListener(
    type: string,
    listener: Listener,
    options?: object,
  ): void {
    // A server's is open before there is a peer, and won't be again.
    if (type === "open" && this.readyState === ReadyState.Open) return;
    if (options === undefined && typeof listener === "function") {
      if (type === "message") this.#onmessage ??= listener;
      if (type === "error") this.#onerror ??= listener;
    }
    const tell = this.#tellerOf(type, listener);
    if (tell === undefined || options !== undefined) {
      super.addEventListener(type, listener, options);
    } else if (!this.listeners(type).includes(tell)) this.on(type, tell);
  }

  override removeEventListener(type: string, listener: Listener): void {
    const tell = this.#tellerOf(type, listener);
    if (tell === undefined) super.removeEventListener(type, listener);
    else this.off(type, tell);
  }

  /** How a listener is told; `undefined`: as `ws` does it. */
  #tellerOf(type: string, listener: Listener): Teller | undefined {
    if (type === "message" && listener === this.#onmessage) {
      return PeerSocket.#tellMessage;
    }
    return type === "error" && listener === this.#onerror
      ? PeerSocket.#tellError
      : undefined;
  }

  static #tellMessage(
    this: PeerSocket,
    data: Uint8Array,
    isBinary: boolean,
  ): void {
    if (this.readyState === ReadyState.Closing) return this.#countLate(data);
    this.#onmessage?.({
      type: "message",
      data: isBinary ? data : data.toString(),
    });
  }

  /** Nobody hears of what comes after the close; who goes on is cut. */
  #countLate({ byteLength }: Uint8Array): void {
    this.#late += Math.max(byteLength, leastLate);
    if (this.#late > mostLate) this.terminate();
  }

  static #tellError(this: PeerSocket, error: Error): void {
    this.#onerror?.({ type: "error", error, message: error.message });
  }
}

type Done = (error?: Error) => void;

/** The pongs that wait in one socket. */
class Pongs {
  readonly #socket: PeerSocket;
  #count = 0;
  /** Pings since the last rest. */
  #pings = 0;
  /** The last ping that is not answered. */
  #last:
    | { readonly data: unknown; readonly mask: boolean | undefined }
    | undefined;

  constructor(socket: PeerSocket) {
    this.#socket = socket;
  }

  /** Counts one more; if it is too many, it waits instead of the last that did. */
  isFull(data: unknown, mask: boolean | undefined): boolean {
    if (this.#count === mostPongs) {
      this.#last = { data, mask };
      return true;
    }
    this.#count++;
    return false;
  }

  /** Lets others be heard after many pings, which have no turns as messages do. */
  rest(): void {
    if (++this.#pings < mostPings) return;
    this.#pings = 0;
    const socket = this.#socket;
    if (socket.isPaused) return;
    socket.pause();
    // The first is due once the pings at hand are answered, before Deno has asked whether
    // somebody else sends (turns.ts); while the second one runs, it does.
    setTimeout(() => setTimeout(() => socket.resume(), 1));
  }

  /** One has left. */
  leave(): void {
    this.#count--;
    const last = this.#last;
    if (last === undefined || this.#count > 0) return;
    this.#last = undefined;
    this.#socket.pong(last.data, last.mask);
  }
}

type Teller = (this: PeerSocket, ...args: never[]) => void;

// To import it would make the process's standard streams, and `node:http` all of
// `fetch`: with that, a first call in Node would take a third longer.
const { nextTick } = (globalThis as unknown as {
  process: { nextTick(task: () => void): void };
}).process;

// Of all sockets.
const turn = {
  number: 1,
  isPassing: false,
  /** Those that gather something. */
  gathering: [] as PeerSocket[],
  /** Those of them that began with what is for many. */
  told: [] as PeerSocket[],
};

/**
 * Begins the next turn once what runs is done, and what waits to follow: soon enough
 * for who sends one message at a time, whom it costs next to nothing.
 */
function awaitNext(): void {
  if (turn.isPassing) return;
  turn.isPassing = true;
  queueMicrotask(pass);
}

function pass(): void {
  turn.isPassing = false;
  turn.number++;
  nothing.forget();
}

/**
 * Has a socket send what it gathers, once all that follows is done, too; what is for
 * many, once all sockets have been heard.
 */
function awaitEnd(socket: PeerSocket): void {
  if (telling.isForMany) {
    if (turn.told.push(socket) === 1) setImmediate(endOfAll);
  } else if (turn.gathering.push(socket) === 1) nextTick(end);
}

function end(): void {
  const { gathering } = turn;
  turn.gathering = [];
  leave(gathering);
}

function endOfAll(): void {
  const { told } = turn;
  turn.told = [];
  leave(told);
}

function leave(sockets: readonly PeerSocket[]): void {
  for (const socket of sockets) socket.endTurn();
  nothing.forget();
}

/**
 * The frames of texts, one behind the other.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-5.2}
 */
function framed(texts: readonly string[]): Buffer {
  let size = 0;
  for (const text of texts) size += mostHead + Buffer.byteLength(text);
  const frames = Buffer.allocUnsafe(size);
  let at = 0;
  for (const text of texts) {
    const length = Buffer.byteLength(text);
    frames[at++] = 0x81; // Text, and whole.
    if (length < 126) frames[at++] = length;
    else if (length < 65_536) {
      frames[at++] = 126;
      at = frames.writeUInt16BE(length, at);
    } else {
      frames[at++] = 127;
      at = frames.writeUInt32BE(Math.floor(length / 2 ** 32), at);
      at = frames.writeUInt32BE(length % 2 ** 32, at);
    }
    at += frames.write(text, at);
  }
  return frames.subarray(0, at);
}
