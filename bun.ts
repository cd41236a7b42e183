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

/** The part of a server of `Bun.serve` that is used. */
export interface BunServer {
  /** Makes a WebSocket of a request; `false`: it can't. */
  upgrade(
    request: Request,
    options: { data: unknown; headers?: { [name: string]: string } },
  ): boolean;
  /** Where a request comes from; `null`: from a Unix socket. */
  requestIP(request: Request): { address: string; port: number } | null;
  /** Sets the seconds that a request may take; 0: any number. */
  timeout(request: Request, seconds: number): void;
}

/** The option `websocket` of `Bun.serve`. */
export interface WebSocketHandler {
  /** Bytes of a message, twice the characters of the limit and more. */
  readonly maxPayloadLength: number;
  /** 16 minutes at most: who is silent is asked for a sign of life before. */
  readonly idleTimeout: number;
  /** Not by Bun. */
  readonly sendPings: false;
  /** None: what waits for a slow reader is bounded by the limits. */
  readonly backpressureLimit: 0;
  /** Nothing is compressed. */
  readonly perMessageDeflate: false;
  /** A socket is open. */
  open(ws: ServerWebSocket & { data: unknown }): void;
  /** A message has arrived. */
  message(
    ws: ServerWebSocket & { data: unknown },
    message: string | ArrayBufferLike | Uint8Array,
  ): void;
  /** Some of what waited has left. */
  drain(ws: ServerWebSocket & { data: unknown }): void;
  /** A ping was answered. */
  ping(
    ws: ServerWebSocket & { data: unknown },
    data: ArrayBufferLike | Uint8Array,
  ): void;
  /** A sign of life. */
  pong(ws: ServerWebSocket & { data: unknown }): void;
  /** A socket is closed. */
  close(
    ws: ServerWebSocket & { data: unknown },
    code: number,
    reason: string,
  ): void;
}

/** The origin of a request. */
export interface ConnectionInfo {
  /** Where it comes from; of a proxy, the proxy's. */
  readonly remoteAddr: Address;
  /** The server that it came to, as Bun knows it. */
  readonly server: BunServer;
}

/** The settings of `upgrade`: how connections are accepted. */
export interface UpgradeSettings<Context = unknown>
  extends AcceptSettings<Context, ConnectionInfo> {
  /**
   * Answers what is no WebSocket handshake: pages, health checks. Default: 426
   * Upgrade Required. A throw reaches `onerror`, and the client as a bare 500.
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
 * The options of `upgrade`, a definition and settings in one. In the definition's
 * functions `this` is the peer.
 */
export type UpgradeOptions<Theirs = unknown, Context = unknown> =
  & AcceptDefinition<Theirs, Context>
  & UpgradeSettings<Context>
  & ThisType<Peer<Theirs, Context>>;

/**
 * The options of `serve`, a definition and settings in one. In the definition's
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

/** A handler of HTTP requests, that makes an instance for each WebSocket. */
export interface Handler<Service extends ServicePeer = ServicePeer> {
  /** Answers one request; `undefined`: it has become a WebSocket. */
  (
    request: Request,
    server: BunServer,
  ): Response | undefined | Promise<Response | undefined>;
  /** The option `websocket` of the server that it is mounted in. */
  readonly websocket: WebSocketHandler;
  /** See {@linkcode ListeningServer.peers}. */
  readonly peers: ReadonlySet<Service>;
  /** As {@linkcode ListeningServer.drain}, but what listens goes on. */
  drain(options?: DrainOptions): Promise<DrainReport>;
}

/** What `Bun.serve` is asked for. */
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

/** What it makes. */
interface BunListener extends BunServer {
  /** Of a Unix socket its path. */
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
 * `onopen` is called after the handshake, `onclose` exactly once, however the
 * connection ends.
 *
 * @param options A definition, of what the other side may call;
 * {@linkcode ListenOptions}; and {@linkcode UpgradeSettings}.
 * @throws {TypeError} An option is not what it must be: an origin that could never
 * match, a port that is a string.
 * @throws {RangeError} A limit or a time is no number of 0 or more.
 * @throws {Error} It can't listen there.
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
 * @param settings Where to listen, and {@linkcode UpgradeSettings}, with
 * `authorize` if the class has a context.
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
    // Its page of an error shows the source.
    development: false,
    // Else, where that is so, two of them may listen on one port (seen in 1.4.5).
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
 * Makes a handler for a server of `Bun.serve` that exists, that makes a new peer
 * with this definition for each connection.
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
 * A server has one option `websocket` for all: of several handlers in it, that of
 * any will do for each, with its limit of a message's length.
 *
 * @param options A definition, of what the other side may call, and
 * {@linkcode UpgradeSettings}.
 * @throws {TypeError} An option is not what it must be: an origin that could never
 * match, a port that is a string.
 * @throws {RangeError} A limit or a time is no number of 0 or more.
 */
export function upgrade<Theirs = unknown, Context = unknown>(
  options: UpgradeOptions<Theirs, Context>,
): Handler<Peer<Theirs, Context>>;
/**
 * Makes a handler for a server of `Bun.serve` that exists, that makes a new
 * instance of a class for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance)
 * without a context.
 */
export function upgrade<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context> & WithoutSettings<Context>,
): Handler<Service>;
/**
 * Makes a handler for a server of `Bun.serve` that exists, that makes a new
 * instance of a class for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance).
 * @param settings How connections are accepted, with `authorize` if the class has
 * a context.
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

/** A request to connect, as Bun has it. */
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

/** Makes a handler that answers at once, unless somebody is asked who takes time. */
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
    // Bun cuts who waits for an answer for 10 seconds.
    server.timeout(request, 0);
    return admission.then((admission) =>
      accept(acceptor, handshake, admission)
    );
  };
}

/** Answers what is no handshake; never rejects. */
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

/** Makes a socket and its service's instance; never throws. */
function accept(
  acceptor: Acceptor<ConnectionInfo>,
  handshake: RequestHandshake,
  admission: Response | Admission,
): Response | undefined {
  if (admission instanceof Response) return admission;
  const { request, server } = handshake;
  const { protocol } = admission;
  const data = new BunSocket(protocol ?? "");
  // Without this header Bun (1.4.5) selects whatever is offered. "" is left out.
  const headers = { "sec-websocket-protocol": protocol ?? "" };
  // It is open when this returns.
  if (!server.upgrade(request, { data, headers })) {
    admission.abandon();
    const answer = refuse(400, "Cannot upgrade to WebSocket");
    return acceptor.refuse(handshake, answer, "Bun can't upgrade it");
  }
  admission.accept(data);
  return undefined;
}

/** Makes what hears of all sockets; `data` of each is what {@linkcode accept} made. */
function createSockets(limits: Limits): WebSocketHandler {
  const silence = limits.pingAfter + limits.pingWithin;
  return {
    maxPayloadLength: payloadOf(limits) || 0x7fff_ffff,
    // With none, Bun (1.4.5) waits for ever for whoever was closed to go; with the
    // longest that it takes, 16 seconds.
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
