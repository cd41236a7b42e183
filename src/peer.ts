/**
 * One connection, seen from one of its two equal ends: the requests that wait
 * for a response, dispatch, and closing.
 *
 * @see {@link https://www.jsonrpc.org/specification}
 *
 * @module
 */

import { Backlog, type Sender } from "./backlog.ts";
import type { Call, CallOptions } from "./call.ts";
import {
  abnormal,
  closeSocket,
  cutReason,
  ignoreError,
  isSendable,
  readCloseEvent,
} from "./close.ts";
import type {
  MethodName,
  MethodOf,
  OtherName,
  ParamsFor,
  Remote,
  ResultOf,
} from "./contract.ts";
import { Deadlines, type Sweeper } from "./deadline.ts";
import { Deferred } from "./deferred.ts";
import {
  CloseCode,
  type CloseInfo,
  ConnectionClosedError,
  ErrorCode,
  RpcError,
} from "./error.ts";
import {
  type Asked,
  Capabilities,
  type Extension,
  type Lender,
  type Link,
  releaseAll,
  withWriting,
  type Writing,
} from "./extension.ts";
import { frameLimit, SharedFrames, sharedFrames } from "./frame.ts";
import { Heartbeat, type Patient } from "./heartbeat.ts";
import {
  type Host,
  Incoming,
  type IncomingBatch,
  isThenable,
} from "./incoming.ts";
import { completeLimits, type Limits } from "./limits.ts";
import {
  type Id,
  type Invalid,
  type Message,
  type Notification,
  type Params,
  readError,
  readFrame,
  readParam,
  readSharedFrame,
  type Request,
  type Response,
  type Version,
  writeNotification,
  writeParams,
  writeRequest,
} from "./message.ts";
import { type Method, Methods } from "./method.ts";
import type { Definition, PeerOptions } from "./options.ts";
import {
  type Member,
  type OutgoingBatch,
  type Pending,
  PendingTable,
} from "./pending.ts";
import { type Entry, isWanted, Queue } from "./queue.ts";
import { Bucket, Recent } from "./rate.ts";
import { createRemote } from "./remote.ts";
import {
  ReadyState,
  type RenewableSocket,
  type Socket,
  type SocketEvent,
} from "./socket.ts";
import { type Trace, writeTrace } from "./trace.ts";

/** A {@linkcode Definition}, no class, in whose functions `this` is the peer. */
export type ServiceDefinition<Theirs = unknown, Context = unknown> =
  & Definition
  & { prototype?: never }
  & ThisType<Peer<Theirs, Context>>;

/** A class whose instances are peers: the service of one connection each. */
export type ServiceClass<Service, Context = unknown> = new (
  ws: Socket,
  options: PeerOptions<Context>,
) => Service;

/** Who listens to a notification of the peer's. */
export interface Observer {
  /** Takes the params of one. */
  next(params: Params | undefined): void;
  /** The connection closed: no more will come. */
  end(error: ConnectionClosedError): void;
}

/** A peer, whatever its other side and its context are. */
export type AnyPeer = Pick<
  Peer,
  "close" | "closed" | "opened" | "state" | "ws"
>;

/** Where a connection is in its life; see {@linkcode Peer.state}. */
export type ConnectionState = "connecting" | "open" | "closed";

/** This side of one connection. */
interface Side extends Link, Host, Sender, Patient, Sweeper {
  /** Lets nothing more be asked for. */
  end(error: Error): void;
}

// Set by the class, so that #observe stays its own.
let observeIn: (peer: Peer, method: string, observer: Observer) => () => void;

/**
 * Listens to a notification of the peer's; returns how to stop. For modules of
 * this package: who uses it has `local`.
 */
export function observe(
  peer: AnyPeer,
  method: string,
  observer: Observer,
): () => void {
  return observeIn(peer as Peer, method, observer);
}

// Set by the class, so that #notify stays its own.
let notifyIn: typeof notifyWritten;

/**
 * Sends a notification that may have been written for another peer already, and
 * keeps what is written for the next.
 */
export function notifyWritten(
  peer: Pick<Peer, "version">,
  method: string,
  params: Params | undefined,
  written: Map<Version, string>,
): boolean {
  return notifyIn(peer, method, params, written);
}

/** Who keeps a peer until it is gone. */
export interface Keeper {
  /** Lets go of it: its socket is gone, or it has waited long enough for that. */
  release(peer: object): void;
}

// Set by the class, so that its field stays its own.
let keepIn: typeof keep;

/**
 * Keeps a peer until it is gone: what {@linkcode Peer.closed} tells, for servers,
 * which have thousands and no need of as many promises.
 */
export function keep(keeper: Keeper, peer: Pick<Peer, "closed">): void {
  keepIn(keeper, peer);
}

// One listener serves every event: a closure less, three times a connection.
const eventTypes = ["open", "message", "error", "close"] as const;

const enumeratorNext = "$/enumerator/next";

const defaultTimeout = 60_000;

// How long a peer may take to answer a close frame.
const closeTimeout = 5_000;

// What a peer says that could not read a message. With any other code it could:
// some answer notifications that they don't know, and such an answer is not about
// a call.
const unreadable: readonly number[] = [
  0,
  ErrorCode.ParseError,
  ErrorCode.InvalidRequest,
  ErrorCode.RequestTooLarge,
  ErrorCode.BatchTooLarge,
];

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * One end of a JSON-RPC connection: it calls the other end's methods and lets
 * the other end call its own.
 *
 * Subclass it to make a service, of which {@linkcode Peer.local} is what the
 * other side may call; or construct it over a socket with a definition.
 *
 * ```ts
 * import { Peer } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 *
 * class Calculator extends Peer {
 *   override local = { add: (a: number, b: number) => a + b };
 * }
 * await using server = new Calculator(left);
 * await using client = new Peer<Calculator["local"]>(right);
 *
 * assertEquals(await client.remote.add(1, 2), 3);
 * ```
 *
 * @typeParam Theirs The type of the other side's `local`.
 * @typeParam Context The type of {@linkcode Peer.context}.
 * @see {@link https://www.jsonrpc.org/specification}
 */
export class Peer<Theirs = unknown, Context = unknown> {
  /**
   * What the other side may call: the own functions of this object, and those
   * of plain objects in it by dotted names (`math.add`). Nothing inherited, no
   * getter, nothing else is reachable.
   *
   * A method's return value or what its promise resolves to is the result,
   * `undefined` is written as null. A thrown {@linkcode RpcError} reaches the
   * caller; anything else reaches {@linkcode Peer.onerror} and the caller only
   * as "Internal error". Params by position are the arguments; params by name
   * are one argument, the object.
   *
   * The class's methods are called on the object they stand in, a definition's
   * on the peer. Names starting with `rpc.` or `$/` can't be defined here.
   */
  local: object = {};

  /**
   * What `authorize` or whoever made this peer knows of the connection: whose it
   * is. Its owner may set it, when somebody signs in by a call, or again with
   * other rights; the next call finds the new one. Replace it rather than change
   * what is in it: a method that runs may have read it.
   */
  context: Context;

  readonly #limits: Limits;
  readonly #definedLocal: object | undefined;
  readonly #discover: ((local: object) => unknown) | undefined;
  readonly #trace: Trace | undefined;
  readonly #stringErrors: boolean;
  readonly #timeout: number;
  #lazyDeadlines: Deadlines | undefined;
  readonly #listener = (event: SocketEvent): void => this.#handle(event);
  readonly #use: readonly Extension[];
  /** The version that this side was told to speak. */
  readonly #toldVersion: Version | undefined;
  #version: Version | undefined;
  readonly #ws: Socket & Partial<RenewableSocket>;
  #remote: Remote<Theirs> | undefined;
  #methods: Methods | undefined;
  // Of this connection, and not of the next:
  #side!: Side;
  #incoming!: Incoming;
  #observers: Map<string, Set<Observer>> | undefined;
  /** None, unless asked for: then plain calls pay for a look at it. */
  #capabilities: Capabilities | undefined;
  #pending = new PendingTable();
  #batch: OutgoingBatch | undefined;
  /** What waits for the handshake. */
  readonly #queue: Queue;
  /** None, if the peer may send as often as it likes. */
  readonly #rate: Bucket | undefined;
  #invalid: Recent | undefined;
  readonly #backlog: Backlog;
  readonly #heartbeat: Heartbeat;
  /** The id of the last ping, until it is answered. */
  #ping: number | undefined;
  #hasOpened = false;
  readonly #mayShare: boolean;
  /** Where messages that share frames leave; `undefined`: each has its own. */
  #shared: SharedFrames | undefined;
  #socketError: unknown;
  #end: CloseInfo | undefined;
  #gone = false;
  #opened: Deferred<void> | undefined;
  #closed: Deferred<CloseInfo> | undefined;
  #keeper: Keeper | undefined;
  #unmatched = 0;
  /**
   * The id that followed the last notification, until a later request has been
   * answered: some peers answer notifications with an error, and no call is to
   * blame for it. 0: none.
   */
  #suspect = 0;

  /**
   * This side of one connection, as the rooms below see it. A class rather than
   * an object of closures: a server has thousands.
   */
  static readonly #Side: new (peer: Peer) => Side = class implements Side {
    readonly limits: Limits;
    readonly #peer: Peer;
    /** Why nothing can be asked for any more. */
    #error: Error | undefined;
    /** Rejects once it is known why. */
    #ending: Deferred<never> | undefined;

    constructor(peer: Peer) {
      this.limits = peer.#limits;
      this.#peer = peer;
    }

    get deadlines(): Deadlines {
      return this.#peer.#deadlines;
    }

    get stringErrors(): boolean {
      return this.#peer.#stringErrors;
    }

    get trace(): Trace | undefined {
      return this.#peer.#trace;
    }

    // What one connection carries knows nothing of the next one's tokens.
    request(
      method: string,
      params?: Params,
      options?: CallOptions,
    ): Promise<unknown> {
      if (this.#error !== undefined) return Promise.reject(this.#error);
      if (!this.#peer.#isLosing) {
        return this.#peer.request(method, params, options);
      }
      return (this.#ending ??= new Deferred<never>()).promise;
    }

    notify(method: string, params: Params): boolean {
      return this.#error === undefined && this.#peer.#tell(method, params);
    }

    version(): Version {
      return this.#peer.version;
    }

    send(text: string): boolean {
      return this.#peer.#send(text);
    }

    report(error: unknown): void {
      // A connection that is closing is told of by its close.
      const isClosing = this.#peer.#ws.readyState !== ReadyState.Open;
      if (isClosing && error instanceof ConnectionClosedError) return;
      this.#peer.#report(error);
    }

    find(name: string): Method | undefined {
      return this.#peer.#findMethod(name);
    }

    control(call: Request | Notification, asked: Asked): unknown {
      return this.#peer.#control(call, asked);
    }

    within<T>(call: Lender | undefined, run: () => T): T {
      return this.#peer.#incoming.within(call, run);
    }

    bufferedAmount(): number {
      return this.#peer.#ws.bufferedAmount;
    }

    queued(): number {
      return this.#peer.#queue.size;
    }

    ping(): boolean {
      return this.#peer.#sendPing();
    }

    sweep(now: number): number {
      return this.#peer.#sweep(now);
    }

    close(code: number, reason: string): void {
      this.#peer.#cut(code, reason);
    }

    end(error: Error): void {
      this.#error = error;
      this.#ending?.reject(error);
    }
  };

  static {
    keepIn = (keeper, peer): void => {
      if (#keeper in peer && !(peer as Peer).#gone) {
        (peer as Peer).#keeper = keeper;
      } else peer.closed.then(() => keeper.release(peer));
    };
    notifyIn = (anyPeer, method, params, written): boolean => {
      const peer = anyPeer as Peer;
      let text = written.get(peer.version);
      if (text === undefined) {
        text = peer.#writeNotification(method, params);
        written.set(peer.version, text);
      }
      return peer.#notify(method, text);
    };
    observeIn = (peer, method, observer): () => void =>
      peer.#observe(method, observer);
  }

  /**
   * Speaks JSON-RPC over a socket.
   *
   * @param ws Any object with the WebSocket interface, connecting or open. From
   * here on its messages are this peer's.
   * @param options A definition and settings.
   * @throws {RangeError} A limit is not a whole number of 0 or more, or the
   * time-out is no number of 0 or more.
   */
  constructor(ws: Socket, options: PeerOptions<Context> = {}) {
    this.#limits = completeLimits(options.limits);
    this.#timeout = readTimeout(options.timeout ?? defaultTimeout);
    this.#toldVersion = options.version;
    this.#discover = options.discover;
    this.#trace = options.trace;
    this.#mayShare = options.sharedFrames ?? false;
    this.context = options.context as Context;
    this.#use = options.use ?? [];
    const { messageRate, messageBurst } = this.#limits;
    if (messageRate !== Infinity) {
      this.#rate = new Bucket(messageRate, messageBurst);
    }
    this.#stringErrors = options.stringErrors ?? false;
    this.#queue = new Queue(this.#limits);
    this.#begin();
    this.#backlog = new Backlog(this.#side);
    this.#heartbeat = new Heartbeat(this.#side, this.#backlog);
    this.#definedLocal = options.local;
    if (options.local !== undefined) this.local = options.local;
    if (options.onopen !== undefined) this.onopen = options.onopen;
    if (options.onclose !== undefined) this.onclose = options.onclose;
    if (options.onerror !== undefined) this.onerror = options.onerror;
    if (options.oninvalid !== undefined) this.oninvalid = options.oninvalid;
    this.#ws = ws;
    this.#attach(ws);
  }

  /** The socket. */
  get ws(): Socket {
    return this.#ws;
  }

  /**
   * `"connecting"` until the handshake is done, and again while a lost connection
   * is replaced; `"open"`; `"closed"` for good. {@linkcode Peer.onopen} and
   * {@linkcode Peer.onclose} are called when it changes.
   */
  get state(): ConnectionState {
    if (this.#end !== undefined) return "closed";
    return this.#hasOpened ? "open" : "connecting";
  }

  /** The version of what this side sends of itself. */
  get version(): Version {
    return this.#version ?? "2.0";
  }

  /**
   * The other side's methods, to be called as if they were here. `add` of
   * `remote.math.add(1, 2)` is called by the name "math.add", with params by
   * position; trailing `undefined` are left out.
   *
   * The promise rejects as that of {@linkcode Peer.request} does.
   */
  get remote(): Remote<Theirs> {
    return this.#remote ??= this.#createRemote(undefined);
  }

  /**
   * The other side's methods, like {@linkcode Peer.remote}, each called with
   * these options.
   *
   * ```ts
   * import { Peer } from "@jsonrpcws/peer";
   * import { socketPair } from "@jsonrpcws/peer/testing";
   * import { assertRejects } from "@std/assert";
   *
   * const [left, right] = socketPair();
   * const local = { wait: () => new Promise<void>(() => {}) };
   * await using server = new Peer(left, { local });
   * await using client = new Peer<typeof local>(right);
   *
   * const patient = client.with({ timeout: 10 });
   * await assertRejects(() => patient.wait(), DOMException, "within 10 ms");
   * ```
   */
  with(options: CallOptions): Remote<Theirs> {
    return this.#createRemote(options);
  }

  /**
   * The call that is being handled. To be read before the method's first
   * `await`, since calls overlap.
   *
   * @throws {TypeError} No method is running.
   */
  get call(): Call {
    const { current } = this.#incoming;
    if (current === undefined) {
      throw new TypeError(
        "Cannot read call: no method is running, read it before the first await",
      );
    }
    return current;
  }

  /**
   * Resolves when the handshake is done and {@linkcode Peer.onopen} was called.
   * While a lost connection is replaced, it is the promise of the next one.
   *
   * @throws {ConnectionClosedError} It closed before it opened.
   */
  get opened(): Promise<void> {
    if (this.#opened === undefined) {
      this.#opened = new Deferred();
      if (this.#hasOpened) this.#opened.resolve();
      else if (this.#end !== undefined) {
        this.#opened.reject(this.#closedError("Cannot open", false));
      }
      // Whoever awaits it is told; a look at it must not end the process.
      this.#opened.promise.catch(() => {});
    }
    return this.#opened.promise;
  }

  /**
   * Resolves when the connection is closed for good and the socket is gone, or 5
   * seconds after {@linkcode Peer.close} if the peer doesn't answer it. Never
   * rejects.
   */
  get closed(): Promise<CloseInfo> {
    if (this.#closed === undefined) {
      this.#closed = new Deferred();
      if (this.#gone) this.#closed.resolve(this.#end!);
    }
    return this.#closed.promise;
  }

  /**
   * How many responses arrived that no request was waiting for. They are
   * ignored.
   */
  get unmatched(): number {
    return this.#unmatched;
  }

  /**
   * Called when the connection is open, each time if lost ones are replaced;
   * before any message of the peer is handled and before calls that waited for
   * the handshake are sent.
   */
  onopen(): void | Promise<void> {}

  /**
   * Called exactly once when the connection ends for good, however it ends, even
   * if it never opened. Every call has been rejected by then, and nothing of
   * this peer acts afterwards.
   *
   * Where lost connections are replaced, called for each of them, too, with
   * `retryIn`; the calls that wait for the next one go on waiting.
   */
  onclose(_event: CloseInfo): void | Promise<void> {}

  /**
   * Called with what a method or hook of this side threw and should not have,
   * and with errors that the peer reports without saying to which call. Default:
   * `console.error`.
   */
  onerror(error: unknown): void | Promise<void> {
    console.error(error);
  }

  /**
   * Called with a frame that is no JSON-RPC, some servers send such things
   * beside it. Return `true` to have dealt with it; otherwise it is answered as
   * the specification says, unless it is empty.
   *
   * @param _text The frame.
   * @param _error What the answer would be.
   */
  oninvalid(_text: string, _error: RpcError): boolean | void {}

  /**
   * Sends a request and waits for its response.
   *
   * ```ts
   * import { Peer } from "@jsonrpcws/peer";
   * import { socketPair } from "@jsonrpcws/peer/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const [left, right] = socketPair();
   * await using server = new Peer(left, {
   *   local: {
   *     subtract: (it: { minuend: number; subtrahend: number }) =>
   *       it.minuend - it.subtrahend,
   *   },
   * });
   * await using client = new Peer(right);
   *
   * const params = { minuend: 42, subtrahend: 23 };
   * assertEquals(await client.request<number>("subtract", params), 19);
   * ```
   *
   * @param method Name of the remote method.
   * @param params By position (array) or by name (object); absent if `undefined`.
   * @param options A signal, a time-out, a listener to its progress.
   * @returns The response's `result`; `undefined` if the response had none.
   * @throws {RpcError} The peer answered with an error.
   * @throws {ConnectionClosedError} The connection closed first; `sent` says
   * whether the method may have run.
   * @throws {DOMException} `TimeoutError`: no response came in time. Or, where
   * `options.signal` aborted, whatever its reason is. Both cancel the call.
   * @throws {TypeError} The params can't be written as JSON; nothing was sent.
   * @throws {RangeError} A limit is reached; nothing was sent.
   * @see {@link https://www.jsonrpc.org/specification#request_object}
   */
  request<Method extends MethodName<Theirs>>(
    method: Method,
    ...rest: ParamsFor<MethodOf<Theirs, Method>, [options?: CallOptions]>
  ): Promise<ResultOf<MethodOf<Theirs, Method>>>;
  /**
   * Sends a request by a name that the type of the other side doesn't know, or
   * with a result that only the caller knows.
   *
   * @typeParam Result What the caller expects; not checked.
   */
  request<Result = unknown, Method extends string = string>(
    method: OtherName<Method, Theirs>,
    params?: Params,
    options?: CallOptions,
  ): Promise<Result>;
  request<Result>(
    method: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<Result> {
    const batch = this.#batch;
    const promise = new Promise<Result>((resolve, reject) => {
      const what = "Cannot send request";
      if (this.#end !== undefined) throw this.#closedError(what, false, method);
      // A stream's next values wait for nobody, or a call that reads it would.
      if (
        this.#pending.size >= this.#limits.outgoing && method !== enumeratorNext
      ) {
        throw new RangeError(
          `${what} "${method}": ${this.#pending.size} of at most ${this.#limits.outgoing} are pending`,
        );
      }
      const signal = options?.signal;
      signal?.throwIfAborted();
      const timeout = options?.timeout === undefined
        ? this.#timeout
        : readTimeout(options.timeout);
      const id = this.#pending.takeId();
      const writing = this.#capabilities?.startParams(params);
      let text: string;
      try {
        text = this.#traced(writeRequest(
          this.version,
          id,
          method,
          this.#writeParams(what, method, params, writing),
        ));
        this.#checkLength(what, method, text);
      } catch (error) {
        releaseAll(writing);
        throw error;
      }
      const lends = writing !== undefined && writing.releases.length > 0;
      const pending: Pending = {
        id,
        method,
        timeout,
        resolve: resolve as (result: unknown) => void,
        reject,
        batch,
        deadline: this.#deadlines.after(timeout),
        onprogress: options?.onprogress,
        idempotent: options?.idempotent ?? false,
        again: options?.idempotent && !lends ? text : undefined,
        lends,
        sent: false,
        wasSent: false,
        settled: false,
        release: undefined,
      };
      const abort = signal && ((): void => this.#cancel(id, signal.reason));
      if (abort !== undefined) signal?.addEventListener("abort", abort);
      if (abort !== undefined || lends) {
        pending.release = (succeeded): void => {
          if (abort !== undefined) signal?.removeEventListener("abort", abort);
          releaseAll(writing, succeeded);
        };
      }
      // Known before it is sent: a socket may answer from within send().
      this.#pending.add(pending);
      if (batch !== undefined) {
        batch.pending.add(pending);
        batch.members.push({ text, pending });
        return;
      }
      try {
        if (!this.#hasOpened) this.#enqueue(what, method, { text, pending });
        else if (this.#ws.readyState === ReadyState.Open) {
          pending.sent = true;
          if (this.#shared !== undefined) this.#shared.push(text);
          else {
            this.#ws.send(text);
            this.#backlog.add(text.length);
          }
        } else if (this.#isLosing) {
          this.#enqueue(what, method, { text, pending });
        } else throw this.#closedError(what, false, method);
      } catch (error) {
        this.#pending.take(id);
        throw error;
      }
    });
    batch?.promises.push(promise);
    return promise;
  }

  /**
   * Sends a notification: a call without a response. Nothing tells how fast the
   * peer reads them; to send many, await {@linkcode Peer.drained} between them.
   *
   * @param method Name of the remote method.
   * @param params By position (array) or by name (object); absent if `undefined`.
   * @returns Whether it was taken: handed to the socket, or left to wait for the
   * handshake; `false` once the connection is closing or closed, or if too many
   * messages wait.
   * @throws {TypeError} The params can't be written as JSON.
   * @throws {RangeError} The message is too long.
   * @see {@link https://www.jsonrpc.org/specification#notification}
   */
  notify<Method extends MethodName<Theirs>>(
    method: Method,
    ...params: ParamsFor<MethodOf<Theirs, Method>>
  ): boolean;
  /**
   * Sends a notification by a name that the type of the other side doesn't know.
   */
  notify<Method extends string>(
    method: OtherName<Method, Theirs>,
    params?: Params,
  ): boolean;
  notify(method: string, params?: Params): boolean {
    return this.#notify(method, this.#writeNotification(method, params));
  }

  #writeNotification(method: string, params: Params | undefined): string {
    const what = "Cannot send notification";
    const writing = this.#capabilities?.startParams(params);
    let text: string;
    try {
      text = writeNotification(
        this.version,
        method,
        this.#writeParams(what, method, params, writing),
      );
    } finally {
      releaseAll(writing);
    }
    if (writing !== undefined && writing.releases.length > 0) {
      throw new TypeError(
        `${what} "${method}": without a response nobody could tell when a stream or a function is no longer needed, send a request`,
      );
    }
    return text;
  }

  #notify(method: string, text: string): boolean {
    text = this.#traced(text);
    this.#checkLength("Cannot send notification", method, text);
    if (this.#end !== undefined) return false;
    if (this.#batch !== undefined) {
      this.#batch.members.push({ text, pending: undefined });
      return true;
    }
    this.#suspect = this.#pending.nextId;
    if (this.#hasOpened) {
      if (this.#send(text)) return true;
      if (!this.#isLosing) return false;
    }
    return this.#queue.add([{ text, pending: undefined }]);
  }

  /**
   * Resolves when the socket has sent nearly everything: when no more than 65,536
   * bytes wait, in the same turn if that is so already. What waits for the
   * handshake has not been sent.
   *
   * A peer that is sent more than it reads is closed in the end, see `buffered`
   * of the limits. So whoever sends as fast as can be waits here:
   *
   * ```ts
   * import { Peer } from "@jsonrpcws/peer";
   * import { socketPair } from "@jsonrpcws/peer/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const [left, right] = socketPair();
   * const received: number[] = [];
   * const local = { tick: (n: number) => void received.push(n) };
   * await using reader = new Peer(left, { local });
   * await using writer = new Peer<typeof local>(right);
   *
   * for (let n = 0; n < 10_000; n++) {
   *   await writer.drained();
   *   // Not taken: the connection is closed.
   *   if (!writer.notify("tick", [n])) break;
   * }
   * await writer.request("rpc.ping"); // Answered after all of them.
   * assertEquals(received.length, 10_000);
   * ```
   *
   * @throws {ConnectionClosedError} The connection closed first.
   * @see {@link https://websockets.spec.whatwg.org/#dom-websocket-bufferedamount}
   */
  drained(): Promise<void> {
    return this.#end === undefined ? this.#backlog.drained() : Promise.reject(
      this.#closedError("Cannot drain", this.#hasOpened),
    );
  }

  /**
   * Sends several requests and notifications as one frame, a batch: those that
   * `collect` makes, before its first `await`, on this peer. Each request has
   * its own promise. In versions 1.0 and bare, which have no batches, each is its
   * own frame.
   *
   * ```ts
   * import { Peer } from "@jsonrpcws/peer";
   * import { socketPair } from "@jsonrpcws/peer/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const [left, right] = socketPair();
   * const local = { add: (a: number, b: number) => a + b };
   * await using server = new Peer(left, { local });
   * await using client = new Peer<typeof local>(right);
   *
   * const sums = client.batch(() => [
   *   client.remote.add(1, 2),
   *   client.remote.add(3, 4),
   * ]);
   * assertEquals(await Promise.all(sums), [3, 7]);
   * ```
   *
   * @param collect Makes the calls. If it throws, none of them is sent.
   * @returns What `collect` returned.
   * @throws {RangeError} The batch has too many members or is too long; nothing
   * was sent.
   * @see {@link https://www.jsonrpc.org/specification#batch}
   */
  batch<T>(collect: () => T): T {
    if (this.#batch !== undefined) return collect();
    const batch: OutgoingBatch = {
      members: [],
      pending: new Set(),
      promises: [],
    };
    this.#batch = batch;
    try {
      const result = collect();
      this.#batch = undefined;
      this.#sendBatch(batch);
      return result;
    } catch (error) {
      this.#batch = undefined;
      this.#rejectBatch(batch, error);
      // The caller is told by the throw, and may never have seen the promises.
      for (const promise of batch.promises) promise.catch(() => {});
      throw error;
    }
  }

  /**
   * Answers a request before its method returns; the return value is then
   * ignored. To answer after the method's first `await`, keep the id; not beyond
   * the connection that it came by, since the next one has ids of its own.
   *
   * @param id The request's id, as {@linkcode Peer.call} gives it. A request with
   * id null can be answered so before its method's first `await` alone.
   * @param result The result, if there is no error.
   * @param error What the method would have thrown; `undefined` or null: none.
   * @returns `false` if no request of that id is waiting: it was answered, or
   * the connection is closed.
   * @see {@link https://www.jsonrpc.org/specification#response_object}
   */
  respond(id: Id, result: unknown, error?: unknown): boolean {
    return this.#incoming.respond(id, result, error);
  }

  /**
   * Closes the connection for good. At once: calls that wait are rejected,
   * running methods' results are dropped, {@linkcode Peer.onclose} is called. A
   * second close does nothing.
   *
   * @param code 1000 (the default) or 3000 to 4999; where the socket allows it,
   * as a server's does, also 1001 to 1014.
   * @param reason At most 123 bytes of UTF-8; what is more is cut off.
   * @throws {RangeError} The code can't be sent.
   * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-7.1.2}
   */
  close(code: number = CloseCode.Normal, reason = ""): void {
    if (!isSendable(code)) {
      throw new RangeError(
        `Cannot close with code ${code}: use 1000 or 3000 to 4999`,
      );
    }
    if (this.#end !== undefined) return;
    this.#finish({ code, reason: cutReason(reason), wasClean: true }, true);
  }

  /**
   * The names of the methods that run for the other side: of requests that are
   * not answered, and of notifications. One for each call.
   */
  get running(): string[] {
    return this.#incoming.names;
  }

  /**
   * Lets no more methods begin, before a {@linkcode Peer.close}: requests are
   * refused with -32009, not executed. Everything else goes on: running methods,
   * what they ask and are answered, functions and objects lent to the peer,
   * streams; and notifications, which nobody could refuse.
   *
   * @returns Resolves when every running method has answered, or the connection
   * is closed. A method must not await it: it would await itself.
   */
  finish(): Promise<void> {
    return this.#incoming.finish();
  }

  /** Closes the connection and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }

  /** This peer, to be called by any name. */
  get #untyped(): Peer {
    return this as unknown as Peer;
  }

  #createRemote(options: CallOptions | undefined): Remote<Theirs> {
    return createRemote((method, params) => {
      const promise = this.#untyped.request(method, params, options);
      this.#capabilities?.decorate(promise, options);
      return promise;
    }) as Remote<Theirs>;
  }

  // The life of the socket.

  #attach(ws: Socket): void {
    ws.binaryType = "arraybuffer";
    for (const type of eventTypes) ws.addEventListener(type, this.#listener);
    // The fields of a subclass are not there yet.
    if (ws.readyState !== ReadyState.Connecting) {
      queueMicrotask(() => {
        if (ws.readyState === ReadyState.Open) this.#open();
        else this.#finish(abnormal, false);
      });
    }
  }

  #detach(ws: Socket): void {
    for (const type of eventTypes) ws.removeEventListener(type, this.#listener);
  }

  /** A throw from a listener would end the process, so none leaves here. */
  #handle(event: SocketEvent): void {
    try {
      switch (event.type) {
        case "message":
          this.#receive(event.data);
          break;
        case "open":
          this.#open();
          break;
        case "error":
          this.#socketError = event.error ?? event.message;
          break;
        case "close":
          this.#lose(readCloseEvent(event));
          break;
      }
    } catch (error) {
      this.#report(error);
    }
  }

  /** Makes what lives as long as one connection. */
  #begin(): void {
    this.#version = this.#toldVersion;
    this.#suspect = 0;
    this.#ping = undefined;
    const side = this.#side = new Peer.#Side(this as Peer);
    this.#capabilities = this.#use.length === 0
      ? undefined
      : new Capabilities(this.#use, side);
    this.#incoming = new Incoming(side, this.#capabilities);
  }

  /** Whether the socket is about to say that its connection is lost. */
  get #isLosing(): boolean {
    return this.#hasOpened && this.#ws.renew !== undefined &&
      this.#ws.readyState !== ReadyState.Open;
  }

  #open(): void {
    if (this.#hasOpened || this.#end !== undefined) return;
    this.#hasOpened = true;
    this.#socketError = undefined;
    const ws = this.#ws;
    const opened = this.#opened;
    // A client's socket says whether the server wants to.
    if (
      this.#mayShare && (ws.renew === undefined || ws.protocol === sharedFrames)
    ) {
      this.#shared = new SharedFrames(
        (frame) => this.#sendFrame(frame),
        ws.frameLength,
      );
    }
    this.#heartbeat.start();
    this.#runHook(() => this.onopen());
    // The hook, or what is sent, may end it, for now or for good.
    while (this.#isOpen && !this.#isLosing) {
      const entry = this.#queue.takeFirst();
      if (entry === undefined) break;
      if ("members" in entry) this.#sendMembers(entry);
      else this.#sendMember(entry);
    }
    opened?.resolve();
  }

  /** Made with the first call. */
  get #deadlines(): Deadlines {
    return this.#lazyDeadlines ??= new Deadlines(
      Math.min(this.#timeout, this.#limits.handlerTimeout, defaultTimeout),
      this.#side,
    );
  }

  get #isOpen(): boolean {
    return this.state === "open";
  }

  /** The connection is gone: for good, unless the socket says otherwise. */
  #lose(info: CloseInfo): void {
    if (info.retryIn === undefined) return this.#finish(info, false);
    // An attempt that failed changes nothing for those who wait.
    if (!this.#hasOpened) return;
    this.#hasOpened = false;
    this.#opened = undefined;
    this.#shared?.discard();
    this.#shared = undefined;
    // Whoever hears of the end may ask for something already: of the next one.
    const end = this.#takeConnection(info);
    this.#begin();
    const again: Member[] = [];
    for (const pending of this.#pending.all()) {
      // What it lends is lost with the connection, sent or not.
      if (!pending.sent && !pending.lends) continue;
      if (pending.again === undefined) this.#abandon(pending, info);
      else {
        pending.sent = false;
        pending.wasSent = true;
        again.push({ text: pending.again, pending });
      }
    }
    this.#queue.addFirst(again);
    end();
    // Who was told to stop may have closed it.
    if (this.#end !== undefined) return;
    this.#runHook(() => this.onclose(info));
  }

  /** Ends a connection that can't go on; a socket that can opens another one. */
  #cut(code: number, reason: string): void {
    // It may itself be what is too much.
    this.#shared?.flush();
    if (!this.#isOpen) return;
    const info = { code, reason: cutReason(reason), wasClean: true };
    const retryIn = this.#ws.renew?.(info);
    if (retryIn === undefined) this.#finish(info, true);
    else this.#lose({ ...info, retryIn });
  }

  /** The end, once, however many events the socket still has to tell. */
  #finish(info: CloseInfo, closeSocket: boolean): void {
    if (this.#end !== undefined) return;
    this.#end = info;
    const ws = this.#ws;
    this.#detach(ws);
    if (closeSocket) {
      this.#shared?.flush();
      this.#closeSocket(ws, info);
    } else this.#shared?.discard();

    this.#lazyDeadlines?.clear();
    this.#queue.take();
    this.#backlog.end(() => this.#closedError("Cannot drain", this.#hasOpened));
    const end = this.#takeConnection(info);
    for (const pending of this.#pending.all()) this.#abandon(pending, info);
    end();
    if (!this.#hasOpened) {
      this.#opened?.reject(this.#closedError("Cannot open", false));
    }
    this.#runHook(() => this.onclose(info));
    if (!closeSocket) this.#leave();
  }

  /** Tells a caller that no response will come. */
  #abandon(pending: Pending, info: CloseInfo): void {
    const { id, method, idempotent } = pending;
    const sent = pending.sent || pending.wasSent;
    this.#pending.take(id)?.reject(
      this.#closedError(
        "No response to request",
        sent,
        method,
        idempotent,
        info,
      ),
    );
  }

  /** Takes away what this connection carries; returns how to end it, each time. */
  #takeConnection(info: CloseInfo): () => void {
    const error = (what: string, method?: string): ConnectionClosedError =>
      this.#closedError(what, false, method, false, info);
    const observers = this.#observers;
    const side = this.#side;
    const incoming = this.#incoming;
    const capabilities = this.#capabilities;
    this.#observers = undefined;
    this.#heartbeat.stop();
    side.end(error("Cannot send request"));
    return () => {
      incoming.end((method) => error("Cannot answer", method));
      capabilities?.end();
      for (const [method, listeners] of observers ?? []) {
        for (const observer of listeners) {
          observer.end(error("No more of", method));
        }
      }
    };
  }

  /** Starts the close handshake, and doesn't trust the peer to finish it. */
  #closeSocket(ws: Socket, info: CloseInfo): void {
    const timer = setTimeout(() => {
      ws.terminate?.();
      this.#leave();
    }, closeTimeout);
    const gone = (): void => {
      clearTimeout(timer);
      ws.removeEventListener("close", gone);
      ws.removeEventListener("error", ignoreError);
      this.#leave();
    };
    ws.addEventListener("close", gone);
    ws.addEventListener("error", ignoreError);
    closeSocket(ws, info);
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#closed?.resolve(this.#end!);
    this.#keeper?.release(this);
  }

  // What arrives.

  #receive(data: unknown): void {
    this.#heartbeat.isHeard = true;
    // A message must not overtake the hook that prepares for it.
    if (!this.#hasOpened) this.#open();
    if (!this.#isOpen) return;
    const { messageLength } = this.#limits;
    const most = this.#shared === undefined
      ? messageLength
      : frameLimit(messageLength);
    let text: string;
    if (typeof data === "string") text = data;
    else {
      if ((data as ArrayBuffer).byteLength > most) return this.#tooLong();
      try {
        text = decoder.decode(data as ArrayBuffer);
      } catch {
        text = "\u{fffd}"; // Not UTF-8, so not JSON: answered as a parse error.
      }
    }
    if (
      text.length > messageLength &&
      (text.length > most || !text.startsWith("["))
    ) return this.#tooLong();
    this.#capabilities?.look(text);
    if (this.#shared !== undefined) return this.#receiveShared(text);
    const unnamed = this.#version === "bare" ? "bare" : "1.0";
    const frame = readFrame(text, unnamed, this.#limits);
    if (Array.isArray(frame)) this.#dispatchBatch(frame, text);
    else this.#dispatch(frame, text, undefined);
  }

  #receiveShared(text: string): void {
    const messages = readSharedFrame(text, this.#limits);
    this.#shared!.isBusy = messages.length > 1;
    // It says nothing, but who sends it is to be paced, too.
    if (messages.length === 0) this.#count();
    for (const message of messages) {
      if (!this.#isOpen) return;
      try {
        if (Array.isArray(message)) this.#dispatchBatch(message, text);
        else this.#dispatch(message, text, undefined);
      } catch (error) {
        this.#report(error); // The others are not to blame.
      }
    }
  }

  #tooLong(): void {
    this.#cut(
      CloseCode.MessageTooBig,
      `Message is longer than ${this.#limits.messageLength}`,
    );
  }

  #dispatch(
    message: Message,
    text: string,
    batch: IncomingBatch | undefined,
  ): void {
    if (this.#version === undefined && message.type !== "invalid") {
      this.#version = message.version;
    }
    switch (message.type) {
      case "request":
      case "notification":
        if (!this.#count()) return;
        if (this.#observers !== undefined) this.#inform(message);
        this.#incoming.execute(message, batch);
        break;
      case "response":
        this.#settle(message);
        break;
      case "invalid":
        if (this.#count()) this.#refuse(message, text, batch);
        break;
    }
  }

  /** Counts a message that nobody asked for; the one too many closes. */
  #count(): boolean {
    if (this.#rate === undefined || this.#rate.take()) return true;
    const { messageRate } = this.#limits;
    const reason = `More than ${messageRate} messages a second`;
    this.#cut(CloseCode.TooManyRequests, reason);
    return false;
  }

  #dispatchBatch(messages: readonly Message[], text: string): void {
    const batch = this.#incoming.openBatch(messages.length);
    let answers: OutgoingBatch | undefined;
    const unidentified: Response[] = [];
    for (const message of messages) {
      if (!this.#isOpen) return;
      const isResponse = message.type === "response";
      if (isResponse && typeof message.id !== "number") {
        unidentified.push(message);
        continue;
      }
      if (isResponse) answers ??= this.#pending.get(message.id)?.batch;
      try {
        this.#dispatch(message, text, batch);
      } catch (error) {
        this.#report(error); // The others are not to blame.
      }
    }
    // By now it is known which batch they complain about.
    for (const response of unidentified) this.#settle(response, answers);
    this.#incoming.completeBatch(batch);
  }

  /** Does what the protocol's own methods say; `undefined`: it is none of them. */
  #control(
    { type, method, params }: Request | Notification,
    asked: Asked,
  ): unknown {
    switch (method) {
      case "$/cancelRequest":
        this.#incoming.cancel(readParam(params, "id", 0));
        return null;
      case "$/progress": {
        const token = readParam(params, "token", 0);
        const onprogress = this.#pending.get(token)?.onprogress;
        if (onprogress !== undefined) {
          this.#runHook(() => onprogress(readParam(params, "value", 1)));
        }
        return null;
      }
      case "rpc.ping":
        return null;
      case "rpc.discover":
        return this.#discover?.(this.local);
      case enumeratorNext: {
        // Nobody would get the values.
        if (type === "notification") return undefined;
        const values = this.#capabilities?.control(method, params, asked);
        // Who is given some asks again once he has them, and is paced by that.
        if (values !== undefined) this.#rate?.giveBack();
        return values;
      }
      default:
        return this.#capabilities?.control(method, params, asked);
    }
  }

  /** Finds a method, and what to call it on. */
  #findMethod(name: string): Method | undefined {
    if (this.#methods?.local !== this.local) {
      // A definition's methods are called on the peer, as ThisType says.
      const isDefined = this.local === this.#definedLocal;
      this.#methods = new Methods(this.local, isDefined ? this : undefined);
    }
    return this.#methods.find(name) ?? this.#capabilities?.find(name);
  }

  #inform({ type, method, params }: Request | Notification): void {
    const observers = this.#observers?.get(method);
    if (observers === undefined || type === "request") return;
    for (const observer of [...observers]) observer.next(params);
  }

  #settle(response: Response, answers?: OutgoingBatch): void {
    const { id, error } = response;
    const pending = this.#pending.get(id);
    if (pending !== undefined) {
      if (pending.id >= this.#suspect) this.#suspect = 0;
      // Read while what was lent to the call can still be told by its handle.
      const result = this.#readResult(response);
      this.#pending.take(id, error === undefined);
      if (result.error === undefined) pending.resolve(result.value);
      else pending.reject(result.error);
    } else if (error !== undefined && (id === undefined || id === null)) {
      this.#settleUnidentified(readError(error), answers);
    } else if (this.#ping !== undefined && id === this.#ping) {
      this.#ping = undefined;
    } else {
      this.#unmatched++;
      this.#count();
      this.#capabilities?.discard(response.result);
    }
  }

  #readResult({ result, error }: Response): { value?: unknown; error?: Error } {
    if (error !== undefined) return { error: readError(error) };
    if (this.#capabilities === undefined) return { value: result };
    try {
      return { value: this.#capabilities.read(result) };
    } catch (error) {
      return { error: error as Error };
    }
  }

  /**
   * An error without an id: the peer could not read something of ours, if that
   * is what it says. It is about a batch if one is waiting, else about the one
   * call that is; a guess among several, or between it and a notification, would
   * tell a lie to one of them.
   */
  #settleUnidentified(
    error: RpcError,
    answers: OutgoingBatch | undefined,
  ): void {
    // The first word after a ping is about that: every call waits for longer.
    if (
      answers === undefined && this.#ping !== undefined &&
      this.#heartbeat.isAsking
    ) {
      this.#ping = undefined;
      return;
    }
    // Its other members' answers say which batch it is; else it is a guess, and
    // none while a notification may be to blame.
    const waiting = this.#suspect === 0 ? this.#pending.all() : [];
    const batch = answers ??
      waiting.find((pending) => pending.batch !== undefined)?.batch;
    const isOurs = unreadable.includes(error.code);
    if (isOurs && batch !== undefined && batch.pending.size > 0) {
      this.#rejectBatch(batch, error);
    } else if (isOurs && batch === undefined && waiting.length === 1) {
      this.#pending.take(waiting[0]!.id)?.reject(error);
    } else if (this.#count()) this.#report(error);
  }

  #refuse(
    { version, id, code, message }: Invalid,
    text: string,
    batch: IncomingBatch | undefined,
  ): void {
    const error = new RpcError(code, message);
    let isHandled: unknown;
    this.#runHook(() => (isHandled = this.oninvalid(text, error)) as void);
    if (
      isHandled === true || this.#end !== undefined || /^[ \t\n\r]*$/.test(text)
    ) {
      return;
    }
    if (this.#version === "1.0") {
      return this.#cut(CloseCode.BadProtocol, message);
    }
    const { invalidMessages, invalidWindow } = this.#limits;
    if (invalidMessages !== Infinity) {
      this.#invalid ??= new Recent(invalidWindow);
      if (this.#invalid.add() > invalidMessages) {
        const reason =
          `More than ${invalidMessages} invalid messages in ${invalidWindow} ms`;
        return this.#cut(CloseCode.BadProtocol, reason);
      }
    }
    if (id === undefined) return;
    this.#incoming.refuse(version ?? this.version, id, error, batch);
  }

  // What leaves.

  /** Hands a frame to the socket; `false` if it could not take it. */
  #send(text: string): boolean {
    if (this.#end !== undefined) return false;
    if (this.#ws.readyState !== ReadyState.Open) return false;
    if (this.#shared === undefined) return this.#sendFrame(text);
    this.#shared.push(text);
    return true;
  }

  #sendFrame(frame: string): boolean {
    try {
      this.#ws.send(frame);
    } catch (error) {
      this.#socketError = error;
      return false;
    }
    this.#backlog.add(frame.length);
    return true;
  }

  /** Lets messages wait for the handshake, all or none. */
  #enqueue(what: string, name: string, ...entries: Entry[]): void {
    if (!this.#queue.add(entries)) {
      throw this.#queue.error(what, name, entries);
    }
  }

  #sendBatch(batch: OutgoingBatch): void {
    const { members } = batch;
    if (members.length === 0) return;
    const limit = this.#limits.batchMembers;
    if (members.length > limit) {
      throw new RangeError(
        `Cannot send batch: it has ${members.length} of at most ${limit} members`,
      );
    }
    const isOne = this.version === "2.0";
    const text = join(members);
    if (isOne) this.#checkLength("Cannot send", "batch", text);
    // Its requests were rejected one by one.
    if (this.#end !== undefined) return;
    if (this.#hasOpened && !this.#isLosing) return this.#sendMembers(batch);
    this.#enqueue("Cannot send", "batch", ...(isOne ? [batch] : members));
  }

  /** Sends a batch, without the members that were given up meanwhile. */
  #sendMembers(batch: OutgoingBatch): void {
    const members = batch.members.filter(isWanted);
    if (members.length === 0) return;
    if (this.version !== "2.0") {
      for (const member of members) this.#sendMember(member);
      return;
    }
    for (const { pending } of members) if (pending) pending.sent = true;
    if (this.#send(join(members))) return;
    for (const { pending } of members) if (pending) pending.sent = false;
    this.#rejectBatch(batch, this.#closedError("Cannot send batch", false));
  }

  #sendMember(member: Member): void {
    const { text, pending } = member;
    if (pending === undefined) this.#send(text);
    else if (isWanted(member)) {
      pending.sent = true;
      if (this.#send(text)) return;
      pending.sent = false;
      const { id, method, wasSent, idempotent } = pending;
      this.#pending.take(id)?.reject(
        this.#closedError("Cannot send request", wasSent, method, idempotent),
      );
    }
  }

  #rejectBatch(batch: OutgoingBatch, error: unknown): void {
    for (const { id } of batch.pending) this.#pending.take(id)?.reject(error);
  }

  /** Gives a request up: its caller is told, and the peer, if it knows of it. */
  #cancel(id: number, reason: unknown): void {
    const pending = this.#pending.take(id);
    if (pending === undefined) return;
    pending.reject(reason);
    if (pending.sent) this.#tell("$/cancelRequest", { id });
  }

  /**
   * Sends one of the protocol's own notifications, which waits for no batch. To
   * 1.0 and bare peers it would be one more invalid message.
   */
  #tell(method: string, params: Params): boolean {
    if (this.version !== "2.0") return false;
    this.#suspect = this.#pending.nextId;
    const text = writeParams("2.0", params);
    return this.#send(writeNotification("2.0", method, text));
  }

  /**
   * Asks for a sign of life, beside all the calls: with an error, too, a peer says
   * that it lives. To 1.0 and bare peers it could be one more invalid message.
   */
  #sendPing(): boolean {
    if (this.version !== "2.0") return false;
    this.#ping = this.#pending.takeId();
    this.#send(writeRequest("2.0", this.#ping, "rpc.ping", undefined));
    return true;
  }

  /** Ends what is due, and says when the next is; see {@linkcode Deadlines}. */
  #sweep(now: number): number {
    let next = Infinity;
    for (const { id, method, timeout, deadline } of this.#pending.all()) {
      if (deadline > now) next = Math.min(next, deadline);
      else {
        this.#cancel(
          id,
          new DOMException(
            `No response to request "${method}" within ${timeout} ms`,
            "TimeoutError",
          ),
        );
      }
    }
    return Math.min(next, this.#incoming.sweep(now));
  }

  #observe(method: string, observer: Observer): () => void {
    if (this.#end !== undefined) {
      observer.end(this.#closedError("No more of", false, method));
      return () => {};
    }
    this.#observers ??= new Map();
    let observers = this.#observers.get(method);
    if (observers === undefined) {
      this.#observers.set(method, observers = new Set());
    }
    observers.add(observer);
    return () => {
      observers.delete(observer);
      if (observers.size === 0 && this.#observers?.get(method) === observers) {
        this.#observers.delete(method);
      }
    };
  }

  #writeParams(
    what: string,
    method: string,
    params: Params | undefined,
    writing?: Writing,
  ): string | undefined {
    try {
      if (typeof method !== "string") {
        throw new TypeError(`method must be a string, got ${typeof method}`);
      }
      if (writing !== undefined) {
        params = this.#capabilities?.writeParams(params, writing);
      }
      return writing === undefined
        ? writeParams(this.version, params)
        : withWriting(writing, () => writeParams(this.version, params));
    } catch (error) {
      if (error instanceof RpcError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new TypeError(`${what} "${method}": ${why}`, { cause: error });
    }
  }

  /** A call with its place in a trace, where there is one to tell. */
  #traced(text: string): string {
    if (this.#trace === undefined || this.version !== "2.0") return text;
    try {
      return writeTrace(text, this.#trace.send());
    } catch (error) {
      this.#report(error);
      return text;
    }
  }

  #checkLength(what: string, name: string, text: string): void {
    if (text.length > this.#limits.messageLength) {
      throw new RangeError(
        `${what} "${name}": it has ${text.length} of at most ${this.#limits.messageLength} characters`,
      );
    }
  }

  // What goes wrong.

  #closedError(
    what: string,
    sent: boolean,
    method?: string,
    idempotent = false,
    info: CloseInfo = this.#end ?? abnormal,
  ): ConnectionClosedError {
    const cause = this.#socketError;
    return new ConnectionClosedError(
      method === undefined ? what : `${what} "${method}"`,
      info,
      sent,
      cause === undefined ? { idempotent } : { cause, idempotent },
    );
  }

  /** Runs a hook of the owner's, which may throw now or later. */
  #runHook(hook: () => void | Promise<void>): void {
    try {
      const result = hook();
      if (isThenable(result)) {
        Promise.resolve(result).catch((error: unknown) => this.#report(error));
      }
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    try {
      const result = this.onerror(error);
      if (isThenable(result)) Promise.resolve(result).catch(() => {});
    } catch {
      // There is nobody left to tell.
    }
  }
}

function join(members: readonly Member[]): string {
  return `[${members.map(({ text }) => text).join(",")}]`;
}

function readTimeout(timeout: number): number {
  if (!(timeout >= 0)) {
    throw new RangeError(
      `Cannot set timeout: it must be 0 or more milliseconds, got ${timeout}`,
    );
  }
  return timeout === 0 ? Infinity : timeout;
}
