/**
 * What a peer needs of a WebSocket.
 *
 * @see {@link https://websockets.spec.whatwg.org/#the-websocket-interface}
 *
 * @module
 */

/** The members of a socket's events that a peer reads. */
export interface SocketEvent {
  readonly type: string;
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
  readonly wasClean?: boolean;
  readonly message?: string;
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
  readonly readyState: number;
  readonly bufferedAmount: number;
  binaryType: string;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: string, listener: (event: SocketEvent) => void): void;
  removeEventListener(
    type: string,
    listener: (event: SocketEvent) => void,
  ): void;
}

/** The values of a socket's `readyState`. */
export const ReadyState = {
  Connecting: 0,
  Open: 1,
  Closing: 2,
  Closed: 3,
} as const;
