/**
 * The seams of the core: what it asks of each part that a peer may have. A part
 * that is left out is a slot that is `undefined`, and costs one comparison.
 *
 * @see ARCHITECTURE.md, "Parts"
 *
 * @module
 */

import type { HttpAnswer, Socket, SocketEvent } from "../line/socket.ts";
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

/** A part that is told when a connection begins and ends. */
export interface Living {
  /** A connection has opened. */
  open?(): void;
  /**
   * The connection is closing or lost.
   *
   * @param isOpen Whether what waits to leave still can.
   */
  stop?(isOpen: boolean): void;
  /** The peer is closed for good. */
  end?(): void;
}

/** JSON-RPC 1.0, and 2.0 without the member `jsonrpc`. */
export interface Versions {
  /**
   * The version of a message that names none.
   *
   * @param isShared Whether frames are shared.
   */
  unnamed(spoken: Version | undefined, isShared: boolean): Version;
  writeRequest(
    version: Version,
    id: number | string,
    method: string,
    params: string | undefined,
  ): string;
  writeNotification(
    version: Version,
    method: string,
    params: string | undefined,
  ): string;
  writeResult(version: Version, id: Id, result: string): string;
  writeError(version: Version, id: Id, error: ErrorObject): string;
  /** @throws {TypeError} A version has no such params. */
  checkParams(version: Version, params: Params | undefined): void;
}

/** The response to a batch that arrived, on its way to becoming one frame. */
export interface IncomingBatch {
  /** Takes what a member that is no message is answered. */
  add(text: string): void;
  /** Takes the response of a member that was executed. */
  answer(text: string): void;
  /** Characters that share a frame with one more response, at most. */
  lengthAround(): number;
  /** What it has, if such a response may not wait for the others. */
  refuses(text: string): string | undefined;
}

/** Several messages in one frame, each way, as the specification has it. */
export interface Batches {
  /** Whether what is sent now is collected. */
  isCollecting: boolean;
  /** Takes note of the promise of a request that is collected. */
  note(promise: Promise<unknown>): void;
  /** Takes a message into the batch that is being collected. */
  collect(text: string, pending: Pending | undefined): void;
  /** Reads a batch that arrived. */
  receive(messages: unknown[], text: string): void;
  /** Whether an id is that of a batch which is not answered, though no method runs for it. */
  isTaken(id: Id): boolean;
  /** Whether the batch that is being read says which one of ours it answers. */
  readonly isNamed: boolean;
  /**
   * Takes an error without an id for an answer to a batch.
   *
   * @param isGuess Whether any batch may be meant, if none was named.
   * @returns Whether it was one.
   */
  settle(error: unknown, isGuess: boolean): boolean;
}

/** The offer to share frames, and the frames of a connection where both ends do. */
export interface Sharing {
  /** The subprotocols to offer, after so many attempts that failed. */
  offers(failures: number): readonly string[];
  /** Whether the next attempt differs from the first, and needs no delay. */
  hasFallback(failures: number): boolean;
  /** Whether the connection shares frames. */
  readonly isShared: boolean;
  /** Takes a frame that may be the server's word that it shares them, too. */
  take(text: string): boolean;
  /** Sends a message, now or at the end of this turn. */
  push(text: string): void;
  /** Sends what was gathered. */
  flush(): void;
  /** Characters that a frame may have. */
  readonly mostLength: number;
  /** Reads what shared a frame. */
  receive(value: unknown, text: string): void;
  /** Reads what shared a frame of which some is nested too deeply. */
  receiveDeep(text: string): void;
}

/** Signs of life, asked for after silence. */
export interface Heartbeat {
  /** Whether anything arrived since the last look: all that a message costs. */
  isHeard: boolean;
  /** The peer has answered a ping: this side's, its owner's, or the socket's. */
  hearAnswer(): void;
  /** Whether a response is the answer to a ping. */
  isAnswer(id: unknown): boolean;
  /** Whether an error without an id is about a ping. */
  isBlamed(): boolean;
  /** Whether the next frame is to say that this side answers `rpc.ping`. */
  readonly isMarking: boolean;
  /** A frame that says so. */
  mark(frame: string): string;
  /** Whether the other side has said so. */
  readonly isMarked: boolean;
  /** The other side has said so, if a frame that ends with a space does. */
  hearMark(frame: string): void;
}

/** What was sent and has not left yet, because the peer reads too slowly. */
export interface Backlog {
  /** Whether what is to be sent waits. */
  readonly isHolding: boolean;
  /** Looks whether what waits may leave. */
  look(): void;
  /** Whether there is room for what may have to wait. */
  hasRoom(entry: Entry): boolean;
  /** Lets a message wait; `false`: the connection was closed for it. */
  hold(entry: Entry): boolean;
  /** Forgets what waits: the connection goes down. */
  drop(): void;
  /** Takes note of what was sent. */
  add(length: number): void;
  /** Resolves when little waits. */
  drained(): Promise<void>;
}

/** Limits of what the peer may send. */
export interface Bounds {
  /** Counts a call; `false`: it was one too many, and that was answered. */
  admits(
    call: Request | Notification,
    batch: IncomingBatch | undefined,
  ): boolean;
  /** Counts what else nobody asked for; `false`: it was one too many. */
  count(): boolean;
  /** Takes the last one back: it follows this side's answers. */
  giveBack(): void;
  /** Refuses a frame that is too long. */
  refuseLength(data: unknown): void;
  /** Counts what is no JSON-RPC; `false`: it was one too many. */
  countInvalid(): boolean;
  /** Ends methods that take too long, and says when the next will have. */
  sweep(now: number): number;
  /** Whether a frame is nested too deeply to be read. */
  isTooDeep(text: string, levels: number): boolean;
  /** Refuses a message that is. */
  refuseDepth(text: string): void;
}

/** The `onopen` of one connection, while it runs; see `opening.ts`. */
export interface Opening {
  /** Whether what is called now is its own. */
  readonly isOwn: boolean;
  /** Whether others wait: it has not settled in its first turn. */
  readonly holds: boolean;
  /** How many calls of its own were made, and answered. */
  readonly made: number;
  readonly answered: number;
  /** Whether what is called meanwhile is let pass, all the same. */
  isLenient: boolean;
  /** Whether a call may leave. */
  passes(method: string | undefined): boolean;
  /** Takes note of a call of its own that is about to be made. */
  count(): void;
  /** Follows one of its calls to its answer. */
  follow<Args extends unknown[]>(
    settle: (...args: Args) => void,
  ): (...args: Args) => void;
  /** Lets nobody wait any more. */
  end(): void;
}

/** A time in which no calls are sent, because the peer said so. */
export interface Pause {
  /** Sends what has waited for it, or lets it wait for a connection. */
  end(): void;
}

/** Calls that the peer wants later. */
export interface Pace {
  /** Lets a call wait that was refused with such an error; `false`: it may not. */
  postpone(pending: Pending, error: unknown): boolean;
}

/** What a server answers instead of a handshake. */
export interface Answers {
  /** Ends an attempt by what its socket tells. */
  listen(socket: Socket): void;
  /** The answer that an error tells of. */
  read(error: unknown): HttpAnswer | undefined;
}

/** What a developer is told who may have meant something else. */
export interface Hints {
  /** A method was not found. */
  explain(local: object, name: string): Error | undefined;
  /** Looks whether an `onopen` waits for what waits for it; returns how not to. */
  watch(opening: Opening): () => void;
}

/** The share of one connection in the time of all. */
export interface Turns {
  /** Counts a long answer: to write it takes time, however short its request was. */
  spend(): void;
  /** Whether an event is to be handled now; if not, it is kept and told again later. */
  takes(event: SocketEvent): boolean;
  /** Reads nothing for a while, where the socket can be paused. */
  rest(): void;
}

/** A peer that lets no more methods begin. */
export interface Draining {
  /** Looks whether every method has answered. */
  look(): void;
}

/** Distributed traces. */
export interface Traces {
  /** The place in a trace that a call names. */
  read(call: Request | Notification): TraceContext;
  /** Whether this side takes part. */
  readonly isOn: boolean;
  /** A call with its place in a trace. */
  write(text: string): string;
  /** Runs a method as a part of its caller's trace. */
  run<T>(call: Request | Notification, method: () => T): T;
}

/** A call whose result is being written, and which may be over before it is read. */
export interface Lender {
  /** Whether its result goes to somebody. */
  readonly type: "request" | "notification";
  /** Notes a sign of life from its method. */
  live(): void;
  /** Aborts the call's signal. */
  abort(reason: unknown): void;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/**
 * What is being written: the params of a request, or a result. What is kept for
 * the peer on its behalf is let go of when it fails, and, for params, when the
 * request is settled.
 */
export interface Writing extends Loan {
  /** The call whose result it is; `undefined` for params. */
  readonly call: Lender | undefined;
  /**
   * How to let go of what was kept, each: told whether what was written reached
   * a peer that took it.
   */
  readonly releases: ((succeeded: boolean) => void)[];
  /** Writes what is marked, wherever it stands. */
  marshal: ((marked: object) => unknown) | undefined;
  /** For which connection it is written. */
  link: object | undefined;
}

/** What one connection carries beside JSON: streams, functions, objects. */
export interface Values {
  /** Begins to write params; `undefined` if they hold nothing to look at. */
  startParams(params: Params | undefined): Writing | undefined;
  /** Whether so much more may be lent now. */
  hasRoom(loan: Pick<Loan, "streams" | "references">): boolean;
  /** Whether what messages lend may be; `undefined`: they lend nothing. */
  canLend(messages: readonly Entry[]): boolean | undefined;
  /** Whether the peer reads a stream, or may call what it was lent. */
  readonly isLending: boolean;
  /** Counts what params lend: they are sent. */
  lend(loan: Loan): void;
  /** For what a result must wait before it is written; `undefined`: nothing. */
  turn(value: unknown, call: Lender): Promise<void> | undefined;
  /** Begins to write a result; `undefined` if there is nothing to look at. */
  startResult(value: unknown, call: Lender): Writing | undefined;
  writeParams<T>(
    params: Params | undefined,
    writing: Writing,
    write: (params: Params | undefined) => T,
  ): T;
  /** Writes a result as JSON. */
  writeResult(value: unknown, writing: Writing): string;
  /** Lets go of all that was kept for what was written. */
  release(writing: Writing | undefined, succeeded?: boolean): void;
  /**
   * Reads a result.
   *
   * @param text The frame that it came in.
   */
  read(value: unknown, text: string): unknown;
  /** Reads the params of a call for the function that it calls. */
  readParams(
    params: Params | undefined,
    text: string,
    fn: object,
  ): Params | undefined;
  /** Lets go of what a result carries that nobody waits for any more. */
  discard(value: unknown, text: string): void;
  /** Finds a method that is not the owner's. */
  find(name: string): Method | undefined;
  /** Lets the promise of a call be used as what it will be. */
  decorate(promise: Promise<unknown>, options: CallOptions | undefined): void;
  /** Answers one of the protocol's own methods; `undefined`: none of these. */
  control(method: string, params: Params | undefined, call: Lender): unknown;
  /** Lets nothing more be asked for. */
  cut(): void;
  /** The connection closed. */
  end(): void;
}
