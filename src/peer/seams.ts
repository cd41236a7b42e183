/**
 * The seams of the core: an interface for each part, with everything that the core
 * asks of it. A part that is left out is an empty slot, and costs one comparison.
 *
 * @see ARCHITECTURE.md, "Parts"
 *
 * @module
 */

import type { SocketEvent } from "../line/socket.ts";
import type { ErrorObject } from "../wire/error.ts";
import type {
  Id,
  Notification,
  Params,
  Request,
  Version,
} from "../wire/message.ts";
import type { CallOptions } from "./call.ts";
import type { Method } from "./methods.ts";
import type { Entry, Loan, Pending } from "./pending.ts";
import type { TraceContext } from "./trace.ts";

/** A part that is told of the beginning and the end of connections. */
export interface Living {
  /** The part that is told after it; set by the core alone. */
  next: Living | undefined;
  /** A connection has opened. */
  open?(): void;
  /**
   * The connection is closing or lost.
   *
   * @param isOpen Whether messages can still be sent.
   */
  stop?(isOpen: boolean): void;
  /** The peer is closed for good. */
  end?(): void;
}

/** The part `versions`: JSON-RPC 1.0, and 2.0 without the member `jsonrpc`. */
export interface Versions {
  /**
   * The version of a message without the member `jsonrpc`.
   *
   * @param isShared Whether frames are shared.
   */
  unnamed(spoken: Version | undefined, isShared: boolean): Version;
  writeRequest(
    version: Version,
    id: number | string,
    method: string,
    params: Params | undefined,
  ): string;
  writeNotification(
    version: Version,
    method: string,
    params: Params | undefined,
  ): string;
  writeResult(version: Version, id: Id, result: unknown): string;
  writeError(version: Version, id: Id, error: ErrorObject): string;
}

/** The answer to a batch that arrived, which is being collected. */
export interface IncomingBatch {
  /** Adds the error for a member that is no message. */
  add(text: string): void;
  /** Adds the response of a member that was executed. */
  answer(text: string): void;
  /** Most characters of the frame beside one more response. */
  lengthAround(): number;
  /** The reason if a response may not wait for the others; `undefined`: it may. */
  refuses(text: string): string | undefined;
}

/** The part `batches`, out and in, of a peer that has had one. */
export interface Batches {
  /** Whether messages that are sent now are collected. */
  isCollecting: boolean;
  /** Keeps the promise of a collected request. */
  note(promise: Promise<unknown>): void;
  /** Adds a message to the batch that is being collected. */
  collect(text: string, pending: Pending | undefined): void;
  /**
   * Whether an id belongs to an unanswered batch, even if its own method has ended.
   */
  isTaken(id: Id): boolean;
  /** Whether the batch that is being read is known to answer one of this side's. */
  readonly isNamed: boolean;
  /**
   * Takes an error without an id for the answer to a batch.
   *
   * @param isGuess Whether the oldest batch may be taken, if none is known.
   * @returns Whether there was such a batch.
   */
  settle(error: unknown, isGuess: boolean): boolean;
}

/**
 * The part `sharedFrames`: the offer, and the frames of a connection whose two
 * sides agreed.
 */
export interface Sharing {
  /** The subprotocols to offer after some failed attempts. */
  offers(failures: number): readonly string[];
  /** Whether the next attempt offers something else, and so needs no delay. */
  hasFallback(failures: number): boolean;
  /** Whether the connection shares frames. */
  readonly isShared: boolean;
  /** Takes a frame if it is the server's agreement; returns whether it is. */
  take(text: string): boolean;
  /** Sends a message, now or at the end of this turn. */
  push(text: string): void;
  /** Sends the gathered messages. */
  flush(): void;
  /** Most characters of a frame. */
  readonly mostLength: number;
  /** Reads the messages of a frame. */
  receive(value: unknown, text: string): void;
  /** Reads the messages of a frame that has one nested too deeply. */
  receiveDeep(text: string): void;
}

/** The part `heartbeat`. */
export interface Heartbeat {
  /**
   * Whether anything arrived since the last look. Setting it is all that a message
   * costs.
   */
  isHeard: boolean;
  /** Notes that a ping was answered: this part's, the owner's, or the socket's. */
  hearAnswer(): void;
  /** Whether a response is the answer to a ping. */
  isAnswer(id: unknown): boolean;
  /** Whether an error without an id is taken for the answer to a ping. */
  isBlamed(): boolean;
  /**
   * Whether the next frame gets the mark, by which this side shows that it answers
   * `rpc.ping`.
   */
  readonly isMarking: boolean;
  /** Adds the mark to a frame. */
  mark(frame: string): string;
  /** Whether the other side has sent the mark. */
  readonly isMarked: boolean;
  /** Looks for the mark in a frame that ends with a space. */
  hearMark(frame: string): void;
}

/**
 * The part `slowReaders`: messages that wait because the other side reads slowly.
 */
export interface Backlog {
  /** Whether further messages have to wait. */
  readonly isHolding: boolean;
  /** Looks whether messages that wait can be sent. */
  look(): void;
  /** Whether there is room for a message that may have to wait. */
  hasRoom(entry: Entry): boolean;
  /**
   * Lets a message wait; `false`: there was no room, and the connection was closed.
   */
  hold(entry: Entry): boolean;
  /** Forgets the messages that wait: the connection ends. */
  drop(): void;
  /** Counts a message that was sent. */
  add(length: number): void;
  /** Resolves when few bytes wait; see {@linkcode Peer.drained}. */
  drained(): Promise<void>;
}

/** The part `bounds`: bounds on the other side. */
export interface Bounds {
  /** Counts a call; `false`: it was one too many, and was refused. */
  admits(
    call: Request | Notification,
    batch: IncomingBatch | undefined,
  ): boolean;
  /**
   * Counts any other message that wasn't asked for; `false`: it was one too many.
   */
  count(): boolean;
  /**
   * Takes the last count back, for messages that only follow this side's answers.
   */
  giveBack(): void;
  /** Refuses a frame that is too long. */
  refuseLength(data: unknown): void;
  /**
   * Counts an invalid message; `false`: it was one too many, and the connection is
   * closed.
   */
  countInvalid(): boolean;
  /** Ends methods that take too long; returns the time of the next deadline. */
  sweep(now: number): number;
  /** Whether a frame is nested too deeply to be read. */
  isTooDeep(text: string, levels: number): boolean;
  /** Refuses such a message. */
  refuseDepth(text: string): void;
}

/** The `onopen` of one connection, while it runs; see `opening.ts`. */
export interface Opening {
  /** Whether a call that is made now is the hook's own. */
  readonly isOwn: boolean;
  /** Whether other calls wait, because the hook has returned a promise. */
  readonly holds: boolean;
  /** Number of its own calls that were made, and that were answered. */
  readonly made: number;
  readonly answered: number;
  /** Whether all calls pass nevertheless, after a hint. */
  isLenient: boolean;
  /** Whether a call may leave. */
  passes(method: string | undefined): boolean;
  /** Counts a call of its own. */
  count(): void;
  /**
   * Wraps the function that settles one of its calls: what follows the answer is
   * the hook's, too.
   */
  follow<Args extends unknown[]>(
    settle: (...args: Args) => void,
  ): (...args: Args) => void;
  /** Lets all calls pass. */
  end(): void;
}

/** A time in which no calls are sent, because the other side refused some. */
export interface Pause {
  /**
   * Ends it: sends the calls that waited, or leaves them in the queue for a
   * connection.
   */
  end(): void;
}

/** The turns of a server's connection among the others; see `server/turns.ts`. */
export interface Turns {
  /** Counts a long answer, which takes time even if its request was short. */
  spend(): void;
  /**
   * Whether an event is to be handled now; if not, it is kept and handled later.
   */
  takes(event: SocketEvent): boolean;
  /** Counts a ping or a pong, after which the connection may have to wait its turn. */
  count(): void;
  /**
   * Whether the turn is over for a connection with more work; asked before each
   * piece of it.
   */
  isOver(): boolean;
  /**
   * The same, looked at only after a long answer or while work waits; asked before
   * an answer.
   */
  isSpent(): boolean;
  /**
   * Runs a task in the next turn, before messages that arrive meanwhile; `false`:
   * there is no room for it to wait. If the connection closes first, the task still
   * runs then, for whatever waits for it.
   *
   * @param length Characters that the task keeps in memory.
   * @param messages The messages that are lost if the connection ends first.
   */
  goOn(run: () => void, length: number, messages: readonly unknown[]): boolean;
  /** Pauses the socket for a while, if it can be paused. */
  rest(): void;
}

/** The state of a peer that lets no more methods begin. */
export interface Draining {
  /** Looks whether every method has answered. */
  look(): void;
}

/** The part `traces`. */
export interface Traces {
  /** Reads the trace context of a call. */
  read(call: Request | Notification): TraceContext;
  /** Whether this side writes contexts. */
  readonly isOn: boolean;
  /** Adds the context to a call's text. */
  write(text: string): string;
  /** Runs a method as a part of its caller's trace. */
  run<T>(call: Request | Notification, method: () => T): T;
}

/** A call, as streams and references see it. */
export interface Lender {
  /** `"notification"`: its result goes nowhere. */
  readonly type: "request" | "notification";
  /** Notes a sign of life from its method. */
  live(): void;
  /** Aborts the call's signal. */
  abort(reason: unknown): void;
  /** Aborts when the answer isn't wanted any more. */
  readonly signal: AbortSignal;
}

/**
 * The params or the result that are being written. The streams and references in
 * them are released when writing or sending fails, and those of params when the
 * request is settled.
 */
export interface Writing extends Loan {
  /** The call whose result it is; `undefined` for params. */
  readonly call: Lender | undefined;
  /**
   * The functions that release them, called with whether the message was taken by
   * the other side.
   */
  readonly releases: ((succeeded: boolean) => void)[];
  /** Writes the marks of `marshal`, at any depth. */
  marshaler: Marshaler | undefined;
  /** The connection that it is written for. */
  link: object | undefined;
}

/**
 * Writes the marks of `marshal` in a value. An object rather than a function made for
 * each value: V8 kept 1.6 KiB of each such call until the next full collection
 * (bench/, "1 KiB in one process": a fifth of the time).
 */
export interface Marshaler {
  lend(mark: object, writing: Writing): object;
}

/** The streams and references of one connection. */
export interface Values {
  /** Begins to write params; `undefined` if all are scalars. */
  startParams(params: Params | undefined): Writing | undefined;
  /** Whether this many more may be lent now. */
  hasRoom(loan: Pick<Loan, "streams" | "references">): boolean;
  /**
   * Whether there is room for what these messages lend; `undefined`: they lend
   * nothing.
   */
  canLend(messages: readonly Entry[]): boolean | undefined;
  /** Whether a stream or a reference is lent. */
  readonly isLending: boolean;
  /** Counts the loan of params that are sent. */
  lend(loan: Loan): void;
  /**
   * A promise that a result must wait for before it is written; `undefined`: it
   * need not wait.
   */
  turn(value: unknown, call: Lender): Promise<void> | undefined;
  /** Begins to write a result; `undefined` if it is a scalar. */
  startResult(value: unknown, call: Lender): Writing | undefined;
  writeParams<T>(
    params: Params | undefined,
    writing: Writing,
    write: (params: Params | undefined) => T,
  ): T;
  writeResult<T>(
    value: unknown,
    writing: Writing,
    write: (value: unknown) => T,
  ): T;
  /** Ends a writing: releases what was lent for the time of a call. */
  release(writing: Writing | undefined, succeeded?: boolean): void;
  /**
   * Reads a result.
   *
   * @param text The text of its frame.
   */
  read(value: unknown, text: string): unknown;
  /** Reads the params of a call for the function that it calls. */
  readParams(
    params: Params | undefined,
    text: string,
    fn: object,
  ): Params | undefined;
  /**
   * Releases the streams and references in a result that nobody waits for any more.
   */
  discard(value: unknown, text: string): void;
  /** Finds a method of an object that was lent. */
  find(name: string): Method | undefined;
  /** Lets the promise of a call be iterated as a stream. */
  decorate(promise: Promise<unknown>, options: CallOptions | undefined): void;
  /**
   * Answers one of the protocol's own methods; `undefined`: it is none of theirs.
   */
  control(method: string, params: Params | undefined, call: Lender): unknown;
  /** Rejects questions that are under way: the connection ends. */
  cut(): void;
  /** Ends all of them: the connection has closed. */
  end(): void;
}
