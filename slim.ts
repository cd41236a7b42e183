/**
 * The client in less than 6 kB, minified and gzipped: calls both ways, the typed
 * remote, reconnection. For a page to which the size of `connect` of
 * `@jsonrpcws/peer/client` matters more than what only that one can.
 *
 * ```ts
 * import { connect } from "@jsonrpcws/peer/slim";
 * import { serve } from "@jsonrpcws/peer/server";
 * import { assertEquals } from "@std/assert";
 *
 * const local = { add: (a: number, b: number) => a + b };
 * await using server = serve({ local }, { port: 0, onListen() {} });
 *
 * await using client = connect<typeof local>(server.url);
 * assertEquals(await client.remote.add(1, 2), 3);
 * ```
 *
 * It speaks JSON-RPC 2.0 alone, and knows no batches, shared frames, signs of
 * life, traces or discovery, nor limits that could be set. Streams, references,
 * subscriptions and schemas work as with the other one, and weigh as much.
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
import {
  type SlimDefinition,
  type SlimOptions,
  SlimPeer,
  type SlimSettings,
  type SocketMaker,
} from "./src/peer/slim_peer.ts";

/** A definition, no class, in whose functions `this` is the peer. */
export type SlimServiceDefinition<Theirs = unknown, Context = unknown> =
  & SlimDefinition
  & { prototype?: never }
  & ThisType<SlimPeer<Theirs, Context>>;

/** A class whose instances are slim peers. */
export type SlimServiceClass<Service, Context = unknown> = new (
  ws: SocketMaker,
  options: SlimOptions<Context>,
) => Service;

/** How to connect. */
export interface SlimConnectOptions<Context = unknown> extends SlimSettings {
  /** What {@linkcode SlimPeer.context} is. Default `undefined`. */
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
 * wait for it; {@linkcode SlimPeer.opened} tells when it is. A connection that is
 * lost is replaced: the instance lives on, `onclose` and `onopen` are called,
 * calls that were under way reject with a {@linkcode ConnectionClosedError}
 * unless they are `idempotent`, and calls made meanwhile wait.
 *
 * @param url Where to.
 * @param Service A subclass of {@linkcode SlimPeer}, whose `local` the server may
 * call.
 * @param options How to connect.
 * @returns The instance of the service.
 * @throws {TypeError} The URL is not valid.
 */
export function connect<Service, Context = unknown>(
  url: Address,
  Service: SlimServiceClass<Service, Context>,
  options?: SlimConnectOptions<Context>,
): Service;
/**
 * The same, with a definition, or nothing, in place of a class.
 *
 * @typeParam Theirs The type of the server's `local`.
 * @param url Where to.
 * @param definition What the server may call, and the hooks; may be left out.
 * @param options How to connect.
 * @throws {TypeError} The URL is not valid.
 */
export function connect<Theirs = unknown, Context = unknown>(
  url: Address,
  definition?: SlimServiceDefinition<Theirs, Context>,
  options?: SlimConnectOptions<Context>,
): SlimPeer<Theirs, Context>;
export function connect(
  url: Address,
  service: SlimServiceClass<unknown> | SlimServiceDefinition = {},
  options: SlimConnectOptions = {},
): unknown {
  const { protocols = [], createSocket = createWebSocket, ...settings } =
    options;
  const makeSocket: SocketMaker = () =>
    openSocket(url, protocols, createSocket);
  return typeof service === "function"
    ? new service(makeSocket, settings)
    : new SlimPeer(makeSocket, { ...service, ...settings });
}

export { SlimPeer };
export { ConnectionClosedError, RpcError } from "./src/wire/error.ts";
export type { CloseInfo, ErrorObject } from "./src/wire/error.ts";
export type { CallOptions } from "./src/peer/call.ts";
export type { ReconnectOptions } from "./src/line/retry.ts";
export type { SlimCall } from "./src/peer/slim_peer.ts";
export type {
  Address,
  CreateSocket,
  Protocols,
  SlimDefinition,
  SlimOptions,
  SlimSettings,
  SocketMaker,
};
