/**
 * A socket with the WebSocket interface over Cloudflare's.
 *
 * A hibernating socket has no events: the runtime calls its Durable Object, after
 * constructing it again if need be. On a socket that doesn't hibernate, the runtime
 * answers no close frame (before the compatibility date 2026-04-07), so this side
 * has to.
 *
 * @see {@link https://developers.cloudflare.com/durable-objects/best-practices/websockets/}
 *
 * @module
 */

import {
  Listeners,
  ReadyState,
  type Socket,
  type SocketEvent,
} from "../line/socket.ts";

/** The server's end of a `WebSocketPair`, as far as it is used. */
export interface WorkerSocket {
  /** Starts the socket, in a Worker. */
  accept(): void;
  /** Sends a text frame. */
  send(data: string): void;
  /** Sends a close frame. */
  close(code?: number, reason?: string): void;
  /** Stores a value with the socket, which survives the sleep of its object. */
  serializeAttachment(value: unknown): void;
  /** The stored value; `null`: none. */
  deserializeAttachment(): unknown;
}

/** A socket whose events are passed on by its Durable Object. */
export class HibernatingSocket implements Socket {
  /** Kept for the interface: binary frames arrive as ArrayBuffers. */
  binaryType = "arraybuffer";
  readonly protocol: string;
  readonly #ws: WorkerSocket;
  readonly #onsend: () => void;
  // Kept here: the native one costs a call into the runtime, and says 2 when the
  // socket is closed.
  #readyState: number = ReadyState.Open;
  readonly #listeners = new Listeners();

  /**
   * @param protocol The selected subprotocol; `""`: none.
   * @param onsend Called after each frame that is sent.
   */
  constructor(ws: WorkerSocket, protocol: string, onsend: () => void) {
    this.#ws = ws;
    this.protocol = protocol;
    this.#onsend = onsend;
  }

  get readyState(): number {
    return this.#readyState;
  }

  send(data: string): void {
    this.#ws.send(data);
    this.#onsend();
  }

  close(code?: number, reason?: string): void {
    if (this.#readyState !== ReadyState.Open) return;
    this.#ws.close(code, reason);
    this.#readyState = ReadyState.Closing;
  }

  addEventListener(type: string, listener: (event: SocketEvent) => void): void {
    this.#listeners.add(type, listener);
  }

  removeEventListener(
    type: string,
    listener: (event: SocketEvent) => void,
  ): void {
    this.#listeners.delete(type, listener);
  }

  /**
   * Gives the listeners an event that the object was called with; nothing after the
   * close.
   */
  receive(event: SocketEvent): void {
    if (this.#readyState === ReadyState.Closed) return;
    if (event.type === "close") {
      answerClose(this.#ws, event);
      this.#readyState = ReadyState.Closed;
    }
    for (const listener of this.#listeners.of(event.type)) {
      listener(event);
    }
  }
}

/** Answers a close frame; the other side waits for that. */
export function answerClose(
  ws: WorkerSocket,
  { code, reason }: SocketEvent,
): void {
  try {
    // 1005 stands for a close frame without a code, and may not be sent.
    if (code === 1005) ws.close();
    else ws.close(code, reason);
  } catch {
    // The socket is closed already, or cut.
  }
}
