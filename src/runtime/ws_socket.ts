/**
 * The sockets of `ws`, made faster for peers: messages of one turn share system
 * calls, and events go to the peer without wrappers.
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

/** The server's answer to a handshake; Bun has no socket there. */
interface Response {
  readonly socket: Duplex | null;
}

type Listener = (event: SocketEvent) => void;

// The beginning of every socket's gathered texts, so that sockets that are sent the
// same texts share them.
const nothing = new Gathered<Buffer>();

/** The internals by which `ws` (8.23) writes; not documented. */
interface Writer {
  readonly _sender?: { readonly _socket?: unknown } | null;
}

/** The internals that Node's own time-outs read; not documented. */
interface Internals {
  readonly _handle?: { readonly writeQueueSize?: number } | null;
  readonly _writableState?: { readonly writelen?: number };
}

// Characters that are gathered before they are sent. Not more, so that the other
// side can begin on them while this one goes on.
const mostLength = 16_384;

// A message counts at least this many characters, since a short one is work, too.
const leastLength = 1_024;

// Most bytes that arrive after this side's close, or 65,536 short messages: they
// may have been on their way. A peer that goes on sending as fast as it can would
// send 200 times as much in the five seconds until it is cut, and all others would
// wait for it.
const mostLate = 16_777_216;
const leastLate = 256;

// Most pongs that wait in a socket. Each one is an object or two, but only two
// bytes in `bufferedAmount`: unread pongs to empty pings took 120 bytes of memory
// each.
const mostPongs = 64;

// The event of a ping or a pong, which says only that there was one.
const control: SocketEvent = { type: "control" };

/**
 * A socket that hands the messages of one turn of the event loop to the system in
 * few calls, because a call costs more than all other work on a small message
 * (bench/, "64 in flight"). On the wire nothing differs. The first message of a
 * turn leaves at once, so that a caller who makes one call after the other doesn't
 * wait; a message for many is always gathered.
 *
 * A server's socket without compression writes its frames itself: all frames of a
 * turn into one buffer, which sockets that are sent the same texts share. `ws`
 * makes a head and two writes for each frame (bench/, "Rooms": a fifth of the
 * time).
 *
 * The peer's listeners to messages and errors are called by functions that all
 * sockets share, with only a {@linkcode SocketEvent}: `ws` makes a wrapper for each
 * listener, a part of the memory of an idle connection (bench/, "2,000 idle"). The
 * first listener is taken to be the peer's: a service that listens before it calls
 * `super` gets such small events, too. All other listeners are called as usual.
 */
export class PeerSocket extends WebSocket {
  /** The peer of a server's socket, once there is one. */
  peer: { close(code: number, reason: string): void } | undefined;
  /**
   * The connection's stream, once the socket is open. If it isn't known, nothing is
   * gathered.
   */
  stream: Duplex | undefined;
  readonly #isServer: boolean;
  /** The listeners that are called in the short way. */
  #onmessage: Listener | undefined;
  #onerror: Listener | undefined;
  /** The number of the turn in which it last sent a message at once. */
  #turn = 0;
  /** Characters that wait for the end of the turn; -1: nothing waits. */
  #waiting = -1;
  /** The texts that wait, if this class writes the frames. */
  #gathered: Gathered<Buffer> = nothing;
  /** Whether this class writes the frames; `undefined`: nothing was sent yet. */
  #isFraming: boolean | undefined;
  /** Bytes that arrived after this side's close. */
  #late = 0;
  /** The pongs that wait; made with the first ping. */
  #pongs: Pongs | undefined;

  /**
   * @param url The address to connect to; null: a server's socket, which `ws` has
   * accepted.
   * @param protocols The subprotocols to offer.
   * @param options The options of `ws`.
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
   * The amount that `ws` says, less the bytes of an unfinished write that have left
   * already: all bytes that waited become one write, so 1 MiB to a reader of 80 kB
   * a second would look stuck for 13 seconds and then gone at once. Only Node tells
   * how much has left.
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
      // From here on `ws` writes, since the order of its writes and of those here
      // can't be kept otherwise.
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

  /**
   * Sends a text as `ws` would, but all gathered texts are one buffer and one
   * write.
   */
  #frame(stream: Duplex, text: string): void {
    if (this.#waiting === -1 && this.#isFirst()) {
      // Kept in `nothing`, because other sockets may send the same frame next.
      stream.write(nothing.with(text).made ??= framed([text]));
      return;
    }
    this.#gathered = this.#gathered.with(text);
    if (this.#isMuch(text)) this.#flush();
  }

  /** Whether a message leaves at once; if not, this begins to gather. */
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

  /** Whether enough is gathered with this text. */
  #isMuch({ length }: string): boolean {
    // While many are told there is enough other work: a short message counts only
    // its length.
    this.#waiting += telling.isForMany ? length : Math.max(length, leastLength);
    if (this.#waiting < mostLength) return false;
    this.#waiting = 0;
    return true;
  }

  /**
   * Whether this class can write the frames: `ws` must write to the same stream (in
   * Bun it doesn't), and neither mask nor compress.
   */
  #canFrame(stream: Duplex): boolean {
    return this.#isServer && this.extensions === "" &&
      (this as Writer)._sender?._socket === stream;
  }

  #flush(): void {
    const gathered = this.#gathered;
    if (gathered === nothing) return;
    this.#gathered = nothing;
    // A stream that was cut meanwhile takes nothing.
    if (!this.stream!.writable) return;
    this.stream!.write(gathered.made ??= framed(textsOf(gathered)));
  }

  /** Begins the close handshake, behind the gathered texts. */
  override close(code?: number, reason?: string): void {
    this.#flush();
    super.close(code, reason);
  }

  /** Sends a ping, behind the gathered texts. */
  override ping(...rest: unknown[]): void {
    this.#flush();
    super.ping(...rest);
  }

  /**
   * Answers a ping. While many pongs wait, only the last ping is answered, once the
   * others have left, as RFC 6455, section 5.5.3, allows. `ws` (8.23) by itself
   * would cut a peer that sends 61 pings in one piece.
   */
  override pong(data?: unknown, mask?: boolean, done?: Done): void {
    const pongs = this.#pongs ??= new Pongs(this);
    if (pongs.isFull(data, mask)) return done?.();
    super.pong(data, mask, (error) => {
      pongs.leave();
      done?.(error);
    });
  }

  /** Ends the turn: sends the gathered texts. */
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
    // A server's socket opened before there was a peer, and won't open again.
    if (type === "open" && this.readyState === ReadyState.Open) return;
    if (options === undefined && typeof listener === "function") {
      if (type === "message") this.#onmessage ??= listener;
      if (type === "error") this.#onerror ??= listener;
    }
    const tell = this.#tellerOf(type, listener);
    if (tell === undefined || options !== undefined) {
      super.addEventListener(type, listener, options);
    } else if (!this.listeners(type).includes(tell)) {
      this.on(type, tell);
      if (type !== "message") return;
      this.on("ping", PeerSocket.#tellControl);
      this.on("pong", PeerSocket.#tellControl);
    }
  }

  override removeEventListener(type: string, listener: Listener): void {
    const tell = this.#tellerOf(type, listener);
    if (tell === undefined) {
      return super.removeEventListener(type, listener);
    }
    this.off(type, tell);
    if (type !== "message") return;
    this.off("ping", PeerSocket.#tellControl);
    this.off("pong", PeerSocket.#tellControl);
  }

  /** The shared function that calls a listener; `undefined`: `ws` calls it. */
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

  static #tellControl(this: PeerSocket, data: Uint8Array): void {
    if (this.readyState === ReadyState.Closing) return this.#countLate(data);
    this.#onmessage?.(control);
  }

  /**
   * Counts what arrives after this side's close, which nobody is told of,
   * and cuts a peer that sends too much.
   */
  #countLate({ byteLength }: Uint8Array): void {
    this.#late += Math.max(byteLength, leastLate);
    if (this.#late > mostLate) this.terminate();
  }

  static #tellError(this: PeerSocket, error: Error): void {
    this.#onerror?.({ type: "error", error, message: error.message });
  }
}

type Done = (error?: Error) => void;

/** The pings of one socket and their pongs. */
class Pongs {
  readonly #socket: PeerSocket;
  #count = 0;
  /** The last ping, if it waits to be answered. */
  #last:
    | { readonly data: unknown; readonly mask: boolean | undefined }
    | undefined;

  constructor(socket: PeerSocket) {
    this.#socket = socket;
  }

  /**
   * Counts a pong. If too many wait, the ping takes the place of the last one that
   * wasn't answered.
   */
  isFull(data: unknown, mask: boolean | undefined): boolean {
    if (this.#count === mostPongs) {
      this.#last = { data, mask };
      return true;
    }
    this.#count++;
    return false;
  }

  /** A pong has left. */
  leave(): void {
    this.#count--;
    const last = this.#last;
    if (last === undefined || this.#count > 0) return;
    this.#last = undefined;
    this.#socket.pong(last.data, last.mask);
  }
}

type Teller = (this: PeerSocket, ...args: never[]) => void;

// Read from the global, because importing `node:process` makes the standard
// streams: a first call in Node would take a third longer.
const { nextTick } = (globalThis as unknown as {
  process: { nextTick(task: () => void): void };
}).process;

// The turn of all sockets.
const turn = {
  number: 1,
  isPassing: false,
  /** The sockets that gather. */
  gathering: [] as PeerSocket[],
  /** Those that began with a message for many. */
  told: [] as PeerSocket[],
};

/**
 * Begins the next turn by a microtask: cheap, and early enough for a caller who
 * makes one call after the other.
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
 * Lets a socket send what it gathers after all microtasks; messages for many, after
 * all sockets have been heard.
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
 * Makes one buffer of text frames.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-5.2}
 */
function framed(texts: readonly string[]): Buffer {
  let size = 0;
  for (const text of texts) {
    const length = Buffer.byteLength(text);
    size += length + (length < 126 ? 2 : length < 65_536 ? 4 : 10);
  }
  const frames = Buffer.allocUnsafe(size);
  let at = 0;
  for (const text of texts) {
    const length = Buffer.byteLength(text);
    frames[at++] = 0x81; // FIN and the opcode of text.
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
  return frames;
}
