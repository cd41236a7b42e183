/**
 * The engine of a cluster: a bus of texts by subject, through which the nodes talk. A
 * cluster needs nothing of NATS, Redis or the memory of one process but this.
 *
 * @module
 */

import { hide, isInstance } from "../wire/error.ts";

/**
 * Whether an engine passes messages on.
 *
 * - `"open"`: it does, and all subscriptions are confirmed.
 * - `"lost"`: it does not, or not for sure; messages that are published now are missed.
 * - `"closed"`: it will never do so again.
 */
export type EngineStatus = "open" | "lost" | "closed";

/** The place of an entry in a log. */
export interface Place {
  /**
   * The log's epoch: 1 to 32 characters of `A-Z a-z 0-9 - _`. A log that begins anew
   * has another one, and offsets of the former epoch mean nothing.
   */
  readonly epoch: string;
  /** Higher than that of every earlier entry of the subject; 1 or more. */
  readonly offset: number;
  /** The offset of the entry before it in the subject; 0: none is known. */
  readonly previous: number;
}

/** An entry of a log. */
export interface Entry extends Place {
  /** The text, as it was appended. */
  readonly text: string;
}

/** How much of each subject a log keeps: an entry beyond either limit is gone. */
export interface Keep {
  /** Number of entries of one subject. */
  readonly messages: number;
  /** Age of an entry in milliseconds. */
  readonly milliseconds: number;
}

/**
 * The log of an engine: it keeps the last texts of each subject, in the order in which
 * all subscribers hear them. It belongs to the engine, and ends with it.
 */
export interface Log {
  /**
   * Publishes a text like {@linkcode Engine.publish}, and keeps it: both or neither.
   * Subscribers of the subject get its place, too. Texts that one engine appends arrive
   * in the order of the calls, unless it is lost meanwhile; there is no order between
   * appended and published texts.
   *
   * @returns The place, once the log has the text; `previous` is -1 if it isn't known.
   * @throws {EngineError} By rejecting, like `publish`. With `sent: true`, the engine
   * was lost before it confirmed: others may have heard the text, and can read it then.
   * @throws {RangeError} The text is longer than the engine takes.
   * @throws {TypeError} The subject is invalid, or not one of this log.
   */
  append(subject: string, text: string): Promise<Place>;

  /**
   * Reads the kept entries of a subject, oldest first.
   *
   * @param from The lowest wanted offset; 1: all.
   * @param most Most entries of one call; call again for more.
   * @throws {EngineError} By rejecting: it can't be read now, or was refused.
   * @throws {TypeError} The subject is invalid, or not one of this log.
   */
  read(subject: string, from: number, most: number): Promise<Stretch>;
}

/** The result of reading a log. */
export interface Stretch {
  /** The log's present epoch; absent: nothing is kept or known of the subject. */
  readonly epoch?: string | undefined;
  /**
   * The entries of that epoch, in order: all that are kept from the lowest wanted
   * offset on, but at most `most`. The `previous` of the first is -1 if it isn't known.
   */
  readonly entries: readonly Entry[];
  /**
   * The offset of the last entry that was ever appended to the subject, if it is known;
   * 0: there was none.
   */
  readonly last?: number | undefined;
}

/**
 * A bus between nodes: each subscriber of a subject gets each text that is published
 * under it, at most once. Engines are {@linkcode memory}, `nats` and `redis` of this
 * package's other doors, and any object that keeps these rules:
 *
 * - **Order.** The texts of one engine arrive everywhere in the order of the calls of
 *   `publish`, also under several subjects. There is no order between two engines.
 * - **Loss is reported.** Whenever a text may have been missed, by its own
 *   subscriptions or by all, the engine is `"lost"`, if only for a moment. It is
 *   `"open"` again once all subscriptions have been confirmed anew.
 * - **Nothing waits.** What can't be done now is refused now. A text that waited for
 *   the engine would arrive when nobody expects it any more.
 * - **Sharing.** Several clusters may share one engine. A cluster that ends takes back
 *   its subscriptions and watchers, and leaves the engine to the others. An engine has
 *   no timer and nothing else that would keep a process running.
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
  /** The present status; {@linkcode Engine.watch} reports its changes. */
  readonly status: EngineStatus;

  /**
   * Publishes a text, also to the engine's own subscriptions.
   *
   * @param subject 1 to 1,000 characters of printable ASCII except space, `*` and `>`;
   * no dot at either end, no two in a row. The cluster encodes other characters.
   * @param text Any string without lone surrogates; never parsed.
   * @returns Resolves once the engine has the text, with the number of subscribers that
   * heard it, if that is known; 0: certainly none. A subscriber that subscribed twice,
   * or through an engine that several share, may count once.
   * @throws {EngineError} Always by rejecting, like the other errors. `sent` is `false`
   * if the engine can't take the text at once or refuses it, for example because a
   * permission is missing; `true` if the engine is lost before it confirms.
   * @throws {RangeError} The text is longer than the engine takes.
   * @throws {TypeError} The subject is invalid.
   */
  publish(subject: string, text: string): Promise<number | undefined>;

  /**
   * Subscribes to exactly one subject, not to a pattern. Two calls make two
   * subscriptions, each of which gets every text.
   *
   * @param receive Called with each text, in order, never before `subscribe` is called
   * and never after the subscription is taken back. If the text was appended to a log,
   * also called with its place, in the order of the log; `previous` shows what is
   * missing in between. Its errors are dropped, and the next text arrives all the same.
   * @returns Resolves once the engine has confirmed the subscription: a text that is
   * published anywhere from then on is not missed. The result takes the subscription
   * back, at once; it may be called twice, and never throws.
   * @throws {EngineError} By rejecting: the engine is not `"open"`, was lost before it
   * confirmed, or refused. There is no subscription then.
   * @throws {TypeError} By rejecting: the subject is invalid.
   */
  subscribe(
    subject: string,
    receive: (text: string, place?: Place) => void,
  ): Promise<() => void>;

  /**
   * Opens the log of all subjects that begin with a prefix and a dot; absent: the
   * engine keeps nothing. All calls open the same log, also those of other engines. It
   * may keep as much as its maker said, or as the last caller says.
   *
   * @returns Resolves once texts can be appended.
   * @throws {EngineError} By rejecting: the engine is not `"open"`, or can't keep a
   * log; the message says why.
   */
  openLog?(prefix: string, keep: Keep): Promise<Log>;

  /**
   * Returns the number of subscriptions to a subject, if the engine knows all of them,
   * as one in memory does. A text that certainly nobody else would hear is not
   * published.
   */
  listeners?(subject: string): number;

  /**
   * Reports every change of {@linkcode Engine.status}, which has the new value already.
   * After `"closed"` nothing more is reported.
   *
   * @param told Called with the status and, if the engine knows it, the cause. Its
   * errors are dropped.
   * @returns Stops the reports; may be called twice.
   */
  watch(told: (status: EngineStatus, cause?: unknown) => void): () => void;

  /**
   * Ends the engine: takes back all subscriptions, and reports `"closed"`. Objects of
   * the user, such as a connection to NATS, stay as they are. Only the maker of the
   * engine closes it: a cluster that ends doesn't.
   *
   * @returns Resolves once nothing of it is left; the same promise for every call.
   */
  close(): Promise<void>;
}

const isEngineError = /* @__PURE__ */ Symbol.for("@jsonrpcws/peer EngineError");

/**
 * The engine did not take a text, or may not have taken it. `sent` says whether others
 * may have it.
 */
export class EngineError extends Error {
  /** "EngineError". */
  override readonly name = "EngineError";
  /**
   * `false`: nobody else has the text. `true`: the engine got it, and was lost before
   * it confirmed; whether the text was passed on is unknown.
   */
  declare readonly sent: boolean;

  /** Also recognizes the errors of another copy of the package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, EngineError, isEngineError, value);
  }

  /**
   * Makes the error that a publication or a subscription rejects with.
   *
   * @param message What could not be done, and why.
   * @param sent See {@linkcode EngineError.sent}.
   * @param options `cause`: the client's own error, if it gave one.
   */
  constructor(message: string, sent: boolean, options?: { cause?: unknown }) {
    super(message, options);
    this.sent = sent;
    hide(this, isEngineError, true);
  }
}
