/**
 * The server for Cloudflare's Workers and Durable Objects, over `WebSocketPair`: a
 * new instance of a service for every connection; in a Durable Object, connections
 * may hibernate.
 *
 * A Worker is `export default { fetch: upgrade({ local }) }`: its connections know
 * nothing of each other. For connections that speak to each other, as in a chat,
 * use a Durable Object: see {@linkcode hibernate}.
 *
 * @see {@link https://developers.cloudflare.com/durable-objects/best-practices/websockets/}
 *
 * @module
 */

import {
  type AcceptDefinition,
  Acceptor,
  type AcceptSettings,
  type Admission,
  type ClassSettings,
  type Handshake,
  type Needs,
  optionsOf,
  requireUpgrade,
  type Service,
  type ServicePeer,
  type SettingsFor,
  type WithoutSettings,
} from "./src/server/acceptor.ts";
import { ping, pong } from "./src/parts/heartbeat.ts";
import { coreOf } from "./src/peer/base.ts";
import type { Core } from "./src/peer/core.ts";
import type { Peer, ServiceClass } from "./src/presets/everything.ts";
import { sayWhat } from "./src/presets/misuse.ts";
import {
  answerClose,
  HibernatingSocket,
  type WorkerSocket,
} from "./src/runtime/worker_socket.ts";
import type { Socket } from "./src/line/socket.ts";
import { startTimer } from "./src/line/timers.ts";
import { CloseCode } from "./src/wire/error.ts";
import type { Limits } from "./src/wire/limits.ts";
import type { Version } from "./src/wire/message.ts";

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
  Needs,
  ServicePeer,
  SettingsFor,
  WithoutSettings,
  WorkerSocket,
};

/**
 * The second argument of `authorize`, `fetch` and others: the Worker's bindings.
 */
export interface ConnectionInfo {
  /**
   * The bindings that the Worker's `fetch` was given; `undefined` in a Durable
   * Object, whose bindings are in its `env`. Import `env` of `cloudflare:workers`
   * to have them with their types.
   */
  readonly env: unknown;
}

/**
 * The settings of `upgrade` and `hibernate`: how connections are accepted.
 *
 * The heartbeat is off by default, because it would keep a Durable Object awake and
 * Cloudflare closes dead connections itself. The limit `pingAfter` switches it on.
 * There is no `idleTimeout` here.
 */
export interface UpgradeSettings<Context = unknown>
  extends Omit<AcceptSettings<Context, ConnectionInfo>, "idleTimeout"> {
  /**
   * Answers requests that are no WebSocket handshake: pages, health checks.
   * Default: 426 Upgrade Required. If it throws, the runtime answers, as for any
   * Worker's `fetch`.
   */
  fetch?: (
    this: void,
    request: Request,
    info: ConnectionInfo,
  ) => Response | Promise<Response>;
}

/**
 * The definition and settings of `upgrade` and `hibernate` in one object. In the
 * definition's functions `this` is the peer.
 */
export type UpgradeOptions<Theirs = unknown, Context = unknown> =
  & AcceptDefinition<Theirs, Context>
  & UpgradeSettings<Context>
  & ThisType<Peer<Theirs, Context>>;

/** The `fetch` of a Worker: takes its arguments as the runtime gives them. */
export type Handler = (
  request: Request,
  env?: unknown,
  ctx?: unknown,
) => Response | Promise<Response>;

/** The part of a Durable Object's `ctx` that is used. */
export interface ObjectState {
  /** Accepts a socket, and lets the object sleep while it is silent. */
  acceptWebSocket(ws: WorkerSocket, tags?: string[]): void;
  /** The sockets that were accepted with this tag. */
  getWebSockets(tag?: string): WorkerSocket[];
  /**
   * Sets a message, and the answer that the runtime gives without waking the
   * object.
   */
  setWebSocketAutoResponse(pair?: unknown): void;
}

/**
 * The handlers of a Durable Object; made by {@linkcode hibernate}. Each one needs
 * no `this`, and can be assigned to the object as it is.
 */
export interface Hibernation<Service extends ServicePeer = ServicePeer> {
  /**
   * The instances of all connections, from the handshake to the close, also of
   * connections from before the object slept.
   */
  readonly peers: ReadonlySet<Service>;
  /** Answers a request: makes an instance of the service, or refuses. */
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /**
   * Takes a message. Here and below, sockets that this module didn't accept are
   * ignored.
   */
  readonly webSocketMessage: (
    ws: WorkerSocket,
    message: string | ArrayBuffer,
  ) => void;
  /** Takes the end of a connection. */
  readonly webSocketClose: (
    ws: WorkerSocket,
    code: number,
    reason: string,
    wasClean: boolean,
  ) => void;
  /** Takes the failure of a connection, which is its end. */
  readonly webSocketError: (ws: WorkerSocket, error: unknown) => void;
}

/**
 * Makes the `fetch` of a Worker, which makes a new peer with this definition for
 * each connection.
 *
 * In a Worker, neither a peer nor a request can reach the socket of another
 * connection: that takes a Durable Object, see {@linkcode hibernate}.
 *
 * @param options A definition (what the other side may call) and
 * {@linkcode UpgradeSettings}.
 * @throws {TypeError} An option is of the wrong type, or is an origin or a host
 * that could never match.
 * @throws {RangeError} A limit or a time is negative or not a number.
 */
export function upgrade<Theirs = unknown, Context = unknown>(
  options: UpgradeOptions<Theirs, Context>,
): Handler;
/**
 * Makes the `fetch` of a Worker, which makes a new instance of a class for each
 * connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance)
 * without a context.
 */
export function upgrade<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context> & WithoutSettings<Context>,
): Handler;
/**
 * Makes the `fetch` of a Worker, which makes a new instance of a class for each
 * connection.
 *
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance).
 * @param settings How connections are accepted; `authorize` is required if the
 * class has a context.
 */
export function upgrade<Service extends ServicePeer, Context = unknown>(
  Service: ServiceClass<Service, Context>,
  settings: SettingsFor<Context, UpgradeSettings<Context>> & ClassSettings,
): Handler;
export function upgrade(
  service: ServiceClass<ServicePeer> | UpgradeOptions,
  settings: UpgradeSettings & ClassSettings = {},
): Handler {
  const options = optionsOf(service, settings);
  return createHandler(
    createAcceptor(service, settings),
    options,
    (admission, server) => {
      server.accept();
      const socket = server as unknown as Socket;
      socket.addEventListener("close", (event) => answerClose(server, event));
      admission.accept(socket);
    },
  );
}

/**
 * Makes the handlers of a Durable Object, which make a new peer with this
 * definition for each connection. Call it in the object's constructor.
 *
 * While nothing is under way, the runtime may put the object to sleep; its
 * connections stay open. When one of them sends a message, the object is
 * constructed again and makes a new peer for each connection:
 * {@linkcode Peer.onresume} is called instead of `onopen`. Only the
 * {@linkcode Peer.context} of a peer survives: a copy, made by `structuredClone`
 * when the context is set, of at most 16,384 bytes. Setting a context that can't be
 * kept throws a TypeError.
 *
 * The object stays awake while a call is under way in either direction, while a
 * stream or a reference that it gave is in use, and for 5 seconds more. Pings of
 * this library's clients are answered without waking it.
 *
 * @param ctx The object's state.
 * @param options A definition (what the other side may call) and
 * {@linkcode UpgradeSettings}.
 * @throws {TypeError} An option is of the wrong type, or is an origin or a host
 * that could never match.
 * @throws {RangeError} A limit or a time is negative or not a number.
 */
export function hibernate<Theirs = unknown, Context = unknown>(
  ctx: ObjectState,
  options: UpgradeOptions<Theirs, Context>,
): Hibernation<Peer<Theirs, Context>>;
/**
 * Makes the handlers of a Durable Object, which make a new instance of a class for
 * each connection.
 *
 * @param ctx The object's state.
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance)
 * without a context.
 */
export function hibernate<Service extends ServicePeer, Context = unknown>(
  ctx: ObjectState,
  Service: ServiceClass<Service, Context> & WithoutSettings<Context>,
): Hibernation<Service>;
/**
 * Makes the handlers of a Durable Object, which make a new instance of a class for
 * each connection.
 *
 * @param ctx The object's state.
 * @param Service A subclass of {@linkcode Peer} (the class, not an instance).
 * @param settings How connections are accepted; `authorize` is required if the
 * class has a context.
 */
export function hibernate<Service extends ServicePeer, Context = unknown>(
  ctx: ObjectState,
  Service: ServiceClass<Service, Context>,
  settings: SettingsFor<Context, UpgradeSettings<Context>> & ClassSettings,
): Hibernation<Service>;
export function hibernate(
  ctx: ObjectState,
  service: ServiceClass<ServicePeer> | UpgradeOptions,
  settings: UpgradeSettings & ClassSettings = {},
): Hibernation {
  if (typeof ctx?.acceptWebSocket !== "function") {
    throw new TypeError(
      `Cannot hibernate ${
        sayWhat(ctx)
      }: the state of the Durable Object goes first, hibernate(ctx, Service)`,
    );
  }
  const options = optionsOf(service, settings);
  const acceptor = createAcceptor(service, settings);
  const sleep = new Sleep(ctx, acceptor);
  return {
    peers: acceptor.peers,
    fetch: createHandler(
      acceptor,
      options,
      (admission, server) => sleep.accept(admission, server),
    ),
    webSocketMessage(ws, data) {
      sleep.tell(ws, { type: "message", data });
    },
    webSocketClose(ws, code, reason, wasClean) {
      sleep.tell(ws, { type: "close", code, reason, wasClean });
    },
    webSocketError(ws, error) {
      sleep.tell(ws, { type: "error", error });
      sleep.tell(ws, { type: "close", code: CloseCode.Abnormal });
    },
  };
}

function createAcceptor(
  service: ServiceClass<ServicePeer> | UpgradeOptions,
  settings: UpgradeSettings & ClassSettings,
): Acceptor<ConnectionInfo> {
  const { limits } = typeof service === "function" ? settings : service;
  const silent: Partial<Limits> = { pingAfter: limits?.pingAfter ?? Infinity };
  return new Acceptor(service as Service<ConnectionInfo>, settings, silent);
}

/** A handshake, read from a Worker's request. */
class WorkerHandshake implements Handshake<ConnectionInfo> {
  readonly request: Request;
  readonly info: ConnectionInfo;

  constructor(request: Request, info: ConnectionInfo) {
    this.request = request;
    this.info = info;
  }

  get(name: string): string | null {
    const { headers, url } = this.request;
    // A request that a Worker passes on to a Durable Object may lack `Host` and the
    // headers that the runtime has checked itself: those are filled in.
    return headers.get(name) ??
      (name === "host"
        ? new URL(url).host
        : headers.has("upgrade")
        ? usual[name] ?? null
        : null);
  }

  get isSecure(): boolean {
    return this.request.url.startsWith("https:");
  }
}

/** Headers that every handshake has. */
const usual: { readonly [name: string]: string } = {
  "connection": "Upgrade",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/** The runtime's globals for sockets. */
interface Runtime {
  readonly WebSocketPair: new () => {
    readonly 0: unknown;
    readonly 1: WorkerSocket;
  };
  readonly WebSocketRequestResponsePair: new (
    request: string,
    response: string,
  ) => unknown;
}

const runtime = globalThis as unknown as Runtime;

/**
 * Makes a handler; `take` gets each admission and the server's end of its socket.
 */
function createHandler(
  acceptor: Acceptor<ConnectionInfo>,
  { fetch = requireUpgrade }: UpgradeSettings,
  take: (admission: Admission, server: WorkerSocket) => void,
): Handler {
  const accept = (admission: Response | Admission): Response => {
    if (admission instanceof Response) return admission;
    try {
      const { 0: webSocket, 1: server } = new runtime.WebSocketPair();
      const { protocol } = admission;
      const headers: { [name: string]: string } = protocol === undefined
        ? {}
        : { "sec-websocket-protocol": protocol };
      const init: ResponseInit & { webSocket: unknown } = {
        status: 101,
        headers,
        webSocket,
      };
      const response = new Response(null, init);
      take(admission, server);
      return response;
    } catch (error) {
      admission.abandon();
      return acceptor.fail(error);
    }
  };
  return (request, env) => {
    const info = { env };
    const handshake = new WorkerHandshake(request, info);
    const asks = acceptor.asks(request.method, handshake);
    if (asks !== true) return asks || fetch(request, info);
    const admission = acceptor.admit(handshake);
    return admission instanceof Promise
      ? admission.then(accept)
      : accept(admission);
  };
}

/**
 * The state that is stored with each socket, and survives the sleep of the object.
 */
interface Kept {
  readonly context: unknown;
  readonly protocol: string;
  /** See {@linkcode Connection.spoken}. */
  readonly spoken: Version | undefined;
}

/**
 * The tag of the sockets that this module accepted, since an object may have
 * others.
 */
const tag = "jsonrpcws";

// Milliseconds: half of the time after which an object without a timer sleeps.
const span = 5_000;

/** One connection of an object. */
interface Member {
  readonly socket: HibernatingSocket;
  readonly core: Core;
  /** Stores the connection's state. */
  readonly keep: () => void;
  spoken: Version | undefined;
}

/** The connections of one Durable Object. */
class Sleep {
  readonly #ctx: ObjectState;
  readonly #acceptor: Acceptor<ConnectionInfo>;
  readonly #members = new Map<WorkerSocket, Member>();
  #isAwake = false;

  constructor(ctx: ObjectState, acceptor: Acceptor<ConnectionInfo>) {
    this.#ctx = ctx;
    this.#acceptor = acceptor;
    const { WebSocketRequestResponsePair } = runtime;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(ping, pong));
    for (const ws of ctx.getWebSockets(tag)) this.#resume(ws);
  }

  /** Makes the instance of a new connection. */
  accept(admission: Admission, ws: WorkerSocket): void {
    this.#ctx.acceptWebSocket(ws, [tag]);
    const { protocol = "" } = admission;
    this.#add(ws, protocol, (socket) => admission.accept(socket))?.keep();
  }

  /** Makes the instance of a connection from before the object slept. */
  #resume(ws: WorkerSocket): void {
    const { context, protocol, spoken } = ws.deserializeAttachment() as Kept;
    const member = this.#add(
      ws,
      protocol,
      (socket) => this.#acceptor.resume(socket, context, protocol),
    );
    if (member === undefined) return;
    member.spoken = spoken;
    member.core.connection.spoken = spoken;
  }

  #add(
    ws: WorkerSocket,
    protocol: string,
    make: (socket: HibernatingSocket) => ServicePeer | undefined,
  ): Member | undefined {
    // In a microtask, because the call that a frame answers counts as running until
    // the frame has been sent.
    const look = (): void => {
      const member = this.#members.get(ws);
      if (member !== undefined) this.#look(member);
    };
    const socket = new HibernatingSocket(ws, protocol, () => {
      if (!this.#isAwake) queueMicrotask(look);
    });
    const peer = make(socket);
    if (peer === undefined) return undefined;
    const core = coreOf(peer);
    const keep = keepContext(peer, (context) => {
      const kept: Kept = { context, protocol, spoken: core.connection.spoken };
      ws.serializeAttachment(kept);
    });
    const member: Member = { socket, core, keep, spoken: undefined };
    this.#members.set(ws, member);
    return member;
  }

  /** Gives an event of a socket to its peer. */
  tell(
    ws: WorkerSocket,
    event: Parameters<HibernatingSocket["receive"]>[0],
  ): void {
    const member = this.#members.get(ws);
    if (member === undefined) return;
    member.socket.receive(event);
    if (event.type === "close") {
      this.#members.delete(ws);
      return;
    }
    const { spoken } = member.core.connection;
    if (spoken !== member.spoken && spoken !== "2.0") {
      member.spoken = spoken;
      member.keep();
    }
    this.#look(member);
  }

  /** Keeps the object awake while a connection has something under way. */
  #look({ core }: Member): void {
    if (!this.#isAwake && isBusy(core)) this.#stay();
  }

  #stay(): void {
    this.#isAwake = true;
    startTimer(span, () => {
      this.#isAwake = false;
      for (const { core } of this.#members.values()) {
        if (isBusy(core)) return this.#stay();
      }
    });
  }
}

/** Whether something is under way that sleep would lose. */
function isBusy(core: Core): boolean {
  const { connection, opening, pending, state } = core;
  return state !== "closed" &&
    (pending.size > 0 || opening !== undefined ||
      (connection.running?.size ?? 0) > 0 ||
      connection.values?.isLending === true);
}

/**
 * Stores the context of a peer whenever it is set; returns a function that stores
 * the present one.
 */
function keepContext(
  peer: ServicePeer,
  keep: (context: unknown) => void,
): () => void {
  let { context } = peer;
  const set = (value: unknown): void => {
    try {
      keep(value);
    } catch (cause) {
      throw new TypeError(
        "Cannot keep context: it must be what structuredClone takes, of 16,384 bytes at most",
        { cause },
      );
    }
    context = value;
  };
  Object.defineProperty(peer, "context", {
    configurable: true,
    enumerable: true,
    get: () => context,
    set,
  });
  return () => set(context);
}
