/**
 * A peer that is small: one class that speaks JSON-RPC 2.0, one message a frame,
 * over a connection that it opens itself and replaces when it is lost. For pages,
 * which download it.
 *
 * It shares the rooms that are small with `peer.ts`, and the rules with all of
 * them; numbers stand here typed against their tables, which are longer.
 *
 * @see {@link https://www.jsonrpc.org/specification}
 *
 * @module
 */

import type { Call, CallOptions } from "./call.ts";
import {
  abnormal,
  closeSocket,
  cutReason,
  ignoreError,
  isSendable,
  readCloseEvent,
} from "../line/close.ts";
import type {
  MethodName,
  MethodOf,
  OtherName,
  ParamsFor,
  Remote,
  ResultOf,
} from "./contract.ts";
import type { ConnectionState } from "./core.ts";
import { Deferred, isThenable } from "./deferred.ts";
import {
  type CloseCode,
  type CloseInfo,
  ConnectionClosedError,
  type ErrorCode,
  RpcError,
} from "../wire/error.ts";
import {
  type Capabilities,
  type Carrier,
  type Extension,
  joinExtensions,
  type Lender,
  type Writing,
} from "./extension.ts";
import type { Limits } from "../wire/limits.ts";
import { type Id, type Params, readError, readParam } from "../wire/message.ts";
import { findMethod, invoke } from "../methods/methods.ts";
import { type Observable, observables } from "../parts/observers.ts";
import type { Definition, Part, SocketMaker } from "./options.ts";
import { createRemote } from "./remote.ts";
import { readAmount } from "../wire/amount.ts";
import { type ReconnectOptions, Retries, wait } from "../line/retry.ts";
import type { Socket, SocketEvent } from "../line/socket.ts";

/** A service as a plain object; see {@linkcode Definition}. */
export type SlimDefinition = Omit<Definition, "oninvalid">;

/** A call, as the method that handles it sees it. */
export type SlimCall = Omit<Call, "trace">;

/** How a slim peer speaks. */
export interface SlimSettings {
  /**
   * Milliseconds that a call may take before it is cancelled and rejects with a
   * `TimeoutError`. Default 60,000. `Infinity`: for ever.
   */
  timeout?: number;
  /** The parts of the peer: `streams`, `references`. Default: none. */
  use?: readonly Part[];
  /**
   * How to replace a connection that is lost, or `false`: not at all. Default:
   * for ever, after a random delay of at most half a second, and of twice as much
   * after each attempt that fails, up to 30 seconds; at once when the network
   * comes back or the page is looked at.
   */
  reconnect?: boolean | ReconnectOptions;
  /**
   * Milliseconds that an attempt to connect may take. Default 20,000.
   * `Infinity`: for ever.
   */
  handshakeTimeout?: number;
}

/** What a slim peer can be made with; a subclass hands it on to `super`. */
export interface SlimOptions<Context = unknown>
  extends SlimSettings, SlimDefinition {
  /** What {@linkcode SlimPeer.context} is. Default `undefined`. */
  context?: Context;
}

/** What may not take for ever. */
interface Deadline {
  /** When it has waited too long. */
  readonly deadline: number;
  /** Gives it up, because of that or for another reason. */
  cancel(reason?: unknown): void;
}

/** A request that waits for its response. */
interface Pending extends Deadline {
  readonly method: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly options: CallOptions;
  /** What is sent once more if it is idempotent and the connection is lost. */
  readonly text: string;
  /** Whether its params carry what only the connection of then knows. */
  readonly lends: boolean;
  /** Lets go of its caller's signal, and of what its params lent. */
  release(succeeded: boolean): void;
  /** Whether it was handed to the socket, and to that of an earlier connection. */
  sent?: boolean;
  wasSent?: boolean;
}

/** A message that waits for a connection: a request with its id, or not. */
type Entry = readonly [text: string, id: number | undefined];

/** What may be answered. */
interface Answerable {
  readonly id: Id | undefined;
  /** Whether nobody waits for an answer, or not any more. */
  answered: boolean;
  readonly signal?: AbortSignal;
}

/** A method that runs for the other side. */
interface Running extends Answerable, SlimCall, Lender {
  readonly signal: AbortSignal;
}

const eventTypes = ["open", "message", "error", "close"];

const mostLength = 1_048_576;

// Calls either way, and messages that wait for a connection.
const mostCalls = 1_024;

// The question for a stream's next values, which waits for nobody.
const enumeratorNext = "$/enumerator/next";

type Code = typeof ErrorCode[keyof typeof ErrorCode];

// What a peer says of a message that it could not read; some without a code.
const unreadable: readonly number[] = [
  -32700,
  -32600,
  -32007,
  -32010,
  0,
] satisfies (Code | 0)[];

/**
 * One end of a JSON-RPC connection, as {@linkcode Peer} is one, in a fraction of
 * its size: what has the same name does the same. It speaks JSON-RPC 2.0 alone,
 * and knows no batches, shared frames, signs of life, traces or discovery; nor
 * limits that could be set.
 *
 * ```ts
 * import { Peer } from "@jsonrpcws/peer/slim";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 *
 * class Calculator extends Peer {
 *   override local = { add: (a: number, b: number) => a + b };
 * }
 * await using one = new Calculator(left);
 * await using other = new Peer<Calculator["local"]>(right);
 *
 * assertEquals(await other.remote.add(1, 2), 3);
 * ```
 *
 * @typeParam Theirs The type of the other side's `local`.
 * @typeParam Context The type of {@linkcode SlimPeer.context}.
 * @see {@link https://www.jsonrpc.org/specification}
 */
export class SlimPeer<Theirs = unknown, Context = unknown> {
  /** What the other side may call; see {@linkcode Peer.local}. */
  local: object = {};

  /** What its owner knows of the connection. */
  context: Context;

  readonly #options: SlimOptions<Context>;
  readonly #makeSocket: SocketMaker;
  readonly #retries: Retries | undefined;
  #ws: Socket | undefined;
  /** Which attempt to connect is under way, if one is. */
  #attempt = 0;
  #isFresh = false;
  #state: ConnectionState = "connecting";
  /** Ends the wait for the next attempt. */
  #stop = ignoreError;
  /** What is given up at some time, if it still waits: a handshake, a socket. */
  #expected: readonly Deadline[] = [];
  /** When it looks for what has taken too long, and how it doesn't. */
  #due = Infinity;
  #sleep = ignoreError;
  /** What the socket last complained of. */
  #cause: unknown;
  /** How the last connection ended. */
  #lost = abnormal;
  #opened = createOpened();
  readonly #closed = new Deferred<CloseInfo>();
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #queue: Entry[] = [];
  #remote: Remote<Theirs> | undefined;
  // Of this connection, and not of the next:
  #capabilities: Capabilities | undefined;
  /** The methods that have not settled, answered or not. */
  #running!: Set<Running>;
  /** The requests that are still to be answered. */
  #unanswered!: Map<unknown, Running>;
  /** The last id at the last notification, until a later request is answered. */
  #suspect!: number;
  #current: Running | undefined;

  /** What the rooms around see of it. */
  readonly #inside: Carrier & Observable & { ended: CloseInfo | undefined };

  static {
    observables.push((peer) => #inside in peer ? peer.#inside : undefined);
  }

  /**
   * Speaks JSON-RPC over a socket.
   *
   * @param ws Any object with the WebSocket interface, connecting or open; or a
   * function that makes one: then a connection that is lost is replaced.
   * @param options A definition and settings.
   * @throws What the function throws, the first time.
   */
  constructor(ws: Socket | SocketMaker, options: SlimOptions<Context> = {}) {
    const { context, reconnect = {} } = options;
    this.#options = options;
    this.context = context as Context;
    for (const name of ["local", "onopen", "onclose", "onerror"] as const) {
      (this as Record<string, unknown>)[name] = options[name] ?? this[name];
    }
    this.#inside = {
      limits: {
        messageLength: mostLength,
        streams: 128,
        references: 128,
      } as Limits,
      version: "2.0",
      isLosing: () => this.#state === "open" && !this.#isOpen,
      incoming: { within: (call, run) => this.#within(call, run) },
      request: (method, params, options) =>
        (this as SlimPeer).request(method, params, options),
      tell: (method, params) => this.#tell(method, params),
      report: (error) => this.#report(error),
      observers: undefined,
      ended: undefined,
      closedError: (what) => this.#closedError(what),
    };
    this.#begin();
    if (typeof ws === "function") {
      this.#makeSocket = ws;
      if (reconnect) {
        // `true` says nothing about how.
        this.#retries = new Retries(reconnect as ReconnectOptions);
      }
    } else this.#makeSocket = (): Socket => ws;
    this.#start();
  }

  /** The socket of the connection, or of the attempt at one; none between them. */
  get ws(): Socket | undefined {
    return this.#ws;
  }

  /** See {@linkcode Peer.state}. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** The other side's methods; see {@linkcode Peer.remote}. */
  get remote(): Remote<Theirs> {
    return this.#remote ??= this.with({});
  }

  /** The other side's methods, each called with these options. */
  with(options: CallOptions): Remote<Theirs> {
    return createRemote((method, params) => {
      const promise = (this as unknown as SlimPeer)
        .request(method, params, options);
      this.#capabilities?.decorate(promise, options);
      return promise;
    }) as Remote<Theirs>;
  }

  /**
   * The call that is being handled. To be read before the method's first
   * `await`, since calls overlap.
   *
   * @throws {TypeError} No method is running.
   */
  get call(): SlimCall {
    if (!this.#current) {
      throw new TypeError(
        "No method is running",
      );
    }
    return this.#current;
  }

  /**
   * Resolves when the handshake is done and {@linkcode SlimPeer.onopen} was
   * called. While a lost connection is replaced, it is the promise of the next
   * one.
   *
   * @throws {ConnectionClosedError} It closed before it opened.
   */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /**
   * Resolves when the connection is closed for good and the socket is gone, or 5
   * seconds after {@linkcode SlimPeer.close} if the peer doesn't answer it. Never
   * rejects.
   */
  get closed(): Promise<CloseInfo> {
    return this.#closed.promise;
  }

  /** Called each time that there is a connection; see {@linkcode Peer.onopen}. */
  onopen(): void | Promise<void> {}

  /**
   * Called once when the connection ends for good, and before that with `retryIn`
   * for each that is lost and replaced; see {@linkcode Peer.onclose}.
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
   * Sends a request and waits for its response; see {@linkcode Peer.request}.
   *
   * @param method Name of the remote method.
   * @param params By position (array) or by name (object); absent if `undefined`.
   * @param options A signal, a time-out, a listener to its progress.
   * @throws {RpcError} The peer answered with an error.
   * @throws {ConnectionClosedError} The connection closed first; `sent` says
   * whether the method may have run.
   * @throws {DOMException} `TimeoutError`: no response came in time. Or, where
   * `options.signal` aborted, whatever its reason is. Both cancel the call.
   * @throws {TypeError} The params can't be written as JSON; nothing was sent.
   * @throws {RangeError} A limit is reached; nothing was sent.
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
  request(
    method: string,
    params?: Params,
    options: CallOptions = {},
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const what = `Cannot send request "${method}"`;
      const { size } = this.#pending;
      if (size >= mostCalls && method !== enumeratorNext) {
        throw new RangeError(
          `${what}: ${size} of at most ${mostCalls} are pending`,
        );
      }
      const { signal, timeout = this.#options.timeout ?? 60_000 } = options;
      readAmount("timeout", timeout);
      signal?.throwIfAborted();
      // From 1, below 2^31: nothing waits while so many others are made.
      const id = this.#lastId = this.#lastId % 0x7fff_ffff + 1;
      const capabilities = this.#capabilities;
      const writing = capabilities?.startParams(params);
      let text: string;
      try {
        text = this.#writeCall(what, method, params, id, writing);
        // What writes itself may have closed it.
        if (this.#state === "closed") throw this.#closedError(what);
      } catch (error) {
        capabilities?.release(writing);
        throw error;
      }
      const cancel = (
        reason: unknown = new DOMException(
          `No response to request "${method}" within ${timeout} ms`,
          "TimeoutError",
        ),
      ): void => {
        const pending = this.#take(id);
        reject(reason);
        if (pending?.sent) this.#tell("$/cancelRequest", { id });
      };
      const abort = (): void => cancel(signal!.reason);
      signal?.addEventListener("abort", abort);
      // Known before it is sent: a socket may answer from within send().
      this.#pending.set(id, {
        method,
        resolve,
        reject,
        options,
        lends: Boolean(writing?.releases.length),
        text,
        deadline: this.#wakeIn(timeout),
        cancel,
        release(succeeded) {
          signal?.removeEventListener("abort", abort);
          capabilities?.release(writing, succeeded);
        },
      });
      if (!this.#post(text, id)) {
        this.#take(id)?.reject(
          new RangeError(`${what}: too many messages wait`),
        );
      }
    });
  }

  /**
   * Sends a notification: a call without a response.
   *
   * @param method Name of the remote method.
   * @param params By position (array) or by name (object); absent if `undefined`.
   * @returns Whether it was taken: handed to the socket, or left to wait for a
   * connection; `false` once it is closed, or if too many messages wait.
   * @throws {TypeError} The params can't be written as JSON.
   * @throws {RangeError} The message is too long.
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
    const what = `Cannot send notification "${method}"`;
    const writing = this.#capabilities?.startParams(params);
    try {
      const text = this.#writeCall(what, method, params, undefined, writing);
      if (writing?.releases.length) {
        throw new TypeError(
          `${what}: it carries a stream or a function, send a request`,
        );
      }
      this.#suspect = this.#lastId;
      return this.#state !== "closed" && this.#post(text);
    } finally {
      this.#capabilities?.release(writing);
    }
  }

  /**
   * Answers a request before its method returns; the return value is then
   * ignored. See {@linkcode Peer.respond}.
   *
   * @param id The request's id, as {@linkcode SlimPeer.call} gives it.
   * @param result The result, if there is no error.
   * @param error What the method would have thrown; `undefined` or null: none.
   * @returns `false` if no request of that id is waiting.
   */
  respond(id: Id, result: unknown, error?: unknown): boolean {
    const running = this.#unanswered.get(id);
    if (!running) return false;
    if (error === undefined || error === null) this.#succeed(running, result);
    else this.#fail(running, error);
    return true;
  }

  /**
   * Closes the connection for good. At once: calls that wait are rejected,
   * running methods' results are dropped, {@linkcode SlimPeer.onclose} is called.
   * A second close does nothing.
   *
   * @param code 1000 (the default) or 3000 to 4999.
   * @param reason At most 123 bytes of UTF-8; what is more is cut off.
   * @throws {RangeError} The code can't be sent.
   */
  close(code = 1000, reason = ""): void {
    if (!isSendable(code)) {
      throw new RangeError(
        `Cannot close with code ${code}: use 1000 or 3000 to 4999`,
      );
    }
    if (this.#state === "closed") return;
    const info = { code, reason: cutReason(reason), wasClean: true };
    this.#stopWaiting();
    this.#end(info);
    if (!this.#ws) return this.#leave();
    // A peer is not trusted to finish the handshake.
    this.#expected = [{
      deadline: this.#wakeIn(5_000),
      cancel: () => {
        this.#leave();
        this.#ws!.terminate?.();
      },
    }];
    closeSocket(this.#ws, info);
  }

  /** Closes the connection and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }

  // The life of a connection.

  /** Makes what lives as long as one connection. */
  #begin(): void {
    const { use } = this.#options;
    this.#running = new Set();
    this.#unanswered = new Map();
    this.#suspect = -1;
    this.#inside.observers = undefined;
    this.#capabilities = use &&
      joinExtensions(use as unknown as readonly Extension[], this.#inside);
  }

  /** Whether what is sent now can leave. */
  get #isOpen(): boolean {
    return this.#state === "open" && this.#ws?.readyState === 1;
  }

  /** Waits no more for a handshake, for the next attempt, or for a close. */
  #stopWaiting(): void {
    this.#attempt++;
    this.#stop();
    this.#expected = [];
  }

  /** Looks in so many milliseconds, or sooner, for what is due. */
  #wakeIn(time: number): number {
    const due = performance.now() + time;
    if (due < this.#due) {
      this.#sleep();
      this.#due = due;
      // By a signal, since the first timer of a Deno process loads Node's
      // (timer.ts). Whole and positive, or it throws; a longer one would be over at
      // once.
      const signal = AbortSignal.timeout(
        Math.min(Math.max(Math.ceil(time), 0), 0x7fff_ffff),
      );
      const wake = (): void => {
        let next = this.#due = Infinity;
        for (
          const { deadline, cancel } of [
            ...this.#expected,
            ...this.#pending.values(),
          ]
        ) {
          const left = deadline - performance.now();
          if (left > 0) next = Math.min(next, left);
          else cancel();
        }
        this.#wakeIn(next);
      };
      signal.addEventListener("abort", wake);
      this.#sleep = (): void => signal.removeEventListener("abort", wake);
    }
    return due;
  }

  /** Makes an attempt to connect. */
  #start(): void {
    const attempt = this.#attempt;
    const take = (socket: Socket): void => {
      if (attempt === this.#attempt) return this.#attach(socket);
      socket.addEventListener("error", ignoreError);
      socket.close();
    };
    const fail = (error: unknown): void => {
      if (attempt !== this.#attempt) return;
      const ws = this.#ws;
      this.#fall(error);
      ws?.close();
    };
    const socket = this.#makeSocket(0);
    const { handshakeTimeout = 20_000 } = this.#options;
    if (attempt === this.#attempt) {
      this.#expected = [{
        deadline: this.#wakeIn(handshakeTimeout),
        cancel: () => fail(`No handshake within ${handshakeTimeout} ms`),
      }];
    }
    if (socket instanceof Promise) {
      this.#isFresh = true;
      socket.then(take).catch(fail);
    } else take(socket);
  }

  /** An attempt came to nothing without a word of its socket. */
  #fall(error: unknown): void {
    this.#cause = error;
    this.#lose({ type: "close" });
  }

  /** Listens to the socket of an attempt. */
  #attach(socket: Socket): void {
    this.#ws = socket;
    socket.binaryType = "arraybuffer";
    const listener = (event: SocketEvent): void => {
      const { type } = event;
      if (type === "close") {
        for (const type of eventTypes) {
          socket.removeEventListener(type, listener);
        }
      }
      // Of one that was given up, nothing more is heard.
      if (socket !== this.#ws) return;
      if (type === "close") this.#lose(event);
      else if (type === "error") this.#cause = event.error ?? event.message;
      else {
        // A message must not overtake the hook that prepares for it.
        this.#open();
        // A throw from a listener would end the process, so none leaves here.
        if (type === "message" && this.#state === "open") {
          this.#run(() => this.#receive(event.data));
        }
      }
    };
    for (const type of eventTypes) socket.addEventListener(type, listener);
    // The fields of a subclass are not there yet.
    if (socket.readyState !== 0) {
      queueMicrotask(() =>
        listener({ type: socket.readyState === 1 ? "open" : "close" })
      );
    }
  }

  /** The handshake is done. */
  #open(): void {
    if (this.#state !== "connecting") return;
    this.#state = "open";
    this.#stopWaiting();
    this.#retries?.open();
    this.#cause = undefined;
    this.#lost = abnormal;
    // Whoever awaits it hears of it after the hook.
    this.#opened.resolve();
    this.#run(() => this.onopen());
    // The hook, or what is sent, may end it, for now or for good.
    while (this.#isOpen && this.#queue.length > 0) {
      this.#send(...this.#queue.shift()!);
    }
  }

  /** The connection, or the attempt at one, is gone: is there another? */
  #lose(event: SocketEvent): void {
    if (this.#state === "closed") return this.#leave();
    const info = readCloseEvent(event);
    const retryIn = this.#retries?.delayAfter(info, this.#isFresh);
    this.#stopWaiting();
    if (retryIn === undefined) {
      this.#end(info);
      return this.#leave();
    }
    this.#ws = undefined;
    this.#stop = wait(retryIn, () => {
      try {
        this.#start();
      } catch (error) {
        this.#fall(error);
      }
    });
    // An attempt that failed changes nothing for those who wait.
    if (this.#state === "open") this.#end({ ...info, retryIn });
  }

  /** Ends what the connection carried; without `retryIn`, everything. */
  #end(info: CloseInfo): void {
    const isOver = info.retryIn === undefined;
    this.#lost = info;
    this.#state = isOver ? "closed" : "connecting";
    const opened = this.#opened;
    const capabilities = this.#capabilities;
    const running = this.#running;
    const { observers } = this.#inside;
    // Whoever hears of the end may ask for something already: of the next one.
    const error = this.#closedError("Cannot send request");
    capabilities?.cut(() => error);
    this.#begin();
    if (isOver) this.#inside.ended = info;
    else this.#opened = createOpened();
    const again: Entry[] = [];
    for (const [id, pending] of [...this.#pending]) {
      // What it lends is lost with the connection, sent or not.
      if (!isOver && !pending.lends) {
        if (!pending.sent) continue;
        if (pending.options.idempotent) {
          again.push([pending.text, id]);
          pending.sent = false;
          pending.wasSent = true;
          continue;
        }
      }
      this.#abandon(id, "No response to request", pending.sent);
    }
    this.#queue = isOver ? [] : [...again, ...this.#queue];
    for (const call of running) {
      call.answered = true;
      call.abort(this.#closedError(`Cannot answer "${call.method}"`));
    }
    capabilities?.end();
    observers?.end((what) => this.#closedError(what));
    opened.reject(this.#closedError("Cannot open"));
    // Who was told to stop may have closed it, and that was told.
    if (this.#lost === info) this.#run(() => this.onclose(info));
  }

  /** The socket is gone, or has had its time. */
  #leave(): void {
    this.#stopWaiting();
    this.#sleep();
    // Nor will it wake again.
    this.#due = -Infinity;
    this.#closed.resolve(this.#lost);
  }

  // What leaves.

  /** Writes a request, or a notification where there is no id. */
  #writeCall(
    what: string,
    method: string,
    params: Params | undefined,
    id?: number,
    writing?: Writing,
  ): string {
    const write = (params: Params | undefined): string => {
      if (params === undefined) return "";
      const text = JSON.stringify(params);
      if (/^[[{]/.test(text)) return `,"params":${text}`;
      throw new TypeError(`params must be an array or an object, got ${text}`);
    };
    let text = `{"jsonrpc":"2.0","method":${JSON.stringify(method)}`;
    try {
      text += writing === undefined
        ? write(params)
        : this.#capabilities!.writeParams(params, writing, write);
    } catch (error) {
      if (error instanceof RpcError) throw error;
      const why = error instanceof Error ? error.message : error;
      throw new TypeError(`${what}: ${why}`, { cause: error });
    }
    text += id === undefined ? "}" : `,"id":${id}}`;
    if (text.length <= mostLength) return text;
    throw new RangeError(
      `${what}: it has ${text.length} of at most ${mostLength} characters`,
    );
  }

  /** Sends a message, now or later; `false`: there is no room for it. */
  #post(text: string, id?: number): boolean {
    if (this.#isOpen) return this.#send(text, id);
    // Those that were given up meanwhile wait no more.
    const queue = this.#queue = this.#queue.filter(([, id]) =>
      id === undefined || this.#pending.has(id)
    );
    let { length } = text;
    for (const [waiting] of queue) length += waiting.length;
    return queue.length < mostCalls && length <= mostLength &&
      queue.push([text, id]) > 0;
  }

  /** Hands a message to the socket, which is open; `false`: it didn't take it. */
  #send(text: string, id?: number): boolean {
    if (id !== undefined) {
      const pending = this.#pending.get(id);
      // It was given up while it waited.
      if (!pending) return false;
      pending.sent = true;
    }
    try {
      this.#ws!.send(text);
      return true;
    } catch (error) {
      this.#cause = error;
      if (id !== undefined) this.#abandon(id, "Cannot send request");
      return false;
    }
  }

  /** Sends one of the protocol's own notifications. */
  #tell(method: string, params: Params): boolean {
    this.#suspect = this.#lastId;
    return this.#isOpen &&
      this.#send(
        this.#writeCall("Cannot tell", method, params),
      );
  }

  /** Takes a request out: whoever takes it settles it. */
  #take(id: number, succeeded = false): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.release(succeeded);
    return pending;
  }

  /** Tells a caller that no response will come. */
  #abandon(id: number, what: string, sent = false): void {
    const pending = this.#take(id);
    if (!pending) return;
    const { method, wasSent, options: { idempotent } } = pending;
    pending.reject(
      this.#closedError(`${what} "${method}"`, sent || wasSent, idempotent),
    );
  }

  // What arrives.

  #receive(data: unknown): void {
    let text: string;
    let message: { [member: string]: unknown } | null;
    try {
      // What is no UTF-8 is no JSON.
      text = typeof data === "string"
        ? data
        : new TextDecoder("utf-8", { fatal: true }).decode(data as ArrayBuffer);
      if (text.length > mostLength) {
        return this.close(
          1009 satisfies typeof CloseCode.MessageTooBig,
          `Message is longer than ${mostLength}`,
        );
      }
      if (!/\S/.test(text)) return;
      this.#capabilities?.look(text);
      message = JSON.parse(text);
    } catch {
      return this.#refuse(null, -32700, "Parse error");
    }
    // A batch is no message here.
    if (
      typeof message !== "object" || message === null || Array.isArray(message)
    ) {
      return this.#refuse(null);
    }
    const { jsonrpc, id, method, params, result, error } = message;
    if (
      method === undefined &&
      (id !== undefined || result !== undefined || error !== undefined)
    ) return this.#settle(id, result, error ?? undefined);
    if (!isId(id, text)) return this.#refuse(null);
    // 1.0 says "no response wanted" with null, 2.0 by leaving the id out.
    const answerTo = id === null && jsonrpc === undefined ? undefined : id;
    if (
      typeof method !== "string" || jsonrpc !== undefined && jsonrpc !== "2.0"
    ) return this.#refuse(answerTo ?? null);
    if (
      method.length > 256 || params !== undefined && typeof params !== "object"
    ) return this.#refuse(answerTo);
    this.#execute(
      answerTo,
      method,
      (params ?? undefined) as Params | undefined,
    );
  }

  /** Answers what is no message; nobody waits for it without an id. */
  #refuse(
    id: Id | undefined,
    code: Code = -32600,
    message = "Invalid Request",
  ): void {
    // Under its id, this would answer the request that has it.
    if (this.#unanswered.has(id)) id = null;
    this.#fail({ id, answered: id === undefined }, refusal(code, message));
  }

  /** Tells the caller of a response. */
  #settle(id: unknown, result: unknown, error: unknown): void {
    const pending = this.#pending.get(id as number);
    const told = error === undefined ? undefined : readError(error);
    if (!pending) {
      if (told === undefined || id !== undefined && id !== null) {
        return this.#capabilities?.discard(result);
      }
      // The peer could not read something: if one waits, it is what that was,
      // unless it was a notification.
      const [only, another] = this.#pending.keys();
      return only !== undefined && another === undefined && this.#suspect < 0 &&
          unreadable.includes(told.code)
        ? this.#take(only)?.reject(told)
        : this.#report(told);
    }
    if (id as number > this.#suspect) this.#suspect = -1;
    let { reject: settle } = pending;
    let value: unknown = told;
    try {
      if (told === undefined) {
        // Read while what was lent to the call can still be told by its handle.
        value = this.#capabilities?.read(result) ?? result;
        settle = pending.resolve;
      }
    } catch (unreadable) {
      value = unreadable;
    }
    this.#take(id as number, told === undefined);
    settle(value);
  }

  /** Runs a method, and answers if it is a request. */
  #execute(
    id: Id | undefined,
    method: string,
    params: Params | undefined,
  ): void {
    const isRequest = id !== undefined;
    if (id !== null && this.#unanswered.has(id)) return this.#refuse(null);
    const controller = new AbortController();
    const running: Running = {
      id,
      method,
      signal: controller.signal,
      answered: !isRequest,
      progress: (value) =>
        !running.answered &&
        this.#tell("$/progress", { token: id, value }),
      abort: (reason) => controller.abort(reason),
    };
    if (!isRequest) {
      this.#inside.observers?.inform({
        type: "notification",
        method,
        params,
      });
    }
    const capabilities = this.#capabilities;
    // A definition's methods are called on the peer, as ThisType says.
    const self = this.local === this.#options.local ? this : undefined;
    const found = findMethod(this.local, method, self) ??
      capabilities?.find(method);
    const { size } = this.#running;
    const succeed = (result: unknown): void => {
      this.#running.delete(running);
      this.#succeed(running, result);
    };
    const fail = (error: unknown): void => {
      this.#running.delete(running);
      this.#fail(running, error);
    };
    this.#running.add(running);
    if (isRequest) this.#unanswered.set(id, running);
    try {
      let result: unknown;
      if (!found) result = this.#control(running, params);
      else if (isRequest && size >= mostCalls) {
        throw refusal(
          -32009,
          `Busy: ${size} of at most ${mostCalls} are running, not executed`,
        );
      } else {
        result = this.#within(
          running,
          () => invoke(found, capabilities?.readParams(params) ?? params),
        );
      }
      if (isThenable(result)) Promise.resolve(result).then(succeed, fail);
      else succeed(result);
    } catch (error) {
      fail(error);
    }
  }

  /** Does what the protocol's own methods say. */
  #control(running: Running, params: Params | undefined): unknown {
    const { id, method } = running;
    let result: unknown = null;
    switch (method) {
      case "$/cancelRequest": {
        const call = this.#unanswered.get(readParam(params, "id", 0));
        if (!call) break;
        // First the answer: from a method that hears the signal, too, it is this.
        const why = "Request was cancelled";
        this.#fail(call, refusal(-32800, why));
        call.abort(new DOMException(why, "AbortError"));
        break;
      }
      case "$/progress": {
        const call = this.#pending.get(readParam(params, "token", 0) as number);
        this.#run(() =>
          call?.options.onprogress?.(readParam(params, "value", 1))
        );
        break;
      }
      case "rpc.ping":
        break;
      default:
        // Of a question that wants no answer, nobody would get the values.
        result = id === undefined && method === enumeratorNext
          ? undefined
          : this.#capabilities?.control(method, params, running);
    }
    if (result === undefined) {
      throw refusal(-32601, "Method not found");
    }
    return result;
  }

  /** Runs something as part of a call. */
  #within<T>(call: Lender | undefined, run: () => T): T {
    const outer = this.#current;
    this.#current = call as Running | undefined;
    try {
      return run();
    } finally {
      this.#current = outer;
    }
  }

  #succeed(running: Running, result: unknown): void {
    const capabilities = this.#capabilities;
    const writing = capabilities?.startResult(result, running);
    try {
      // What nobody waits for any more is written, too, and let go of.
      let text = writing && capabilities?.writeResult(result, writing);
      if (running.answered) return capabilities?.release(writing);
      if (writing === undefined) text = JSON.stringify(result);
      this.#answer(running, `"result":${text ?? null}`);
    } catch (error) {
      capabilities?.release(writing);
      this.#fail(running, error);
    }
  }

  /** Answers with an error if it was made for the caller, else hides it. */
  #fail(call: Answerable, error: unknown): void {
    if (error instanceof RpcError) {
      try {
        return this.#answer(call, `"error":${JSON.stringify(error)}`);
      } catch (unwritable) {
        return this.#fail(call, unwritable);
      }
    }
    // A method that stops because it was told to has not failed.
    if (call.answered && call.signal?.aborted) return;
    this.#fail(call, refusal(-32603, "Internal error"));
    this.#report(error);
  }

  /**
   * Answers a request that is not answered.
   *
   * @throws {RpcError} The response is too long.
   */
  #answer(call: Answerable, body: string): void {
    const { id, answered } = call;
    if (answered) return;
    const text = `{"jsonrpc":"2.0",${body},"id":${JSON.stringify(id)}}`;
    if (text.length > mostLength) {
      throw refusal(
        -32008,
        `Response has ${text.length} of at most ${mostLength} characters`,
      );
    }
    call.answered = true;
    this.#unanswered.delete(id);
    if (this.#isOpen) this.#send(text);
  }

  // What goes wrong.

  #closedError(
    what: string,
    sent = false,
    idempotent = false,
  ): ConnectionClosedError {
    const cause = this.#cause;
    return new ConnectionClosedError(
      what,
      this.#lost,
      sent,
      { ...(cause !== undefined && { cause }), idempotent },
    );
  }

  /** Runs what is the owner's, which may throw now or later. */
  #run(
    hook: () => unknown,
    fail = (error: unknown): void => this.#report(error),
  ): void {
    try {
      const result = hook();
      if (isThenable(result)) Promise.resolve(result).catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  /** Tells the owner of an error, unless the connection's close tells it. */
  #report(error: unknown): void {
    if (error instanceof ConnectionClosedError && !this.#isOpen) return;
    this.#run(() => this.onerror(error), ignoreError);
  }
}

/** Whether a value is an id, or none, that can be given back as it came. */
function isId(id: unknown, text: string): id is Id | undefined {
  if (typeof id === "string") return id.length <= 128;
  if (typeof id !== "number") return id === undefined || id === null;
  // 9007199254740993 has been rounded, 1.5 has not.
  return Number.isSafeInteger(id) ||
    RegExp(`"id"\\s*:\\s*${id}\\s*[,}]`).test(text);
}

/** An error of the protocol's own. */
function refusal(code: Code, message: string): RpcError {
  return new RpcError(code, message);
}

/** Tells whoever awaits it; a rejection that nobody awaits must not end a process. */
function createOpened(): Deferred<void> {
  const opened = new Deferred<void>();
  opened.promise.catch(ignoreError);
  return opened;
}
