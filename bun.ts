/**
 * The server for Bun, over `Bun.serve`: a new instance of a service for every
 * connection.
 *
 * ```ts ignore
 * import { Peer } from "@jsonrpcws/peer";
 * import { connect } from "@jsonrpcws/peer/client";
 * import { serve } from "@jsonrpcws/peer/bun";
 * import { equal } from "node:assert/strict";
 *
 * class Counter extends Peer {
 *   #count = 0;
 *   override local = { next: () => ++this.#count };
 * }
 * await using server = serve(Counter, { port: 0 });
 *
 * await using ann = connect<Counter["local"]>(server.url);
 * equal(await ann.remote.next(), 1);
 * equal(await ann.remote.next(), 2);
 * ```
 *
 * @see {@link https://bun.sh/docs/runtime/http/websockets}
 *
 * @module
 */

import {
  type AcceptDefinition,
  Acceptor,
  type AcceptSettings,
  type Admission,
  type ClassSettings,
  type DrainOptions,
  type DrainReport,
  type Handshake,
  type Needs,
  optionsOf,
  payloadOf,
  refuse,
  requireUpgrade,
  type ServicePeer,
  type SettingsFor,
  silenceOf,
  type WithoutSettings,
} from "./src/server/acceptor.ts";
import {
  type Address,
  announce,
  checkPort,
  checkRuntime,
  ListeningServer,
  type ListenOptions,
} from "./src/server/listening.ts";
import type { Limits } from "./src/wire/limits.ts";
import type { Peer, ServiceClass } from "./src/presets/everything.ts";
import { BunSocket, type ServerWebSocket } from "./src/runtime/bun_socket.ts";

export {
  type AdmissionLimits,
  defaultAdmissionLimits,
} from "./src/wire/limits.ts";
export type { Hosts, Origins } from "./src/server/origin.ts";
export type { Refusal, RefusalReason } from "./src/server/refusal.ts";
export type {
  AcceptDefinition,
  AcceptSettings,
  Address,
  ClassSettings,
  DrainOptions,
  DrainReport,
  ListeningServer,
  ListenOptions,
  Needs,
  ServerWebSocket,
  ServicePeer,
  SettingsFor,
  WithoutSettings,
};

/** The part of `Bun.serve`'s server that is used. */
export interface BunServer {
  /** Upgrades a request to a WebSocket; `false` if that isn't possible. */
  upgrade(
    request: Request,
    options: { data: unknown; headers?: { [name: string]: string } },
  ): boolean;
  /** The address that a request comes from; `null` for a Unix socket. */
  requestIP(request: Request): { address: string; port: number } | null;
  /** Sets the seconds that a request may take; 0 for no limit. */
  timeout(request: Request, seconds: number): void;
}

/** The option `websocket` of `Bun.serve`. */
export interface WebSocketHandler {
  /**
   * Most bytes of a message: three for each character of the limit `messageLength`.
   */
  readonly maxPayloadLength: number;
  /**
   * Seconds of silence: 960, or 0 for no limit. The heartbeat closes a silent
   * connection before.
   */
  readonly idleTimeout: number;
  /** `false`: the heartbeat sends its own pings. */
  readonly sendPings: false;
  /** 0, no limit of Bun's: the limits bound what waits for a slow reader. */
  readonly backpressureLimit: 0;
  /** `false`: nothing is compressed. */
  readonly perMessageDeflate: false;
  /** A socket is open. */
  open(ws: ServerWebSocket & { data: unknown }): void;
  /** A message has arrived. */
  message(
    ws: ServerWebSocket & { data: unknown },
    message: string | ArrayBufferLike | Uint8Array,
  ): void;
  /** Some of the data that waited in the socket has been sent. */
  drain(ws: ServerWebSocket & { data: unknown }): void;
  /** A ping has arrived, and Bun has answered it. */
  ping(
    ws: ServerWebSocket & { data: unknown },
    data: ArrayBufferLike | Uint8Array,
  ): void;
  /** A pong has arrived: a sign of life. */
  pong(ws: ServerWebSocket & { data: unknown }): void;
  /** A socket is closed. */
  close(
    ws: ServerWebSocket & { data: unknown },
    code: number,
    reason: string,
  ): void;
}

/** The sender of a request. */
export interface ConnectionInfo {
  /** The address that the request comes from; behind a proxy, the proxy's. */
  readonly remoteAddr: Address;
  /** The server that received the request. */
  readonly server: BunServer;
}

/** The settings of `upgrade`: how connections are accepted. */
export interface UpgradeSettings<Context = unknown>
  extends AcceptSettings<Context, ConnectionInfo> {
  /**
   * Answers requests that are no WebSocket handshake: pages, health checks.
   * Default: 426 Upgrade Required. If it throws, the error goes to `onerror`, and
   * the client gets 500 without a reason.
   */
  fetch?: (
    this: void,
    request: Request,
    info: ConnectionInfo,
  ) => Response | Promise<Response>;
}

/** The settings of `serve`: how connections are accepted, and where. */
export interface ServeSettings<Context = unknown>
  extends UpgradeSettings<Context>, ListenOptions {}

/**
 * The definition and settings of `upgrade` in one object. In the definition's
 * functions `this` is the peer.
 */
export type UpgradeOptions<Theirs = unknown, Context = unknown> =
  & AcceptDefinition<Theirs, Context>
  & UpgradeSettings<Context>
  & ThisType<Peer<Theirs, Context>>;

/**
 * The definition and settings of `serve` in one object. In the definition's
 * functions `this` is the peer.
 */
export type ServeOptions<Theirs = unknown, Context = unknown> =
  & AcceptDefinition<Theirs, Context>
  & ServeSettings<Context>
  & ThisType<Peer<Theirs, Context>>;

/** A server that listens; made by {@linkcode serve}. */
export type Server<Service extends ServicePeer = ServicePeer> = ListeningServer<
  Service,
  Address
>;

/**
 * A handler of HTTP requests, which makes an instance of the service for each
 * WebSocket.
 */
export interface Handler<Service extends ServicePeer = ServicePeer> {
  /** Answers one request; `undefined` if it has become a WebSocket. */
  (
    request: Request,
    server: BunServer,
  ): Response | undefined | Promise<Response | undefined>;
  /** The option `websocket` for the `Bun.serve` that calls this handler. */
  readonly websocket: WebSocketHandler;
  /** See {@linkcode ListeningServer.peers}. */
  readonly peers: ReadonlySet<Service>;
  /**
   * As {@linkcode ListeningServer.drain}, but the HTTP server goes on listening.
   */
  drain(options?: DrainOptions): Promise<DrainReport>;
}

/** The options of `Bun.serve` that are used. */
interface BunOptions {
  port?: number;
  hostname?: string;
  unix?: string;
  tls?: { cert: string; key?: string };
  development: false;
  reusePort: false;
  fetch: Answer;
  websocket: WebSocketHandler;
}

/** The server that `Bun.serve` makes. */
interface BunListener extends BunServer {
  /** The host and port; of a Unix socket, its path. */
  readonly address:
    | { readonly address: string; readonly port: number }
    | string;
  stop(closesConnections?: boolean): Promise<void>;
}

type Answer = (
  request: Request,
  server: BunServer,
) => Response | undefined | Promise<Response | undefined>;

/**
 * Listens, and makes a new peer with this definition for each connection.
 *
 * `onopen` is called after the handshake, `onclose` exactly once, in whatever way
 * the connection ends.
 *
 * @param options A definition (what the other side may call),
 * {@linkcode ListenOptions} and {@linkcode UpgradeSettings}.
 * @throws {TypeError} An option is of the wrong type, or is an origin or a host
 * that could never match.
 * @throws {RangeError} A limit or a time is negative or not a number.
 * @throws {Error} The address can't be listened on, as when the port is taken.
 */
export function serve<Theirs = unknown, Context = unknown>(
  options: ServeOptions<Theirs, Context>,
): Server<Peer<Theirs, Context>>;
/**
 * Listens on port 8000, and makes a new instance of a class for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance)
 * without a context.
 */
export function serve<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context> & WithoutSettings<Context>,
): Server<Service>;
/**
 * Listens, and makes a new instance of a class for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance).
 * @param settings Where to listen and how connections are accepted; `authorize` is
 * required if the class has a context.
 */
export function serve<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context>,
  settings: SettingsFor<Context, ServeSettings<Context>> & ClassSettings,
): Server<Service>;
export function serve(
  service: ServiceClass<ServicePeer> | ServeOptions,
  settings: ServeSettings & ClassSettings = {},
): Server<ServicePeer> {
  const options = optionsOf(service, settings);
  const acceptor = new Acceptor(service, settings, silenceOf(options));
  checkPort(options);
  checkRuntime("Bun", "/bun");
  const { port = 8000, hostname, path, cert, key, signal } = options;
  signal?.throwIfAborted();
  const { Bun } = globalThis as unknown as {
    Bun: { serve(options: BunOptions): BunListener };
  };
  const http = Bun.serve({
    ...path !== undefined ? { unix: path } : { port },
    ...hostname !== undefined && path === undefined && { hostname },
    ...cert !== undefined && {
      tls: { cert, ...key !== undefined && { key } },
    },
    // In development, Bun's page of an error shows the source.
    development: false,
    // Bun (1.4.5) may let two servers listen on one port otherwise.
    reusePort: false,
    fetch: createHandler(acceptor, options),
    websocket: createSockets(acceptor.connectionLimits),
  });
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const server = new ListeningServer<ServicePeer, Address>(acceptor, {
    addr: addressOf(http),
    isSecure: cert !== undefined,
    finished,
    async stop() {
      await http.stop();
      finish();
    },
    cut() {
      void http.stop(true);
    },
  });
  return announce(server, options);
}

/**
 * Makes a handler for a `Bun.serve` of your own, which makes a new peer with this
 * definition for each connection.
 *
 * ```ts ignore
 * import { upgrade } from "@jsonrpcws/peer/bun";
 *
 * const echo = upgrade({ local: { echo: (text: string) => text } });
 * const http = Bun.serve({
 *   port: 0,
 *   fetch: (request, server) =>
 *     new URL(request.url).pathname === "/rpc"
 *       ? echo(request, server)
 *       : new Response("A page"),
 *   websocket: echo.websocket,
 * });
 * await http.stop();
 * ```
 *
 * A `Bun.serve` has a single option `websocket`. If it has several handlers, give
 * it the `websocket` of one of them: it serves all, with that one's limit of a
 * message's length.
 *
 * @param options A definition (what the other side may call) and
 * {@linkcode UpgradeSettings}.
 * @throws {TypeError} An option is of the wrong type, or is an origin or a host
 * that could never match.
 * @throws {RangeError} A limit or a time is negative or not a number.
 */
export function upgrade<Theirs = unknown, Context = unknown>(
  options: UpgradeOptions<Theirs, Context>,
): Handler<Peer<Theirs, Context>>;
/**
 * Makes a handler for a `Bun.serve` of your own, which makes a new instance of a
 * class for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance)
 * without a context.
 */
export function upgrade<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context> & WithoutSettings<Context>,
): Handler<Service>;
/**
 * Makes a handler for a `Bun.serve` of your own, which makes a new instance of a
 * class for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance).
 * @param settings How connections are accepted; `authorize` is required if the
 * class has a context.
 */
export function upgrade<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context>,
  settings: SettingsFor<Context, UpgradeSettings<Context>> & ClassSettings,
): Handler<Service>;
export function upgrade(
  service: ServiceClass<ServicePeer> | UpgradeOptions,
  settings: UpgradeSettings & ClassSettings = {},
): Handler {
  const options = optionsOf(service, settings);
  const acceptor = new Acceptor(service, settings, silenceOf(options));
  return Object.assign(createHandler(acceptor, options), {
    websocket: createSockets(acceptor.connectionLimits),
    peers: acceptor.peers,
    drain: (options?: DrainOptions) => acceptor.drain(options),
  });
}

/** A handshake, read from Bun's request. */
class RequestHandshake implements Handshake<ConnectionInfo> {
  readonly request: Request;
  readonly server: BunServer;

  constructor(request: Request, server: BunServer) {
    this.request = request;
    this.server = server;
  }

  get(name: string): string | null {
    return this.request.headers.get(name);
  }

  get isSecure(): boolean {
    return this.request.url.startsWith("https:");
  }

  get info(): ConnectionInfo {
    return infoOf(this.request, this.server);
  }
}

function infoOf(request: Request, server: BunServer): ConnectionInfo {
  const from = server.requestIP(request);
  const remoteAddr: Address = from === null
    ? { transport: "unix", hostname: "" }
    : { transport: "tcp", hostname: from.address, port: from.port };
  return { remoteAddr, server };
}

/**
 * Makes a handler. It answers in the same turn unless `origins`, `authorize` or
 * `fetch` return a promise.
 */
function createHandler(
  acceptor: Acceptor<ConnectionInfo>,
  { fetch = requireUpgrade }: UpgradeSettings,
): Answer {
  return (request, server) => {
    const handshake = new RequestHandshake(request, server);
    const asks = acceptor.asks(request.method, handshake);
    if (asks !== true) {
      return asks || answer(acceptor, fetch, request, server);
    }
    const admission = acceptor.admit(handshake);
    if (!(admission instanceof Promise)) {
      return accept(acceptor, handshake, admission);
    }
    // Bun would cut a client that waits 10 seconds for its answer.
    server.timeout(request, 0);
    return admission.then((admission) =>
      accept(acceptor, handshake, admission)
    );
  };
}

/** Answers a request that is no handshake; never rejects. */
async function answer(
  acceptor: Acceptor<ConnectionInfo>,
  fetch: Required<UpgradeSettings>["fetch"],
  request: Request,
  server: BunServer,
): Promise<Response> {
  try {
    return await fetch(request, infoOf(request, server));
  } catch (error) {
    return acceptor.fail(error);
  }
}

/**
 * Upgrades a request and makes the service's instance for its socket; never throws.
 */
function accept(
  acceptor: Acceptor<ConnectionInfo>,
  handshake: RequestHandshake,
  admission: Response | Admission,
): Response | undefined {
  if (admission instanceof Response) return admission;
  const { request, server } = handshake;
  const { protocol } = admission;
  const data = new BunSocket(protocol ?? "");
  // Without this header Bun (1.4.5) selects whatever is offered; it leaves out "".
  const headers = { "sec-websocket-protocol": protocol ?? "" };
  // When this returns, the socket is open.
  if (!server.upgrade(request, { data, headers })) {
    admission.abandon();
    const answer = refuse(400, "Cannot upgrade to WebSocket");
    return acceptor.refuse(handshake, answer, "Bun can't upgrade it");
  }
  admission.accept(data);
  return undefined;
}

/**
 * Makes the handler of all sockets' events. The `data` of each socket is the
 * BunSocket that {@linkcode accept} made.
 */
function createSockets(limits: Limits): WebSocketHandler {
  const silence = limits.pingAfter + limits.pingWithin;
  return {
    maxPayloadLength: payloadOf(limits) || 0x7fff_ffff,
    // Bun (1.4.5) without a timeout waits for ever for a peer that doesn't answer a
    // close; with 960, the most it takes, it waits 16 seconds.
    idleTimeout: silence < 900_000 ? 960 : 0,
    sendPings: false,
    backpressureLimit: 0,
    perMessageDeflate: false,
    open: (ws) => socketOf(ws).open(ws),
    message: (ws, message) => socketOf(ws).hear(message as string),
    drain: (ws) => socketOf(ws).drain(),
    ping: (ws, { byteLength }) => socketOf(ws).answered(byteLength),
    pong: (ws) => socketOf(ws).hearPong(),
    close: (ws, code, reason) => socketOf(ws).closed(code, reason),
  };
}

function socketOf({ data }: { data: unknown }): BunSocket {
  return data as BunSocket;
}

function addressOf({ address }: BunListener): Address {
  return typeof address === "string"
    ? { transport: "unix", hostname: "", path: address }
    : { transport: "tcp", hostname: address.address, port: address.port };
}
