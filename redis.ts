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
 * The engine uses PUBLISH, SUBSCRIBE and UNSUBSCRIBE, and no patterns. All databases of
 * a Redis server share their subjects: applications on one server need different
 * prefixes. Only the history of rooms uses keys, two for each room; one script publishes
 * and keeps. Anybody who may publish under the prefix can speak to every client: see
 * docs/guide/engines.md for permissions.
 *
 * @see {@link https://redis.io/docs/latest/develop/pubsub/}
 * @see docs/cluster.md, "History in Redis"
 *
 * @module
 */

import {
  type Engine,
  EngineError,
  type EngineStatus,
  type Entry,
  type Keep,
  type Log,
  type Place,
  type Stretch,
} from "./src/cluster/engine.ts";
import {
  type Act,
  checkLogged,
  checkSubject,
  failure,
  guard,
  Handed,
  readPlace,
  type Receive,
  Status,
} from "./src/cluster/status.ts";
import { Deferred } from "./src/line/deferred.ts";

export { EngineError };
export type { Engine, EngineStatus, Entry, Keep, Log, Place, Stretch };

/** The used part of `RedisClientType` of `@redis/client`. */
export interface RedisConnection {
  /** Whether it may be used now. */
  readonly isReady: boolean;
  /** The options with which it was made. */
  readonly options?: { readonly disableOfflineQueue?: boolean };
  /** Settles with the number of subscribers that heard it. */
  publish(channel: string, message: string): Promise<unknown>;
  /** Settles with the answer to a command; used for the history of rooms. */
  sendCommand(args: readonly string[]): Promise<unknown>;
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
  /** Removes a listener. */
  off(event: string, listener: (cause?: unknown) => void): unknown;
}

/**
 * Makes an engine of two connections to the same Redis: one that publishes, and one
 * that subscribes, which can do nothing else. One engine is enough for a process:
 * several clusters may share it.
 *
 * The connections stay yours: the engine never closes them, and is closed when the
 * first of them is. They may connect later; until then the engine is `"lost"`. The
 * engine listens to their errors from now on, so that a restart of Redis ends no
 * process, and reports those that matter to its watchers. They must be made with
 *
 * - `disableOfflineQueue: true`, or this throws. After every outage, a queue would
 *   publish texts that nobody expects any more.
 * - `pingInterval: 5_000` and `socket: { socketTimeout: 15_000 }`. Without them, a
 *   network that drops everything silently would be noticed after many minutes.
 * - `reconnectStrategy` not set: by default, it never gives up. A strategy that gives up
 *   ends the engine.
 *
 * `publish` resolves with the number of connections of this server that heard the text.
 * A Redis Cluster doesn't work, because its nodes know only their own; nor does a
 * subscriber at a replica.
 *
 * @param publisher The result of `createClient()`.
 * @param subscriber Another one, such as `publisher.duplicate()`, only for the engine.
 * @throws {TypeError} Both are the same connection, or one has an offline queue.
 */
export function redis(
  publisher: RedisConnection,
  subscriber: RedisConnection,
): Engine {
  return new Redis(publisher, subscriber);
}

/** A subscription to a subject. */
interface Receiver {
  readonly receive: Receive;
  /** Resolves when it is confirmed. */
  readonly confirmed: Deferred<void>;
}

/** A subject with subscriptions. The client is asked one thing at a time about it. */
class Channel {
  readonly receivers = new Set<Receiver>();
  /** The subscriptions that are not confirmed. */
  readonly waiting = new Set<Receiver>();
  /** Whether the client is subscribed, and subscribes again by itself after a loss. */
  isSubscribed = false;
  isAsking = false;
  /** Settles when the client has answered the last request. */
  asked: Promise<void> | undefined;

  /** The client's listener: always the same one, by which it unsubscribes. */
  readonly hear = (marked: string): void => {
    const entry = marked.startsWith(mark) ? unmark(marked) : undefined;
    const text = entry?.text ?? marked;
    // After a throw of its listener, the client would read on in the midst of a reply.
    for (const { receive } of this.receivers) {
      guard(receive, text, entry?.place);
    }
  };

  get isWanted(): boolean {
    return this.receivers.size + this.waiting.size > 0;
  }

  /** Confirms all subscriptions that wait, or fails them. */
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
 * The connections that have a listener to "error" for good. The result of
 * `createClient()` is an object in front of the client; once its last listener was
 * removed, it calls no listener that is added later (seen in 6.3.1).
 */
const bearing = /* @__PURE__ */ new WeakSet<RedisConnection>();

class Redis implements Engine {
  readonly #publisher: RedisConnection;
  readonly #subscriber: RedisConnection;
  readonly #status: Status;
  readonly #channels = new Map<string, Channel>();
  readonly #handed = new Set<Pick<Handed<unknown>, "fail">>();
  /** The id of the server's process, new after each start. */
  #run: Promise<string> | undefined;
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
    this.#mustBe(this.#publisher.isReady, "publish", subject);
    const marked = text.startsWith(mark) ? `${mark}\n${text}` : text;
    const answer = this.#publisher.publish(subject, marked);
    return this.#hand("publish", subject, answer, readCount);
  }

  async subscribe(subject: string, receive: Receive): Promise<() => void> {
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

  async openLog(prefix: string, keep: Keep): Promise<Log> {
    checkSubject(prefix);
    await this.#knowRun("open the log of", prefix);
    const messages = `${keep.messages}`;
    const milliseconds = `${Math.ceil(keep.milliseconds)}`;
    return {
      append: async (subject, text) => {
        checkLogged(subject, prefix);
        const run = await this.#knowRun("append", subject);
        const fresh = crypto.randomUUID().slice(0, 8);
        const args = [milliseconds, messages, run, fresh, subject, text];
        const answer = this.#evaluate(appending, subject, args);
        return this.#hand("append", subject, answer, readAppended);
      },
      // deno-lint-ignore require-await -- What it throws rejects.
      read: async (subject, from, most) => {
        checkLogged(subject, prefix);
        this.#mustBe(this.#publisher.isReady, "read", subject);
        const args = [milliseconds, `${from}`, `${most}`];
        const answer = this.#evaluate(reading, subject, args);
        return this.#hand("read", subject, answer, readStretch);
      },
    };
  }

  async close(): Promise<void> {
    this.#end();
    // Earlier requests to the client are answered, or fail with the connection.
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

  /** Settles with Redis' answer, as `read` reads it, or when the engine ends. */
  #hand<T>(
    what: Act,
    subject: string,
    answer: Promise<unknown>,
    read: (answer: unknown) => T,
  ): Promise<T> {
    const handed = new Handed<T>(what, subject);
    this.#handed.add(handed);
    answer.then((value) => {
      this.#handed.delete(handed);
      try {
        handed.resolve(read(value));
      } catch (cause) {
        handed.fail("its answer makes no sense", true, cause);
      }
    }, (cause) => {
      this.#handed.delete(handed);
      // If there is still a connection, Redis itself refused it.
      if (this.#publisher.isReady) handed.fail("it was refused", false, cause);
      else handed.fail(lost, true, cause);
    });
    return handed.promise;
  }

  #evaluate(
    script: string,
    subject: string,
    args: readonly string[],
  ): Promise<unknown> {
    const keys = [`${subject}:log`, `${subject}:place`];
    return this.#publisher.sendCommand(["EVAL", script, "2", ...keys, ...args]);
  }

  /**
   * Asks for the id of the server's process. A restarted server may have lost its last
   * entries, and its logs must not use their offsets again.
   */
  async #knowRun(what: Act, subject: string): Promise<string> {
    this.#mustBe(this.#publisher.isReady, what, subject);
    // All calls wait for the same promise, and go on in their order.
    const asked = this.#run ??= this.#askRun();
    try {
      const run = await asked;
      this.#mustBe(this.#publisher.isReady, what, subject);
      return run;
    } catch (cause) {
      if (this.#run === asked) this.#run = undefined;
      if (cause instanceof EngineError) throw cause;
      const why = this.#publisher.isReady ? "INFO was refused" : lost;
      throw failure(what, subject, why, false, cause);
    }
  }

  async #askRun(): Promise<string> {
    const info = await this.#publisher.sendCommand(["INFO", "server"]);
    return /^run_id:(\w+)/m.exec(`${info}`)?.[1] ?? "unknown";
  }

  /** Has the client subscribe or unsubscribe, as is wanted. */
  #ask(subject: string, channel: Channel): void {
    if (!channel.isAsking) channel.asked = this.#agree(subject, channel);
  }

  async #agree(subject: string, channel: Channel): Promise<void> {
    channel.isAsking = true;
    const { hear } = channel;
    // A client that is not ready would queue it; the rest is done when it is ready.
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
    // After a loss, the client subscribes again to all its subjects, wanted or not.
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
    if (!this.#publisher.isReady) this.#run = undefined;
    if (this.#isReady) return; // An error of another kind.
    this.#status.become("lost", cause);
    for (const [subject, channel] of this.#channels) {
      channel.settle(failure("subscribe", subject, lost, false, cause));
    }
  }

  /** Opens: a client is ready only when its subscriptions are confirmed again. */
  #restore(): void {
    this.#run = undefined;
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
    for (const handed of this.#handed) handed.fail(why, true, cause);
    this.#handed.clear();
    for (const [subject, channel] of this.#channels) {
      channel.settle(failure("subscribe", subject, why, false, cause));
      channel.receivers.clear();
      this.#ask(subject, channel);
    }
  }
}

const lost = "the connection to Redis was lost meanwhile";

// The beginning of a marked text, see docs/cluster.md.
const mark = "\u0001";

// deno-lint-ignore no-control-regex -- It is the mark.
const marks = /^\u0001(?:([^ \n]{1,32}) (\d{1,16}) (\d{1,16}))?\n/;

/** Reads a marked text and its place; `undefined`: it is not marked. */
function unmark(
  marked: string,
): { readonly text: string; readonly place?: Place } | undefined {
  const [all, epoch, offset, previous] = marks.exec(marked) ?? [];
  if (all === undefined) return undefined;
  const text = marked.slice(all.length);
  if (epoch === undefined) return { text };
  const place = readPlace(epoch, offset, previous);
  return place && { text, place };
}

// KEYS: the entries, a stream whose ids are "{offset}-{milliseconds since 1970}"; and
// their place, a hash of the epoch, the last offset and the server's process. ARGV[1]
// is the greatest age of an entry, in milliseconds.
const begin = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch, last, run = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'last', 'run'))
`;
const trim = `while true do
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if not first or string.match(first[1], '%d+$') + ARGV[1] > now then break end
  redis.call('XDEL', KEYS[1], first[1])
end
`;
const appending = `${begin}if not epoch then
  epoch, last, run = ARGV[4], '0', ARGV[3]
  redis.call('DEL', KEYS[1])
end
local offset = last + 1
if run ~= ARGV[3] then offset = math.max(offset, time[1] * 1000000 + time[2]) end
offset = string.format('%.0f', offset)
local id = offset .. '-' .. string.format('%.0f', now)
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], id, 'previous', last, 'text', ARGV[6])
redis.call('HSET', KEYS[2], 'epoch', epoch, 'last', offset, 'run', ARGV[3])
${trim}redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
redis.call('PUBLISH', ARGV[5], '\\1' .. epoch .. ' ' .. offset .. ' ' .. last .. '\\n' .. ARGV[6])
return {epoch, offset, last}`;
const reading = `${begin}if not epoch then return {} end
${trim}return {epoch, last, redis.call('XRANGE', KEYS[1], ARGV[2], '+', 'COUNT', ARGV[3])}`;

function readCount(answer: unknown): number | undefined {
  return typeof answer === "number" ? answer : undefined;
}

function readAppended(answer: unknown): Place {
  const [epoch, offset, previous] = answer as unknown[];
  return mustBePlace(readPlace(epoch, offset, previous));
}

function readStretch(answer: unknown): Stretch {
  const [epoch, last, items] = answer as [] | [string, string, unknown];
  if (epoch === undefined) return { entries: [] };
  const entries = (items as [string, string[]][]).map(([id, fields]): Entry => {
    const [, previous, , text] = fields;
    const place = readPlace(epoch, id.split("-", 1)[0], previous);
    return { ...mustBePlace(place), text: `${text}` };
  });
  return {
    epoch,
    entries,
    last: mustBePlace(readPlace(epoch, last, 0)).offset,
  };
}

function mustBePlace(place: Place | undefined): Place {
  if (place === undefined) throw new TypeError("There is no place in it");
  return place;
}
