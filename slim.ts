/**
 * The small client, at most 8 kB minified and gzipped: calls both ways, the typed
 * remote, reconnection. For a page to which its size matters more than what only
 * the whole client of `@jsonrpcws/peer/client` can.
 *
 * ```ts
 * import { connect } from "@jsonrpcws/peer/slim";
 * import { serve } from "@jsonrpcws/peer/server";
 * import { assertEquals } from "@std/assert";
 *
 * const local = { add: (a: number, b: number) => a + b };
 * await using server = serve({ local, port: 0, onListen() {} });
 *
 * await using client = connect<typeof local>(server.url);
 * assertEquals(await client.remote.add(1, 2), 3);
 * ```
 *
 * It is the same peer with fewer parts: it speaks JSON-RPC 2.0 alone, and knows no
 * batches, shared frames, signs of life or traces, nor limits that could be set.
 * Streams and references are added with `use`.
 *
 * @see {@link https://websockets.spec.whatwg.org/#the-websocket-interface}
 *
 * @module
 */

import {
  type Address,
  type CreateSocket,
  createWebSocket,
  openSocket,
  type Protocols,
} from "./src/line/address.ts";
import type { SocketMaker } from "./src/line/socket.ts";
import type { LineSettings } from "./src/peer/options.ts";
import {
  Peer,
  type ServiceClass,
  type ServiceDefinition,
  type SmallOptions,
  type SmallSettings,
} from "./src/presets/small.ts";

/** How to connect. */
export interface ConnectOptions<Context = unknown>
  extends SmallSettings, LineSettings {
  /** What {@linkcode Peer.context} is. Default `undefined`. */
  context?: Context;
  /**
   * The subprotocols to offer. Default: none, because a browser fails the
   * connection if the server selects none of them. A function is asked before
   * each attempt, for a ticket that is valid once.
   */
  protocols?: Protocols;
  /** Makes the socket. Default: `new WebSocket(url, protocols)`. */
  createSocket?: CreateSocket;
}

/**
 * Connects to a server. Answers at once: calls made before the handshake is done
 * wait for it; {@linkcode Peer.opened} tells when it is. A connection that is lost
 * is replaced: the instance lives on, `onclose` and `onopen` are called, calls that
 * were under way reject with a {@linkcode ConnectionClosedError} unless they are
 * `idempotent`, and calls made meanwhile wait.
 *
 * @param url Where to.
 * @param Service A subclass of {@linkcode Peer}, whose `local` the server may call.
 * @param settings How to connect.
 * @returns The instance of the service.
 * @throws {TypeError} The URL is not valid.
 */
export function connect<Service, Context = unknown>(
  url: Address,
  Service: ServiceClass<Service, Context>,
  settings?: ConnectOptions<Context>,
): Service;
/**
 * The same, with a definition in place of a class: what the server may call, the
 * hooks and how to connect, in one object that may be left out.
 *
 * @typeParam Theirs The type of the server's `local`.
 * @param url Where to.
 * @param options A definition and settings.
 * @throws {TypeError} The URL is not valid.
 */
export function connect<Theirs = unknown, Context = unknown>(
  url: Address,
  options?: ServiceDefinition<Theirs, Context> & ConnectOptions<Context>,
): Peer<Theirs, Context>;
export function connect(
  url: Address,
  service: ServiceClass<unknown> | ServiceDefinition & ConnectOptions = {},
  settings: ConnectOptions = {},
): unknown {
  const isClass = typeof service === "function";
  const options: SmallOptions & ConnectOptions = isClass ? settings : service;
  const { protocols = [], createSocket = createWebSocket } = options;
  const makeSocket: SocketMaker = () =>
    openSocket(url, protocols, createSocket);
  return isClass
    ? new service(makeSocket, options)
    : new Peer(makeSocket, options);
}

export { Peer };
export { ConnectionClosedError, RpcError } from "./src/wire/error.ts";
export type { CloseInfo, ErrorObject } from "./src/wire/error.ts";
export type { Call, CallOptions } from "./src/peer/call.ts";
export type { Part } from "./src/peer/core.ts";
export type { ReconnectOptions } from "./src/line/retry.ts";
export { references } from "./src/parts/references.ts";
export { streams } from "./src/parts/streams.ts";
export type {
  Address,
  CreateSocket,
  Protocols,
  ServiceClass,
  ServiceDefinition,
  SmallOptions,
  SmallSettings,
  SocketMaker,
};
