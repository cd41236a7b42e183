/**
 * The part of the package `ws` that is used in Node.
 *
 * @see {@link https://github.com/websockets/ws/blob/master/doc/ws.md}
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Socket, SocketEvent } from "../line/socket.ts";

/** One end of a connection. */
export interface WebSocket extends Socket {}
export class WebSocket {
  /** @param url The address to connect to; null: a server's socket. */
  constructor(url: string | null, protocols?: string[], options?: object);
  get bufferedAmount(): number;
  /** The negotiated extensions; `""`: none. */
  get extensions(): string;
  send(data: string, ...rest: unknown[]): void;
  addEventListener(
    type: string,
    listener: (event: SocketEvent) => void,
    options?: object,
  ): void;
  on(type: "error", listener: (error: Error & { code?: string }) => void): this;
  on(type: string, listener: (...args: never[]) => void): this;
  off(type: string, listener: (...args: never[]) => void): this;
  listeners(type: string): ((...args: never[]) => void)[];
  ping(...rest: unknown[]): void;
  pong(data?: unknown, mask?: boolean, done?: (error?: Error) => void): void;
  readonly isPaused: boolean;
  pause(): void;
  resume(): void;
  terminate(): void;
}

/** The options of a server. */
export interface WebSocketServerOptions<Served extends WebSocket> {
  noServer: true;
  WebSocket: new (url: null) => Served;
  clientTracking: boolean;
  maxPayload: number;
  maxFragments: number;
  /** New in 8.23. */
  maxPendingAutoPongs: number;
  perMessageDeflate: boolean | object;
  skipUTF8Validation: boolean;
  handleProtocols(): string | false;
}

/** Answers handshakes. */
export class WebSocketServer<Served extends WebSocket> {
  constructor(options: WebSocketServerOptions<Served>);
  /** A malformed handshake: the listener has to answer it. */
  on(
    type: "wsClientError",
    listener: (error: Error, socket: Duplex, incoming: IncomingMessage) => void,
  ): this;
  handleUpgrade(
    incoming: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    accept: (ws: Served) => void,
  ): void;
}
