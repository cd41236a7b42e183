/**
 * The core of a peer: its whole state, in one record. The functions that work on it
 * are in the files beside this one, which import in one direction.
 *
 * A core has one connection after the other; the state of a single connection is
 * its {@linkcode Connection}. Users of a peer can't reach its core.
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
import { type Pending, PendingTable, Queue } from "./pending.ts";
import type {
  Backlog,
  Batches,
  Bounds,
  Draining,
  Heartbeat,
  IncomingBatch,
  Lender,
  Living,
  Opening,
  Pause,
  Sharing,
  Traces,
  Turns,
  Values,
  Versions,
} from "./seams.ts";

/** The public peer of a core: its methods and hooks. */
export interface Owner {
  local: object;
  onopen(first: First): void | Promise<void>;
  onresume(first: First): void | Promise<void>;
  onclose(event: CloseInfo): void | Promise<void>;
  onattempt(failed: FailedAttempt): void | Promise<void>;
  onerror(error: unknown, context: ErrorContext): void | Promise<void>;
  oninvalid(text: string, error: RpcError): boolean | void;
}

/**
 * The store of a connection's status, which reads the core when it is told of a
 * change.
 */
export interface Watched {
  change(): void;
}

/** A close that waits until the messages that were taken before it are sent. */
export interface Leaving {
  readonly info: CloseInfo;
  /** Stops the timer that ends the wait. */
  readonly stop: () => void;
}

/** A list of peers, such as a server's. */
export interface Keeper {
  /** Removes a peer: its socket is gone, or has had 5 seconds to close. */
  release(peer: object): void;
  /**
   * Lets the platform ping the other side, and close the socket if nothing comes
   * within some milliseconds; absent if it can't.
   */
  readonly ping?: ((socket: Socket, within: number) => void) | undefined;
}

/** The state of a connection; see {@linkcode Peer.state}. */
export type ConnectionState = "connecting" | "open" | "closed";

/** A method that runs for the other side. */
export interface RunningCall extends Call, Lender {
  readonly signal: AbortSignal;
  readonly type: "request" | "notification";
  readonly version: Version;
  /** The connection that the call came by, which may have ended. */
  readonly connection: Connection;
  /** The batch that its response belongs to. */
  readonly batch: IncomingBatch | undefined;
  answered: boolean;
  /** The time when it is given up, of `performance.now()`. */
  deadline: number;
  /** Whether its signal has aborted. */
  readonly isAborted: boolean;
  /** Number of the other side's streams and references among its arguments. */
  borrowed: number;
  /**
   * Aborts its signal. The reason is made only if somebody reads it, since an error
   * has a stack, which costs time.
   */
  stop(why: () => unknown): void;
}

/**
 * The state of one connection. Its tables are made when they are first needed: a
 * server may have thousands of idle connections.
 */
export class Connection {
  /**
   * The version: the option's, or that of the first message; `undefined`: not known
   * yet.
   */
  spoken: Version | undefined;
  /** Its streams and references; `undefined`: the peer has no such part. */
  values: Values | undefined;
  /** The requests that are not answered yet. */
  unanswered: Map<Id | RunningCall, RunningCall> | undefined;
  /** The methods that have not settled, answered or not. */
  running: Set<RunningCall> | undefined;
  /** How many of them are calls to lent functions and objects. */
  lentRunning = 0;
  /** The methods that have not settled, though their time is over. */
  overdue: Set<RunningCall> | undefined;
  /** The listeners to notifications. */
  observers: Observers | undefined;
  /**
   * The id that a request would have had when the last message that was none was
   * sent: a notification or an answer. 0 once a later request has been answered.
   * Until then, an error without an id may be about that message rather than about
   * a call.
   */
  suspect = 0;
  /** The number of the frame that is being read. */
  frame = 0;
  /** Characters of messages that wait for their turn; see `held.ts`. */
  held = 0;
  /** Characters of answers that wait for others of their batch; see `held.ts`. */
  kept = 0;
  /** The calls that wait for a method to end, the oldest first. */
  waiting: Set<object> | undefined;
  /**
   * Whether the frame that is being read is counted in {@linkcode held}: once for
   * all its calls.
   */
  isCharged = false;
  /**
   * Whether the owner was told that notifications are dropped; told once in a row
   * of them.
   */
  isDropping = false;
  /** Its end; `undefined` until then. */
  ended: CloseInfo | undefined;
  /** The error that its socket told before the end. */
  cause: unknown;

  constructor(version: Version | undefined) {
    this.spoken = version;
  }
}

/** The part `crowds`: calls that wait until a running method ends. */
export interface Crowd {
  /** Whether a call may begin. `false`: it waits, or was refused. */
  admits(
    core: Core,
    running: RunningCall,
    call: Request | Notification,
    text: string,
  ): boolean;
  /** Counts a method that goes on after its first turn. */
  enter(running: RunningCall): void;
  /** Counts a method that has ended or run out of time. */
  leave(running: RunningCall): void;
  /** Begins waiting calls, as many as there is room for. */
  next(core: Core, connection: Connection): void;
  /** Drops what waits: the connection has ended. */
  end(core: Core, connection: Connection): void;
}

/** The part `pacing`: calls to be sent again later. */
export interface Pace {
  /**
   * Keeps a call that was refused with an error; `false`: the error is not of that
   * kind.
   */
  postpone(core: Core, pending: Pending, error: unknown): boolean;
}

/** The part `answers`: HTTP answers that refuse a handshake. */
export interface Answers {
  /** Ends the attempt when its socket tells of an HTTP answer. */
  listen(core: Core, socket: Socket): void;
  /** Reads an HTTP answer from an error's message. */
  read(error: unknown): HttpAnswer | undefined;
}

/** The part `hints`: hints for developers. */
export interface Hints {
  /** A hint why a method was not found. */
  explain(local: object, name: string): Error | undefined;
  /**
   * Watches for an `onopen` that waits for a call that waits for it; returns a
   * function that stops.
   */
  watch(core: Core, opening: Opening): () => void;
}

/** A part of a peer, with the functions that the core calls. */
export interface CorePart extends Part {
  /** Puts the part into its slot of a new core. */
  readonly attach?: (core: Core) => void;
  /**
   * Makes the values of a new connection. Called only on the first part that has
   * it, with all parts.
   */
  readonly carry?: (core: Core, parts: readonly CorePart[]) => Values;
}

/**
 * The functions of `hearing.ts` for sockets and timers. Passed in, since
 * `hearing.ts` imports this file.
 */
export interface Handlers {
  /** Takes an event of the socket. */
  hear(core: Core, event: SocketEvent): void;
  /**
   * Ends what is due, and returns the time of the next deadline; see
   * {@linkcode Deadlines}.
   */
  sweep(core: Core, now: number): number;
  /** Tells the owner of an error. */
  complain(core: Core, error: unknown): void;
}

/** The default of the option `timeout`, in milliseconds. */
export const usualTimeout = 60_000;

/** The state of a peer. */
export class Core {
  readonly owner: Owner;
  readonly options: PeerOptions<unknown>;
  readonly limits: Limits;
  /**
   * The option `timeout`: milliseconds that a call may go without a sign of life.
   */
  readonly timeout: number;

  // The line.
  readonly makeSocket: SocketMaker | undefined;
  /** The rules of reconnection; `undefined`: none. */
  readonly retries: Retries | undefined;
  /**
   * The listener to the socket: one for all events, which saves three closures for
   * each connection.
   */
  readonly listener: (event: SocketEvent) => void;
  ws: Socket | undefined;
  state: ConnectionState = "connecting";
  /** The number of the attempt to connect, or of the last one. */
  attempt = 0;
  /** Number of attempts that failed since the last connection. */
  failures = 0;
  /** Whether the next attempt will have fresh credentials. */
  isFresh = false;
  /** Ends the wait for the next attempt, or for the socket to close. */
  endWait: (() => void) | undefined;
  /** The time when the attempt under way is given up; Infinity: there is none. */
  due: number = Infinity;
  /** The last error of the socket. */
  cause: unknown;
  /** The HTTP answer that refused the attempt. */
  answer: HttpAnswer | undefined;
  /**
   * The last failed attempt or lost connection; `undefined` while a connection is
   * open.
   */
  last: FailedAttempt | undefined;
  /** The time of the next attempt, of `performance.now()`. */
  retryAt: number | undefined;
  /** The store of the status; `undefined`: nobody has asked for it. */
  watched: Watched | undefined;
  isGone = false;
  /** The `onopen` of the connection, until it has settled. */
  opening: Opening | undefined;
  /** The close that waits until messages are sent. */
  leaving: Leaving | undefined;
  opened: Deferred<void> | undefined;
  closed: Deferred<CloseInfo> | undefined;
  keeper: Keeper | undefined;

  // The calls.
  connection!: Connection;
  /**
   * The messages that wait for a connection, or for a place among the requests in
   * flight.
   */
  readonly queue: Queue = new Queue();
  /**
   * The time in which no calls are sent, because the other side refused some for
   * its rate.
   */
  pause: Pause | undefined;
  readonly pending: PendingTable;
  methods: Methods | undefined;
  /** The call whose method runs now, before its first `await`. */
  current: RunningCall | undefined;
  /** Number of responses that no request was waiting for. */
  unmatched = 0;
  readonly #handlers: Handlers;
  #deadlines: Deadlines | undefined;

  // The parts, each in its slot.
  readonly parts: readonly CorePart[];
  /** The first of the parts that are told of connections. */
  living: Living | undefined;
  versions: Versions | undefined;
  /** Reads a batch that arrived. */
  receiveBatch:
    | ((core: Core, values: unknown[], text: string) => void)
    | undefined;
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
    // A resumed connection begins with a random id, so that a late answer to the
    // former peer isn't taken for an answer to this one.
    this.pending = new PendingTable(
      this.queue,
      options.resumed ? Math.ceil(Math.random() * 2 ** 30) : 1,
    );
    this.parts = parts;
    for (const part of parts) part.attach?.(this);
  }

  /** Calls a part's functions when connections begin and end. */
  enlist(part: Living): void {
    // A chain, because an array of each peer, made anew for each part, would take a
    // twentieth of the time that it takes to make a peer.
    if (this.living === undefined) {
      this.living = part;
      return;
    }
    let last = this.living;
    while (last.next !== undefined) last = last.next;
    last.next = part;
  }

  /** The deadlines; made with the first call. */
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
