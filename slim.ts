/**
 * The small client, 18 kB minified and gzipped: calls both ways, the typed remote,
 * reconnection. For pages that count bytes: `connect` of `@jsonrpcws/peer/client`
 * can do more, in 34 kB.
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
 * It speaks JSON-RPC 2.0 only, and has no batches, no shared frames, no heartbeat,
 * no traces and no option `limits`. Streams and references are added by the option
 * `use`; a page that doesn't import them doesn't load them.
 *
 * @see {@link https://websockets.spec.whatwg.org/#the-websocket-interface}
 *
 * @module
 */

import "./src/presets/graph.ts";
import {
  type Address,
  type CreateSocket,
  createWebSocket,
  openSocket,
  type Protocols,
} from "./src/line/address.ts";
import type { Socket, SocketMaker } from "./src/line/socket.ts";
import type { Definition, NoPeer } from "./src/peer/options.ts";
import {
  Peer,
  type PeerOptions,
  type PeerSettings,
  type ServiceClass,
} from "./src/presets/small.ts";

/**
 * The settings of a client: the third argument of `connect(url, Class, settings)`.
 */
export interface ConnectSettings<Context = unknown> extends PeerSettings {
  /** The peer's {@linkcode Peer.context}. Default `undefined`. */
  context?: Context;
  /**
   * The subprotocols to offer. Default: none, because a browser fails the
   * connection if the server selects none of those offered. A function is called
   * before each attempt: for a ticket that is valid only once.
   */
  protocols?: Protocols;
  /** Makes the socket. Default: `new WebSocket(url, protocols)`. */
  createSocket?: CreateSocket;
}

/**
 * A client's definition and settings in one object. In the definition's functions
 * `this` is the peer.
 */
export type ConnectOptions<Theirs = unknown, Context = unknown> =
  & Definition
  & ConnectSettings<Context>
  & NoPeer
  & ThisType<Peer<Theirs, Context>>;

/**
 * Connects to a server. Returns the peer at once: calls made before the handshake
 * is done wait for it, and {@linkcode Peer.opened} resolves when it is done.
 *
 * A lost connection is replaced by a new one, and the peer stays the same:
 * `onclose` and then `onopen` are called, calls that were under way reject with a
 * {@linkcode ConnectionClosedError} unless they are `idempotent`, and calls made in
 * between wait.
 *
 * @typeParam Theirs The type of the server's `local`.
 * @param url The server's address.
 * @param options A definition (what the server may call) and settings.
 * @throws {TypeError} The URL is not valid.
 */
export function connect<Theirs = unknown, Context = unknown>(
  url: Address,
  options?: ConnectOptions<Theirs, Context>,
): Peer<Theirs, Context>;
/**
 * Connects to a server, as an instance of a class.
 *
 * @param url The server's address.
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance),
 * whose `local` the server may call.
 * @param settings Settings only: `local` and the hooks are members of the class.
 * @returns The instance.
 * @throws {TypeError} The URL is not valid.
 */
export function connect<Service, Context = unknown>(
  url: Address,
  Service: ServiceClass<Service, Context>,
  settings?: ConnectSettings<Context>,
): Service;
export function connect(
  url: Address,
  service: ServiceClass<unknown> | ConnectOptions = {},
  settings: ConnectSettings = {},
): unknown {
  const isClass = typeof service === "function";
  const { protocols = [], createSocket = createWebSocket } = isClass
    ? settings
    : service;
  const makeSocket: SocketMaker = () =>
    openSocket(url, protocols, createSocket);
  return isClass
    ? new service(makeSocket, settings)
    : new Peer(makeSocket, service);
}

export { Peer };
export {
  type NoData,
  plain,
  type PlainParam,
  type PlainParams,
} from "./src/methods/plain.ts";
export { references } from "./src/parts/references.ts";
export { streams } from "./src/parts/streams.ts";
export { ConnectionClosedError, RpcError } from "./src/wire/error.ts";
export type { CloseInfo, ErrorObject } from "./src/wire/error.ts";
export type {
  Call,
  CallOptions,
  ErrorContext,
  First,
} from "./src/peer/call.ts";
export type { Part } from "./src/peer/options.ts";
export type { FailedAttempt, ReconnectOptions } from "./src/line/retry.ts";
export type {
  Address,
  CreateSocket,
  Definition,
  NoPeer,
  PeerOptions,
  PeerSettings,
  Protocols,
  ServiceClass,
  Socket,
  SocketMaker,
};
