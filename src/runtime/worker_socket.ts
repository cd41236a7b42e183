/**
 * Cloudflare's server sockets, as a peer needs them.
 *
 * One that hibernates has no events of its own: its Durable Object is called, perhaps
 * made anew for it. One that doesn't has no answer to a close frame but its owner's
 * (before the compatibility date 2026-04-07).
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

/** The part of a server's socket that is used, of a `WebSocketPair`. */
export interface WorkerSocket {
  /** Takes the socket over, in a Worker. */
  accept(): void;
  /** Sends a text frame. */
  send(data: string): void;
  /** Sends a close frame. */
  close(code?: number, reason?: string): void;
  /** Keeps a value beside the socket while its object sleeps. */
  serializeAttachment(value: unknown): void;
  /** The value that was kept; `null`: none. */
  deserializeAttachment(): unknown;
}

/** A socket whose events its Durable Object is told of. */
export class HibernatingSocket implements Socket {
  /** Kept for the interface: what is binary arrives as an ArrayBuffer. */
  binaryType = "arraybuffer";
  readonly protocol: string;
  readonly #ws: WorkerSocket;
  readonly #onsend: () => void;
  // What the native one says costs a call into the runtime, and is 2 on its end.
  #readyState: number = ReadyState.Open;
  readonly #listeners = new Listeners();

  /**
   * @param protocol The subprotocol that was selected; `""`: none.
   * @param onsend Told of each frame that is sent.
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

  /** Tells the listeners what the object was told; nothing after its end. */
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

/** Answers a close frame, without which the other side waits for the end. */
export function answerClose(
  ws: WorkerSocket,
  { code, reason }: SocketEvent,
): void {
  try {
    // 1005 and 1006 say that there was no code, and may not be said.
    if (code === 1005) ws.close();
    else ws.close(code, reason);
  } catch {
    // It is closed already, or cut.
  }
}
