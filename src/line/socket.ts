/**
 * The interface of a WebSocket, as far as a peer needs it.
 *
 * @see {@link https://websockets.spec.whatwg.org/#the-websocket-interface}
 *
 * @module
 */

/** The members of a socket's events that a peer reads. */
export interface SocketEvent {
  /** `"open"`, `"message"`, `"error"` or `"close"`. */
  readonly type: string;
  /** The data of a message: a string, or an ArrayBuffer. */
  readonly data?: unknown;
  /** The close code of a `"close"`. */
  readonly code?: number;
  /** The reason of a `"close"`. */
  readonly reason?: string;
  /** Whether there was a close handshake, of a `"close"`. */
  readonly wasClean?: boolean;
  /** The message of an `"error"`, where the runtime has one. */
  readonly message?: string;
  /** The error object of an `"error"`, where the runtime has one. */
  readonly error?: unknown;
}

/**
 * The part of the standard WebSocket interface that a peer uses. Browsers',
 * Deno's, Node's, Bun's and `ws`'s sockets have it, and so does an end of an
 * in-memory pair.
 *
 * @see {@link https://websockets.spec.whatwg.org/#the-websocket-interface}
 */
export interface Socket {
  /** 0 connecting, 1 open, 2 closing, 3 closed. */
  readonly readyState: number;
  /** Bytes that wait to be sent. Absent counts as 0. */
  readonly bufferedAmount?: number;
  /** The type of binary messages; a peer sets it to `"arraybuffer"`. */
  binaryType: string;
  /** The selected subprotocol; `""`: none. */
  readonly protocol?: string;
  /** The address that it is connected to. */
  readonly url?: string;
  /** Sends a text frame. */
  send(data: string): void;
  /** Starts the close handshake. */
  close(code?: number, reason?: string): void;
  /** Adds a listener. */
  addEventListener(type: string, listener: (event: SocketEvent) => void): void;
  /** Removes a listener. */
  removeEventListener(
    type: string,
    listener: (event: SocketEvent) => void,
  ): void;
  /** Most bytes of a frame that it sends without a delay; absent: no limit. */
  readonly frameLength?: number | undefined;
  /**
   * Cuts the connection at once. Absent where the socket can't; sockets of `ws`
   * can.
   */
  terminate?(): void;
  /**
   * Stops reading, so that what arrives waits in the network. Absent where the
   * socket can't; sockets of `ws` can.
   */
  pause?(): void;
  /** Reads again. */
  resume?(): void;
}

/** An HTTP answer that refused a handshake. */
export interface HttpAnswer {
  /** The status, such as 401. */
  readonly status: number;
  /** Milliseconds, from the header `Retry-After`; `undefined`: it has none. */
  readonly retryAfter?: number | undefined;
}

/**
 * Makes the socket of one attempt to connect, or a promise of one. A promise means
 * that the function asked for credentials, so that another attempt has fresh ones.
 *
 * @param offers The subprotocols that the peer itself offers; they go before all
 * others.
 */
export type SocketMaker = (
  offers: readonly string[],
) => Socket | Promise<Socket>;

/** The values of a socket's `readyState`. */
export const ReadyState = {
  Connecting: 0,
  Open: 1,
  Closing: 2,
  Closed: 3,
} as const;

/**
 * The listeners of a socket that is no EventTarget. A listener that is added twice
 * is called once.
 */
export class Listeners {
  readonly #all = new Map<string, Set<(event: SocketEvent) => void>>();

  /** The listeners to a type of events. */
  of(type: string): Iterable<(event: SocketEvent) => void> {
    return this.#all.get(type) ?? [];
  }

  add(type: string, listener: (event: SocketEvent) => void): void {
    const listeners = this.#all.get(type);
    if (listeners === undefined) this.#all.set(type, new Set([listener]));
    else listeners.add(listener);
  }

  delete(type: string, listener: (event: SocketEvent) => void): void {
    this.#all.get(type)?.delete(listener);
  }
}
