/**
 * A socket that connects again when its connection is lost, with the interface
 * of one that doesn't.
 *
 * @module
 */

import { abnormal, closeSocket, ignoreError, readCloseEvent } from "./close.ts";
import { deadlineAlarm } from "./deadlines.ts";
import type { CloseCode, CloseInfo } from "../wire/error.ts";
import { type ReconnectOptions, Retries, wait } from "./retry.ts";
import {
  ReadyState,
  type RenewableSocket,
  type Socket,
  type SocketEvent,
} from "./socket.ts";
import type { Sleeper } from "./timers.ts";

/** How a {@linkcode ReconnectingSocket} gets its sockets. */
export interface Opening {
  /**
   * Makes the socket of one attempt.
   *
   * @param failures How many attempts failed since the last connection.
   */
  open(failures: number): Socket | Promise<Socket>;
  /** Whether the second attempt differs from the first, and needs no delay. */
  readonly hasFallback: boolean;
  /** Milliseconds that an attempt may take. */
  readonly timeout: number;
  /** `undefined`: one attempt, one connection. */
  readonly reconnect: ReconnectOptions | undefined;
}

const noStatus: typeof CloseCode.NoStatus = 1005;

type Listener = (event: SocketEvent) => void;

/** Whom to tell, and of what. */
interface Listening {
  readonly listener: Listener;
  /** The bits of the types, see {@linkcode bitOf}. */
  types: number;
}

const eventTypes = ["open", "error", "close", "message"];

/** A bit for each type; what is none has one that nobody is told of. */
function bitOf(type: string): number {
  return 1 << eventTypes.indexOf(type);
}

const messageBit = bitOf("message");

/**
 * A socket that is connecting whenever it has no connection, until it is closed
 * or may not connect again. Its close events say in `retryIn` whether they are
 * the last.
 */
export class ReconnectingSocket implements RenewableSocket, Sleeper {
  place = -1;
  readonly #opening: Opening;
  #listeners: readonly Listening[] = [];
  readonly #listener = (event: SocketEvent): void => this.#handle(event);
  readonly #retries: Retries | undefined;
  #binaryType = "blob";
  /** The connection, or the attempt at one. */
  #socket: Socket | undefined;
  /** When an attempt must have come to something. */
  #due = Infinity;
  /** Ends the wait for the next attempt. */
  #endWait: (() => void) | undefined;
  #attempt = 0;
  /** Attempts that failed since the last connection. */
  #failures = 0;
  #isFresh = false;
  #hasOpened = false;
  #isOver = false;

  constructor(opening: Opening) {
    const { reconnect } = this.#opening = opening;
    if (reconnect !== undefined) this.#retries = new Retries(reconnect);
    this.#start();
  }

  /** The socket of the connection, or of the attempt at one. */
  get current(): Socket | undefined {
    return this.#socket;
  }

  /** 0 connecting, also between attempts; 1 open, 2 closing, 3 closed. */
  get readyState(): number {
    const { Connecting, Open, Closed } = ReadyState;
    const state = this.#socket?.readyState;
    if (this.#isOver) return state ?? Closed;
    // An attempt that fails is followed by another.
    return !this.#hasOpened && state !== Open ? Connecting : state!;
  }

  /** Bytes that were sent and have not left yet. */
  get bufferedAmount(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** The subprotocol that the server selected; `""`: none. */
  get protocol(): string {
    return this.#socket?.protocol ?? "";
  }

  /** See {@linkcode Socket.frameLength}. */
  get frameLength(): number | undefined {
    return this.#socket?.frameLength;
  }

  /** What binary frames arrive as. */
  get binaryType(): string {
    return this.#binaryType;
  }

  set binaryType(type: string) {
    this.#binaryType = type;
    if (this.#socket !== undefined) this.#socket.binaryType = type;
  }

  /** Sends a text frame. */
  send(data: string): void {
    this.#socket?.send(data);
  }

  /** Closes the connection, and opens no other. */
  close(code?: number, reason?: string): void {
    this.#isOver = true;
    this.#stopWaiting();
    if (this.#socket !== undefined) return this.#socket.close(code, reason);
    queueMicrotask(() =>
      this.#dispatch({ type: "close", code: code ?? noStatus })
    );
  }

  /** Cuts the connection, if the socket can. */
  terminate(): void {
    this.#socket?.terminate?.();
  }

  renew(info: CloseInfo): number | undefined {
    const socket = this.#socket;
    if (this.#isOver || socket === undefined) return undefined;
    const retryIn = this.#decide(info);
    if (retryIn === undefined) return undefined;
    this.#drop();
    closeSocket(socket, info);
    this.#wait(retryIn);
    return retryIn;
  }

  addEventListener(type: string, listener: Listener): void {
    const bit = bitOf(type);
    let known = this.#find(listener);
    if (known === undefined) {
      known = { listener, types: 0 };
      this.#listeners = this.#listeners.concat(known);
    }
    if ((known.types & bit) !== 0) return;
    known.types |= bit;
    // Messages come straight from the socket: they are many.
    if (bit === messageBit) this.#socket?.addEventListener(type, listener);
  }

  removeEventListener(type: string, listener: Listener): void {
    const known = this.#find(listener);
    const bit = bitOf(type);
    if (known === undefined || (known.types & bit) === 0) return;
    known.types &= ~bit;
    if (known.types === 0) {
      this.#listeners = this.#listeners.filter((other) => other !== known);
    }
    if (bit === messageBit) this.#socket?.removeEventListener(type, listener);
  }

  // Neither closure nor iterator, since every connection asks four times.
  #find(listener: Listener): Listening | undefined {
    const listeners = this.#listeners;
    for (let index = 0; index < listeners.length; index++) {
      if (listeners[index]!.listener === listener) return listeners[index];
    }
    return undefined;
  }

  #start(): void {
    const attempt = ++this.#attempt;
    const socket = this.#opening.open(this.#failures);
    const { timeout } = this.#opening;
    // Whoever was asked for an address or a socket may have closed it.
    if (this.#isWanted(attempt) && timeout !== Infinity) {
      this.#due = performance.now() + timeout;
      deadlineAlarm.set(this, timeout);
    }
    // A maker that takes its time asks for credentials.
    this.#isFresh = socket instanceof Promise;
    if (socket instanceof Promise) this.#takeLater(socket, attempt);
    else this.#take(socket, attempt);
  }

  // By itself: what closures see costs an object, also where none is made.
  #takeLater(socket: Promise<Socket>, attempt: number): void {
    socket.then((socket) => this.#take(socket, attempt)).catch((error) => {
      if (this.#isWanted(attempt)) this.#fail(error);
    });
  }

  /** Takes the socket of an attempt, unless it comes too late. */
  #take(socket: Socket, attempt: number): void {
    if (this.#isWanted(attempt)) return this.#attach(socket);
    socket.addEventListener("error", ignoreError);
    socket.close();
  }

  #isWanted(attempt: number): boolean {
    return attempt === this.#attempt && !this.#isOver;
  }

  /** Ends an attempt that takes too long. */
  wake(now: number): void {
    if (this.#due > now) return;
    this.#due = Infinity;
    this.#fail(`No handshake within ${this.#opening.timeout} ms`);
  }

  wakeAt(): number {
    return this.#due;
  }

  report(error: unknown): void {
    this.#dispatch({ type: "error", error });
  }

  #connect(): void {
    try {
      this.#start();
    } catch (error) {
      this.#fail(error);
    }
  }

  #attach(socket: Socket): void {
    this.#socket = socket;
    socket.binaryType = this.#binaryType;
    this.#listen(socket, "addEventListener");
    if (socket.readyState === ReadyState.Open) {
      queueMicrotask(() => {
        if (this.#socket === socket && !this.#hasOpened) {
          this.#handle({ type: "open" });
        }
      });
    }
  }

  /** Has nothing more to do with the socket. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#hasOpened = false;
    this.#attempt++;
    this.#stopWaiting();
    if (socket === undefined) return;
    if (socket.readyState !== ReadyState.Closed) {
      socket.addEventListener("error", ignoreError);
    }
    this.#listen(socket, "removeEventListener");
  }

  /** Begins to listen to a socket, or stops. */
  #listen(
    socket: Socket,
    change: "addEventListener" | "removeEventListener",
  ): void {
    socket[change]("open", this.#listener);
    socket[change]("error", this.#listener);
    socket[change]("close", this.#listener);
    // Messages go straight to theirs.
    for (const { listener, types } of this.#listeners) {
      if (types & messageBit) socket[change]("message", listener);
    }
  }

  #handle(event: SocketEvent): void {
    if (event.type === "close") return this.#lose(readCloseEvent(event));
    if (event.type === "open") {
      this.#stopWaiting();
      this.#hasOpened = true;
      this.#retries?.open();
      this.#failures = 0;
    }
    this.#dispatch(event);
  }

  /** An attempt came to nothing before there was a socket, or without its word. */
  #fail(error: unknown): void {
    const socket = this.#socket;
    this.#dispatch({ type: "error", error });
    this.#lose(abnormal);
    socket?.close();
  }

  #lose(info: CloseInfo): void {
    const retryIn = this.#isOver ? undefined : this.#decide(info);
    if (retryIn === undefined) this.#isOver = true;
    this.#drop();
    if (retryIn !== undefined) this.#wait(retryIn);
    this.#dispatch({
      type: "close",
      ...info,
      ...(retryIn !== undefined && { retryIn }),
    });
  }

  /** In how many milliseconds to try again after an end; `undefined`: never. */
  #decide(info: CloseInfo): number | undefined {
    const { hasFallback } = this.#opening;
    if (!this.#hasOpened) this.#failures++;
    const delay = this.#retries?.delayAfter(info, this.#isFresh);
    return delay !== undefined && hasFallback && this.#failures === 1
      ? 0
      : delay;
  }

  #wait(delay: number): void {
    this.#endWait = wait(delay, () => this.#connect());
  }

  #stopWaiting(): void {
    this.#due = Infinity;
    if (this.#isOver) deadlineAlarm.delete(this);
    this.#endWait?.();
    this.#endWait = undefined;
  }

  #dispatch(event: SocketEvent): void {
    const bit = bitOf(event.type);
    let told = this.#listeners;
    // Whoever is told of something may let others listen, or no more.
    if (told.length > 1) told = told.filter(({ types }) => types & bit);
    for (const { listener, types } of told) if (types & bit) listener(event);
  }
}
