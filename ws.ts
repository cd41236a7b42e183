/**
 * A client's sockets of the package `ws`, for Node.
 *
 * @see {@link https://github.com/websockets/ws/blob/master/doc/ws.md}
 *
 * @module
 */

import type { CreateSocket } from "./src/line/address.ts";
import type { Socket, SocketEvent } from "./src/line/socket.ts";
import { PeerSocket } from "./src/runtime/ws_socket.ts";

export type { CreateSocket, Socket, SocketEvent };

/** What a client's sockets are made with. */
export interface SocketOptions {
  /** Headers of the handshake. */
  headers?: Readonly<Record<string, string>>;
  /** Whether messages may be compressed, and how: see `ws`. Default `false`. */
  perMessageDeflate?: boolean | object;
  /** What else `ws` takes: `ca`, `cert`, `key`, `agent`, `maxPayload`. */
  readonly [option: string]: unknown;
}

/**
 * Makes a client's sockets those of `ws`: they can send headers, and hand the
 * messages of one turn to the system together, which takes half of the time that
 * one after the other does. The first leaves at once, the others when the turn ends
 * or there is enough of them; to end the process in its midst is to lose those.
 *
 * ```ts
 * import { connect } from "@jsonrpcws/peer/client";
 * import { serve } from "@jsonrpcws/peer/node";
 * import { sockets } from "@jsonrpcws/peer/ws";
 * import { assertEquals } from "@std/assert";
 *
 * const local = { add: (a: number, b: number) => a + b };
 * await using server = await serve({ local }, {
 *   port: 0,
 *   authorize: ({ headers }) => ({ user: headers.get("x-user") }),
 * });
 * await using client = connect<typeof local>(server.url, {}, {
 *   createSocket: sockets({ headers: { "x-user": "ann" } }),
 * });
 * assertEquals(await client.remote.add(1, 2), 3);
 * ```
 *
 * @param options Those of `ws`, for each socket.
 * @returns For `createSocket` of a client's options.
 * @see {@link https://github.com/websockets/ws/blob/master/doc/ws.md#new-websocketaddress-protocols-options}
 */
export function sockets(options: SocketOptions = {}): CreateSocket {
  const usual = { perMessageDeflate: false, ...options };
  return (url, protocols) => new PeerSocket(url, protocols, usual);
}
