/**
 * `connect` of the whole client, over sockets of any kind.
 *
 * @see {@link https://websockets.spec.whatwg.org/#the-websocket-interface}
 *
 * @module
 */

import "./graph.ts";
import { Peer, type ServiceClass } from "./everything.ts";
import {
  type Address,
  type CreateSocket,
  createWebSocket,
  openSocket,
  type Protocols,
} from "../line/address.ts";
import { closeSocket, ignoreError } from "../line/close.ts";
import { ReadyState, type Socket, type SocketMaker } from "../line/socket.ts";
import type {
  Definition,
  LineSettings,
  NoPeer,
  PeerSettings,
} from "../peer/options.ts";
import { boundFrames } from "../runtime/deno_frames.ts";
import { checkOptions, checkService, isPeerClass } from "./misuse.ts";

/**
 * The settings of a client: the third argument of `connect(url, Class, settings)`.
 */
export interface ConnectSettings<Context = unknown>
  extends PeerSettings, LineSettings {
  /** The peer's {@linkcode Peer.context}. Default `undefined`. */
  context?: Context;
  /**
   * The subprotocols to offer. Default: none, because a browser fails the
   * connection if the server selects none of those offered. A function is called
   * before each attempt: for a ticket that is valid only once.
   */
  protocols?: Protocols;
  /**
   * Makes the socket. Default: `new WebSocket(url, protocols)`. For sockets of
   * `ws`, use `connect` of `@jsonrpcws/peer/node`.
   */
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
 * @throws {TypeError} The URL is not valid, or an option is of the wrong type.
 * @throws {RangeError} A limit or a time is negative or not a number.
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
 * @throws {RangeError} A limit or a time is negative or not a number.
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
  checkClient(url, service, settings);
  return connectBy(url, service, settings);
}

/**
 * Connects with arguments that were checked.
 *
 * @param isParsing Whether `createSocket` parses the URL, as the platform's own
 * socket does.
 */
export function connectBy(
  url: Address,
  service: ServiceClass<unknown> | ConnectOptions,
  settings: ConnectSettings,
  isParsing = false,
): unknown {
  const isClass = typeof service === "function";
  const options = isClass ? settings : service;
  const { protocols = [], createSocket = createWebSocket } = options;
  isParsing ||= createSocket === createWebSocket;
  /** The socket of the last attempt. */
  let socket: Socket | Promise<Socket> | undefined;
  let hasFailed = false;
  const makeSocket: SocketMaker = (offers) => {
    if (hasFailed) return closedSocket;
    return socket = open(url, protocols, createSocket, offers, isParsing);
  };
  try {
    return isClass
      ? new service(makeSocket, settings)
      : new Peer(makeSocket, service);
  } catch (error) {
    // The constructor threw, so nobody has the peer, and it must not connect again.
    hasFailed = true;
    if (socket !== undefined) abandon(socket);
    throw error;
  }
}

/**
 * Refuses arguments that no client can be made of.
 *
 * @throws {TypeError} One is of the wrong type; the message says what to give.
 */
export function checkClient(
  url: unknown,
  service: unknown,
  settings: unknown,
): void {
  if (isPeerClass(url)) {
    throw new TypeError(
      `Cannot connect ${url.name} to nowhere: the address goes first, connect("wss://example.com/rpc", ${url.name})`,
    );
  }
  checkService(service, settings, "connect", "close");
  checkOptions((typeof service === "function" ? settings : service) as object);
}

/** Closes the socket of an abandoned attempt. */
async function abandon(attempt: Socket | Promise<Socket>): Promise<void> {
  try {
    const socket = await attempt;
    socket.addEventListener("error", ignoreError);
    closeSocket(socket);
  } catch {
    // The attempt failed: there is no socket.
  }
}

// The socket of a client whose constructor threw: it closes with 1000, which is
// final.
const closedSocket: Socket = {
  readyState: ReadyState.Closed,
  bufferedAmount: 0,
  binaryType: "arraybuffer",
  send() {},
  close() {},
  addEventListener(type, listener) {
    if (type !== "close") return;
    const end = { type, code: 1000, reason: "", wasClean: true };
    queueMicrotask(() => listener(end));
  },
  removeEventListener() {},
};

/**
 * Makes the socket of one attempt; see {@linkcode openSocket}.
 *
 * @param own The peer's own subprotocols, which are offered before the owner's.
 * @param isParsing Whether `createSocket` parses the URL.
 */
function open(
  url: Address,
  protocols: Protocols,
  createSocket: CreateSocket,
  own: readonly string[],
  isParsing: boolean,
): Socket | Promise<Socket> {
  const create: CreateSocket = (url, protocols) => {
    const socket = createSocket(url, own.concat(protocols));
    if (own.length > 0 && createSocket === createWebSocket) {
      boundFrames(socket);
    }
    return socket;
  };
  if (
    typeof url !== "string" || !/^wss?:[^#]*$/.test(url) ||
    !Array.isArray(protocols)
  ) return openSocket(url, protocols, create);
  // Not parsed twice, since parsing is slow (bench/, "2,000 idle"). Here rather than
  // in openSocket, which is a part of the small client.
  if (!isParsing) new URL(url); // Throws if invalid.
  try {
    return create(url, protocols as string[]);
  } catch (error) {
    new URL(url); // Throws if the URL is the reason.
    throw error;
  }
}
