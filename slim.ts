/**
 * The client in 17 kB, minified and gzipped: calls both ways, the typed
 * remote, reconnection. For a page to which the size of `connect` of
 * `@jsonrpcws/peer/client` matters more than what only that one can.
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
 * It speaks JSON-RPC 2.0 alone, and knows no batches, shared frames, signs of
 * life or traces, nor limits that could be set. Streams and references
 * are listed in `use`, and weigh nothing where they aren't.
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
import type { Socket, SocketMaker } from "./src/line/socket.ts";
import type { Definition, NoPeer } from "./src/peer/options.ts";
import {
  Peer,
  type PeerOptions,
  type PeerSettings,
  type ServiceClass,
} from "./src/presets/small.ts";

/** The settings of a client; a class has them behind it. */
export interface ConnectSettings<Context = unknown> extends PeerSettings {
  /** The peer's {@linkcode Peer.context}. Default `undefined`. */
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
 * The options of a client, a definition and settings in one. In the definition's
 * functions `this` is the peer.
 */
export type ConnectOptions<Theirs = unknown, Context = unknown> =
  & Definition
  & ConnectSettings<Context>
  & NoPeer
  & ThisType<Peer<Theirs, Context>>;

/**
 * Connects to a server. Answers at once: calls made before the handshake is done
 * wait for it; {@linkcode Peer.opened} tells when it is. A connection that is
 * lost is replaced: the instance lives on, `onclose` and `onopen` are called,
 * calls that were under way reject with a {@linkcode ConnectionClosedError}
 * unless they are `idempotent`, and calls made meanwhile wait.
 *
 * @typeParam Theirs The type of the server's `local`.
 * @param url The server's address.
 * @param options A definition, of what the server may call, and settings.
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
 * @param settings Settings alone: the hooks are the class's.
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
