/**
 * A cluster through Redis or Valkey: by two connections of your own, made with the
 * client of Redis (`@redis/client` 6, or `redis`, which is more than that).
 *
 * ```ts ignore
 * import { createClient } from "@redis/client";
 * import { cluster } from "@jsonrpcws/peer/cluster";
 * import { redis } from "@jsonrpcws/peer/redis";
 *
 * const publisher = createClient({
 *   url: "redis://127.0.0.1:6379",
 *   disableOfflineQueue: true,
 *   pingInterval: 5_000,
 *   socket: { socketTimeout: 15_000 },
 * });
 * const subscriber = publisher.duplicate();
 * for (const client of [publisher, subscriber]) {
 *   client.on("error", console.error);
 *   await client.connect();
 * }
 * const nodes = await cluster({
 *   engine: redis(publisher, subscriber),
 *   prefix: "chat",
 * });
 * ```
 *
 * Only PUBLISH, SUBSCRIBE and UNSUBSCRIBE are used, no pattern and no key. They know
 * nothing of Redis' databases: applications that share a server need prefixes of their
 * own. Whoever may publish under the prefix speaks to every client: see
 * docs/guide/engines.md for permissions.
 *
 * @see {@link https://redis.io/docs/latest/develop/pubsub/}
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

export { EngineError };
export type { Engine, EngineStatus };

/** What of a connection to Redis is used: `RedisClientType` of `@redis/client`. */
export interface RedisConnection {
  /** Whether it may be used now. */
  readonly isReady: boolean;
  /** With which it was made. */
  readonly options?: { readonly disableOfflineQueue?: boolean };
  /** Settles with how many subscribers heard it. */
  publish(channel: string, message: string): Promise<unknown>;
  /** Settles once it is confirmed. */
  subscribe(
    channel: string,
    listener: (message: string) => unknown,
  ): Promise<unknown>;
  /** Settles once it is confirmed. */
  unsubscribe(
    channel: string,
    listener: (message: string) => unknown,
  ): Promise<unknown>;
  /** Listens to "ready", "error", "end" and "terminated". */
  on(event: string, listener: (cause?: unknown) => void): unknown;
  /** Listens no more. */
  off(event: string, listener: (cause?: unknown) => void): unknown;
}

/**
 * Makes an engine of two connections to the same Redis: one that publishes, and one
 * that subscribes, which can do nothing else. One engine is enough for a process:
 * several clusters may share it.
 *
 * The connections stay yours: they are never closed by the engine, which is closed
 * with the first of them. They may be connected later; until then it is `"lost"`. Their
 * errors are listened to from now on, so that a restart of Redis ends no process; who
 * watches is told of those that matter. They must be made with
 *
 * - `disableOfflineQueue: true`, or this throws. A queue would publish what nobody
 *   expects any more, after every outage.
 * - `pingInterval: 5_000` and `socket: { socketTimeout: 15_000 }`. Without them, a
 *   network that drops everything without a word would be noticed after many minutes.
 * - `reconnectStrategy` as it is by default, which never gives up. One that does ends
 *   the engine.
 *
 * `publish` settles with the number of connections that heard it, of this server: not
 * for a Redis Cluster, whose nodes know only their own, nor for subscribers at a
 * replica.
 *
 * @param publisher Of `createClient()`.
 * @param subscriber Another one, such as `publisher.duplicate()`, for the engine alone.
 * @throws {TypeError} Twice the same connection; or one has an offline queue.
 */
export function redis(
  publisher: RedisConnection,
  subscriber: RedisConnection,
): Engine {
  return new Redis(publisher, subscriber);
}

/** Who wants to hear of a subject. */
interface Receiver {
  readonly receive: (text: string) => void;
  /** Until it is confirmed. */
  readonly confirmed: Deferred<void>;
}

/** A subject that somebody subscribed to: one thing at a time is asked about it. */
class Channel {
  readonly receivers = new Set<Receiver>();
  /** Those who are not confirmed. */
  readonly waiting = new Set<Receiver>();
  /** Whether the client has it, and subscribes again by itself. */
  isSubscribed = false;
  isAsking = false;
  /** Settles when the client has answered what it was asked last. */
  asked: Promise<void> | undefined;

  /** What the client calls: always this one, by which it knows it. */
  readonly hear = (text: string): void => {
    // A client whose listener throws would read on in the midst of a reply.
    for (const { receive } of this.receivers) guard(receive, text);
  };

  get isWanted(): boolean {
    return this.receivers.size + this.waiting.size > 0;
  }

  /** All who wait are confirmed, or are not. */
  settle(error?: EngineError): void {
    for (const receiver of this.waiting) {
      if (error === undefined) {
        this.receivers.add(receiver);
        receiver.confirmed.resolve();
      } else receiver.confirmed.reject(error);
    }
    this.waiting.clear();
  }
}

/**
 * Connections whose errors are borne for good. What `createClient()` makes is another
 * object before the client; once the last listener was removed by it, it tells those
 * added later of nothing (seen in 6.3.1).
 */
const bearing = /* @__PURE__ */ new WeakSet<RedisConnection>();

class Redis implements Engine {
  readonly #publisher: RedisConnection;
  readonly #subscriber: RedisConnection;
  readonly #status: Status;
  readonly #channels = new Map<string, Channel>();
  /** What was handed over, with its subject. */
  readonly #unconfirmed = new Map<Deferred<number | undefined>, string>();
  readonly #silence: (() => void)[] = [];

  constructor(publisher: RedisConnection, subscriber: RedisConnection) {
    if (publisher === subscriber) {
      throw new TypeError(
        "Cannot publish and subscribe by one connection to Redis: the second may be publisher.duplicate()",
      );
    }
    for (const { options } of [publisher, subscriber]) {
      if (options !== undefined && options.disableOfflineQueue !== true) {
        throw new TypeError(
          "Cannot use a connection to Redis that has an offline queue: set disableOfflineQueue: true",
        );
      }
    }
    this.#publisher = publisher;
    this.#subscriber = subscriber;
    this.#status = new Status(this.#isReady ? "open" : "lost");
    this.#listen(publisher);
    this.#listen(subscriber);
  }

  get status(): EngineStatus {
    return this.#status.now;
  }

  watch(told: Parameters<Engine["watch"]>[0]): () => void {
    return this.#status.watch(told);
  }

  // deno-lint-ignore require-await -- What it throws rejects.
  async publish(subject: string, text: string): Promise<number | undefined> {
    checkSubject(subject);
    const unconfirmed = new Deferred<number | undefined>();
    this.#mustBe(this.#publisher.isReady, "publish", subject);
    this.#unconfirmed.set(unconfirmed, subject);
    this.#publisher.publish(subject, text).then((count) => {
      this.#unconfirmed.delete(unconfirmed);
      unconfirmed.resolve(typeof count === "number" ? count : undefined);
    }, (cause) => {
      this.#unconfirmed.delete(unconfirmed);
      // Redis itself refused it if there is still a connection.
      const [why, sent] = this.#publisher.isReady
        ? ["it was refused", false] as const
        : ["the connection to Redis was lost meanwhile", true] as const;
      unconfirmed.reject(failure("publish", subject, why, sent, cause));
    });
    return unconfirmed.promise;
  }

  async subscribe(
    subject: string,
    receive: (text: string) => void,
  ): Promise<() => void> {
    checkSubject(subject);
    this.#mustBe(this.status === "open", "subscribe", subject);
    const channel = this.#channels.get(subject) ?? new Channel();
    this.#channels.set(subject, channel);
    const receiver = { receive, confirmed: new Deferred<void>() };
    channel.waiting.add(receiver);
    this.#ask(subject, channel);
    await receiver.confirmed.promise;
    return (): void => {
      if (channel.receivers.delete(receiver)) this.#ask(subject, channel);
    };
  }

  async close(): Promise<void> {
    this.#end();
    // What the client was asked before is answered, or given up with the connection.
    const channels = [...this.#channels.values()];
    await Promise.all(channels.map(({ asked }) => asked));
  }

  get #isReady(): boolean {
    return this.#publisher.isReady && this.#subscriber.isReady;
  }

  #mustBe(isReady: boolean, what: Act, subject: string): void {
    if (isReady && this.status !== "closed") return;
    const why = this.status === "closed"
      ? "the engine is closed"
      : "there is no connection to Redis";
    throw failure(what, subject, why, false);
  }

  /** Has the client subscribe, or unsubscribe, until it has what is wanted. */
  #ask(subject: string, channel: Channel): void {
    if (!channel.isAsking) channel.asked = this.#agree(subject, channel);
  }

  async #agree(subject: string, channel: Channel): Promise<void> {
    channel.isAsking = true;
    const { hear } = channel;
    // One that is not ready would queue it; what is left is for when it is.
    while (
      channel.isWanted !== channel.isSubscribed && this.#subscriber.isReady
    ) {
      const { isWanted } = channel;
      try {
        await (isWanted
          ? this.#subscriber.subscribe(subject, hear)
          : this.#subscriber.unsubscribe(subject, hear));
        channel.isSubscribed = isWanted;
      } catch (cause) {
        const why = this.#subscriber.isReady ? "it was refused" : lost;
        channel.settle(failure("subscribe", subject, why, false, cause));
        break;
      }
    }
    if (channel.isSubscribed) channel.settle();
    channel.isAsking = false;
    // The client subscribes again to what it was lost with, wanted or not.
    if (!channel.isWanted && !channel.isSubscribed) {
      this.#channels.delete(subject);
    }
  }

  #listen(client: RedisConnection): void {
    if (!bearing.has(client)) {
      bearing.add(client);
      client.on("error", () => {});
    }
    const listeners = {
      ready: () => this.#restore(),
      error: (cause?: unknown) => this.#lose(cause),
      end: () => this.#end(),
      terminated: (cause?: unknown) => this.#end(cause),
    };
    for (const [event, listener] of Object.entries(listeners)) {
      client.on(event, listener);
      this.#silence.push(() => client.off(event, listener));
    }
  }

  #lose(cause?: unknown): void {
    if (this.#isReady) return; // An error of another kind.
    this.#status.become("lost", cause);
    for (const [subject, channel] of this.#channels) {
      channel.settle(failure("subscribe", subject, lost, false, cause));
    }
  }

  /** The client is ready when what it subscribed again is confirmed, no sooner. */
  #restore(): void {
    if (!this.#isReady) return;
    this.#status.become("open");
    for (const [subject, channel] of this.#channels) {
      this.#ask(subject, channel);
    }
  }

  #end(cause?: unknown): void {
    if (this.status === "closed") return;
    for (const silence of this.#silence) silence();
    this.#status.become("closed", cause);
    const why = "the engine was closed meanwhile";
    for (const [unconfirmed, subject] of this.#unconfirmed) {
      unconfirmed.reject(failure("publish", subject, why, true, cause));
    }
    this.#unconfirmed.clear();
    for (const [subject, channel] of this.#channels) {
      channel.settle(failure("subscribe", subject, why, false, cause));
      channel.receivers.clear();
      this.#ask(subject, channel);
    }
  }
}

const lost = "the connection to Redis was lost meanwhile";
