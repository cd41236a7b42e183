/**
 * The server: a new instance of a service for every connection, over
 * `Deno.serve`.
 *
 * ```ts
 * import { Peer } from "@jsonrpcws/peer";
 * import { connect } from "@jsonrpcws/peer/client";
 * import { serve } from "@jsonrpcws/peer/server";
 * import { assertEquals } from "@std/assert";
 *
 * class Counter extends Peer {
 *   #count = 0;
 *   override local = { next: () => ++this.#count };
 * }
 * await using server = serve(Counter, { port: 0, onListen() {} });
 *
 * await using ann = connect<Counter["local"]>(server.url);
 * await using bob = connect<Counter["local"]>(server.url);
 * assertEquals([await ann.remote.next(), await ann.remote.next()], [1, 2]);
 * assertEquals(await bob.remote.next(), 1); // His own instance.
 * ```
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-4.2}
 *
 * @module
 */

import {
  type AcceptOptions,
  Acceptor,
  type Admission,
  type DrainOptions,
  type DrainReport,
  type Handshake,
  isHandshake,
  type OptionsFor,
  refuse,
  requireUpgrade,
  type ServicePeer,
  usualIdleTimeout,
} from "./src/server/acceptor.ts";
import { ListeningServer } from "./src/server/listening.ts";
import type { Peer, ServiceClass, ServiceDefinition } from "./src/peer/peer.ts";

export {
  type AdmissionLimits,
  defaultAdmissionLimits,
} from "./src/wire/limits.ts";
export type { Hosts, Origins } from "./src/server/origin.ts";
export type {
  AcceptOptions,
  DrainOptions,
  DrainReport,
  ListeningServer,
  OptionsFor,
  ServicePeer,
};

/** Whoever sent a request, as `Deno.serve` knows it. */
export type ConnectionInfo = Deno.ServeHandlerInfo;

/** How connections are accepted. */
export interface UpgradeOptions<Context = unknown>
  extends AcceptOptions<Context, ConnectionInfo> {
  /**
   * Answers what is no WebSocket handshake: pages, health checks. Default: 426
   * Upgrade Required. A throw is answered like any throw of a handler of
   * `Deno.serve`.
   */
  fetch?: (
    request: Request,
    info: ConnectionInfo,
  ) => Response | Promise<Response>;
}

/** Where to listen: the options of `Deno.serve`. */
export type ListenOptions =
  | (Deno.ServeTcpOptions & { path?: undefined })
  | (Deno.ServeTcpOptions & Deno.TlsCertifiedKeyPem & { path?: undefined })
  | Deno.ServeUnixOptions;

/** How and where to serve. */
export type ServeOptions<Context = unknown> =
  & UpgradeOptions<Context>
  & ListenOptions;

/** A server that listens; made by {@linkcode serve}. */
export type Server<Service extends ServicePeer = ServicePeer> = ListeningServer<
  Service,
  Deno.Addr
>;

/** Answers HTTP requests, those for a WebSocket by making a service's instance. */
export interface Handler<Service extends ServicePeer = ServicePeer> {
  /** Answers one request; without `info`, from nowhere. */
  (request: Request, info?: ConnectionInfo): Response | Promise<Response>;
  /** See {@linkcode ListeningServer.peers}. */
  readonly peers: ReadonlySet<Service>;
  /** As {@linkcode ListeningServer.drain}, but what listens goes on. */
  drain(options?: DrainOptions): Promise<DrainReport>;
}

/**
 * Listens, and makes a new instance of a service for each connection.
 *
 * `onopen` is called after the handshake, `onclose` exactly once, however the
 * connection ends.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance), or
 * a definition.
 * @param options Those of `Deno.serve` (`port`, `hostname`, `cert`, `key`,
 * `path`, `signal`, ...) and {@linkcode UpgradeOptions}.
 */
export function serve<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context>,
  options: OptionsFor<Context, ServeOptions<Context>>,
): Server<Service>;
/**
 * Listens on port 8000, and makes a new instance of a service for each
 * connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance)
 * without a context.
 */
export function serve<Service extends ServicePeer>(
  Service: ServiceClass<Service>,
): Server<Service>;
/**
 * Listens, and makes a new peer with this definition for each connection.
 *
 * @param definition What the other side may call, and the hooks.
 * @param options Those of `Deno.serve` (`port`, `hostname`, `cert`, `key`,
 * `path`, `signal`, ...) and {@linkcode UpgradeOptions}.
 */
export function serve<Theirs = unknown, Context = unknown>(
  definition: ServiceDefinition<Theirs, Context>,
  options?: ServeOptions<Context>,
): Server<Peer<Theirs, Context>>;
export function serve(
  service: ServiceClass<ServicePeer> | ServiceDefinition,
  options: ServeOptions = {},
): Server<ServicePeer> {
  const acceptor = new Acceptor(service, options);
  const http: Deno.HttpServer<Deno.Addr> = Deno.serve(
    options as Deno.ServeTcpOptions,
    (request, info) => handle(acceptor, options, request, info),
  );
  return new ListeningServer(acceptor, {
    addr: http.addr,
    isSecure: "cert" in options,
    finished: http.finished,
    async stop() {
      const stopped = http.shutdown();
      // Deno waits for ever for a client that left before its handshake was
      // answered (seen in 2.9.5).
      if (!acceptor.hasUnopened) await stopped;
    },
    // Deno has no way to, once it shuts down.
    cut() {},
  });
}

/**
 * Makes a handler for `Deno.serve`, or to mount under any router, that makes a
 * new instance of a service for each connection.
 *
 * ```ts
 * import { connect } from "@jsonrpcws/peer/client";
 * import { upgrade } from "@jsonrpcws/peer/server";
 * import { assertEquals } from "@std/assert";
 *
 * const echo = upgrade({ local: { echo: (text: string) => text } });
 *
 * await using server = Deno.serve(
 *   { port: 0, onListen() {} },
 *   (request, info) =>
 *     new URL(request.url).pathname === "/rpc"
 *       ? echo(request, info)
 *       : new Response("A page"),
 * );
 * await using client = connect(`ws://localhost:${server.addr.port}/rpc`);
 * assertEquals(await client.request("echo", ["hello"]), "hello");
 * ```
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance), or
 * a definition.
 * @param options How connections are accepted.
 */
export function upgrade<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context>,
  options: OptionsFor<Context, UpgradeOptions<Context>>,
): Handler<Service>;
/**
 * Makes a handler for `Deno.serve`, or to mount under any router, that makes a
 * new instance of a service for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance)
 * without a context.
 */
export function upgrade<Service extends ServicePeer>(
  Service: ServiceClass<Service>,
): Handler<Service>;
/**
 * Makes a handler for `Deno.serve`, or to mount under any router, that makes a
 * new peer with this definition for each connection.
 *
 * @param definition What the other side may call, and the hooks.
 * @param options How connections are accepted.
 */
export function upgrade<Theirs = unknown, Context = unknown>(
  definition: ServiceDefinition<Theirs, Context>,
  options?: UpgradeOptions<Context>,
): Handler<Peer<Theirs, Context>>;
export function upgrade(
  service: ServiceClass<ServicePeer> | ServiceDefinition,
  options: UpgradeOptions = {},
): Handler {
  const acceptor = new Acceptor(service, options);
  return Object.assign(
    (request: Request, info: ConnectionInfo = unknownInfo) =>
      handle(acceptor, options, request, info),
    {
      peers: acceptor.peers,
      drain: (options?: DrainOptions) => acceptor.drain(options),
    },
  );
}

/** A request to connect, as Deno has it. */
class RequestHandshake implements Handshake<ConnectionInfo> {
  readonly request: Request;
  readonly info: ConnectionInfo;
  readonly #headers: Headers;

  constructor(request: Request, info: ConnectionInfo) {
    this.request = request;
    this.info = info;
    this.#headers = request.headers;
  }

  get(name: string): string | null {
    return this.#headers.get(name);
  }

  get isSecure(): boolean {
    return this.request.url.startsWith("https:");
  }
}

/** Answers at once, unless somebody is asked who takes his time. */
function handle(
  acceptor: Acceptor<ConnectionInfo>,
  options: UpgradeOptions,
  request: Request,
  info: ConnectionInfo,
): Response | Promise<Response> {
  const handshake = new RequestHandshake(request, info);
  if (!isHandshake(request.method, handshake)) {
    return (options.fetch ?? requireUpgrade)(request, info);
  }
  const admission = acceptor.admit(handshake);
  return admission instanceof Promise
    ? acceptLater(acceptor, options, request, admission)
    : accept(acceptor, options, request, admission);
}

async function acceptLater(
  acceptor: Acceptor<ConnectionInfo>,
  options: UpgradeOptions,
  request: Request,
  decision: Promise<Response | Admission>,
): Promise<Response> {
  let isLate = false;
  const timer = setTimeout(() => isLate = true);
  const admission = await decision;
  clearTimeout(timer);
  if (isLate && !(admission instanceof Response) && await isGone(request)) {
    admission.abandon();
    return refuse(400, "The client is gone");
  }
  return accept(acceptor, options, request, admission);
}

/** Makes a socket and its service's instance; never throws. */
function accept(
  acceptor: Acceptor<ConnectionInfo>,
  options: UpgradeOptions,
  request: Request,
  admission: Response | Admission,
): Response {
  if (admission instanceof Response) return admission;
  const { idleTimeout = usualIdleTimeout(options.limits) } = options;
  let upgraded: Deno.WebSocketUpgrade;
  try {
    upgraded = Deno.upgradeWebSocket(request, { idleTimeout });
  } catch (error) {
    admission.abandon();
    const why = error instanceof Error ? error.message : String(error);
    return refuse(400, `Cannot upgrade to WebSocket: ${why}`);
  }
  // From here on Deno lets nothing but this response be returned: a throw would
  // end the whole server (seen in 2.9.5).
  const { socket, response } = upgraded;
  spareError(request);
  const { protocol } = admission;
  if (protocol !== undefined) {
    try {
      response.headers.set("sec-websocket-protocol", protocol);
    } catch (error) {
      acceptor.report(error);
    }
  }
  admission.accept(socket);
  return response;
}

/**
 * Whether the client went away while it was decided about. Upgraded, its socket
 * would connect for ever and `shutdown` wait for it (Deno 2.9.5). Not asked
 * without need: Deno remarks on the use of `signal`, once in a process.
 */
async function isGone({ signal }: Request): Promise<boolean> {
  await Promise.resolve(); // A signal that was late is told by then.
  return signal.aborted;
}

/**
 * Lets an upgraded request end without an error. Deno (2.9.5) ends it twice, and
 * the second time makes an `AbortError`, with its stack, for a signal that nobody
 * has asked for: a quarter of what a handshake costs a server (bench/, "2,000
 * idle"). Where it keeps this otherwise, nothing changes.
 */
function spareError(request: Request): void {
  const own = request as unknown as { [symbol: symbol]: unknown };
  endOfSignal ??= Object.getOwnPropertySymbols(own).find(({ description }) =>
    description === "signalCache"
  );
  // As if it had not ended once already.
  if (endOfSignal && own[endOfSignal] === false) own[endOfSignal] = undefined;
}

// Under what a request keeps whether its signal has ended.
let endOfSignal: symbol | undefined;

const unknownInfo: ConnectionInfo = {
  remoteAddr: { transport: "tcp", hostname: "", port: 0 },
  completed: Promise.resolve(),
};
