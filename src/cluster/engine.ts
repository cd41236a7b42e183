/**
 * What the nodes of a cluster talk through: a bus of texts by subject. A cluster
 * asks no more of NATS, Redis or the memory of one process than is written here.
 *
 * @module
 */

import { hide, isInstance } from "../wire/error.ts";

/**
 * Whether an engine passes messages on.
 *
 * - `"open"`: it does, and everything subscribed is confirmed.
 * - `"lost"`: it does not, or not for sure; what is published meanwhile is missed.
 * - `"closed"`: it never will again.
 */
export type EngineStatus = "open" | "lost" | "closed";

/** Where an entry of a log stands. */
export interface Place {
  /**
   * Of the log: 1 to 32 of `A-Z a-z 0-9 - _`. Another one says that the log has begun
   * anew: offsets of before say nothing.
   */
  readonly epoch: string;
  /** Higher than that of every entry of the subject before it; 1 or more. */
  readonly offset: number;
  /** The offset of the subject's entry before it; 0: there was none that is known. */
  readonly previous: number;
}

/** What was appended to a log. */
export interface Entry extends Place {
  /** As it was given. */
  readonly text: string;
}

/** How much of each subject a log keeps: whatever is older than either is gone. */
export interface Keep {
  /** Entries of one subject. */
  readonly messages: number;
  /** How old they get. */
  readonly milliseconds: number;
}

/**
 * What an engine keeps of what is published: the last texts of each subject, in the
 * order in which everybody hears them. It belongs to the engine, and is over with it.
 */
export interface Log {
  /**
   * Publishes a text, as {@linkcode Engine.publish} does, and keeps it: both, or
   * neither. Who is subscribed to the subject is told its place with it. What one
   * engine appends arrives in the order in which it was called, unless it was lost
   * meanwhile; between that and what it publishes there is none.
   *
   * @returns Its place, once the log has it; `previous` is -1 where it isn't known.
   * @throws {EngineError} By rejecting, as `publish`: `sent: true` where it was lost
   * before it confirmed; others may have heard it, and will read it, then.
   * @throws {RangeError} The text is longer than the engine takes.
   * @throws {TypeError} The subject is none, or none of this log.
   */
  append(subject: string, text: string): Promise<Place>;

  /**
   * Reads what is kept of a subject, oldest first.
   *
   * @param from The lowest offset that is wanted; 1: all.
   * @param most How many at most; who wants more reads on.
   * @throws {EngineError} By rejecting: it can't be read now, or was refused.
   * @throws {TypeError} The subject is none, or none of this log.
   */
  read(subject: string, from: number, most: number): Promise<Stretch>;
}

/** What was read of a log. */
export interface Stretch {
  /** Of the log as of now; absent: nothing is kept or known of the subject. */
  readonly epoch?: string | undefined;
  /**
   * In order, of that epoch. The `previous` of the first is -1 where it isn't known.
   * All that are kept from the lowest that is wanted on, unless more are than `most`.
   */
  readonly entries: readonly Entry[];
  /**
   * The offset of the last that was ever appended to the subject, if that is known;
   * 0: none was.
   */
  readonly last?: number | undefined;
}

/**
 * A bus between nodes: who subscribed to a subject gets each text that is published
 * under it, at most once. {@linkcode memory} is one, `nats` and `redis` of this
 * package's other doors are, and so is whatever keeps to these rules:
 *
 * - **Order.** The texts of one engine arrive everywhere in the order in which
 *   `publish` was called, whatever their subjects. Between two engines there is none.
 * - **Loss is told.** Whenever a text may have been missed, by one's own subscriptions
 *   or by all, the engine is `"lost"`, if only for a moment, and `"open"` after that.
 *   It is `"open"` again once everything subscribed has been confirmed anew.
 * - **Nothing is kept.** What can't be done now is refused now. A text that waited for
 *   the engine would arrive when nobody expects it any more.
 * - **Sharing.** Several clusters may have one engine; each takes back what it
 *   subscribed and watched when it ends, and leaves the engine to the others. An
 *   engine keeps no timer and nothing else that would keep a process running.
 *
 * ```ts
 * import { type Engine, memory } from "@jsonrpcws/peer/cluster";
 * import { assertEquals } from "@std/assert";
 *
 * const engine: Engine = memory();
 * const received: string[] = [];
 * const unsubscribe = await engine.subscribe("news", (text) => received.push(text));
 * assertEquals(await engine.publish("news", "hello"), 1);
 * assertEquals(received, ["hello"]);
 * unsubscribe();
 * await engine.close();
 * ```
 */
export interface Engine {
  /** Where it is now; {@linkcode Engine.watch} tells when that changes. */
  readonly status: EngineStatus;

  /**
   * Publishes a text, to one's own subscriptions, too.
   *
   * @param subject 1 to 1,000 characters of printable ASCII but space, `*` and `>`; no
   * dot at either end, no two in a row. What else names have is the cluster's to encode.
   * @param text Any string without lone surrogates; never parsed.
   * @returns A promise, settled once the engine has the text: with how many
   * subscribers heard it, if that is known; 0: certainly nobody did. One who
   * subscribed twice, or by an engine that several share, may count once.
   * @throws {EngineError} Always by rejecting, as the others. While the engine can't
   * take it at once, with `sent: false`; when it is lost before it confirmed, with
   * `sent: true`; when it refused, such as for want of a permission, with `false`.
   * @throws {RangeError} The text is longer than the engine takes.
   * @throws {TypeError} The subject is none.
   */
  publish(subject: string, text: string): Promise<number | undefined>;

  /**
   * Subscribes to a subject: no pattern, exactly this one. Twice is two
   * subscriptions, each of which gets every text.
   *
   * @param receive Called with each text, in order, never before `subscribe` was
   * called and never after it was taken back; and with its place, if it was appended
   * to a log, in the order of that: what is missing in between shows by `previous`. It
   * should not throw: what it throws is dropped, and the next text arrives
   * all the same.
   * @returns A promise, settled once the engine has confirmed it: nothing that is
   * published anywhere from then on is missed. It has how to take it back, which
   * takes effect at once, may be called twice, and never throws.
   * @throws {EngineError} By rejecting: not `"open"`, lost before it was confirmed,
   * refused. Nothing is subscribed then.
   * @throws {TypeError} By rejecting: the subject is none.
   */
  subscribe(
    subject: string,
    receive: (text: string, place?: Place) => void,
  ): Promise<() => void>;

  /**
   * Opens the log of all subjects that begin with a prefix and a dot; absent: the
   * engine keeps nothing. Twice is the same log, also by other engines: how much it
   * keeps may be as whoever made it said first, or as the last one says.
   *
   * @returns A promise, settled once it may be appended to.
   * @throws {EngineError} By rejecting: not `"open"`, or the engine can't, and why.
   */
  openLog?(prefix: string, keep: Keep): Promise<Log>;

  /**
   * How many subscriptions a subject has, of an engine that knows all there are: of
   * one in memory. What certainly nobody else would hear is not published.
   */
  listeners?(subject: string): number;

  /**
   * Tells of every change of {@linkcode Engine.status}, which has it already. After
   * `"closed"` nothing more is told.
   *
   * @param told Called with the status and, if the engine knows, why. What it throws
   * is dropped.
   * @returns How to be told no more; may be called twice.
   */
  watch(told: (status: EngineStatus, cause?: unknown) => void): () => void;

  /**
   * Ends it: all subscriptions are taken back, who watches is told `"closed"`. What
   * the user brought, such as a connection to NATS, stays as it is. Whoever made the
   * engine closes it, if at all: a cluster that ends leaves nothing behind.
   *
   * @returns A promise, settled once nothing is left of it; the same for every call.
   */
  close(): Promise<void>;
}

const isEngineError = /* @__PURE__ */ Symbol.for("@jsonrpcws/peer EngineError");

/**
 * A text that the engine did not take, or took perhaps. Read `sent` to know whether
 * others may have it.
 */
export class EngineError extends Error {
  /** "EngineError". */
  override readonly name = "EngineError";
  /**
   * `false`: nobody else has it. `true`: it was handed to the engine, which was lost
   * before it confirmed; whether it was passed on is unknown.
   */
  declare readonly sent: boolean;

  /** Whether it is one: of this copy of the package, or of another. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, EngineError, isEngineError, value);
  }

  /**
   * Makes the error that a publication or a subscription rejects with.
   *
   * @param message What could not be done, and why.
   * @param sent See {@linkcode EngineError.sent}.
   * @param options `cause`: the client's own error, where it gave one.
   */
  constructor(message: string, sent: boolean, options?: { cause?: unknown }) {
    super(message, options);
    this.sent = sent;
    hide(this, isEngineError, true);
  }
}
