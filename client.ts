/**
 * The client: a peer that opens its connection itself, in a browser, in Deno,
 * Node, Bun or a worker.
 *
 * ```ts
 * import { connect } from "@jsonrpcws/peer/client";
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
import { sharedFrames } from "./src/parts/shared_frames.ts";
import type { PeerSettings } from "./src/peer/options.ts";
import {
  Peer,
  type ServiceClass,
  type ServiceDefinition,
} from "./src/peer/peer.ts";
import { ReconnectingSocket } from "./src/line/reconnect.ts";
import type { ReconnectOptions } from "./src/line/retry.ts";
import type { Socket } from "./src/line/socket.ts";

export type { Address, CreateSocket, Protocols, ReconnectOptions };

/** How to connect. */
export interface ConnectOptions<Context = unknown> extends PeerSettings {
  /** What {@linkcode Peer.context} is. Default `undefined`. */
  context?: Context;
  /**
   * The subprotocols to offer. Default: none, because a browser fails the
   * connection if the server selects none of them. A function is asked before
   * each attempt, for a ticket that is valid once.
   */
  protocols?: Protocols;
  /**
   * How to replace a connection that is lost, or `false`: not at all. Default:
   * for ever, after a random delay of at most half a second, and of twice as much
   * after each attempt that fails, up to 30 seconds; at once when the network
   * comes back or the page is looked at.
   *
   * A connection is lost if it was cut, or closed with one of the codes that mean
   * trouble of the moment (PROTOCOL.md, "Close codes"); any other code is final.
   */
  reconnect?: boolean | ReconnectOptions;
  /**
   * Milliseconds that an attempt to connect may take, with what `url` and
   * `protocols` take to answer. Default 20,000. 0: any number.
   */
  handshakeTimeout?: number;
  /**
   * Makes the socket. Default: `new WebSocket(url, protocols)`. Other sockets
   * can do more: those of `@jsonrpcws/peer/ws` send headers, and take Node half
   * of the time.
   *
   * ```ts ignore
   * import { connect } from "@jsonrpcws/peer/client";
   * import { sockets } from "@jsonrpcws/peer/ws";
   *
   * connect("wss://example.com/rpc", {}, {
   *   createSocket: sockets({ headers: { authorization: "..." } }),
   * });
   * ```
   */
  createSocket?: CreateSocket;
}

/**
 * Connects to a server. Answers at once: calls made before the handshake is done
 * wait for it; {@linkcode Peer.opened} tells when it is. A connection that is
 * lost is replaced: the instance lives on, `onclose` and `onopen` are called,
 * calls that were under way reject with a {@linkcode ConnectionClosedError}
 * unless they are `idempotent`, and calls made meanwhile wait.
 *
 * @param url Where to.
 * @param Service A subclass of {@linkcode Peer}, whose `local` the server may
 * call.
 * @param options How to connect.
 * @returns The instance of the service.
 * @throws {TypeError} The URL is not valid.
 */
export function connect<Service, Context = unknown>(
  url: Address,
  Service: ServiceClass<Service, Context>,
  options?: ConnectOptions<Context>,
): Service;
/**
 * Connects to a server. Answers at once: calls made before the handshake is done
 * wait for it; {@linkcode Peer.opened} tells when it is. A connection that is
 * lost is replaced: the instance lives on, `onclose` and `onopen` are called,
 * calls that were under way reject with a {@linkcode ConnectionClosedError}
 * unless they are `idempotent`, and calls made meanwhile wait.
 *
 * @typeParam Theirs The type of the server's `local`.
 * @param url Where to.
 * @param definition What the server may call, and the hooks; may be left out.
 * @param options How to connect.
 * @throws {TypeError} The URL is not valid.
 */
export function connect<Theirs = unknown, Context = unknown>(
  url: Address,
  definition?: ServiceDefinition<Theirs, Context>,
  options?: ConnectOptions<Context>,
): Peer<Theirs, Context>;
export function connect(
  url: Address,
  service: ServiceClass<unknown> | ServiceDefinition = {},
  options: ConnectOptions = {},
): unknown {
  const {
    protocols = [],
    createSocket = createWebSocket,
    reconnect = true,
    handshakeTimeout = 20_000,
  } = options;
  const socket = new ReconnectingSocket({
    open: (failures) =>
      open(
        url,
        protocols,
        createSocket,
        // A browser fails where a server selects nothing of what it is offered.
        options.sharedFrames && failures % 2 === 0 ? [sharedFrames] : none,
      ),
    isFresh: typeof url === "function" || typeof protocols === "function",
    hasFallback: options.sharedFrames ?? false,
    frameLength: createSocket === createWebSocket ? frameLength : undefined,
    timeout: handshakeTimeout,
    reconnect: reconnect === true ? usually : reconnect || undefined,
  });
  try {
    return typeof service === "function"
      ? new service(socket, { ...options })
      : new Peer(socket, { ...service, ...options });
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * Makes the socket of one attempt; see {@linkcode openSocket}.
 *
 * @param own What is offered before the protocols.
 */
function open(
  url: Address,
  protocols: Protocols,
  createSocket: CreateSocket,
  own: readonly string[],
): Socket | Promise<Socket> {
  if (
    typeof url !== "string" || !/^wss?:[^#]*$/.test(url) ||
    !Array.isArray(protocols)
  ) {
    return openSocket(
      url,
      protocols,
      (url, protocols) => createSocket(url, own.concat(protocols)),
    );
  }
  // The platform's own socket parses it anyway, and parsing is slow (bench/, "2,000
  // idle"). Not in openSocket, which has to be small.
  if (createSocket !== createWebSocket) new URL(url); // Throws if it is none.
  try {
    return createSocket(url, own.concat(protocols));
  } catch (error) {
    new URL(url); // Throws if that is the reason.
    throw error;
  }
}

const none: readonly string[] = [];

// One for all connections that are replaced as is usual.
const usually: ReconnectOptions = {};

// Deno's own sockets take 44 ms for each longer frame that a client sends (seen
// in 2.9.5): it is written in two parts, the second of which waits for an answer.
const frameLength = globalThis.navigator?.userAgent?.startsWith("Deno/")
  ? 1_024
  : undefined;
