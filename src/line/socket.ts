/**
 * What a peer needs of a WebSocket.
 *
 * @see {@link https://websockets.spec.whatwg.org/#the-websocket-interface}
 *
 * @module
 */

/** The members of a socket's events that a peer reads. */
export interface SocketEvent {
  /** `"open"`, `"message"`, `"error"` or `"close"`. */
  readonly type: string;
  /** Of a message: a string, or an ArrayBuffer. */
  readonly data?: unknown;
  /** Of a close: the close code. */
  readonly code?: number;
  /** Of a close: the reason. */
  readonly reason?: string;
  /** Of a close: whether there was a close handshake. */
  readonly wasClean?: boolean;
  /** Of an error, where the runtime tells: what happened. */
  readonly message?: string;
  /** Of an error, where the runtime tells: the error itself. */
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
  /** Bytes that were sent and have not left yet; absent: nobody knows, so 0. */
  readonly bufferedAmount?: number;
  /** Set to `"arraybuffer"`, so that binary frames can be read at once. */
  binaryType: string;
  /** The subprotocol that was selected; `""`: none. */
  readonly protocol?: string;
  /** Where it is connected to. */
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
  /** Most bytes of a frame that it sends without a delay; absent: any number. */
  readonly frameLength?: number | undefined;
  /** Cuts the connection at once, where the socket can: `ws`'s. */
  terminate?(): void;
  /** Lets what arrives wait in the network, where the socket can: `ws`'s. */
  pause?(): void;
  /** Reads on. */
  resume?(): void;
}

/** An answer that was no handshake. */
export interface HttpAnswer {
  /** The status: 401. */
  readonly status: number;
  /** Milliseconds, by the header `Retry-After`. */
  readonly retryAfter?: number | undefined;
}

/**
 * Makes the socket of one attempt to connect, at once or later. Later means that it
 * asked for credentials, so that one more attempt has fresh ones.
 *
 * @param offers The subprotocols that the peer itself offers, before all others.
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
 * Who listens to a socket that has no events of the platform's; a function is told
 * once, however often it is added.
 */
export class Listeners {
  readonly #all = new Map<string, Set<(event: SocketEvent) => void>>();

  /** Those who listen to a type of events, now and from here on. */
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
