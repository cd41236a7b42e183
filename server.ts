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

import { CloseCode, type CloseInfo } from "./src/error.ts";
import type { PeerSettings } from "./src/options.ts";
import { Peer, type ServiceClass, type ServiceDefinition } from "./src/peer.ts";
import { references } from "./src/reference.ts";
import { streams } from "./src/stream.ts";

/** Whoever sent a request, as `Deno.serve` knows it. */
export type ConnectionInfo = Deno.ServeHandlerInfo;

/** What a server needs of a service's instances; every {@linkcode Peer} has it. */
export interface ServicePeer {
  /** See {@linkcode Peer.closed}. */
  readonly closed: Promise<CloseInfo>;
  /** See {@linkcode Peer.close}. */
  close(code?: number, reason?: string): void;
}

/** How connections are accepted. */
export interface UpgradeOptions<Context = unknown> extends PeerSettings {
  /**
   * Decides who may connect, before the handshake: a Response refuses, anything
   * else becomes the {@linkcode Peer.context} of the connection's instance. Take
   * from the request what the service needs of it (a cookie, the path); it can't
   * be read afterwards. A throw is answered like any throw of a handler.
   */
  authorize?: (
    request: Request,
    info: ConnectionInfo,
  ) => Context | Response | Promise<Context | Response>;
  /**
   * Answers what is no WebSocket handshake: pages, health checks. Default: 426
   * Upgrade Required.
   */
  fetch?: (
    request: Request,
    info: ConnectionInfo,
  ) => Response | Promise<Response>;
  /**
   * The subprotocols that this server speaks, the preferred first. The first one
   * that the client offers is selected. Default: none.
   */
  protocols?: readonly string[];
  /**
   * Seconds: a connection silent for half of it is pinged, and cut after the
   * other half. 0 never. Default 30, Deno's own.
   */
  idleTimeout?: number;
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

/**
 * The options for a service with this context: unless it may be `undefined`,
 * `authorize` must tell where it comes from.
 */
export type OptionsFor<Context, Options extends UpgradeOptions<Context>> =
  undefined extends Context ? Options
    : Options & Required<Pick<Options, "authorize">>;

/** Answers HTTP requests, those for a WebSocket by making a service's instance. */
export type Handler = (
  request: Request,
  info?: ConnectionInfo,
) => Promise<Response>;

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
  return new Server(createAcceptor(service, options), options);
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
): Handler;
/**
 * Makes a handler for `Deno.serve`, or to mount under any router, that makes a
 * new instance of a service for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance)
 * without a context.
 */
export function upgrade<Service extends ServicePeer>(
  Service: ServiceClass<Service>,
): Handler;
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
): Handler;
export function upgrade(
  service: ServiceClass<ServicePeer> | ServiceDefinition,
  options: UpgradeOptions = {},
): Handler {
  return createAcceptor(service, options).handle;
}

/** A server that listens; made by {@linkcode serve}. */
export class Server<Service extends ServicePeer = ServicePeer>
  implements AsyncDisposable {
  /** The connections' instances, from the handshake to the close. */
  readonly peers: ReadonlySet<Service>;

  readonly #acceptor: Acceptor<Service>;
  readonly #http: Deno.HttpServer<Deno.Addr>;
  readonly #isSecure: boolean;
  #shutdown: Promise<void> | undefined;

  /** @ignore Made by {@linkcode serve}. */
  constructor(acceptor: Acceptor<Service>, options: ListenOptions) {
    this.#acceptor = acceptor;
    this.peers = acceptor.peers;
    this.#isSecure = "cert" in options;
    this.#http = Deno.serve(options as Deno.ServeTcpOptions, acceptor.handle);
  }

  /** Where it listens. */
  get addr(): Deno.Addr {
    return this.#http.addr;
  }

  /**
   * The address to connect to, `ws://localhost:8888/`; `ws+unix:` and a path
   * for a Unix socket.
   */
  get url(): string {
    const { addr } = this;
    if (!("port" in addr)) return `ws+unix:${(addr as Deno.UnixAddr).path}`;
    const { hostname, port } = addr as Deno.NetAddr;
    const host = hostname === "0.0.0.0" || hostname === "::"
      ? "localhost"
      : hostname.includes(":")
      ? `[${hostname}]`
      : hostname;
    return `${this.#isSecure ? "wss" : "ws"}://${host}:${port}/`;
  }

  /** Resolves when the server no longer listens and every request is answered. */
  get finished(): Promise<void> {
    return this.#http.finished;
  }

  /**
   * Stops: accepts no more connections, closes each with 1001, waits until they
   * are gone, at most 5 seconds, and then for the answers that `fetch` and
   * `authorize` still owe.
   */
  shutdown(): Promise<void> {
    return this.#shutdown ??= this.#stop();
  }

  async #stop(): Promise<void> {
    await this.#acceptor.close();
    const shutdown = this.#http.shutdown();
    // Its end would never come.
    if (!this.#acceptor.hasUnopened) await shutdown;
  }

  /** Stops the server, see {@linkcode Server.shutdown}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }
}

// Milliseconds that the client may take to be there once it was answered.
const handshakeTimeout = 10_000;

const noHandshake = `No handshake within ${handshakeTimeout} ms`;

/** Accepts connections for one service, and knows those that live. */
interface Acceptor<Service extends ServicePeer> {
  readonly peers: ReadonlySet<Service>;
  readonly handle: Handler;
  /** Whether a handshake was answered and nothing followed. */
  readonly hasUnopened: boolean;
  close(): Promise<void>;
}

function createAcceptor(
  service: ServiceClass<ServicePeer> | ServiceDefinition,
  options: UpgradeOptions,
): Acceptor<ServicePeer> {
  const { authorize, fetch = requireUpgrade, protocols = [] } = options;
  const settings = pickSettings(options);
  const peers = new Set<ServicePeer>();
  let isClosing = false;
  // Of a client who left before its handshake was answered Deno never tells, and
  // its server never lets go (seen in 2.9.5).
  let unopened = 0;

  function expectOpen(socket: WebSocket, peer: ServicePeer): void {
    unopened++;
    const timer = setTimeout(
      () => peer.close(CloseCode.GoingAway, noHandshake),
      handshakeTimeout,
    );
    peer.closed.then(() => clearTimeout(timer));
    socket.addEventListener("open", () => {
      unopened--;
      clearTimeout(timer);
    });
  }

  async function handle(
    request: Request,
    info: ConnectionInfo = unknownInfo,
  ): Promise<Response> {
    if (!isHandshake(request)) return await fetch(request, info);
    if (request.headers.get("sec-websocket-version") !== "13") {
      return requireUpgrade();
    }
    // Nothing of the request can be read once it is upgraded.
    const protocol = selectProtocol(request, protocols);
    const context = await authorize?.(request, info);
    if (context instanceof Response) return context;
    if (isClosing) return new Response("Shutting down\n", { status: 503 });

    let upgraded: Deno.WebSocketUpgrade;
    try {
      upgraded = Deno.upgradeWebSocket(
        request,
        options.idleTimeout === undefined
          ? {}
          : { idleTimeout: options.idleTimeout },
      );
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return new Response(`Cannot upgrade to WebSocket: ${why}\n`, {
        status: 400,
      });
    }
    // From here on Deno lets nothing but this response be returned: a throw would
    // end the whole server (seen in 2.9.5).
    const { socket, response } = upgraded;
    try {
      if (protocol !== undefined) {
        response.headers.set("sec-websocket-protocol", protocol);
      }
      const peer = typeof service === "function"
        ? new service(socket, { ...settings, context })
        : new Peer(socket, { ...service, ...settings, context });
      peers.add(peer);
      peer.closed.then(() => peers.delete(peer));
      expectOpen(socket, peer);
    } catch (error) {
      console.error(error);
      socket.onerror = (): void => {};
      socket.onopen = (): void => socket.close(CloseCode.InternalError);
    }
    return response;
  }

  return {
    peers,
    handle,
    get hasUnopened() {
      return unopened > 0;
    },
    async close() {
      isClosing = true;
      await Promise.all(Array.from(peers, (peer) => {
        peer.close(CloseCode.GoingAway, "Server is shutting down");
        return peer.closed;
      }));
    },
  };
}

/** The options that are the peer's, those alone that were given. */
function pickSettings(options: UpgradeOptions): PeerSettings {
  const names = [
    "version",
    "stringErrors",
    "timeout",
    "trace",
    "discover",
    "use",
    "limits",
  ];
  const given = Object.entries(options).filter(([name, value]) =>
    names.includes(name) && value !== undefined
  );
  return { use: [streams, references], ...Object.fromEntries(given) };
}

const unknownInfo: ConnectionInfo = {
  remoteAddr: { transport: "tcp", hostname: "", port: 0 },
  completed: Promise.resolve(),
};

function isHandshake(request: Request): boolean {
  return request.method === "GET" &&
    request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** The first of the server's subprotocols that the client offers. */
function selectProtocol(
  request: Request,
  protocols: readonly string[],
): string | undefined {
  const offer = request.headers.get("sec-websocket-protocol") ?? "";
  const offered = offer.split(",").map((protocol) => protocol.trim());
  return protocols.find((protocol) => offered.includes(protocol));
}

function requireUpgrade(): Response {
  return new Response("This address speaks JSON-RPC over WebSocket\n", {
    status: 426,
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
    },
  });
}
