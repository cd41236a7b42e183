/**
 * The part of the package `ws` that the server for Node uses.
 *
 * @see {@link https://github.com/websockets/ws/blob/master/doc/ws.md}
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Socket } from "./socket.ts";

/** A server's side of a connection. */
export interface WebSocket extends Socket {
  on(type: "error", listener: (error: Error & { code?: string }) => void): this;
  on(type: string, listener: () => void): this;
  ping(): void;
  terminate(): void;
}

/** What a server is made with. */
export interface WebSocketServerOptions {
  noServer: true;
  clientTracking: boolean;
  maxPayload: number;
  maxFragments: number;
  perMessageDeflate: boolean | object;
  skipUTF8Validation: boolean;
  handleProtocols(): string | false;
}

/** Does the handshakes. */
export class WebSocketServer {
  constructor(options: WebSocketServerOptions);
  handleUpgrade(
    incoming: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    accept: (ws: WebSocket) => void,
  ): void;
}
