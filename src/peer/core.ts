/**
 * The core of a peer: all that it knows, in one record. What is done with it are
 * functions in the files around, which import one way: what the owner is told,
 * sending, calls out, calls in, the life of a connection, what a socket tells.
 *
 * One connection after the other passes through a core; what belongs to one of
 * them alone is its {@linkcode Connection}. Who uses a peer can't reach its core.
 *
 * @see ARCHITECTURE.md
 *
 * @module
 */

import { Deadlines } from "../line/deadlines.ts";
import type { Deferred } from "../line/deferred.ts";
import { type FailedAttempt, Retries } from "../line/retry.ts";
import type {
  HttpAnswer,
  Socket,
  SocketEvent,
  SocketMaker,
} from "../line/socket.ts";
import { readAmount } from "../wire/amount.ts";
import type { CloseInfo, RpcError } from "../wire/error.ts";
import type { Limits } from "../wire/limits.ts";
import type { Id, Notification, Request, Version } from "../wire/message.ts";
import type { Call, ErrorContext, First } from "./call.ts";
import type { Methods } from "./methods.ts";
import type { Observers } from "./observers.ts";
import type { Part, PeerOptions } from "./options.ts";
import { PendingTable, Queue } from "./pending.ts";
import type {
  Answers,
  Backlog,
  Batches,
  Bounds,
  Draining,
  Heartbeat,
  Hints,
  IncomingBatch,
  Lender,
  Living,
  Opening,
  Pace,
  Pause,
  Sharing,
  Traces,
  Turns,
  Values,
  Versions,
} from "./seams.ts";

/** The public peer of a core: what it lets be called, and its hooks. */
export interface Owner {
  local: object;
  onopen(first: First): void | Promise<void>;
  onresume(first: First): void | Promise<void>;
  onclose(event: CloseInfo): void | Promise<void>;
  onattempt(failed: FailedAttempt): void | Promise<void>;
  onerror(error: unknown, context: ErrorContext): void | Promise<void>;
  oninvalid(text: string, error: RpcError): boolean | void;
}

/** A listener to the status of a connection, which asks for what it shows. */
export interface Watched {
  change(): void;
}

/** A close that waits until what was taken before it has been sent. */
export interface Leaving {
  readonly info: CloseInfo;
  /** Stops the timer that ends the wait. */
  readonly stop: () => void;
}

/** A list of peers, such as a server's, that has each until it is gone. */
export interface Keeper {
  /** Takes a peer off the list: its socket is gone, or has had 5 seconds for that. */
  release(peer: object): void;
}

/** Where a connection is in its life; see {@linkcode Peer.state}. */
export type ConnectionState = "connecting" | "open" | "closed";

/** A method that runs for the other side. */
export interface RunningCall extends Call, Lender {
  readonly signal: AbortSignal;
  readonly type: "request" | "notification";
  readonly version: Version;
  /** The connection that it came by, perhaps not the one of now. */
  readonly connection: Connection;
  /** The batch that its response belongs to. */
  readonly batch: IncomingBatch | undefined;
  answered: boolean;
  /** When it is given up, in milliseconds of the monotonic clock. */
  deadline: number;
  /** Whether it has been told to stop. */
  readonly isAborted: boolean;
  /** How many streams and references of the peer's are among its arguments. */
  borrowed: number;
  /** Aborts its signal; why is asked if somebody has that, since an error has a stack. */
  stop(why: () => unknown): void;
}

/**
 * What lives as long as one connection. Its tables are made when there is
 * something to put into them: a server may have thousands of connections on which
 * nothing happens.
 */
export class Connection {
  /** The version that was told or heard; `undefined`: neither yet. */
  spoken: Version | undefined;
  /** What it carries beside JSON; `undefined`: nothing. */
  values: Values | undefined;
  /** The requests that are still to be answered. */
  unanswered: Map<Id | RunningCall, RunningCall> | undefined;
  /** The methods that have not settled, answered or not. */
  running: Set<RunningCall> | undefined;
  /** How many of them are functions and objects that were lent. */
  lentRunning = 0;
  /** The methods that have not settled though their time is over. */
  overdue: Set<RunningCall> | undefined;
  /** Who listens to notifications. */
  observers: Observers | undefined;
  /**
   * The id that followed the last message that was no request, until a later request
   * has been answered; 0: none. Some peers answer notifications with an error, and
   * answers that they can't read, and no call is to blame for it.
   */
  suspect = 0;
  /** The number of the frame that is being read. */
  frame = 0;
  /** What waits for its turn, by length; see `held.ts`. */
  held = 0;
  /** What waits for others of its batch, by length; see `held.ts`. */
  kept = 0;
  /** The calls that wait for a method to end, the oldest first. */
  waiting: Set<object> | undefined;
  /** Whether {@linkcode held} has the frame that is being read: once, for all its calls. */
  isCharged = false;
  /** Whether the owner was told that notifications are dropped: once a row. */
  isDropping = false;
  /** How it ended, once it has. */
  ended: CloseInfo | undefined;
  /** What its socket had complained of by then. */
  cause: unknown;

  constructor(version: Version | undefined) {
    this.spoken = version;
  }
}

/** Methods that run, and calls that wait for one of them to end. */
export interface Crowd {
  /** Whether a method may begin; if not, its call waits, or has been answered. */
  admits(
    core: Core,
    running: RunningCall,
    call: Request | Notification,
    text: string,
  ): boolean;
  /** A method runs on after its first turn. */
  enter(running: RunningCall): void;
  /** It runs no more, or is waited for no more. */
  leave(running: RunningCall): void;
  /** Begins what waits, as much as there is room for. */
  next(core: Core, connection: Connection): void;
  /** The connection ended. */
  end(core: Core, connection: Connection): void;
}

/** A part of a peer, as the core takes it. */
export interface CorePart extends Part {
  /** Takes its slot of a core that is being made. */
  readonly attach?: (core: Core) => void;
  /** Makes what one connection carries; called for the first such part with all. */
  readonly carry?: (core: Core, parts: readonly CorePart[]) => Values;
}

/** The functions that a socket and a timer call; of `hearing.ts`, which imports this file. */
export interface Handlers {
  /** The socket tells something. */
  hear(core: Core, event: SocketEvent): void;
  /** Ends what is due, and says when the next is; see {@linkcode Deadlines}. */
  sweep(core: Core, now: number): number;
  /** Tells the owner of an error that is nobody else's. */
  complain(core: Core, error: unknown): void;
}

/** Milliseconds of {@linkcode Core.timeout}, if its owner names none. */
export const usualTimeout = 60_000;

/** All that a peer knows. */
export class Core {
  readonly owner: Owner;
  readonly options: PeerOptions<unknown>;
  readonly limits: Limits;
  /** Milliseconds that a call may go without a sign of life. */
  readonly timeout: number;

  // The line.
  readonly makeSocket: SocketMaker | undefined;
  /** When to connect again; `undefined`: never. */
  readonly retries: Retries | undefined;
  /** Hears of the socket; one for every event, three closures less a connection. */
  readonly listener: (event: SocketEvent) => void;
  ws: Socket | undefined;
  state: ConnectionState = "connecting";
  /** The number of the attempt to connect, or of the last one. */
  attempt = 0;
  /** Attempts that failed since the last connection. */
  failures = 0;
  /** Whether an attempt brings credentials that the last one didn't have. */
  isFresh = false;
  /** Ends the wait for the next attempt, or for the socket to close. */
  endWait: (() => void) | undefined;
  /** When an attempt must have come to something; Infinity: none is under way. */
  due: number = Infinity;
  /** What the socket last complained of. */
  cause: unknown;
  /** What the server of an attempt answered instead of a handshake. */
  answer: HttpAnswer | undefined;
  /** How the last attempt failed, or the last connection was lost, until the next. */
  last: FailedAttempt | undefined;
  /** When the next attempt is, on the monotonic clock. */
  retryAt: number | undefined;
  /** The store that a page shows the status from; `undefined`: nobody has asked for it. */
  watched: Watched | undefined;
  isGone = false;
  /** The `onopen` of the connection, until it has settled. */
  opening: Opening | undefined;
  /** The end that was asked for, once what was taken has been sent. */
  leaving: Leaving | undefined;
  opened: Deferred<void> | undefined;
  closed: Deferred<CloseInfo> | undefined;
  keeper: Keeper | undefined;

  // The calls.
  connection!: Connection;
  /** What waits for a connection, or for a place among the requests in flight. */
  readonly queue: Queue = new Queue();
  /** While no calls are sent, because the peer said so. */
  pause: Pause | undefined;
  readonly pending: PendingTable;
  methods: Methods | undefined;
  /** The call whose method has not come to its first `await`. */
  current: RunningCall | undefined;
  /** How many responses arrived that no request was waiting for. */
  unmatched = 0;
  readonly #handlers: Handlers;
  #deadlines: Deadlines | undefined;

  // The parts, each in its slot.
  readonly parts: readonly CorePart[];
  readonly living: Living[] = [];
  versions: Versions | undefined;
  batches: Batches | undefined;
  sharing: Sharing | undefined;
  heartbeat: Heartbeat | undefined;
  backlog: Backlog | undefined;
  bounds: Bounds | undefined;
  crowd: Crowd | undefined;
  traces: Traces | undefined;
  pace: Pace | undefined;
  answers: Answers | undefined;
  hints: Hints | undefined;
  draining: Draining | undefined;
  turns: Turns | undefined;

  constructor(
    owner: Owner,
    ws: Socket | SocketMaker,
    options: PeerOptions<unknown>,
    parts: readonly CorePart[],
    limits: Limits,
    handlers: Handlers,
  ) {
    this.owner = owner;
    this.#handlers = handlers;
    this.listener = (event): void => handlers.hear(this, event);
    this.options = options;
    this.limits = limits;
    this.timeout = readAmount("timeout", options.timeout ?? usualTimeout);
    if (typeof ws === "function") {
      this.makeSocket = ws;
      const { reconnect = true } = options;
      if (reconnect !== false) {
        this.retries = new Retries(reconnect === true ? {} : reconnect);
      }
    } else this.ws = ws;
    // An answer that comes late is to a peer of before.
    this.pending = new PendingTable(
      this.queue,
      options.resumed ? Math.ceil(Math.random() * 2 ** 30) : 1,
    );
    this.parts = parts;
    for (const part of parts) part.attach?.(this);
  }

  /** What is due at some time; made with the first of it. */
  get deadlines(): Deadlines {
    return this.#deadlines ??= new Deadlines(
      Math.min(
        this.timeout,
        this.limits.handlerTimeout ?? usualTimeout,
        usualTimeout,
      ),
      this,
    );
  }

  /** See {@linkcode Handlers.sweep}. */
  sweep(now: number): number {
    return this.#handlers.sweep(this, now);
  }

  /** See {@linkcode Handlers.complain}. */
  report(error: unknown): void {
    this.#handlers.complain(this, error);
  }

  /** Clears all deadlines, for good. */
  rest(): void {
    this.#deadlines?.clear();
  }
}
