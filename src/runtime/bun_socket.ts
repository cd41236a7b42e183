/**
 * Bun's sockets, whose events one handler hears for all of them, as peers know
 * sockets.
 *
 * @see {@link https://bun.sh/docs/runtime/http/websockets}
 *
 * @module
 */

import { Gathered, telling, textsOf } from "../line/gathered.ts";
import { ReadyState, type Socket, type SocketEvent } from "../line/socket.ts";

/** The part of a socket of Bun's that a peer uses. */
export interface ServerWebSocket {
  /** Set to `"arraybuffer"`, or binary messages would be Node's. */
  binaryType?: string;
  /** Bytes that were sent; -1: they wait; 0: they were dropped. */
  send(data: string): number;
  /** Hands all that is sent meanwhile to the system together. */
  cork(send: () => void): unknown;
  /** Says why, and is told of the close at once. */
  close(code?: number, reason?: string): void;
  /** Cuts the connection. */
  terminate(): void;
  /** Asks for a sign of life. */
  ping(): number;
  /** Bytes that wait to leave. */
  getBufferedAmount(): number;
}

type Listener = (event: SocketEvent) => void;

// As much of what is for many is gathered before it leaves.
const mostLength = 16_384;

// Who has gathered nothing has this, so that all who are told the same share it.
const nothing = new Gathered<readonly string[]>();

/** Those that have gathered something. */
let gathering: BunSocket[] = [];

function endTurn(): void {
  const all = gathering;
  gathering = [];
  for (const socket of all) socket.flush();
  nothing.forget();
}

/** Why Bun (1.4.5) cuts a connection because of what arrived; the others are 1002. */
const closeCodes: { readonly [reason: string]: number } = {
  "Received too big message": 1009,
  "Received invalid UTF-8": 1007,
};

// Bytes of pongs that may wait, beside what a peer sends: they are on no account of
// its, and Bun has no bound of theirs.
const mostPongs = 65_536;
const pongHead = 2;

/**
 * One side of a connection, which is the `data` of a socket of Bun's. The peer is
 * taken to be who listens first, and is told without ado; others are told after it.
 *
 * Bun itself hands to the system together what a socket is sent while its own message
 * is heard. What is for many is sent by all of their sockets, so it is gathered here:
 * with a hundred of them and eight messages a turn that takes a tenth of the time.
 */
export class BunSocket implements Socket {
  /** Read by nobody: it is always `"arraybuffer"`. */
  binaryType = "arraybuffer";
  readonly protocol: string;
  #readyState: number = ReadyState.Connecting;
  #ws: ServerWebSocket | undefined;
  #onmessage: Listener | undefined;
  /** Everybody else who listens, and to what. */
  #listeners: { readonly type: string; readonly listener: Listener }[] = [];
  /** What waits until all sockets have been heard. */
  #gathered: Gathered<readonly string[]> = nothing;
  /** Bytes of the pongs that were sent since nothing waited. */
  #pongs = 0;
  /** The close that waits until what was sent has left. */
  #ending: { readonly code?: number; readonly reason?: string } | undefined;

  /** @param protocol The subprotocol that was selected; `""`: none. */
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

  /** Bun has opened it. */
  open(ws: ServerWebSocket): void {
    ws.binaryType = "arraybuffer";
    this.#ws = ws;
    if (this.#readyState !== ReadyState.Connecting) return this.#end();
    this.#readyState = ReadyState.Open;
    this.#tell({ type: "open" });
  }

  /** Bun has a message for it. */
  hear(data: string | ArrayBuffer): void {
    if (this.#readyState !== ReadyState.Open) return;
    const event = { type: "message", data };
    this.#onmessage?.(event);
    if (this.#listeners.length > 0) this.#tell(event);
  }

  /** Bun has answered a ping of so many bytes. */
  answered(length: number): void {
    if (this.bufferedAmount === 0) this.#pongs = 0;
    else if ((this.#pongs += pongHead + length) > mostPongs) this.terminate();
  }

  /** Bun has had a pong for it. */
  hearPong(): void {
    this.#tell({ type: "pong" });
  }

  /** Bun has sent what waited. */
  drain(): void {
    if (this.#ending !== undefined && this.bufferedAmount === 0) this.#end();
  }

  /** Bun has closed it. */
  closed(code: number, reason: string): void {
    const isOwn = this.#readyState === ReadyState.Closing;
    this.#readyState = ReadyState.Closed;
    this.#ws = undefined;
    this.#gathered = nothing;
    const isRefused = code === 1006 && reason.startsWith("Received ");
    const told = isRefused ? closeCodes[reason] ?? 1002 : code;
    const event = { type: "close", code: told, reason };
    // Bun tells of it while it is being closed, which no other socket does.
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
    // Nothing more can be right on a connection that has lost a message.
    if (this.#ws?.send(text) === 0 && text !== "") this.terminate();
  }

  /** Sends what was gathered. */
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
    // Once it is closed, Bun (1.4.5) doesn't say any more what waits, nor can it be
    // told to cut who doesn't read that.
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

  /** Asks for a sign of life, which is told as a `"pong"`. */
  ping(): void {
    this.flush();
    this.#ws?.ping();
  }

  /** As `ws` has it, of pongs. */
  on(type: string, listener: Listener): void {
    this.addEventListener(type, listener);
  }

  /** As `ws` has it, of pongs. */
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
