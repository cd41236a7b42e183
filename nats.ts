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
 * Core NATS is enough; only the history of rooms needs JetStream, whose stream is made
 * at its first use. Anybody who may publish under the prefix can speak to every client:
 * see docs/guide/engines.md for permissions.
 *
 * @see {@link https://docs.nats.io/reference/reference-protocols/nats-protocol}
 * @see docs/cluster.md, "History in NATS"
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
import { afterTurn } from "./src/line/task.ts";
import { startTimer } from "./src/line/timers.ts";

export { EngineError };
export type { Engine, EngineStatus, Entry, Keep, Log, Place, Stretch };

/** The used part of `NatsConnection` of `@nats-io/nats-core`. */
export interface NatsConnection {
  /** The server's information; `undefined`: there is no connection. */
  readonly info?: {
    /** The most bytes of a message. */
    readonly max_payload: number;
  };
  /** Writes a message. */
  publish(
    subject: string,
    payload: Uint8Array,
    options?: {
      /** The subject of answers to the message. */
      reply?: string;
    },
  ): void;
  /** Subscribes to a subject. */
  subscribe(
    subject: string,
    options: {
      callback: (error: Error | null, message: NatsMessage) => void;
    },
  ): NatsSubscription;
  /** Settles when the server has answered everything that was written. */
  flush(): Promise<void>;
  /** Iterates over the connection's changes. */
  status(): AsyncIterable<NatsStatus>;
  /** Settles when the connection is closed for good. */
  closed(): Promise<void | Error>;
  /** Whether it is closed for good. */
  isClosed(): boolean;
}

/** A message, see {@linkcode NatsConnection}. */
export interface NatsMessage {
  /** Its subject. */
  readonly subject: string;
  /** Absent: it has none. */
  readonly headers?: NatsHeaders;
  /** Its text. */
  string(): string;
}

/** The headers of a message, see {@linkcode NatsMessage}. */
export interface NatsHeaders {
  /** The status of an answer without a result, such as 404; else 0. */
  readonly code: number;
  /** The value of a header; `""`: it is absent. */
  get(name: string): string;
}

/** A subscription, see {@linkcode NatsConnection}. */
export interface NatsSubscription {
  /** Takes it back. */
  unsubscribe(): void;
}

/** A change of a connection, see {@linkcode NatsConnection}. */
export interface NatsStatus {
  /** Its kind: "disconnect", "reconnect" and others. */
  readonly type: string;
}

/**
 * Makes an engine of a connection to NATS. One engine for each connection is enough:
 * several clusters may share it.
 *
 * The connection stays yours: the engine never closes it, and is closed with it. It
 * must be made with
 *
 * - `maxReconnectAttempts: -1`. Default 10: an outage of 20 seconds would close it,
 *   and the engine, for good.
 * - `pingInterval: 5_000`. Default two minutes: a network that drops everything
 *   silently would be noticed after four.
 * - `noEcho` not set. The engine's own messages have to come back, by which a cluster
 *   knows that it is connected.
 *
 * A text may have as many bytes as the server's `max_payload`, by default 1 MiB. The
 * number of subscribers that heard a text is unknown: `publish` resolves with
 * `undefined`. A flush confirms all texts that were written before it; one is under way
 * at a time. A text is not handed to a client that is not connected, because the client
 * would drop it silently, or write it when the connection is back.
 *
 * @param connection The result of `connect()`, or of `wsconnect()` in
 * `@nats-io/nats-core`.
 */
export function nats(connection: NatsConnection): Engine {
  return new Nats(connection);
}

/** A request that waits for its answer; `undefined`: nobody is there to answer. */
class Asked extends Handed<NatsMessage | undefined> {
  readonly to: string;
  readonly at: number = performance.now();

  constructor(what: Act, subject: string, to: string) {
    super(what, subject);
    this.to = to;
  }
}

interface Subscription {
  readonly subject: string;
  readonly hear: (message: NatsMessage) => void;
  /** The order of entries of a log. */
  readonly order: InOrder | undefined;
  /** The client's subscription; `undefined`: the server refused it. */
  client: NatsSubscription | undefined;
  /** The reason of the refusal. */
  refusal: Error | undefined;
}

const encoder = /* @__PURE__ */ new TextEncoder();

class Nats implements Engine {
  readonly #connection: NatsConnection;
  readonly #status: Status;
  readonly #subscriptions = new Set<Subscription>();
  /** The messages that were written since the present flush began. */
  #written: Handed[] = [];
  /** By number, which ends the subject of the answer; the oldest is the first. */
  readonly #asked = new Map<string, Asked>();
  #lastAsked = 0;
  #stopTimer: (() => void) | undefined;
  /** By prefix. */
  readonly #logs = new Map<string, Promise<Log>>();
  /** The messages that the present flush will confirm; `undefined`: there is none. */
  #flushed: Handed[] | undefined;
  /** Increases with every loss, after which earlier answers prove nothing. */
  #epoch = 0;
  readonly #changes: AsyncIterable<NatsStatus>;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
    // While the connection is being made again, there is no info of the server.
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
    const payload = this.#encode(text);
    this.#flushSoon();
    try {
      this.#connection.publish(subject, payload);
    } catch (cause) {
      throw failure("publish", subject, "the client refused it", false, cause);
    }
    return this.#confirm(new Handed("publish", subject));
  }

  // deno-lint-ignore require-await -- What it throws rejects.
  async subscribe(subject: string, receive: Receive): Promise<() => void> {
    checkSubject(subject);
    const order = new InOrder(receive);
    const hear = (message: NatsMessage): void => {
      const place = placeOf(message);
      if (place === undefined) receive(message.string());
      else order.hear({ ...place, text: message.string() });
    };
    return this.#subscribe(subject, hear, order);
  }

  async #subscribe(
    subject: string,
    hear: (message: NatsMessage) => void,
    order?: InOrder,
  ): Promise<() => void> {
    this.#mustBeOpen("subscribe", subject);
    const subscription: Subscription = {
      subject,
      hear,
      order,
      client: undefined,
      refusal: undefined,
    };
    const unsubscribe = (): void => this.#unsubscribe(subscription);
    this.#subscriptions.add(subscription);
    this.#flushSoon();
    try {
      this.#listen(subscription);
      await this.#confirm(new Handed("subscribe", subject));
      if (subscription.refusal !== undefined) throw subscription.refusal;
    } catch (error) {
      unsubscribe();
      if (error instanceof EngineError) throw error;
      throw failure("subscribe", subject, "it was refused", false, error);
    }
    return unsubscribe;
  }

  // deno-lint-ignore require-await -- What it throws rejects.
  async openLog(prefix: string, keep: Keep): Promise<Log> {
    checkSubject(prefix);
    this.#mustBeOpen("open the log of", prefix);
    const log = this.#logs.get(prefix) ?? this.#makeLog(prefix, keep);
    this.#logs.set(prefix, log);
    log.catch(() => this.#logs.delete(prefix));
    return log;
  }

  async #makeLog(prefix: string, keep: Keep): Promise<Log> {
    // The subject of answers. The client's own requests would take four times as long.
    const inbox = `${prefix}.~.${crypto.randomUUID().slice(0, 8)}`;
    const log = new NatsLog(prefix, keep, {
      encode: (text) => this.#encode(text),
      ask: (...what) => this.#ask(inbox, ...what),
    });
    const takeBack = await this.#subscribe(
      `${inbox}.*`,
      (message) => this.#hearAnswer(message),
    );
    try {
      await log.open();
    } catch (error) {
      takeBack();
      throw error;
    }
    return log;
  }

  close(): Promise<void> {
    this.#end();
    return Promise.resolve();
  }

  #encode(text: string): Uint8Array {
    const payload = encoder.encode(text);
    const most = this.#connection.info?.max_payload ?? Infinity;
    if (payload.length <= most) return payload;
    throw new RangeError(
      `Cannot publish ${payload.length} bytes: the server's max_payload is ${most}`,
    );
  }

  /** Sends a request; resolves with its answer, `undefined` if nobody is there. */
  // deno-lint-ignore require-await -- What it throws rejects.
  async #ask(
    inbox: string,
    what: Act,
    subject: string,
    to: string,
    payload: Uint8Array,
  ): Promise<NatsMessage | undefined> {
    this.#mustBeOpen(what, subject);
    const number = `${++this.#lastAsked}`;
    try {
      this.#connection.publish(to, payload, { reply: `${inbox}.${number}` });
    } catch (cause) {
      throw failure(what, subject, "the client refused it", false, cause);
    }
    const asked = new Asked(what, subject, to);
    this.#asked.set(number, asked);
    this.#stopTimer ??= startTimer(answerTime, () => this.#expire());
    return asked.promise;
  }

  #hearAnswer(message: NatsMessage): void {
    const { subject, headers } = message;
    const number = subject.slice(subject.lastIndexOf(".") + 1);
    const asked = this.#asked.get(number);
    if (asked === undefined) return;
    this.#forget(number);
    asked.resolve(headers?.code === 503 ? undefined : message);
  }

  /** Gives up requests that have waited too long. */
  #expire(): void {
    this.#stopTimer = undefined;
    const now = performance.now();
    for (const [number, asked] of this.#asked) {
      const left = asked.at + answerTime - now;
      if (left > 0) {
        this.#stopTimer = startTimer(left, () => this.#expire());
        return;
      }
      this.#forget(number);
      asked.fail(`no answer to ${asked.to} came`, true);
    }
  }

  #forget(number: string): void {
    this.#asked.delete(number);
    if (this.#asked.size > 0) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #mustBeOpen(what: Act, subject: string): void {
    if (this.status === "open") return;
    const why = this.status === "lost"
      ? "there is no connection to NATS"
      : "the connection to NATS is closed";
    throw failure(what, subject, why, false);
  }

  /** Has the client subscribe, with a callback that never throws. */
  #listen(subscription: Subscription): void {
    subscription.refusal = undefined;
    const { subject, hear } = subscription;
    const client = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (subscription.client !== client) return;
        // After a throw of its callback, the client would deliver no more messages.
        if (error === null) guard(hear, message);
        else this.#refuse(subscription, error);
      },
    });
    subscription.client = client;
  }

  /** The client has ended a subscription, mostly because a permission is missing. */
  #refuse(subscription: Subscription, refusal: Error): void {
    subscription.client = undefined;
    subscription.refusal = refusal;
    const isNew = [...this.#flushed ?? [], ...this.#written].some((each) =>
      each.what === "subscribe" && each.subject === subscription.subject
    );
    // An earlier subscription was refused when the client connected again.
    if (!isNew) this.#lose(refusal);
  }

  #unsubscribe(subscription: Subscription): void {
    if (!this.#subscriptions.delete(subscription)) return;
    const { client, order } = subscription;
    subscription.client = undefined;
    order?.end();
    if (client !== undefined) guard(() => client.unsubscribe());
  }

  /** Settles with the next flush, because the server answers in order. */
  #confirm(written: Handed): Promise<undefined> {
    this.#written.push(written);
    return written.promise;
  }

  /**
   * Flushes the messages of this turn. Called before they are written, so that the
   * flush comes before the client's own microtask, and all of them leave together.
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
    }, () => {}); // A loss is reported elsewhere.
  }

  /** Calls `answered` when the server has answered, `lost` if the client gave up. */
  #answered(answered: () => void, lost: () => void): void {
    // The server's refusals come before its answer, but the client reports them later.
    this.#connection.flush().then(() => void afterTurn(answered), lost);
  }

  #lose(cause?: unknown): void {
    this.#epoch++;
    for (const { order } of this.#subscriptions) order?.lose();
    this.#status.become("lost", cause);
    this.#giveUp("the connection to NATS was lost meanwhile", cause);
  }

  #giveUp(why: string, cause?: unknown): void {
    const unconfirmed = [
      ...this.#flushed ?? [],
      ...this.#written,
      ...this.#asked.values(),
    ];
    this.#flushed = undefined;
    this.#written = [];
    this.#asked.clear();
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    for (const each of unconfirmed) each.fail(why, true, cause);
  }

  /** Opens once the server has confirmed the subscriptions of the new connection. */
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
    // By itself, its iterator ends only with the connection.
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
      // The iterator was stopped.
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

  /** Fails publications that were refused; NATS names only their subject. */
  #blame(change: NatsStatus): void {
    const { error } = change as { readonly error?: unknown };
    if (typeof error !== "object" || error === null) return;
    const { operation, subject } = error as {
      readonly operation?: unknown;
      readonly subject?: unknown;
    };
    if (operation !== "publish") return;
    for (const [number, asked] of this.#asked) {
      if (asked.to !== subject) continue;
      this.#forget(number);
      asked.fail(`there is no permission for ${asked.to}`, false, error);
    }
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

// Milliseconds until a request is given up: a stream without a leader doesn't answer.
const answerTime = 5_000;

// Milliseconds that an entry waits for the one before it, and most that wait.
const heldFor = 1_000;
const mostHeld = 1_024;

/**
 * Puts a log's entries in order. A `nats-server` that belongs to no cluster publishes
 * them again connection by connection, so that the entries of two connections change
 * places (2.9.10, up to 340 entries late). An entry that comes too late is dropped, and
 * shows by the `previous` of a later one.
 */
class InOrder {
  readonly #receive: Receive;
  #epoch: string | undefined;
  #last = 0;
  /** The entries that came too soon, in order. */
  readonly #held: Entry[] = [];
  #stopTimer: (() => void) | undefined;
  #isOver = false;

  constructor(receive: Receive) {
    this.#receive = receive;
  }

  hear(entry: Entry): void {
    if (entry.epoch !== this.#epoch) this.#release();
    else if (entry.previous > this.#last) return this.#hold(entry);
    this.#deliver(entry);
    while (
      this.#held.length > 0 && this.#held[0]!.previous <= this.#last
    ) this.#deliver(this.#held.shift()!);
    if (this.#held.length === 0) this.#stop();
  }

  /** Entries were missed: the next one need not follow the last one. */
  lose(): void {
    this.#release();
    this.#epoch = undefined;
  }

  /** Delivers no more. */
  end(): void {
    this.#isOver = true;
    this.#held.length = 0;
    this.#stop();
  }

  #hold(entry: Entry): void {
    const before = this.#held.findLastIndex(({ offset }) =>
      offset < entry.offset
    );
    this.#held.splice(before + 1, 0, entry);
    if (this.#held.length > mostHeld) this.#release();
    else this.#stopTimer ??= startTimer(heldFor, () => this.#release());
  }

  /** Delivers the entries that wait. */
  #release(): void {
    this.#stop();
    for (const entry of this.#held.splice(0)) this.#deliver(entry);
  }

  #deliver(entry: Entry): void {
    const { text, ...place } = entry;
    const { epoch, offset } = place;
    const isLate = epoch === this.#epoch && offset <= this.#last;
    if (isLate || this.#isOver) return;
    this.#epoch = epoch;
    this.#last = offset;
    guard(this.#receive, text, place);
  }

  #stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }
}

/** The functions of the engine that a log uses. */
interface Asking {
  encode(text: string): Uint8Array;
  ask(
    what: Act,
    subject: string,
    to: string,
    payload: Uint8Array,
  ): Promise<NatsMessage | undefined>;
}

/** The used members of an answer of JetStream's API. */
interface Answer {
  readonly error?: {
    readonly err_code?: unknown;
    readonly description?: unknown;
  };
  readonly streams?: unknown;
  readonly config?: unknown;
  readonly stream?: unknown;
  readonly seq?: unknown;
}

// The error if another node has made the stream meanwhile, and how often it is excused.
const subjectsOverlap = 10_065;
const mostOverlaps = 5;

// Walks at a time when a log is read.
const walks = 16;

/** A call that waits until the stream is found, with its place in the order. */
interface Waiting extends Deferred<void> {
  number: number;
}

/**
 * A stream of JetStream. It publishes again the messages that it keeps: subscribers get
 * them, with their place in the headers. Each stream has another name, so that an epoch
 * can't be out of date.
 *
 * @see {@link https://docs.nats.io/nats-concepts/jetstream/streams}
 */
class NatsLog implements Log {
  readonly #prefix: string;
  readonly #keep: Keep;
  readonly #engine: Asking;
  /** The stream's name; `""`: it is unknown. */
  #name = "";
  /** The calls that wait until it is known; `undefined`: it is not being looked for. */
  #waiting: Waiting[] | undefined;
  #appended = 0;

  constructor(prefix: string, keep: Keep, engine: Asking) {
    this.#prefix = prefix;
    this.#keep = keep;
    this.#engine = engine;
  }

  /** Finds the stream, or makes it. */
  async open(): Promise<void> {
    await this.#find("");
  }

  async append(subject: string, text: string): Promise<Place> {
    checkLogged(subject, this.#prefix);
    const payload = this.#engine.encode(text);
    const number = ++this.#appended;
    if (this.#waiting !== undefined) await this.#find(this.#name, number);
    const to = this.#inStream(subject);
    for (let isFirst = true;; isFirst = false) {
      const name = this.#name;
      const message = await this.#engine.ask("append", subject, to, payload);
      if (message !== undefined) return readAppended(subject, message);
      if (!isFirst) throw failure("append", subject, gone, false);
      await this.#find(name, number);
    }
  }

  async read(subject: string, from: number, most: number): Promise<Stretch> {
    checkLogged(subject, this.#prefix);
    for (let isFirst = true;; isFirst = false) {
      const name = this.#name;
      const stretch = await this.#read(name, subject, from, most);
      if (stretch !== undefined) return stretch;
      if (!isFirst) throw failure("read", subject, gone, false);
      await this.#find(name);
    }
  }

  /** Reads from a stream; `undefined`: it is gone. */
  async #read(
    name: string,
    subject: string,
    from: number,
    most: number,
  ): Promise<Stretch | undefined> {
    const at = this.#inStream(subject);
    const get = async (
      query: Record<string, unknown>,
    ): Promise<Entry | undefined> => {
      const to = `$JS.API.DIRECT.GET.${name}`;
      const payload = encoder.encode(JSON.stringify(query));
      const message = await this.#engine.ask("read", subject, to, payload);
      if (message === undefined) throw nobody;
      return readEntry(subject, message);
    };
    // All entries from one sequence to another one.
    const walk = async (from: number, to: number): Promise<Entry[]> => {
      const entries: Entry[] = [];
      while (from <= to) {
        const entry = await get({ seq: from, next_by_subj: at });
        if (entry === undefined || entry.offset > to) break;
        entries.push(entry);
        from = entry.offset + 1;
      }
      return entries;
    };
    try {
      const [last, first] = await Promise.all([
        get({ last_by_subj: at }),
        get({ seq: from, next_by_subj: at }),
        this.#lookFor(name),
      ]);
      const epoch = epochOf(name);
      if (last === undefined) return { epoch, entries: [] };
      const entries = first === undefined ? [] : [first];
      let next = (first?.offset ?? last.offset) + 1;
      // The sequences in which a page of entries is, if they are spread evenly.
      const length = last.offset - next + 1;
      let width = Math.ceil(length * Math.min(1, most / this.#keep.messages));
      while (next <= last.offset && entries.length < most) {
        const end = Math.min(last.offset, next + width - 1);
        const step = Math.ceil((end - next + 1) / walks);
        const found: Promise<Entry[]>[] = [];
        for (; next <= end; next += step) {
          found.push(walk(next, Math.min(end, next + step - 1)));
        }
        next = end + 1;
        width *= 2;
        entries.push(...(await Promise.all(found)).flat());
      }
      entries.length = Math.min(entries.length, most);
      return { epoch, entries: linked(entries), last: last.offset };
    } catch (error) {
      if (error === nobody) return undefined;
      throw error;
    }
  }

  /** Throws if a stream is gone, because requests for its entries get no answer. */
  async #lookFor(name: string): Promise<void> {
    if (await this.#findName() !== name) throw nobody;
  }

  /** The stream's own subject for entries of a subject. */
  #inStream(subject: string): string {
    return `${this.#prefix}${logMark}${subject.slice(this.#prefix.length)}`;
  }

  /** Resolves once another stream is known than the one that is gone. */
  #find(gone: string, number = 0): Promise<void> {
    if (this.#waiting === undefined) {
      if (this.#name !== gone) return Promise.resolve();
      this.#waiting = [];
      // In the order in which they were called.
      const settle = (tell: (waiting: Waiting) => void): void => {
        const all = this.#waiting!.sort((one, two) => one.number - two.number);
        this.#waiting = undefined;
        all.forEach(tell);
      };
      this.#findOrMake().then((name) => {
        this.#name = name;
        settle((waiting) => waiting.resolve());
      }, (error: unknown) => {
        settle((waiting) => waiting.reject(error));
      });
    }
    const waiting = Object.assign(new Deferred<void>(), { number });
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  async #findName(): Promise<string | undefined> {
    const subject = `${this.#prefix}${logMark}.>`;
    const { streams } = await this.#api("STREAM.NAMES", { subject });
    const [name] = Array.isArray(streams) ? streams : [];
    return typeof name === "string" ? name : undefined;
  }

  async #findOrMake(): Promise<string> {
    // A stream that another node is making may not be listed yet.
    for (let left = mostOverlaps;; left--) {
      const name = await this.#findName();
      if (name !== undefined) {
        const { config } = await this.#api(`STREAM.INFO.${name}`, {});
        this.#check(name, Object(config));
        return name;
      }
      const unique = crypto.randomUUID().slice(0, 8);
      const own = `${this.#prefix.replaceAll(/[^\w-]/g, "_")}_${unique}`;
      const { error } = await this.#api(
        `STREAM.CREATE.${own}`,
        configuration(own, this.#prefix, this.#keep),
        left > 0 ? subjectsOverlap : undefined,
      );
      if (error === undefined) return own;
    }
  }

  /** Checks the configuration of a stream that exists already. */
  #check(name: string, config: Record<string, unknown>): void {
    const wanted = configuration(name, this.#prefix, this.#keep);
    const republish = Object(config.republish);
    const differs = !Array.isArray(config.subjects) ||
        !config.subjects.includes(wanted.subjects[0])
      ? `subjects ${JSON.stringify(wanted.subjects)}`
      : republish.src !== wanted.republish.src ||
          republish.dest !== wanted.republish.dest ||
          republish.headers_only === true
      ? `republish ${JSON.stringify(wanted.republish)}`
      : config.allow_direct !== true
      ? "allow_direct true"
      : undefined;
    if (differs !== undefined) {
      throw this.#failure(`the stream ${name} must have ${differs}`);
    }
  }

  /** Asks the API of JetStream. */
  async #api(to: string, query: unknown, borne?: number): Promise<Answer> {
    const message = await this.#engine.ask(
      "open the log of",
      this.#prefix,
      `$JS.API.${to}`,
      encoder.encode(JSON.stringify(query)),
    );
    if (message === undefined) {
      throw this.#failure(
        "NATS has no JetStream: start nats-server with it, such as by -js",
      );
    }
    const answer = readAnswer(message);
    if (answer.error === undefined || answer.error.err_code === borne) {
      return answer;
    }
    throw this.#failure(`${to} was refused: ${answer.error.description}`);
  }

  #failure(why: string): EngineError {
    return failure("open the log of", this.#prefix, why, false);
  }
}

const nobody = /* @__PURE__ */ Symbol();
// The `previous` of an entry that was read or appended, see Stretch.
const unknown = -1;

const gone = "the stream is gone";
const nonsense = "the answer makes no sense";

// Ends the first part of the stream's subjects; no prefix of a cluster has a "~".
const logMark = "~log";

/** The configuration of a log's stream. */
function configuration(name: string, prefix: string, keep: Keep) {
  const subjects = `${prefix}${logMark}.>`;
  return {
    name,
    subjects: [subjects],
    retention: "limits",
    storage: "file",
    num_replicas: 1,
    discard: "old",
    max_consumers: -1,
    max_msgs: -1,
    max_bytes: -1,
    max_msgs_per_subject: keep.messages,
    // In nanoseconds.
    max_age: Math.ceil(keep.milliseconds) * 1_000_000,
    allow_direct: true,
    republish: { src: subjects, dest: `${prefix}.>` },
  };
}

/** The epoch: the text after the last `_` of a stream's name. */
function epochOf(name: string): string {
  return name.slice(name.lastIndexOf("_") + 1).replaceAll(/[^\w-]/g, "-")
    .slice(-32);
}

/** The place of a message that a stream has published again. */
function placeOf({ headers }: NatsMessage): Place | undefined {
  if (headers === undefined) return undefined;
  const name = headers.get("Nats-Stream");
  const [offset, previous] = [
    headers.get("Nats-Sequence"),
    headers.get("Nats-Last-Sequence"),
  ];
  if (name === "" || offset === "" || previous === "") return undefined;
  return readPlace(epochOf(name), offset, previous);
}

/** Reads an entry of an answer; `undefined`: there is none. */
function readEntry(subject: string, message: NatsMessage): Entry | undefined {
  const { headers } = message;
  if (headers?.code === 404) return undefined;
  const epoch = epochOf(headers?.get("Nats-Stream") ?? "");
  const place = readPlace(epoch, headers?.get("Nats-Sequence"), 0);
  if (place !== undefined) {
    return { ...place, previous: unknown, text: message.string() };
  }
  const why = headers?.code ? `status ${headers.code}` : nonsense;
  throw failure("read", subject, why, false);
}

/** Sets the `previous` of each entry. */
function linked(entries: readonly Entry[]): Entry[] {
  return entries.map((entry, index) => ({
    ...entry,
    previous: entries[index - 1]?.offset ?? unknown,
  }));
}

function readAppended(subject: string, message: NatsMessage): Place {
  const { error, stream, seq } = readAnswer(message);
  if (error !== undefined) {
    throw failure("append", subject, `${error.description}`, false);
  }
  const place = readPlace(epochOf(`${stream}`), seq, 0);
  if (place !== undefined) return { ...place, previous: unknown };
  throw failure("append", subject, nonsense, true);
}

function readAnswer(message: NatsMessage): Answer {
  try {
    return Object(JSON.parse(message.string()));
  } catch {
    return {};
  }
}
