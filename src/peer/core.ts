/**
 * One connection, seen from one of its two equal ends: the requests that wait
 * for a response, dispatch, and closing. What a peer can do beside that, a
 * {@linkcode Full} core adds.
 *
 * Its members are open to those rooms, and to no user: who has a peer can't
 * reach its core.
 *
 * @see {@link https://www.jsonrpc.org/specification}
 *
 * @module
 */

import type { CallOptions } from "./call.ts";
import {
  abnormal,
  closeSocket,
  cutReason,
  ignoreError,
  isSendable,
  readCloseEvent,
} from "../line/close.ts";
import { Deadlines, type Sweeper } from "../line/deadlines.ts";
import { Deferred, isThenable } from "./deferred.ts";
import {
  CloseCode,
  type CloseInfo,
  ConnectionClosedError,
  RpcError,
} from "../wire/error.ts";
import {
  type Asked,
  type Capabilities,
  type Carrier,
  type Extension,
  joinExtensions,
  type Writing,
} from "./extension.ts";
import {
  type Host,
  Incoming,
  type IncomingBatch,
  type Running,
} from "./incoming.ts";
import { completeLimits, type Limits } from "../wire/limits.ts";
import {
  type Id,
  type Invalid,
  type Message,
  type Notification,
  type Params,
  readError,
  readParam,
  type Request,
  type Response,
  type Version,
  writeNotification,
  writeParams,
  writeRequest,
} from "../wire/message.ts";
import { type Method, Methods } from "../methods/methods.ts";
import type { Observers } from "../parts/observers.ts";
import type { PeerOptions } from "./options.ts";
import { type Pending, PendingTable } from "./pending.ts";
import { type Entry, isWanted, Queue } from "./queue.ts";
import { keepEventShape } from "../runtime/shapes.ts";
import {
  ReadyState,
  type RenewableSocket,
  type Socket,
  type SocketEvent,
} from "../line/socket.ts";
import { references } from "../parts/references.ts";
import { streams } from "../parts/streams.ts";
import type { TraceContext } from "../parts/trace.ts";
import { readAmount } from "../wire/amount.ts";

/** Whose connection it is. */
export interface CoreOwner {
  local: object;
  onopen(): void | Promise<void>;
  onclose(event: CloseInfo): void | Promise<void>;
  onerror(error: unknown): void | Promise<void>;
}

/** Who keeps a peer until it is gone. */
export interface Keeper {
  /** Lets go of it: its socket is gone, or it has waited long enough for that. */
  release(peer: object): void;
}

/** Where a connection is in its life; see {@linkcode Peer.state}. */
export type ConnectionState = "connecting" | "open" | "closed";

/** The question for a stream's next values. */
export const enumeratorNext = "$/enumerator/next";

const defaultTimeout = 60_000;

// How long a peer may take to answer a close frame.
const closeTimeout = 5_000;

/** What every peer can carry. */
const everything = [streams, references] as unknown as readonly Extension[];

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The state of one peer's connection, or of one after the other. */
export abstract class Core implements Host, Carrier, Sweeper {
  readonly owner: CoreOwner;
  readonly ws: Socket & Partial<RenewableSocket>;
  readonly limits: Limits;
  readonly timeout: number;
  readonly stringErrors: boolean;
  readonly pending: PendingTable = new PendingTable();
  /** The version that this side was told to speak. */
  readonly #toldVersion: Version | undefined;
  readonly #definedLocal: object | undefined;
  // One serves every event: a closure less, three times a connection.
  readonly #listener = (event: SocketEvent): void => this.#handle(event);
  /** What waits for the handshake; few have anything wait. */
  #queue: Queue | undefined;
  #methods: Methods | undefined;
  #deadlines: Deadlines | undefined;
  hasOpened = false;
  /** How it ended, once it is over. */
  ended: CloseInfo | undefined;
  #isGone = false;
  /** What the socket last complained of. */
  socketError: unknown;
  #opened: Deferred<void> | undefined;
  #closed: Deferred<CloseInfo> | undefined;
  #keeper: Keeper | undefined;
  // Of this connection, and not of the next:
  spoken: Version | undefined;
  incoming!: Incoming;
  /** None, unless asked for: then plain calls pay for a look at it. */
  capabilities: Capabilities | undefined;
  observers: Observers | undefined;

  constructor(owner: CoreOwner, ws: Socket, options: PeerOptions<unknown>) {
    this.owner = owner;
    this.ws = ws;
    this.limits = completeLimits(options.limits);
    this.timeout = readAmount("timeout", options.timeout ?? defaultTimeout);
    this.stringErrors = options.stringErrors ?? false;
    this.#toldVersion = options.version;
    this.#definedLocal = options.local;
    this.begin();
    ws.binaryType = "arraybuffer";
    this.#listen("addEventListener");
    // The fields of a subclass are not there yet.
    if (ws.readyState !== ReadyState.Connecting) {
      queueMicrotask(() => {
        if (ws.readyState === ReadyState.Open) this.open();
        // Whose end has come already is told of it by the socket.
        else if (!this.hasOpened) this.finish(abnormal, false);
      });
    }
  }

  get state(): ConnectionState {
    if (this.ended !== undefined) return "closed";
    return this.hasOpened ? "open" : "connecting";
  }

  get isOpen(): boolean {
    return this.hasOpened && this.ended === undefined;
  }

  /** Whether the socket is about to say that its connection is lost. */
  isLosing(): boolean {
    return this.hasOpened && this.ws.renew !== undefined &&
      this.ws.readyState !== ReadyState.Open;
  }

  /** The version of what this side sends of itself. */
  get version(): Version {
    return this.spoken ?? "2.0";
  }

  get opened(): Promise<void> {
    if (this.#opened === undefined) {
      this.#opened = new Deferred();
      if (this.hasOpened) this.#opened.resolve();
      else if (this.ended !== undefined) {
        this.#opened.reject(this.closedError("Cannot open", false));
      }
      // Whoever awaits it is told; a look at it must not end the process.
      this.#opened.promise.catch(() => {});
    }
    return this.#opened.promise;
  }

  get closed(): Promise<CloseInfo> {
    if (this.#closed === undefined) {
      this.#closed = new Deferred();
      if (this.#isGone) this.#closed.resolve(this.ended!);
    }
    return this.#closed.promise;
  }

  /** Made with the first call. */
  get deadlines(): Deadlines {
    return this.#deadlines ??= new Deadlines(
      Math.min(this.timeout, this.limits.handlerTimeout, defaultTimeout),
      this,
    );
  }

  /** Keeps the owner until it is gone; `false`: it is. */
  keep(keeper: Keeper): boolean {
    this.#keeper = keeper;
    return !this.#isGone;
  }

  // What leaves.

  request(
    method: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const what = "Cannot send request";
      if (this.ended !== undefined) throw this.closedError(what, false, method);
      // A stream's next values wait for nobody, or a call that reads it would.
      if (
        this.pending.size >= this.limits.outgoing && method !== enumeratorNext
      ) {
        throw new RangeError(
          `${what} "${method}": ${this.pending.size} of at most ${this.limits.outgoing} are pending`,
        );
      }
      const signal = options?.signal;
      signal?.throwIfAborted();
      const timeout = options?.timeout === undefined
        ? this.timeout
        : readAmount("timeout", options.timeout);
      const id = this.pending.takeId();
      const writing = this.capabilities?.startParams(params);
      let text: string;
      try {
        text = this.traced(writeRequest(
          this.version,
          id,
          method,
          this.#writeParams(what, method, params, writing),
        ));
        this.checkLength(what, method, text);
        // What writes itself may have closed it.
        if (this.ended !== undefined) {
          throw this.closedError(what, false, method);
        }
      } catch (error) {
        this.capabilities?.release(writing);
        throw error;
      }
      const lends = writing !== undefined && writing.releases.length > 0;
      const pending: Pending = {
        id,
        method,
        timeout,
        resolve,
        reject,
        batch: undefined,
        deadline: this.deadlines.after(timeout),
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
          this.capabilities?.release(writing, succeeded);
        };
      }
      // Known before it is sent: a socket may answer from within send().
      this.pending.add(pending);
      try {
        this.post(what, pending, text);
      } catch (error) {
        this.pending.take(id);
        throw error;
      }
    });
  }

  /** Sends a request that is known, now or after the handshake. */
  post(what: string, pending: Pending, text: string): void {
    const { method } = pending;
    if (!this.hasOpened) this.enqueue(what, method, { text, pending });
    else if (this.ws.readyState === ReadyState.Open) {
      pending.sent = true;
      this.transmit(text);
    } else if (this.isLosing()) this.enqueue(what, method, { text, pending });
    else throw this.closedError(what, false, method);
  }

  notify(method: string, params?: Params): boolean {
    return this.deliver(method, this.writeNotification(method, params));
  }

  writeNotification(method: string, params: Params | undefined): string {
    const what = "Cannot send notification";
    const writing = this.capabilities?.startParams(params);
    let text: string;
    try {
      text = writeNotification(
        this.version,
        method,
        this.#writeParams(what, method, params, writing),
      );
    } finally {
      this.capabilities?.release(writing);
    }
    if (writing !== undefined && writing.releases.length > 0) {
      throw new TypeError(
        `${what} "${method}": without a response nobody could tell when a stream or a function is no longer needed, send a request`,
      );
    }
    return text;
  }

  /** Sends a notification that is written. */
  deliver(method: string, text: string): boolean {
    text = this.traced(text);
    this.checkLength("Cannot send notification", method, text);
    if (this.ended !== undefined) return false;
    if (this.hasOpened) {
      if (this.send(text)) return true;
      if (!this.isLosing()) return false;
    }
    return this.#waiting.add([{ text, pending: undefined }]);
  }

  /**
   * Sends one of the protocol's own notifications. To 1.0 and bare peers it would
   * be one more invalid message.
   */
  tell(method: string, params: Params): boolean {
    if (this.version !== "2.0") return false;
    const text = writeParams("2.0", params);
    return this.send(writeNotification("2.0", method, text));
  }

  /** Hands a message to the socket; `false` if it could not take it. */
  send(text: string): boolean {
    if (
      this.ended !== undefined || this.ws.readyState !== ReadyState.Open
    ) return false;
    try {
      this.transmit(text);
      return true;
    } catch (error) {
      this.socketError = error;
      return false;
    }
  }

  /** Hands a message to the socket, which is open. */
  abstract transmit(text: string): void;

  /** Lets messages wait for the handshake, all or none. */
  enqueue(what: string, name: string, ...entries: Entry[]): void {
    const queue = this.#waiting;
    if (!queue.add(entries)) throw queue.error(what, name, entries);
  }

  /** How many messages wait for the handshake. */
  queued(): number {
    return this.#queue?.size ?? 0;
  }

  /** Made for the first one. */
  get #waiting(): Queue {
    return this.#queue ??= new Queue(this.limits);
  }

  /** Sends what has waited. */
  sendEntry(entry: Entry): void {
    const { text, pending } = entry;
    if (pending === undefined) this.send(text);
    else if (isWanted(entry)) {
      pending.sent = true;
      if (this.send(text)) return;
      pending.sent = false;
      const { id, method, wasSent, idempotent } = pending;
      this.pending.take(id)?.reject(
        this.closedError("Cannot send request", wasSent, method, idempotent),
      );
    }
  }

  /** Gives a request up: its caller is told, and the peer, if it knows of it. */
  #cancel(id: number, reason: unknown): void {
    const pending = this.pending.take(id);
    if (pending === undefined) return;
    pending.reject(reason);
    if (pending.sent) this.tell("$/cancelRequest", { id });
  }

  /** Ends what is due, and says when the next is; see {@linkcode Deadlines}. */
  sweep(now: number): number {
    let next = Infinity;
    for (const { id, method, timeout, deadline } of this.pending.all()) {
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
    return Math.min(next, this.incoming.sweep(now));
  }

  #writeParams(
    what: string,
    method: string,
    params: Params | undefined,
    writing: Writing | undefined,
  ): string | undefined {
    try {
      if (typeof method !== "string") {
        throw new TypeError(`method must be a string, got ${typeof method}`);
      }
      return writing === undefined
        ? writeParams(this.version, params)
        : this.capabilities?.writeParams(
          params,
          writing,
          (params) => writeParams(this.version, params),
        );
    } catch (error) {
      if (error instanceof RpcError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new TypeError(`${what} "${method}": ${why}`, { cause: error });
    }
  }

  checkLength(what: string, name: string, text: string): void {
    if (text.length > this.limits.messageLength) {
      throw new RangeError(
        `${what} "${name}": it has ${text.length} of at most ${this.limits.messageLength} characters`,
      );
    }
  }

  /** A call with its place in a trace, where there is one to tell. */
  abstract traced(text: string): string;

  // The life of the socket.

  /** Begins to listen to the socket, or stops. */
  #listen(change: "addEventListener" | "removeEventListener"): void {
    const { ws } = this;
    ws[change]("open", this.#listener);
    ws[change]("message", this.#listener);
    ws[change]("error", this.#listener);
    ws[change]("close", this.#listener);
  }

  /** A throw from a listener would end the process, so none leaves here. */
  #handle(event: SocketEvent): void {
    try {
      switch (event.type) {
        case "message":
          keepEventShape(event);
          this.receive(event.data);
          break;
        case "open":
          this.open();
          break;
        case "error":
          this.socketError = event.error ?? event.message;
          break;
        case "close":
          this.#lose(readCloseEvent(event));
          break;
      }
    } catch (error) {
      this.complain(error);
    }
  }

  /** Makes what lives as long as one connection. */
  begin(): void {
    this.spoken = this.#toldVersion;
    this.capabilities = joinExtensions(everything, this);
    this.incoming = new Incoming(this, this.capabilities);
  }

  open(): void {
    if (this.hasOpened || this.ended !== undefined) return;
    this.hasOpened = true;
    this.socketError = undefined;
    const opened = this.#opened;
    this.start();
    this.runHook(() => this.owner.onopen());
    // The hook, or what is sent, may end it, for now or for good.
    while (this.isOpen && !this.isLosing()) {
      const entry = this.#queue?.takeFirst();
      if (entry === undefined) {
        this.#queue = undefined;
        break;
      }
      this.sendEntry(entry);
    }
    opened?.resolve();
    // Who asks from now on is told at once; what told the others may go.
    if (this.#opened === opened) this.#opened = undefined;
  }

  /** The socket is open. */
  abstract start(): void;

  /**
   * The socket is closing or closed.
   *
   * @param isOpen Whether what waits to leave still can.
   */
  abstract stop(isOpen: boolean): void;

  /** The connection is gone: for good, unless the socket says otherwise. */
  #lose(info: CloseInfo): void {
    if (info.retryIn === undefined) return this.finish(info, false);
    // An attempt that failed changes nothing for those who wait.
    if (!this.hasOpened) return;
    this.hasOpened = false;
    this.#opened = undefined;
    this.stop(false);
    // Whoever hears of the end may ask for something already: of the next one.
    const end = this.#takeConnection(info);
    this.begin();
    const again: Entry[] = [];
    for (const pending of this.pending.all()) {
      // What it lends is lost with the connection, sent or not.
      if (!pending.sent && !pending.lends) continue;
      if (pending.again === undefined) this.#abandon(pending, info);
      else {
        pending.sent = false;
        pending.wasSent = true;
        again.push({ text: pending.again, pending });
      }
    }
    if (again.length > 0) this.#waiting.addFirst(again);
    end();
    // Who was told to stop may have closed it.
    if (this.ended !== undefined) return;
    this.runHook(() => this.owner.onclose(info));
  }

  /** Ends a connection that can't go on; a socket that can opens another one. */
  cut(code: number, reason: string): void {
    if (!this.isOpen) return;
    const info = { code, reason: cutReason(reason), wasClean: true };
    const retryIn = this.ws.renew?.(info);
    if (retryIn === undefined) this.finish(info, true);
    else this.#lose({ ...info, retryIn });
  }

  close(code: number, reason: string): void {
    if (!isSendable(code)) {
      throw new RangeError(
        `Cannot close with code ${code}: use 1000 or 3000 to 4999`,
      );
    }
    this.finish({ code, reason: cutReason(reason), wasClean: true }, true);
  }

  /** The end, once, however many events the socket still has to tell. */
  finish(info: CloseInfo, isClosing: boolean): void {
    if (this.ended !== undefined) return;
    this.ended = info;
    this.#listen("removeEventListener");
    this.stop(isClosing);
    if (isClosing) this.#closeSocket(info);

    this.#deadlines?.clear();
    this.#queue = undefined;
    const end = this.#takeConnection(info);
    for (const pending of this.pending.all()) this.#abandon(pending, info);
    end();
    if (!this.hasOpened) {
      this.#opened?.reject(this.closedError("Cannot open", false));
    }
    this.runHook(() => this.owner.onclose(info));
    if (!isClosing) this.#leave();
  }

  /** Tells a caller that no response will come. */
  #abandon(pending: Pending, info: CloseInfo): void {
    const { id, method, idempotent } = pending;
    const sent = pending.sent || pending.wasSent;
    const what = "No response to request";
    this.pending.take(id)?.reject(
      this.closedError(what, sent, method, idempotent, info),
    );
  }

  /** Takes away what this connection carries; returns how to end it, each time. */
  #takeConnection(info: CloseInfo): () => void {
    const { incoming, capabilities, observers, errorOptions } = this;
    const error = (what: string, method?: string): ConnectionClosedError =>
      this.closedError(what, false, method, false, info, errorOptions);
    this.observers = undefined;
    // An error has a stack, which most connections end without.
    capabilities?.cut(() => error("Cannot send request"));
    return () => {
      incoming.end((method) => error("Cannot answer", method));
      capabilities?.end();
      observers?.end(error);
    };
  }

  /** Starts the close handshake, and doesn't trust the peer to finish it. */
  #closeSocket(info: CloseInfo): void {
    const { ws } = this;
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
    if (this.#isGone) return;
    this.#isGone = true;
    this.#closed?.resolve(this.ended!);
    this.#keeper?.release(this.owner);
  }

  // What arrives.

  /** Takes a frame. */
  receive(data: unknown): void {
    // A message must not overtake the hook that prepares for it.
    if (!this.hasOpened) this.open();
    if (this.isOpen) this.take(data);
  }

  /** Takes a frame of a connection that is open. */
  abstract take(data: unknown): void;

  /** The text of a frame, if it may be read. */
  admit(data: unknown, maxLength: number): string | undefined {
    let text: string;
    if (typeof data === "string") text = data;
    else if ((data as ArrayBuffer).byteLength > maxLength) {
      return this.refuseLength();
    } else {
      try {
        text = decoder.decode(data as ArrayBuffer);
      } catch {
        text = "\u{fffd}"; // Not UTF-8, so not JSON: answered as a parse error.
      }
    }
    if (text.length > maxLength) return this.refuseLength();
    this.capabilities?.look(text);
    return text;
  }

  refuseLength(): undefined {
    const reason = `Message is longer than ${this.limits.messageLength}`;
    this.cut(CloseCode.MessageTooBig, reason);
  }

  /** What a message without the member `jsonrpc` is taken for. */
  get unnamedVersion(): "1.0" | "bare" {
    return this.spoken === "bare" ? "bare" : "1.0";
  }

  dispatch(message: Message, text: string, batch?: IncomingBatch): void {
    if (this.spoken === undefined && message.type !== "invalid") {
      this.spoken = message.version;
    }
    switch (message.type) {
      case "request":
      case "notification":
        if (!this.count()) return;
        this.observers?.inform(message);
        this.execute(message, batch);
        break;
      case "response":
        this.settle(message);
        break;
      case "invalid":
        if (this.count()) this.refuse(message, text, batch);
        break;
    }
  }

  /** Counts a message that nobody asked for; `false`: it is one too many. */
  abstract count(): boolean;

  execute(
    call: Request | Notification,
    batch: IncomingBatch | undefined,
  ): void {
    this.incoming.execute(call, batch);
  }

  settle(response: Response): void {
    const { id, error } = response;
    const pending = this.pending.get(id);
    if (pending === undefined) return this.settleUnknown(response);
    // Read while what was lent to the call can still be told by its handle.
    let result: unknown = response.result;
    let failure: unknown;
    if (error !== undefined) failure = readError(error);
    else if (this.capabilities !== undefined) {
      try {
        result = this.capabilities.read(result);
      } catch (unreadable) {
        failure = unreadable;
      }
    }
    this.pending.take(id, error === undefined);
    if (failure === undefined) pending.resolve(result);
    else pending.reject(failure);
  }

  /** A response that no request waits for by its id. */
  abstract settleUnknown(response: Response): void;

  /** Answers what is no message. */
  abstract refuse(
    invalid: Invalid,
    text: string,
    batch: IncomingBatch | undefined,
  ): void;

  /** Does what the protocol's own methods say; `undefined`: it is none of them. */
  control(
    { type, method, params }: Request | Notification,
    asked: Asked,
  ): unknown {
    switch (method) {
      case "$/cancelRequest":
        this.incoming.cancel(readParam(params, "id", 0));
        return null;
      case "$/progress": {
        const token = readParam(params, "token", 0);
        const onprogress = this.pending.get(token)?.onprogress;
        if (onprogress !== undefined) {
          this.runHook(() => onprogress(readParam(params, "value", 1)));
        }
        return null;
      }
      case "rpc.ping":
        return null;
      default:
        // Of a question that wants no answer, nobody would get the values.
        return type === "notification" && method === enumeratorNext
          ? undefined
          : this.capabilities?.control(method, params, asked);
    }
  }

  /** Finds a method, and what to call it on. */
  find(name: string): Method | undefined {
    const { local } = this.owner;
    if (this.#methods?.local !== local) {
      // A definition's methods are called on the peer, as ThisType says.
      const isDefined = local === this.#definedLocal;
      this.#methods = new Methods(local, isDefined ? this.owner : undefined);
    }
    return this.#methods.find(name) ?? this.capabilities?.find(name);
  }

  // What a method needs of its connection: see {@linkcode Host}.

  abstract invoke(
    method: Method,
    params: Params | undefined,
    call: Request | Notification,
  ): unknown;
  abstract traceOf(call: Request | Notification): TraceContext;
  abstract isTaken(id: Id): boolean;
  abstract isBusy(method: string): string | undefined;
  abstract answer(call: Running, text: string): void;
  abstract lengthAround(call: Running): number;
  abstract onsettled(): void;

  // What goes wrong.

  closedError(
    what: string,
    sent: boolean,
    method?: string,
    idempotent = false,
    info: CloseInfo = this.ended ?? abnormal,
    options: ErrorOptions = this.errorOptions,
  ): ConnectionClosedError {
    return new ConnectionClosedError(
      method === undefined ? what : `${what} "${method}"`,
      info,
      sent,
      { ...options, idempotent },
    );
  }

  /** What the socket complained of, for the errors that tell of it. */
  get errorOptions(): ErrorOptions {
    const { socketError } = this;
    return socketError === undefined ? {} : { cause: socketError };
  }

  /** Runs a hook of the owner's, which may throw now or later. */
  runHook(hook: () => void | Promise<void>): void {
    try {
      const result = hook();
      if (isThenable(result)) {
        Promise.resolve(result).catch((error: unknown) => this.complain(error));
      }
    } catch (error) {
      this.complain(error);
    }
  }

  /** Tells the owner of an error, unless the connection's close tells it. */
  report(error: unknown): void {
    const isClosing = this.ws.readyState !== ReadyState.Open;
    if (isClosing && error instanceof ConnectionClosedError) return;
    this.complain(error);
  }

  /** Tells the owner of an error that is nobody else's. */
  complain(error: unknown): void {
    try {
      const result = this.owner.onerror(error);
      if (isThenable(result)) Promise.resolve(result).catch(() => {});
    } catch {
      // There is nobody left to tell.
    }
  }
}
