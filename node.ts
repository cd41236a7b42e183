/**
 * The server and the client for Node: a server over `node:http` and the package
 * `ws` with a new instance of a service for every connection, and a client over
 * sockets of `ws`.
 *
 * This server has bounds that `Deno.serve` lacks: a message that is too long is
 * refused before all of it has arrived, and a connection whose peer doesn't answer
 * a close is cut. Therefore it may be used in Deno, too.
 *
 * ```ts
 * import { Peer } from "@jsonrpcws/peer";
 * import { connect, serve } from "@jsonrpcws/peer/node";
 * import { assertEquals } from "@std/assert";
 *
 * class Counter extends Peer {
 *   #count = 0;
 *   override local = { next: () => ++this.#count };
 * }
 * await using server = await serve(Counter, { port: 0 });
 *
 * await using ann = connect<Counter["local"]>(server.url);
 * assertEquals([await ann.remote.next(), await ann.remote.next()], [1, 2]);
 * ```
 *
 * @see {@link https://github.com/websockets/ws/blob/master/doc/ws.md}
 *
 * @module
 */

import type {
  IncomingMessage,
  Server as HttpServer,
  ServerResponse,
} from "node:http";
import { Readable } from "node:stream";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
// @ts-types="./src/runtime/ws.d.ts"
import { WebSocketServer } from "ws";
import {
  type AcceptDefinition,
  Acceptor,
  type AcceptSettings,
  type Admission,
  badRequest,
  type ClassSettings,
  type DrainOptions,
  type DrainReport,
  type Handshake,
  isHandshake,
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
import { CloseCode } from "./src/wire/error.ts";
import { clientLimits, completeLimits } from "./src/wire/limits.ts";
import {
  type Address,
  announce,
  checkPort,
  ListeningServer,
  type ListenOptions,
} from "./src/server/listening.ts";
import { authority } from "./src/server/origin.ts";
import type { Address as Url, Protocols } from "./src/line/address.ts";
import {
  checkClient,
  connectBy,
  type ConnectOptions as AnyConnectOptions,
  type ConnectSettings as AnyConnectSettings,
} from "./src/presets/connect.ts";
import type { Definition, NoPeer } from "./src/peer/options.ts";
import type { Peer, ServiceClass } from "./src/presets/everything.ts";
import { sayWhat } from "./src/presets/misuse.ts";
import { checkNode } from "./src/runtime/node_version.ts";
import { PeerSocket } from "./src/runtime/ws_socket.ts";

checkNode(
  (globalThis as unknown as { process: { versions: { node: string } } })
    .process.versions.node,
);

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
  Protocols,
  ServicePeer,
  SettingsFor,
  Url,
  WithoutSettings,
};
export type { FailedAttempt, ReconnectOptions } from "./src/line/retry.ts";

/** The sender of a request. */
export interface ConnectionInfo {
  /** The address that the request comes from; behind a proxy, the proxy's. */
  readonly remoteAddr: Address;
  /** Node's request, with its socket: for the certificate of a TLS client. */
  readonly incoming: IncomingMessage;
}

/** The settings of `upgrade` and `serve`: how connections are accepted. */
export interface SocketSettings<Context = unknown>
  extends AcceptSettings<Context, ConnectionInfo> {
  /**
   * Whether messages are compressed, and how: see `ws`. Compression costs memory
   * and time for each connection. Default `false`.
   */
  perMessageDeflate?: boolean | object;
}

/** The settings of `upgrade`: how connections are accepted, and for which path. */
export interface UpgradeSettings<Context = unknown>
  extends SocketSettings<Context> {
  /**
   * The path of this service, `"/rpc"`: a request is for it if its path, without
   * the query, is the same. Other requests are left to the other listeners of the
   * event; if all of them are this library's, the last one answers 404. Default:
   * every request is for this service.
   */
  path?: string;
}

/** The settings of `serve`: how connections are accepted, and where. */
export interface ServeSettings<Context = unknown>
  extends SocketSettings<Context>, ListenOptions {
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
 * A listener to the event "upgrade" of an HTTP server. It ignores requests for
 * another path, and sockets that another listener has taken.
 */
export interface UpgradeListener<Service extends ServicePeer = ServicePeer> {
  /** Answers one request: makes an instance of the service, or refuses. */
  (incoming: IncomingMessage, socket: Duplex, head: Uint8Array): void;
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
 * @param options A definition (what the other side may call),
 * {@linkcode ListenOptions} and {@linkcode ServeSettings}.
 * @returns Resolves when the server listens.
 * @throws {TypeError} An option is of the wrong type, or is an origin or a host
 * that could never match.
 * @throws {RangeError} A limit or a time is negative or not a number.
 * @throws {Error} The address can't be listened on, as when the port is taken.
 */
export function serve<Theirs = unknown, Context = unknown>(
  options: ServeOptions<Theirs, Context>,
): Promise<Server<Peer<Theirs, Context>>>;
/**
 * Listens on port 8000, and makes a new instance of a class for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance)
 * without a context.
 */
export function serve<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context> & WithoutSettings<Context>,
): Promise<Server<Service>>;
/**
 * Listens, and makes a new instance of a class for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance).
 * @param settings Where to listen and how connections are accepted; `authorize` is
 * required if the class has a context.
 * @returns Resolves when the server listens.
 */
export function serve<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context>,
  settings: SettingsFor<Context, ServeSettings<Context>> & ClassSettings,
): Promise<Server<Service>>;
export async function serve(
  service: ServiceClass<ServicePeer> | ServeOptions,
  settings: ServeSettings & ClassSettings = {},
): Promise<Server<ServicePeer>> {
  const options = optionsOf(service, settings);
  const acceptor = new Acceptor(service, settings, silenceOf(options));
  checkPort(options);
  const { fetch = requireUpgrade, cert, key, signal } = options;
  signal?.throwIfAborted();
  const upgrades: object = {
    // A request that offers to upgrade to another protocol (h2c) is answered as an
    // ordinary one, with its body. Node has this option since 24.9.
    shouldUpgradeCallback: (incoming: IncomingMessage): boolean =>
      isHandshake(incoming.method, new IncomingHandshake(incoming)),
  };
  // Imported here, so that a client doesn't load it: in Node, `node:http` loads all
  // of `fetch`, 20 ms of a client's first call (bench/, "first call").
  const http: HttpServer = cert === undefined
    ? (await import("node:http")).createServer(upgrades)
    : (await import("node:https")).createServer({ ...upgrades, cert, key });
  http.on("request", (incoming: IncomingMessage, outgoing: ServerResponse) => {
    answer(acceptor, fetch, incoming, outgoing);
  });
  const others = new Set<Duplex>();
  http.on("upgrade", createListener(acceptor, options, fetch, others));
  http.on("clientError", (_error: Error, socket: Duplex) => {
    if (socket.writable) write(socket, badRequest());
    else socket.destroy();
  });
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  http.on("close", () => finish());
  await listen(http, options);
  http.on("error", (error) => acceptor.report(error));

  const server = new ListeningServer<ServicePeer, Address>(acceptor, {
    addr: addressOf(http),
    isSecure: cert !== undefined,
    finished,
    async stop() {
      http.close();
      http.closeIdleConnections();
      await finished;
    },
    cut() {
      http.closeAllConnections();
      for (const socket of others) socket.destroy();
    },
  });
  return announce(server, options);
}

/**
 * Makes a listener to the event "upgrade" of an HTTP server, Node's own or a
 * framework's, which makes a new peer with this definition for each connection.
 * With a `path`, others may listen beside it, such as Vite or Socket.IO.
 *
 * ```ts
 * import { connect, upgrade } from "@jsonrpcws/peer/node";
 * import { assertEquals } from "@std/assert";
 * import { once } from "node:events";
 * import { createServer } from "node:http";
 *
 * const http = createServer((_, response) => response.end("A page"));
 * const local = { echo: (text: string) => text };
 * const echo = upgrade({ path: "/rpc", local });
 * http.on("upgrade", echo);
 * http.listen(0);
 * await once(http, "listening");
 *
 * const { port } = http.address() as { port: number };
 * const url = `ws://localhost:${port}/rpc`;
 * const client = connect(url, { reconnect: false });
 * assertEquals(await client.request("echo", ["hello"]), "hello");
 * await echo.drain();
 * http.close();
 * ```
 *
 * @param options A definition (what the other side may call) and
 * {@linkcode UpgradeSettings}.
 * @throws {TypeError} An option is of the wrong type, or is an origin, a host or a
 * path that could never match.
 * @throws {RangeError} A limit or a time is negative or not a number.
 */
export function upgrade<Theirs = unknown, Context = unknown>(
  options: UpgradeOptions<Theirs, Context>,
): UpgradeListener<Peer<Theirs, Context>>;
/**
 * Makes a listener to the event "upgrade" of an HTTP server, which makes a new
 * instance of a class for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance)
 * without a context.
 */
export function upgrade<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context> & WithoutSettings<Context>,
): UpgradeListener<Service>;
/**
 * Makes a listener to the event "upgrade" of an HTTP server, which makes a new
 * instance of a class for each connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance).
 * @param settings How connections are accepted; `authorize` is required if the
 * class has a context.
 */
export function upgrade<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context>,
  settings: SettingsFor<Context, UpgradeSettings<Context>> & ClassSettings,
): UpgradeListener<Service>;
export function upgrade(
  service: ServiceClass<ServicePeer> | UpgradeOptions,
  settings: UpgradeSettings & ClassSettings = {},
): UpgradeListener {
  const options = optionsOf(service, settings);
  const acceptor = new Acceptor(service, settings, silenceOf(options));
  const { path } = options;
  if (path !== undefined && !/^\/[^?#]*$/.test(path)) {
    const text = JSON.stringify(path);
    throw new TypeError(`Cannot take path ${text}: write it as "/rpc"`);
  }
  const take = createListener(acceptor, options, requireUpgrade);
  function listener(
    this: unknown,
    incoming: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
  ): void {
    if (path === undefined || pathOf(incoming) === path) {
      if (!isTaken(socket)) take(incoming, socket, head);
    } else if (isLast(this, listener)) {
      socket.on("error", destroy);
      answerUpgrade(socket, refuse(404, "Not found"));
    }
  }
  own.add(listener);
  return Object.assign(listener, {
    peers: acceptor.peers,
    drain: (options?: DrainOptions) => acceptor.drain(options),
  });
}

/** The headers of a handshake. */
export type HandshakeHeaders = Readonly<Record<string, string>>;

/**
 * The settings of a client: the third argument of `connect(url, Class, settings)`.
 */
export interface ConnectSettings<Context = unknown>
  extends Omit<AnyConnectSettings<Context>, "createSocket"> {
  /**
   * Headers of the handshake: cookies, credentials. Default: none. A function is
   * called before each attempt, for a token that expires; after an answer of 401
   * there is one more attempt with new headers.
   */
  headers?:
    | HandshakeHeaders
    | ((this: void) => HandshakeHeaders | Promise<HandshakeHeaders>);
  /**
   * Further options of `ws`: `ca`, `cert`, `key`, `agent`, `perMessageDeflate`,
   * `maxPayload`. Default: no compression, a `maxPayload` of three bytes for each
   * character of the limit `messageLength`, and the defaults of `ws`.
   *
   * @see {@link https://github.com/websockets/ws/blob/master/doc/ws.md#new-websocketaddress-protocols-options}
   */
  webSocketOptions?: { readonly [option: string]: unknown };
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
 * Connects to a server, as `connect` of `@jsonrpcws/peer/client` does, but by
 * sockets of `ws`.
 *
 * These sockets can send headers. They also hand the messages of one turn to the
 * system together, which takes half the time of one write each: the first message
 * leaves at once, the others when the turn ends or enough have been gathered. A
 * process that exits within a turn loses those others.
 *
 * ```ts
 * import { connect, serve } from "@jsonrpcws/peer/node";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await serve({
 *   port: 0,
 *   authorize: ({ headers }) => headers.get("x-user"),
 *   local: {
 *     who() {
 *       return this.context;
 *     },
 *   },
 * });
 * await using client = connect(server.url, { headers: { "x-user": "ann" } });
 * assertEquals(await client.request("who"), "ann");
 * ```
 *
 * @typeParam Theirs The type of the server's `local`.
 * @param url The server's address.
 * @param options A definition (what the server may call) and settings.
 * @throws {TypeError} The URL is not valid.
 * @throws {RangeError} A limit or a time is negative or not a number.
 */
export function connect<Theirs = unknown, Context = unknown>(
  url: Url,
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
  url: Url,
  Service: ServiceClass<Service, Context>,
  settings?: ConnectSettings<Context>,
): Service;
export function connect(
  url: Url,
  service: ServiceClass<unknown> | ConnectOptions = {},
  settings: ConnectSettings = {},
): unknown {
  checkClient(url, service, settings);
  const isClass = typeof service === "function";
  const [address, options] = withSockets(url, isClass ? settings : service);
  return isClass
    ? connectBy(address, service, options, true)
    : connectBy(address, options as AnyConnectOptions, {}, true);
}

/** The address and the settings for `connectBy`, with sockets of `ws`. */
function withSockets(
  url: Url,
  settings: ConnectSettings,
): [Url, AnyConnectSettings] {
  const { headers, webSocketOptions, limits } = settings;
  if (headers !== undefined && !/^(object|function)$/.test(typeof headers)) {
    throw new TypeError(
      `Cannot set headers: they must be an object or a function, got ${
        sayWhat(headers)
      }`,
    );
  }
  let usual: object = {
    perMessageDeflate: false,
    maxPayload: payloadOf(completeLimits(limits, clientLimits)),
    maxPendingAutoPongs: 0,
    ...webSocketOptions,
    ...typeof headers === "object" && { headers },
  };
  const createSocket = (url: string, protocols: string[]): PeerSocket =>
    new PeerSocket(url, protocols, usual);
  // Headers are asked for together with the address, before each attempt.
  const address = typeof headers !== "function" ? url : async () => {
    usual = { ...usual, headers: await headers() };
    return typeof url === "function" ? url() : url;
  };
  return [address, { ...settings, createSocket }];
}

type Fetch = (
  request: Request,
  info: ConnectionInfo,
) => Response | Promise<Response>;

/**
 * @param others Gets the open sockets of requests that are no handshake, so that
 * they can be cut at the end.
 */
function createListener(
  acceptor: Acceptor<ConnectionInfo>,
  options: SocketSettings,
  fetch: Fetch,
  others: Set<Duplex> = new Set(),
): (incoming: IncomingMessage, socket: Duplex, head: Uint8Array) => void {
  const { perMessageDeflate = false } = options;
  /** The subprotocol of the handshake that is being done. */
  let selected: string | undefined;
  const handshakes = new WebSocketServer({
    noServer: true,
    WebSocket: PeerSocket,
    clientTracking: false,
    maxPayload: payloadOf(acceptor.connectionLimits),
    perMessageDeflate,
    skipUTF8Validation: false,
    // Bounded, because a fragment costs memory beside its bytes.
    maxFragments: 4_096,
    maxPendingAutoPongs: 0, // More would cut; see PeerSocket.pong.
    handleProtocols: () => selected ?? false,
  });
  handshakes.on("wsClientError", (error, socket, incoming) => {
    const handshake = new IncomingHandshake(incoming);
    const answer = acceptor.refuse(handshake, badRequest(), error.message);
    answerUpgrade(socket, answer);
  });

  function accept(
    incoming: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    admission: Response | Admission,
  ): void {
    if (admission instanceof Response) return answerUpgrade(socket, admission);
    // Another listener took the socket while the handshake was decided about.
    if (isTaken(socket)) return admission.abandon();
    let isOpen = false;
    selected = admission.protocol;
    try {
      // Calls back in the same turn, or emits "wsClientError".
      handshakes.handleUpgrade(incoming, socket, head, (ws) => {
        isOpen = true;
        socket.off("error", destroy); // From here on `ws` listens.
        ws.stream = socket;
        watch(ws, admission.accept(ws));
      });
    } catch (error) {
      answerUpgrade(socket, acceptor.fail(error));
    }
    if (!isOpen) admission.abandon();
  }

  /** The last header `Host` that could be parsed, because parsing is slow. */
  let knownHost: string | undefined;

  function goesSomewhere(incoming: IncomingMessage): boolean {
    const host = headerOf(incoming, "host");
    const isPath = incoming.url?.startsWith("/") ?? false;
    if (isPath && host !== undefined && host === knownHost) return true;
    if (urlOf(incoming) === undefined) return false;
    if (isPath) knownHost = host;
    return true;
  }

  return (incoming, socket, head) => {
    // Without a listener an error would be thrown.
    socket.on("error", destroy);
    const handshake = new IncomingHandshake(incoming);
    if (!isHandshake(incoming.method, handshake)) {
      others.add(socket);
      socket.on("close", () => others.delete(socket));
      respond(acceptor, fetch, incoming, socket).then((response) =>
        answerUpgrade(socket, response)
      );
    } else if (!goesSomewhere(incoming)) {
      answerUpgrade(socket, acceptor.refuseAddress(handshake));
    } else {
      const admission = acceptor.admit(handshake);
      if (admission instanceof Promise) {
        admission.then((admission) =>
          accept(incoming, socket, head, admission)
        );
      } else accept(incoming, socket, head, admission);
    }
  };
}

function destroy(this: Duplex): void {
  this.destroy();
}

/** The listeners that `upgrade` made. */
const own = new WeakSet<object>();

/** The path of a request, without its query. */
function pathOf(incoming: IncomingMessage): string | undefined {
  const { url = "" } = incoming;
  return url.startsWith("/") ? url.split("?")[0] : urlOf(incoming)?.pathname;
}

/**
 * Whether a listener is the last one, and all before it are this library's: then
 * nobody else would answer.
 */
function isLast(server: unknown, listener: object): boolean {
  const all = (server as HttpServer | undefined)?.listeners?.("upgrade") ?? [];
  return all.at(-1) === listener && all.every((each) => own.has(each));
}

/** Whether another listener has taken a socket: reads from it, or has ended it. */
function isTaken(socket: Duplex): boolean {
  return !socket.writable || socket.listenerCount("data") > 0;
}

/** Answers an upgrade, unless another listener has taken the socket. */
function answerUpgrade(socket: Duplex, response: Response): void {
  if (!isTaken(socket)) write(socket, response);
}

/**
 * A handshake, read from Node's request. A `Request` is made only if somebody reads
 * it, since making one is a fifth of what a connection costs a server (bench/,
 * "2,000 idle").
 */
class IncomingHandshake implements Handshake<ConnectionInfo> {
  readonly #incoming: IncomingMessage;
  #request: Request | undefined;

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming;
  }

  get(name: string): string | null {
    return headerOf(this.#incoming, name) ?? null;
  }

  get isSecure(): boolean {
    return isSecure(this.#incoming);
  }

  /**
   * The request; a GET of `http://localhost/` if its own address can't be parsed.
   */
  get request(): Request {
    return this.#request ??= toRequest(this.#incoming) ??
      new Request("http://localhost/");
  }

  get info(): ConnectionInfo {
    return infoOf(this.#incoming);
  }
}

/** The close codes for the errors of `ws`, the same that a peer would send. */
const closeCodes: { readonly [code: string]: number } = {
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: CloseCode.MessageTooBig,
};

/**
 * Closes the peer as soon as `ws` finds an invalid frame. `ws` has sent the close
 * frame then, and would wait 30 seconds for an answer.
 */
function watch(ws: PeerSocket, peer: ServicePeer | undefined): void {
  ws.peer = peer;
  ws.on("error", closePeer);
}

/** One function for all sockets, instead of a closure for each connection. */
function closePeer(
  this: PeerSocket,
  { code = "", message }: Error & { code?: string },
): void {
  if (!code.startsWith("WS_ERR_")) return;
  this.peer?.close(closeCodes[code] ?? 1002, message);
}

/** Answers a request that is no upgrade. */
async function answer(
  acceptor: Acceptor<ConnectionInfo>,
  fetch: Fetch,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const response = await respond(acceptor, fetch, incoming, outgoing);
  try {
    outgoing.writeHead(response.status, headersOf(response));
    if (response.body === null || incoming.method === "HEAD") {
      await response.body?.cancel();
      outgoing.end();
    } else {
      await pipeline(readable(response.body), outgoing);
    }
  } catch {
    // The client is gone, or the body of the owner's response failed.
    outgoing.destroy();
  }
}

/**
 * The response to a request that is no handshake; never rejects.
 *
 * @param outgoing Where the response goes: when it closes, the request's signal
 * aborts.
 */
async function respond(
  acceptor: Acceptor<ConnectionInfo>,
  fetch: Fetch,
  incoming: IncomingMessage,
  outgoing: ServerResponse | Duplex,
): Promise<Response> {
  const gone = new AbortController();
  outgoing.on("close", () => gone.abort());
  try {
    const handshake = new IncomingHandshake(incoming);
    const asks = acceptor.asks(incoming.method, handshake);
    if (asks instanceof Response) return asks;
    const request = toRequest(incoming, gone.signal);
    return request === undefined
      ? badRequest()
      : await fetch(request, infoOf(incoming));
  } catch (error) {
    return acceptor.fail(error);
  }
}

/** Answers an upgrade with a response, and closes the connection. */
async function write(socket: Duplex, response: Response): Promise<void> {
  try {
    const { status, body } = response;
    const headers = headersOf(response).filter(([name]) =>
      !/^(connection|transfer-encoding)$/.test(name)
    );
    // With "close" the body ends where the connection does, and needs no length.
    const head = [...headers, ["connection", "close"]].map(([name, value]) =>
      `${name}: ${value}\r\n`
    ).join("");
    const { STATUS_CODES } = await import("node:http");
    const reason = response.statusText || STATUS_CODES[status] || "";
    socket.write(`HTTP/1.1 ${status} ${reason}\r\n${head}\r\n`);
    if (body !== null) await pipeline(readable(body), socket);
    socket.end(() => socket.destroy());
  } catch {
    // The client is gone, or the body of the owner's response failed.
    socket.destroy();
  }
}

function readable(body: ReadableStream<Uint8Array>): Readable {
  return Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]);
}

function headersOf(response: Response): [name: string, value: string][] {
  return [...response.headers];
}

/** The web's `Request`; `undefined` if its address or its headers are invalid. */
function toRequest(
  incoming: IncomingMessage,
  signal?: AbortSignal,
): Request | undefined {
  const { method = "GET", rawHeaders } = incoming;
  const url = urlOf(incoming);
  if (url === undefined) return undefined;
  const headers = new Headers();
  try {
    for (let index = 0; index < rawHeaders.length; index += 2) {
      headers.append(rawHeaders[index]!, rawHeaders[index + 1]!);
    }
    const hasBody = method !== "GET" && method !== "HEAD";
    return new Request(url, {
      method,
      headers,
      ...signal === undefined ? {} : { signal },
      ...hasBody
        ? { body: Readable.toWeb(incoming) as ReadableStream, duplex: "half" }
        : {},
    } as RequestInit);
  } catch {
    return undefined;
  }
}

/**
 * The URL of a request; `undefined` if it can't be parsed, or contradicts the
 * header `Host`.
 */
function urlOf(incoming: IncomingMessage): URL | undefined {
  const { url: target = "" } = incoming;
  const scheme = isSecure(incoming) ? "https" : "http";
  const host = headerOf(incoming, "host") ?? "localhost";
  // Anything after the host, as in "host/path", would become a part of the path.
  if (!authority.test(host)) return undefined;
  // Joined as text, because a base URL would take the path "//example.com/" for a
  // host.
  if (target.startsWith("/")) {
    return URL.parse(`${scheme}://${host}${target}`) ?? undefined;
  }
  // A target that is a whole URL must have the host of the header `Host`, which was
  // checked: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
  const base = URL.parse(`${scheme}://${host}`);
  const url = URL.parse(target);
  return url !== null && url.origin === base?.origin && url.username === "" &&
      url.password === ""
    ? url
    : undefined;
}

/**
 * A header's value; several values are joined by a comma, which makes an invalid
 * host or origin of them. Read from `rawHeaders`, because Node would make the table
 * `headers` for each connection.
 */
function headerOf(
  { rawHeaders }: IncomingMessage,
  name: string,
): string | undefined {
  let value: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const key = rawHeaders[index]!;
    if (key.length !== name.length || key.toLowerCase() !== name) continue;
    const more = rawHeaders[index + 1]!;
    value = value === undefined ? more : `${value}, ${more}`;
  }
  return value;
}

/**
 * Whether a request came over TLS. Compared with `true`, because in Bun every
 * socket has the member.
 */
function isSecure({ socket }: IncomingMessage): boolean {
  return (socket as { encrypted?: boolean }).encrypted === true;
}

function infoOf(incoming: IncomingMessage): ConnectionInfo {
  const { remoteAddress, remotePort } = incoming.socket;
  const remoteAddr: Address = remoteAddress === undefined
    ? { transport: "unix", hostname: "" }
    : { transport: "tcp", hostname: remoteAddress, port: remotePort ?? 0 };
  return { remoteAddr, incoming };
}

function addressOf(http: HttpServer): Address {
  const address = http.address();
  if (typeof address === "string") {
    return { transport: "unix", hostname: "", path: address };
  }
  const { address: hostname = "", port = 0 } = address ?? {};
  return { transport: "tcp", hostname, port };
}

/** Listens; rejects if it can't. */
function listen(http: HttpServer, options: ListenOptions): Promise<void> {
  const { port = 8000, hostname, path } = options;
  return new Promise((resolve, reject) => {
    http.once("error", reject);
    http.once("listening", () => {
      http.off("error", reject);
      resolve();
    });
    if (path !== undefined) http.listen(path);
    else http.listen(port, hostname);
  });
}
