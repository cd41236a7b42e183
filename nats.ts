/**
 * A cluster through NATS: by a connection of your own, made with the client of NATS
 * (`@nats-io/transport-node` 3, on Deno and Bun, too).
 *
 * ```ts ignore
 * import { connect } from "@nats-io/transport-node";
 * import { cluster } from "@jsonrpcws/peer/cluster";
 * import { nats } from "@jsonrpcws/peer/nats";
 *
 * const connection = await connect({
 *   servers: "nats://127.0.0.1:4222",
 *   maxReconnectAttempts: -1,
 *   pingInterval: 5_000,
 * });
 * const nodes = await cluster({ engine: nats(connection), prefix: "chat" });
 * ```
 *
 * Core NATS is enough: no JetStream. Whoever may publish under the prefix speaks to
 * every client: see docs/guide/engines.md for permissions.
 *
 * @see {@link https://docs.nats.io/reference/reference-protocols/nats-protocol}
 *
 * @module
 */

import {
  type Engine,
  EngineError,
  type EngineStatus,
} from "./src/cluster/engine.ts";
import {
  type Act,
  checkSubject,
  failure,
  guard,
  Status,
} from "./src/cluster/status.ts";
import { Deferred } from "./src/line/deferred.ts";
import { afterTurn } from "./src/line/task.ts";

export { EngineError };
export type { Engine, EngineStatus };

/** What of a connection to NATS is used: `NatsConnection` of `@nats-io/nats-core`. */
export interface NatsConnection {
  /** Of the server; `undefined`: there is no connection. */
  readonly info?: {
    /** The most bytes of a message. */
    readonly max_payload: number;
  };
  /** Writes a message. */
  publish(subject: string, payload: Uint8Array): void;
  /** Subscribes to a subject. */
  subscribe(
    subject: string,
    options: {
      callback: (error: Error | null, message: NatsMessage) => void;
    },
  ): NatsSubscription;
  /** Settles when the server has answered all that was written. */
  flush(): Promise<void>;
  /** Tells of the connection's changes. */
  status(): AsyncIterable<NatsStatus>;
  /** Settles when the connection is closed for good. */
  closed(): Promise<void | Error>;
  /** Whether it is closed for good. */
  isClosed(): boolean;
}

/** A message, see {@linkcode NatsConnection}. */
export interface NatsMessage {
  /** Its text. */
  string(): string;
}

/** A subscription, see {@linkcode NatsConnection}. */
export interface NatsSubscription {
  /** Takes it back. */
  unsubscribe(): void;
}

/** A change, see {@linkcode NatsConnection}. */
export interface NatsStatus {
  /** Which: "disconnect", "reconnect" and others. */
  readonly type: string;
}

/**
 * Makes an engine of a connection to NATS. One for each connection is enough: several
 * clusters may share it.
 *
 * The connection stays yours: it is never closed by the engine, and the engine is
 * closed with it. It must be made with
 *
 * - `maxReconnectAttempts: -1`. Default 10: an outage of 20 seconds would close it,
 *   and the engine, for good.
 * - `pingInterval: 5_000`. Default two minutes: a network that drops everything
 *   without a word would be noticed after four.
 * - `noEcho` left alone. The engine's own messages have to come back, by which a
 *   cluster knows that it hears.
 *
 * A text may have as many bytes as the server's `max_payload`, 1 MiB unless it says
 * another. How many heard one is not known: `publish` settles with `undefined`. It is
 * confirmed by a flush, of which one is under way at a time, for all that was written
 * before it; nothing is handed to a client that is not connected, since it would drop
 * it without a word, or write it when the connection is back.
 *
 * @param connection Of `connect()`, or of `wsconnect()` in `@nats-io/nats-core`.
 */
export function nats(connection: NatsConnection): Engine {
  return new Nats(connection);
}

/** What waits for the server's confirmation. */
class Unconfirmed extends Deferred<undefined> {
  readonly what: Act;
  readonly subject: string;

  constructor(what: Act, subject: string) {
    super();
    this.what = what;
    this.subject = subject;
  }

  fail(why: string, sent: boolean, cause?: unknown): void {
    const isSent = sent && this.what === "publish";
    this.reject(failure(this.what, this.subject, why, isSent, cause));
  }
}

interface Subscription {
  readonly subject: string;
  readonly receive: (text: string) => void;
  /** The client's; `undefined`: the server refused it. */
  client: NatsSubscription | undefined;
  /** Why it was refused. */
  refusal: Error | undefined;
}

const encoder = /* @__PURE__ */ new TextEncoder();

class Nats implements Engine {
  readonly #connection: NatsConnection;
  readonly #status: Status;
  readonly #subscriptions = new Set<Subscription>();
  /** Written since the flush that is under way. */
  #written: Unconfirmed[] = [];
  /** What the flush that is under way will confirm; `undefined`: none is. */
  #flushed: Unconfirmed[] | undefined;
  /** Increases with every loss: an answer of before says nothing of now. */
  #epoch = 0;
  readonly #changes: AsyncIterable<NatsStatus>;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
    // A connection that is being made again has no server's info.
    const isLost = connection.info === undefined;
    this.#status = new Status(
      connection.isClosed() ? "closed" : isLost ? "lost" : "open",
    );
    this.#changes = connection.status();
    void this.#follow();
    connection.closed().then((cause) => this.#end(cause), () => this.#end());
  }

  get status(): EngineStatus {
    return this.#status.now;
  }

  watch(told: Parameters<Engine["watch"]>[0]): () => void {
    return this.#status.watch(told);
  }

  // deno-lint-ignore require-await -- What it throws rejects.
  async publish(subject: string, text: string): Promise<undefined> {
    checkSubject(subject);
    this.#mustBeOpen("publish", subject);
    const payload = encoder.encode(text);
    const most = this.#connection.info?.max_payload ?? Infinity;
    if (payload.length > most) {
      throw new RangeError(
        `Cannot publish ${payload.length} bytes: the server's max_payload is ${most}`,
      );
    }
    this.#flushSoon();
    try {
      this.#connection.publish(subject, payload);
    } catch (cause) {
      throw failure("publish", subject, "the client refused it", false, cause);
    }
    return this.#confirm(new Unconfirmed("publish", subject));
  }

  async subscribe(
    subject: string,
    receive: (text: string) => void,
  ): Promise<() => void> {
    checkSubject(subject);
    this.#mustBeOpen("subscribe", subject);
    const subscription: Subscription = {
      subject,
      receive,
      client: undefined,
      refusal: undefined,
    };
    const unsubscribe = (): void => this.#unsubscribe(subscription);
    this.#subscriptions.add(subscription);
    this.#flushSoon();
    try {
      this.#listen(subscription);
      await this.#confirm(new Unconfirmed("subscribe", subject));
      if (subscription.refusal !== undefined) throw subscription.refusal;
    } catch (error) {
      unsubscribe();
      if (error instanceof EngineError) throw error;
      throw failure("subscribe", subject, "it was refused", false, error);
    }
    return unsubscribe;
  }

  close(): Promise<void> {
    this.#end();
    return Promise.resolve();
  }

  #mustBeOpen(what: Act, subject: string): void {
    if (this.status === "open") return;
    const why = this.status === "lost"
      ? "there is no connection to NATS"
      : "the connection to NATS is closed";
    throw failure(what, subject, why, false);
  }

  /** Writes a subscription, whose messages come to a function that never throws. */
  #listen(subscription: Subscription): void {
    subscription.refusal = undefined;
    const { subject, receive } = subscription;
    const client = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (subscription.client !== client) return;
        // A client whose callback throws would be deaf from then on.
        if (error === null) guard(() => receive(message.string()));
        else this.#refuse(subscription, error);
      },
    });
    subscription.client = client;
  }

  /** The client has let go of a subscription, mostly for want of a permission. */
  #refuse(subscription: Subscription, refusal: Error): void {
    subscription.client = undefined;
    subscription.refusal = refusal;
    const isNew = [...this.#flushed ?? [], ...this.#written].some((each) =>
      each.what === "subscribe" && each.subject === subscription.subject
    );
    // It tried again with the next connection.
    if (!isNew) this.#lose(refusal);
  }

  #unsubscribe(subscription: Subscription): void {
    if (!this.#subscriptions.delete(subscription)) return;
    const { client } = subscription;
    subscription.client = undefined;
    if (client !== undefined) guard(() => client.unsubscribe());
  }

  /** Settles with the flush that comes after it, since the server answers in order. */
  #confirm(written: Unconfirmed): Promise<undefined> {
    this.#written.push(written);
    return written.promise;
  }

  /**
   * Flushes what this turn is going to write. Asked for before it is written: so this
   * comes before the client's own microtask, and all of it leaves as one.
   */
  #flushSoon(): void {
    if (this.#flushed !== undefined) return;
    this.#flushed = [];
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    if (this.#flushed === undefined) return; // Lost meanwhile.
    const flushed = this.#flushed = this.#written;
    this.#written = [];
    if (flushed.length === 0) return void (this.#flushed = undefined);
    const epoch = this.#epoch;
    this.#answered(() => {
      if (epoch !== this.#epoch) return;
      for (const each of flushed) each.resolve(undefined);
      this.#flush();
    }, () => {}); // What is lost has its own news.
  }

  /** Calls one of the two when the server has answered, or the client given up. */
  #answered(answered: () => void, lost: () => void): void {
    // The server's refusals come before its answer, and are told a little later.
    this.#connection.flush().then(() => void afterTurn(answered), lost);
  }

  #lose(cause?: unknown): void {
    this.#epoch++;
    this.#status.become("lost", cause);
    this.#giveUp("the connection to NATS was lost meanwhile", cause);
  }

  #giveUp(why: string, cause?: unknown): void {
    const unconfirmed = [...this.#flushed ?? [], ...this.#written];
    this.#flushed = undefined;
    this.#written = [];
    for (const each of unconfirmed) each.fail(why, true, cause);
  }

  /** Is open once the server has answered what the client subscribed again. */
  #restore(): void {
    const epoch = ++this.#epoch;
    for (const subscription of this.#subscriptions) {
      if (subscription.client !== undefined) continue;
      guard(() => this.#listen(subscription));
    }
    this.#answered(() => {
      if (epoch !== this.#epoch) return;
      const isWhole = [...this.#subscriptions].every(({ client }) => client);
      if (isWhole) this.#status.become("open");
    }, () => {});
  }

  #end(cause?: unknown): void {
    if (this.status === "closed") return;
    this.#epoch++;
    this.#status.become("closed", cause);
    this.#giveUp("the engine was closed meanwhile", cause);
    for (const subscription of this.#subscriptions) {
      this.#unsubscribe(subscription);
    }
    // Its iterator ends by itself with the connection only.
    const changes = this.#changes as { stop?: () => void };
    guard(() => changes.stop?.());
  }

  async #follow(): Promise<void> {
    try {
      for await (const change of this.#changes) {
        if (this.status === "closed") return;
        this.#heed(change);
      }
    } catch {
      // It was stopped.
    }
  }

  #heed(change: NatsStatus): void {
    switch (change.type) {
      case "disconnect":
      case "reconnecting":
      case "staleConnection":
      case "forceReconnect":
        if (this.status === "open") this.#lose(new Error(reasons[change.type]));
        else this.#epoch++;
        break;
      case "reconnect":
        this.#restore();
        break;
      case "error":
        this.#blame(change);
        break;
    }
  }

  /** What may not be published is told by its subject alone, and dropped. */
  #blame(change: NatsStatus): void {
    const { error } = change as { readonly error?: unknown };
    if (typeof error !== "object" || error === null) return;
    const { operation, subject } = error as {
      readonly operation?: unknown;
      readonly subject?: unknown;
    };
    if (operation !== "publish") return;
    for (const each of [...this.#flushed ?? [], ...this.#written]) {
      if (each.what !== "publish" || each.subject !== subject) continue;
      each.fail("the server refused it", false, error);
    }
  }
}

const reasons = {
  disconnect: "The connection to NATS ended",
  reconnecting: "There is no connection to NATS",
  staleConnection: "NATS does not answer",
  forceReconnect: "The connection to NATS is being made again",
};
