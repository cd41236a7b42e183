/**
 * The server for Deno, over `Deno.serve`: a new instance of a service for every
 * connection.
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

import "./src/presets/graph.ts";
// Before those that import them, too.
import "./src/presets/everything.ts";
import "./src/presets/misuse.ts";
import "./src/server/origin.ts";
import "./src/server/refusal.ts";
import "./src/server/turns.ts";
import "./src/runtime/deno_pausing.ts";
import "./src/runtime/turns.ts";

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
  readIdleTimeout,
  refuse,
  requireUpgrade,
  type ServicePeer,
  type SettingsFor,
  type WithoutSettings,
} from "./src/server/acceptor.ts";
import {
  checkPort,
  checkRuntime,
  type Listener,
  ListeningServer,
} from "./src/server/listening.ts";
import type { Peer, ServiceClass } from "./src/presets/everything.ts";
import {
  boundIdleTime,
  calmIdleTimer,
  pingByDeno,
} from "./src/runtime/deno_idle.ts";

export {
  type AdmissionLimits,
  defaultAdmissionLimits,
} from "./src/wire/limits.ts";
export type { Hosts, Origins } from "./src/server/origin.ts";
export type { Refusal, RefusalReason } from "./src/server/refusal.ts";
export type {
  AcceptDefinition,
  AcceptSettings,
  ClassSettings,
  DrainOptions,
  DrainReport,
  ListeningServer,
  Needs,
  ServicePeer,
  SettingsFor,
  WithoutSettings,
};

/** The sender of a request, as `Deno.serve` reports it: its address. */
export type ConnectionInfo = Deno.ServeHandlerInfo;

/** The settings of `upgrade`: how connections are accepted. */
export interface UpgradeSettings<Context = unknown>
  extends AcceptSettings<Context, ConnectionInfo> {
  /**
   * Answers requests that are no WebSocket handshake: pages, health checks.
   * Default: 426 Upgrade Required. If it throws, `Deno.serve` answers, as for any
   * of its handlers.
   */
  fetch?: (
    this: void,
    request: Request,
    info: ConnectionInfo,
  ) => Response | Promise<Response>;
}

/** The address to listen on: the options of `Deno.serve`. */
export type ListenOptions =
  | (Deno.ServeTcpOptions & Partial<Deno.TlsCertifiedKeyPem> & {
    path?: undefined;
  })
  | Deno.ServeUnixOptions;

/** The settings of `serve`: how connections are accepted, and where. */
export type ServeSettings<Context = unknown> =
  & UpgradeSettings<Context>
  & ListenOptions;

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
  & UpgradeOptions<Theirs, Context>
  & ListenOptions;

/** A server that listens; made by {@linkcode serve}. */
export type Server<Service extends ServicePeer = ServicePeer> = ListeningServer<
  Service,
  Deno.Addr
>;

/**
 * A handler of HTTP requests, which makes an instance of the service for each
 * WebSocket.
 */
export interface Handler<Service extends ServicePeer = ServicePeer> {
  /** Answers one request. Without `info`, the sender's address is `""`. */
  (request: Request, info?: ConnectionInfo): Response | Promise<Response>;
  /** See {@linkcode ListeningServer.peers}. */
  readonly peers: ReadonlySet<Service>;
  /**
   * As {@linkcode ListeningServer.drain}, but the HTTP server goes on listening.
   */
  drain(options?: DrainOptions): Promise<DrainReport>;
}

/**
 * Listens, and makes a new peer with this definition for each connection.
 *
 * `onopen` is called after the handshake, `onclose` exactly once, in whatever way
 * the connection ends.
 *
 * @param options A definition (what the other side may call), the options of
 * `Deno.serve` (`port`, `hostname`, `cert`, `key`, `path`, `signal`, ...), and
 * {@linkcode UpgradeSettings}.
 * @throws {TypeError} An option is of the wrong type, or is an origin or a host
 * that could never match.
 * @throws {RangeError} A limit or a time is negative or not a number.
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
 * @param settings The options of `Deno.serve` and {@linkcode UpgradeSettings};
 * `authorize` is required if the class has a context.
 */
export function serve<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context>,
  settings:
    & SettingsFor<Context, UpgradeSettings<Context>>
    & ClassSettings
    & ListenOptions,
): Server<Service>;
export function serve(
  service: ServiceClass<ServicePeer> | ServeOptions,
  settings: ServeSettings & ClassSettings = {},
): Server<ServicePeer> {
  checkRuntime("Deno", "/server");
  const options = optionsOf(service, settings);
  const acceptor = createAcceptor(service, settings, options);
  checkPort(options);
  const answer = createHandler(acceptor, options, "cert" in options);
  return new ListeningServer(
    acceptor,
    new Listening(acceptor, options, answer),
  );
}

// Milliseconds between two attempts to listen again.
const pause = 1_000;

/**
 * The HTTP server, which is started again when Deno ends it. Deno (2.9.5) ends its
 * server for good when it can't accept a connection, as when file descriptors run
 * out, and says so by `finished` alone. The error is reported to the owner.
 */
class Listening implements Listener<Deno.Addr> {
  readonly addr: Deno.Addr;
  readonly isSecure: boolean;
  readonly finished: Promise<void>;
  readonly #acceptor: Acceptor<ConnectionInfo>;
  readonly #options: ServeSettings;
  readonly #answer: Answer;
  readonly #finish: () => void;
  #http: Deno.HttpServer<Deno.Addr> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    acceptor: Acceptor<ConnectionInfo>,
    options: ServeSettings,
    answer: Answer,
  ) {
    this.#acceptor = acceptor;
    this.#options = options;
    this.#answer = answer;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#finish = resolve;
    this.isSecure = "cert" in options;
    this.addr = this.#listen(options).addr;
  }

  #listen(options: ServeSettings): Deno.HttpServer<Deno.Addr> {
    const http: Deno.HttpServer<Deno.Addr> = Deno.serve(
      options as Deno.ServeTcpOptions,
      this.#answer,
    );
    http.finished.then(this.#finish, (error: unknown) => {
      this.#http = undefined;
      this.#acceptor.report(error);
      this.#wait();
    });
    return this.#http = http;
  }

  #wait(): void {
    this.#timer = setTimeout(() => this.#listenAgain(), pause);
  }

  #listenAgain(): void {
    // The port that was taken, even if the option said 0, any free one.
    const { port } = this.addr as Partial<Deno.NetAddr>;
    const again = port === undefined ? {} : { port };
    try {
      this.#listen({ ...this.#options, ...again, onListen() {} });
    } catch {
      this.#wait(); // The first error was reported.
    }
  }

  async stop(): Promise<void> {
    if (this.#http === undefined) {
      clearTimeout(this.#timer);
      return this.#finish();
    }
    const stopped = this.#http.shutdown();
    // Deno (2.9.5) would wait for ever for a client that left before its handshake
    // was answered.
    if (!this.#acceptor.hasUnopened) await stopped;
  }

  /** Does nothing: Deno can't cut connections once its server shuts down. */
  cut(): void {}
}

/**
 * Makes a handler, for `Deno.serve` or any router, which makes a new peer with this
 * definition for each connection.
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
 * Makes a handler, for `Deno.serve` or any router, which makes a new instance of a
 * class for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance)
 * without a context.
 */
export function upgrade<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context> & WithoutSettings<Context>,
): Handler<Service>;
/**
 * Makes a handler, for `Deno.serve` or any router, which makes a new instance of a
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
  checkRuntime("Deno", "/server");
  const options = optionsOf(service, settings);
  const acceptor = createAcceptor(service, settings, options);
  return Object.assign(createHandler(acceptor, options), {
    peers: acceptor.peers,
    drain: (options?: DrainOptions) => acceptor.drain(options),
  });
}

/** Makes an acceptor; unless an `idleTimeout` is set, Deno pings silent clients. */
function createAcceptor(
  service: ServiceClass<ServicePeer> | UpgradeOptions,
  settings: UpgradeSettings & ClassSettings,
  options: UpgradeSettings,
): Acceptor<ConnectionInfo> {
  const ping = options.idleTimeout === undefined ? pingByDeno : undefined;
  return new Acceptor(service, settings, undefined, ping);
}

/** A handshake, read from Deno's request. */
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

type Answer = (
  request: Request,
  info?: ConnectionInfo,
) => Response | Promise<Response>;

/**
 * Whether a request's URL has the host that its header `Host` has. If the request
 * line holds a whole URL, Deno takes that one, while `hosts` and `origins` check
 * the header.
 *
 * @param isSecure Whether the request came over TLS; `undefined` if that isn't
 * known.
 */
function goesHere({ url, headers }: Request, isSecure?: boolean): boolean {
  const host = headers.get("host");
  if (host === null) return true;
  const begins = (scheme: string): boolean =>
    url.startsWith(`${scheme}://${host}/`);
  return isSecure === undefined
    ? begins("http") || begins("https")
    : begins(isSecure ? "https" : "http");
}

/**
 * Makes a handler. It answers in the same turn unless `origins`, `authorize` or
 * `fetch` return a promise.
 */
function createHandler(
  acceptor: Acceptor<ConnectionInfo>,
  options: UpgradeSettings,
  isSecure?: boolean,
): Answer {
  const { fetch = requireUpgrade } = options;
  const idleTimeout = readDenoTimeout(options);
  return (request, info = unknownInfo) => {
    const handshake = new RequestHandshake(request, info);
    const asks = acceptor.asks(request.method, handshake);
    if (asks !== true) return asks || fetch(request, info);
    if (!goesHere(request, isSecure)) return acceptor.refuseAddress(handshake);
    const admission = acceptor.admit(handshake);
    return admission instanceof Promise
      ? acceptLater(acceptor, idleTimeout, handshake, admission)
      : accept(acceptor, idleTimeout, handshake, admission);
  };
}

/**
 * The option `idleTimeout` for `Deno.upgradeWebSocket`. 0 by default: an idle timer
 * would cost each message a microsecond, and each connection 2 KB, because with it
 * Deno keeps the request. Instead, {@linkcode pingByDeno} sets it for whoever is
 * silent and isn't known to answer `rpc.ping`.
 */
function readDenoTimeout(options: UpgradeSettings): number {
  const seconds = readIdleTimeout(options) ?? Infinity;
  // For Deno, 0 is never.
  return seconds === Infinity ? 0 : boundIdleTime(seconds);
}

async function acceptLater(
  acceptor: Acceptor<ConnectionInfo>,
  idleTimeout: number,
  handshake: RequestHandshake,
  decision: Promise<Response | Admission>,
): Promise<Response> {
  let isLate = false;
  const timer = setTimeout(() => isLate = true);
  const admission = await decision;
  clearTimeout(timer);
  const { request } = handshake;
  if (isLate && !(admission instanceof Response) && await isGone(request)) {
    admission.abandon();
    return refuse(400, "The client is gone");
  }
  return accept(acceptor, idleTimeout, handshake, admission);
}

/**
 * Upgrades a request and makes the service's instance for its socket; never throws.
 */
function accept(
  acceptor: Acceptor<ConnectionInfo>,
  idleTimeout: number,
  handshake: RequestHandshake,
  admission: Response | Admission,
): Response {
  if (admission instanceof Response) return admission;
  let upgraded: Deno.WebSocketUpgrade;
  try {
    upgraded = Deno.upgradeWebSocket(handshake.request, { idleTimeout });
  } catch (error) {
    admission.abandon();
    const why = error instanceof Error ? error.message : String(error);
    const answer = refuse(400, `Cannot upgrade to WebSocket: ${why}`);
    return acceptor.refuse(handshake, answer, why);
  }
  // From here on this response must be returned: a throw would end the whole server
  // (Deno 2.9.5).
  const { socket, response } = upgraded;
  if (idleTimeout > 0) calmIdleTimer(socket, idleTimeout);
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
 * Whether the client left while `authorize` or `origins` decided. Upgraded
 * nevertheless, its socket would stay connecting for ever, and `shutdown` would
 * wait for it (Deno 2.9.5). Called only after a decision that took longer than a
 * turn: Deno logs a remark on the first use of `signal` in a process.
 */
async function isGone({ signal }: Request): Promise<boolean> {
  await Promise.resolve(); // A signal that is about to abort has by then.
  return signal.aborted;
}

const unknownInfo: ConnectionInfo = {
  remoteAddr: { transport: "tcp", hostname: "", port: 0 },
  completed: Promise.resolve(),
};
