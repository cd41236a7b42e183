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

import type { PeerOptions, PeerSettings } from "./src/options.ts";
import { Peer, type ServiceClass, type ServiceDefinition } from "./src/peer.ts";
import type { Socket } from "./src/socket.ts";

/** How to connect. */
export interface ConnectOptions<Context = unknown> extends PeerSettings {
  /** What {@linkcode Peer.context} is. Default `undefined`. */
  context?: Context;
  /**
   * The subprotocols to offer. Default: none, because a browser fails the
   * connection if the server selects none of them.
   */
  protocols?: string | readonly string[];
  /**
   * Makes the socket. Default: `new WebSocket(url, protocols)`. Other sockets
   * can do more: send headers, or run where there is no WebSocket.
   *
   * ```ts ignore
   * import { connect } from "@jsonrpcws/peer/client";
   * import { WebSocket } from "ws";
   *
   * connect("wss://example.com/rpc", {}, {
   *   createSocket: (url, protocols) =>
   *     new WebSocket(url, protocols, { headers: { authorization: "..." } }),
   * });
   * ```
   */
  createSocket?: (url: string, protocols: string[]) => Socket;
}

/**
 * Connects to a server. Answers at once: calls made before the handshake is done
 * wait for it; {@linkcode Peer.opened} tells when it is.
 *
 * @param url `ws:` or `wss:`, or `http:` or `https:` for the same address; in a
 * browser also relative to the page.
 * @param Service A subclass of {@linkcode Peer}, whose `local` the server may
 * call.
 * @param options How to connect.
 * @returns The instance of the service.
 * @throws {TypeError} The URL is not valid.
 */
export function connect<Service, Context = unknown>(
  url: string | URL,
  Service: ServiceClass<Service, Context>,
  options?: ConnectOptions<Context>,
): Service;
/**
 * Connects to a server. Answers at once: calls made before the handshake is done
 * wait for it; {@linkcode Peer.opened} tells when it is.
 *
 * @typeParam Theirs The type of the server's `local`.
 * @param url `ws:` or `wss:`, or `http:` or `https:` for the same address; in a
 * browser also relative to the page.
 * @param definition What the server may call, and the hooks; may be left out.
 * @param options How to connect.
 * @throws {TypeError} The URL is not valid.
 */
export function connect<Theirs = unknown, Context = unknown>(
  url: string | URL,
  definition?: ServiceDefinition<Theirs, Context>,
  options?: ConnectOptions<Context>,
): Peer<Theirs, Context>;
export function connect(
  url: string | URL,
  service: ServiceClass<unknown> | ServiceDefinition = {},
  options: ConnectOptions = {},
): unknown {
  const { protocols = [], createSocket = createWebSocket, ...settings } =
    options;
  const socket = createSocket(
    toWebSocketUrl(url),
    typeof protocols === "string" ? [protocols] : [...protocols],
  );
  try {
    return typeof service === "function"
      ? new service(socket, settings as PeerOptions)
      : new Peer(socket, { ...service, ...settings });
  } catch (error) {
    socket.close();
    throw error;
  }
}

function createWebSocket(url: string, protocols: string[]): Socket {
  return new WebSocket(url, protocols);
}

/** The address as WebSocket takes it: absolute, `ws:` or `wss:`, no fragment. */
function toWebSocketUrl(url: string | URL): string {
  const absolute = new URL(url, globalThis.location?.href);
  if (absolute.protocol === "http:") absolute.protocol = "ws:";
  if (absolute.protocol === "https:") absolute.protocol = "wss:";
  absolute.hash = "";
  return absolute.href;
}
