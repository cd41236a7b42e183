/**
 * A socket with the WebSocket interface over Bun's, whose events arrive at one
 * handler for all sockets.
 *
 * @see {@link https://bun.sh/docs/runtime/http/websockets}
 *
 * @module
 */

import { Gathered, telling, textsOf } from "../line/gathered.ts";
import { ReadyState, type Socket, type SocketEvent } from "../line/socket.ts";

/** The part of Bun's socket that is used. */
export interface ServerWebSocket {
  /** Set to `"arraybuffer"`; by default binary messages are Node's Buffers. */
  binaryType?: string;
  /**
   * Sends a text frame. Returns the bytes that were sent, -1 if they wait, 0 if
   * they were dropped.
   */
  send(data: string): number;
  /** Calls `send`, and hands all that it sends to the system together. */
  cork(send: () => void): unknown;
  /** Sends a close frame; the handler's `close` is called before this returns. */
  close(code?: number, reason?: string): void;
  /** Cuts the connection. */
  terminate(): void;
  /** Sends a ping. */
  ping(): number;
  /** Stops reading; since Bun 1.4. */
  pause?(): void;
  /** Reads again. */
  resume?(): void;
  /** Bytes that wait to be sent. */
  getBufferedAmount(): number;
}

type Listener = (event: SocketEvent) => void;

// Characters of messages for many that are gathered before they are sent.
const mostLength = 16_384;

// The beginning of every socket's gathered texts, so that sockets that are sent the
// same texts share them.
const nothing = new Gathered<readonly string[]>();

/** The sockets with gathered texts. */
let gathering: BunSocket[] = [];

function endTurn(): void {
  const all = gathering;
  gathering = [];
  for (const socket of all) socket.flush();
  nothing.forget();
}

/**
 * The close codes for the reasons that Bun (1.4.5) gives when it cuts a connection
 * because of an invalid frame; for all other reasons 1002.
 */
const closeCodes: { readonly [reason: string]: number } = {
  "Received too big message": 1009,
  "Received invalid UTF-8": 1007,
};

// The event of a ping or a pong, which says only that there was one.
const control: SocketEvent = { type: "control" };

// Most bytes of pongs that wait in a socket. They are no part of what slow readers
// may leave waiting, and Bun has no bound for them.
const mostPongs = 65_536;
const pongHead = 2;

// Most pings in a second. Bun reads 512 KiB at a time, 87,000 of them, and answers all
// of them before a pause is heard: others waited 0.1 s for each.
const mostPings = 16_384;

/**
 * The server's end of a connection; it is the `data` of Bun's socket. The first
 * listener to messages is taken to be the peer, and is called directly; others are
 * called after it.
 *
 * Bun gathers what a socket sends while it hears a message of its own. Messages for
 * many leave by many sockets, outside such a moment, so they are gathered here: a
 * tenth of the time, with a hundred sockets and eight messages a turn.
 */
export class BunSocket implements Socket {
  /** Kept for the interface; it is always `"arraybuffer"`. */
  binaryType = "arraybuffer";
  readonly protocol: string;
  /** See {@linkcode Socket.pause}; absent if Bun has none. */
  pause?: () => void;
  /** See {@linkcode Socket.resume}. */
  resume?: () => void;
  #readyState: number = ReadyState.Connecting;
  #ws: ServerWebSocket | undefined;
  #onmessage: Listener | undefined;
  /** All other listeners, with the types of their events. */
  #listeners: { readonly type: string; readonly listener: Listener }[] = [];
  /** The texts that wait until all sockets have been heard. */
  #gathered: Gathered<readonly string[]> = nothing;
  /** Bytes of the pongs that were sent since the socket's buffer was last empty. */
  #pongs = 0;
  /** Number of pings since a time. */
  #pings = 0;
  #since = performance.now();
  /** The close that waits until the buffer is empty. */
  #ending: { readonly code?: number; readonly reason?: string } | undefined;

  /** @param protocol The selected subprotocol; `""`: none. */
  constructor(protocol: string) {
    this.protocol = protocol;
  }

  /** See {@linkcode Socket.readyState}. */
  get readyState(): number {
    return this.#readyState;
  }

  /** See {@linkcode Socket.bufferedAmount}. */
  get bufferedAmount(): number {
    return (this.#ws?.getBufferedAmount() ?? 0) + this.#gathered.length;
  }

  /** Bun has opened the socket. */
  open(ws: ServerWebSocket): void {
    ws.binaryType = "arraybuffer";
    this.#ws = ws;
    if (ws.pause !== undefined) {
      this.pause = BunSocket.#pause;
      this.resume = BunSocket.#resume;
    }
    if (this.#readyState !== ReadyState.Connecting) return this.#end();
    this.#readyState = ReadyState.Open;
    this.#tell({ type: "open" });
  }

  /** A message has arrived. */
  hear(data: string | ArrayBuffer): void {
    if (this.#readyState !== ReadyState.Open) return;
    const event = { type: "message", data };
    this.#onmessage?.(event);
    if (this.#listeners.length > 0) this.#tell(event);
  }

  /** Bun has answered a ping of this length. */
  answered(length: number): void {
    if (this.bufferedAmount === 0) this.#pongs = 0;
    else if ((this.#pongs += pongHead + length) > mostPongs) this.terminate();
    if (++this.#pings === mostPings) {
      const now = performance.now();
      if (now - this.#since < 1_000) return this.terminate();
      this.#pings = 0;
      this.#since = now;
    }
    this.#hearControl();
  }

  /** A pong has arrived. */
  hearPong(): void {
    this.#tell({ type: "pong" });
    this.#hearControl();
  }

  #hearControl(): void {
    if (this.#readyState === ReadyState.Open) this.#onmessage?.(control);
  }

  /** Bun has sent some of its buffer. */
  drain(): void {
    if (this.#ending !== undefined && this.bufferedAmount === 0) this.#end();
  }

  /** Bun has closed the socket. */
  closed(code: number, reason: string): void {
    const isOwn = this.#readyState === ReadyState.Closing;
    this.#readyState = ReadyState.Closed;
    this.#ws = undefined;
    this.#gathered = nothing;
    const isRefused = code === 1006 && reason.startsWith("Received ");
    const told = isRefused ? closeCodes[reason] ?? 1002 : code;
    const event = { type: "close", code: told, reason };
    // Bun calls this from within its own `close`; other sockets tell of it later.
    if (isOwn) queueMicrotask(() => this.#tell(event));
    else this.#tell(event);
  }

  /** See {@linkcode Socket.send}. */
  send(data: string): void {
    if (this.#readyState !== ReadyState.Open) return;
    if (this.#gathered === nothing) {
      if (!telling.isForMany) return this.#send(data);
      if (gathering.push(this) === 1) setImmediate(endTurn);
    }
    this.#gathered = this.#gathered.with(data);
    if (this.#gathered.length >= mostLength) this.flush();
  }

  #send(text: string): void {
    // A dropped message can't be told of otherwise than by the end of the
    // connection.
    if (this.#ws?.send(text) === 0 && text !== "") this.terminate();
  }

  /** Sends the gathered texts. */
  flush(): void {
    const gathered = this.#gathered;
    if (gathered === nothing) return;
    this.#gathered = nothing;
    const texts = gathered.made ??= textsOf(gathered);
    this.#ws?.cork(() => {
      for (const text of texts) this.#send(text);
    });
  }

  /** See {@linkcode Socket.close}. */
  close(code?: number, reason?: string): void {
    if (this.#readyState > ReadyState.Open) return;
    this.flush();
    this.#readyState = ReadyState.Closing;
    this.#ending = {
      ...code !== undefined && { code },
      ...reason !== undefined && { reason },
    };
    // After its `close`, Bun (1.4.5) says nothing of its buffer any more, and can't
    // cut a peer that doesn't read it.
    if (this.#ws !== undefined && this.bufferedAmount === 0) this.#end();
  }

  #end(): void {
    const { code, reason } = this.#ending ?? {};
    this.#ending = undefined;
    this.#ws?.close(code, reason);
  }

  /** See {@linkcode Socket.terminate}. */
  terminate(): void {
    if (this.#readyState === ReadyState.Closed) return;
    this.#readyState = ReadyState.Closing;
    this.#gathered = nothing;
    this.#ws?.terminate();
  }

  static #pause(this: BunSocket): void {
    this.#ws?.pause?.();
  }

  static #resume(this: BunSocket): void {
    this.#ws?.resume?.();
  }

  /** Sends a ping; the answer is told as a `"pong"`. */
  ping(): void {
    this.flush();
    this.#ws?.ping();
  }

  /** As in `ws`, for `"pong"`. */
  on(type: string, listener: Listener): void {
    this.addEventListener(type, listener);
  }

  /** As in `ws`, for `"pong"`. */
  off(type: string, listener: Listener): void {
    this.removeEventListener(type, listener);
  }

  /** See {@linkcode Socket.addEventListener}. */
  addEventListener(type: string, listener: Listener): void {
    if (type === "message") {
      this.#onmessage ??= listener;
      if (this.#onmessage === listener) return;
    }
    if (this.#find(type, listener) !== -1) return;
    this.#listeners.push({ type, listener });
  }

  /** See {@linkcode Socket.removeEventListener}. */
  removeEventListener(type: string, listener: Listener): void {
    if (type === "message" && this.#onmessage === listener) {
      this.#onmessage = undefined;
    }
    const index = this.#find(type, listener);
    if (index !== -1) this.#listeners.splice(index, 1);
  }

  #find(type: string, listener: Listener): number {
    return this.#listeners.findIndex((it) =>
      it.type === type && it.listener === listener
    );
  }

  #tell(event: SocketEvent): void {
    for (const { type, listener } of [...this.#listeners]) {
      if (type === event.type) listener(event);
    }
  }
}
