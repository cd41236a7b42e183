/**
 * Streams: a method returns an async iterable, or is given one, and the other
 * side iterates it. The values are produced as they are asked for.
 *
 * The protocol is that of StreamJsonRpc's `IAsyncEnumerable<T>`: a stream is
 * `{ token, values }`, `$/enumerator/next` asks for more values,
 * `$/enumerator/abort` ends it.
 *
 * ```ts
 * import { connect } from "@jsonrpcws/peer/client";
 * import { serve } from "@jsonrpcws/peer/server";
 * import { assertEquals } from "@std/assert";
 *
 * const local = {
 *   async *count(to: number) {
 *     for (let n = 1; n <= to; n++) yield n;
 *   },
 * };
 * await using server = serve({ local, port: 0, onListen() {} });
 *
 * await using client = connect<typeof local>(server.url);
 * const counted: number[] = [];
 * for await (const n of client.remote.count(3)) counted.push(n);
 * assertEquals(counted, [1, 2, 3]);
 * ```
 *
 * @see {@link https://github.com/microsoft/vs-streamjsonrpc/blob/main/docfx/exotic_types/asyncenumerable.md#protocol}
 *
 * @module
 */

import type { CallOptions } from "../peer/call.ts";
import { Deferred } from "../line/deferred.ts";
import { startTimer } from "../line/timers.ts";
import { namedError, reasonOf } from "../runtime/errors.ts";
import {
  invalidRequest,
  responseTooLarge,
  unknownToken,
} from "../wire/codes.ts";
import { RpcError } from "../wire/error.ts";
import type { Part } from "../peer/options.ts";
import type { Lender, Writing } from "../peer/seams.ts";
import { type Carrier, carrying, type Link } from "./carrying.ts";
import {
  JsonText,
  type Params,
  readParam,
  writeValue,
} from "../wire/message.ts";

/**
 * The part for streams as arguments and results: async iterables, async generators,
 * ReadableStreams. Every {@linkcode Peer} has it; the small one of
 * `@jsonrpcws/peer/slim` if `use` lists it.
 */
export const streams: Part = /* @__PURE__ */ carrying(
  "streams",
  (link) => new Streams(link),
);

// Most values, and most characters of them, in one answer. As much is produced
// ahead while an answer is on its way.
const maxValues = 256;
const maxLength = 32_768;

// Characters that all streams of a connection may have produced ahead. Beyond that
// they produce only what they are asked for.
const maxAhead = 4_194_304;

// Milliseconds that results wait for some stream to end.
const mostTime = 10_000;

// The method that asks for a stream's next values. It never waits in the queue.
const enumeratorNext = "$/enumerator/next";

/** A promise that can be iterated. */
interface Iterable extends Promise<unknown> {
  [Symbol.asyncIterator]?: (this: unknown) => Consumer;
}

/** A stream in a message. */
interface Enumerable {
  readonly token?: unknown;
  readonly values?: unknown;
}

/** Under which key the function that iterates a received object has its origin. */
const origin = Symbol();

/**
 * Where a received object comes from that may be a stream: the connection, and the
 * call that it came for. That may be another connection's, if the call's was lost.
 */
interface Origin {
  readonly value: object;
  readonly link: Link;
  readonly call: Lender | undefined;
  /** Whether it was iterated, and so is a stream rather than data. */
  isStream: boolean;
}

// Kept with the object. In a WeakMap it took V8 eight times as long to parse and to
// collect as the object itself.
function originOf(value: unknown): Origin | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { [Symbol.asyncIterator]: iterate } = value as {
    readonly [Symbol.asyncIterator]?: { readonly [origin]?: Origin };
  };
  const its = iterate?.[origin];
  return its?.value === value ? its : undefined;
}

const oneStream = { streams: 1, references: 0 };

/** Whether a value is a stream; received data counts only if it was iterated. */
export function isStreaming(value: unknown): boolean {
  return isStream(value) && originOf(value)?.isStream !== false;
}

/**
 * Leaves a stream that came as a result; returns `false` if the result is none, as
 * peers of this library write it.
 */
export function leaveStream(value: unknown): boolean {
  const { link } = originOf(value) ?? {};
  const { token } = (value ?? {}) as Enumerable;
  if (link === undefined || !Number.isSafeInteger(token)) return false;
  link.notify("$/enumerator/abort", { token });
  return true;
}

class Streams implements Carrier {
  /** The promise of a call; kept for its shape (src/runtime/shapes.ts). */
  static readonly example: Iterable = /* @__PURE__ */ makeIterable(
    /* @__PURE__ */ Promise.resolve(),
    /* @__PURE__ */ iterateBy({} as Link, undefined),
  );

  readonly #link: Link;
  #producers: Map<number, Producer> | undefined;
  /** The results that wait for a stream's place. */
  #turns: Set<Deferred<void>> | undefined;
  #stopTimer: (() => void) | undefined;
  /** Whether a stream has ended since the timer began. */
  #hasEnded = false;
  /** Whether no stream has ended for so long that results wait no more. */
  #isStuck = false;
  #nextToken = 1;
  // One function for all promises: a closure for each would cost as much as the
  // call.
  #iterate: ((this: unknown) => Consumer) | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  write(value: unknown, writing: Writing): unknown {
    // Received data is written as it came: to the side that it came from, and
    // everywhere if nobody iterated it.
    if (isData(value, this.#link)) return value;
    const iterator = iteratorOf(value);
    if (iterator === undefined) return value;
    const producers = this.#producers ??= new Map();
    try {
      this.#link.add("open stream", "streams", writing);
    } catch (error) {
      // The iterator is stopped, since nobody will read it.
      stop(iterator, () => {});
      throw error;
    }
    const token = this.#nextToken++;
    const producer = new Producer(
      this.#link,
      iterator,
      writing,
      () => {
        producers.delete(token);
        this.#link.remove("streams", writing);
      },
    );
    producers.set(token, producer);
    writing.releases.push(() => producer.release());
    return { token };
  }

  read(value: unknown): unknown {
    if (!isEnumerable(value)) return value;
    this.#link.borrow("streams");
    const { call } = this.#link;
    const its: Origin = { value, link: this.#link, call, isStream: false };
    const iterate = (): Consumer => {
      its.isStream = true;
      // It ends when the call's method has run out of time.
      return new Consumer(its.link, value, call?.signal, call);
    };
    (iterate as { [origin]?: Origin })[origin] = its;
    // The object stays as it is, because it may be data: only iterating it shows
    // that it is a stream.
    return Object.defineProperty(value, Symbol.asyncIterator, {
      value: iterate,
      configurable: true,
    });
  }

  discard(value: unknown): void {
    if (!isEnumerable(value)) return;
    const { token } = value;
    if (token === undefined || token === null) return;
    this.#link.notify("$/enumerator/abort", { token });
  }

  decorate(promise: Promise<unknown>, options: CallOptions | undefined): void {
    const signal = options?.signal;
    const iterate = signal === undefined
      ? this.#iterate ??= iterateBy(this.#link, undefined)
      : iterateBy(this.#link, signal);
    makeIterable(promise, iterate);
  }

  control(
    method: string,
    params: Params | undefined,
    call: Lender,
  ): unknown {
    if (!method.startsWith("$/enumerator/")) return undefined;
    const token = readParam(params, "token", 0);
    const producer = this.#producers?.get(token as number);
    if (method === enumeratorNext) {
      // A notification can't be answered with values.
      if (call.type === "notification") return undefined;
      if (producer === undefined) throw unknownStream();
      const values = producer.next(call);
      // Not counted for the rate: the next question comes only after this answer.
      this.#link.giveBack();
      return values;
    }
    if (method === "$/enumerator/abort") {
      if (producer === undefined) throw unknownStream();
      producer.release();
      return null;
    }
    return undefined;
  }

  // A result with one stream too many waits for another stream to end.
  turn(value: unknown, call: Lender): Promise<void> | undefined {
    if (
      this.#link.hasRoom(oneStream) || this.#isStuck ||
      this.#link.limits.streams === 0 || !isStream(value) ||
      isData(value, this.#link)
    ) return undefined;
    const turn = new Deferred<void>();
    (this.#turns ??= new Set()).add(turn);
    // A cancelled call needs no place.
    call.signal.addEventListener("abort", () => this.#begin(turn));
    this.#stopTimer ??= startTimer(mostTime, () => this.#look());
    return turn.promise;
  }

  freed(): void {
    this.#isStuck = false;
    this.#hasEnded = true;
    const [turn] = this.#turns ?? [];
    if (turn !== undefined && this.#link.hasRoom(oneStream)) this.#begin(turn);
  }

  #begin(turn: Deferred<void>): void {
    turn.resolve();
    this.#turns!.delete(turn);
    if (this.#turns!.size > 0) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  /**
   * Refuses the results that wait if no stream has ended in the last 10 seconds.
   */
  #look(): void {
    this.#isStuck = !this.#hasEnded;
    this.#hasEnded = false;
    this.#stopTimer = this.#isStuck
      ? undefined
      : startTimer(mostTime, () => this.#look());
    if (this.#isStuck) this.#beginAll();
  }

  #beginAll(): void {
    for (const turn of this.#turns ?? []) this.#begin(turn);
  }

  end(): void {
    for (const producer of [...this.#producers?.values() ?? []]) {
      producer.release();
    }
    this.#beginAll();
  }
}

// Assigned, because defining the property would cost several times as much.
function makeIterable(
  promise: Iterable,
  iterate: (this: unknown) => Consumer,
): Iterable {
  promise[Symbol.asyncIterator] = iterate;
  return promise;
}

/**
 * A function that iterates the promise that it is a member of, without keeping it.
 */
function iterateBy(
  link: Link,
  signal: AbortSignal | undefined,
): (this: unknown) => Consumer {
  return function (): Consumer {
    return new Consumer(link, this, signal);
  };
}

/** A stream that this side produces. */
class Producer {
  readonly #link: Link;
  readonly #iterator: AsyncIterator<unknown>;
  /** The params or the result that lent it. */
  readonly #writing: Writing;
  readonly #forget: () => void;
  /** The values that were produced and not asked for yet, as JSON. */
  #values: string[] = [];
  #length = 0;
  #isPumping = false;
  /** Whether the last value was produced, or producing failed. */
  #isOver = false;
  #isReleased = false;
  #failure: { readonly error: unknown } | undefined;
  #asking: Deferred<JsonText> | undefined;

  constructor(
    link: Link,
    iterator: AsyncIterator<unknown>,
    writing: Writing,
    forget: () => void,
  ) {
    this.#link = link;
    this.#iterator = iterator;
    this.#writing = writing;
    this.#forget = forget;
  }

  /** Answers `$/enumerator/next`. */
  next(call: Lender): JsonText | Promise<JsonText> {
    if (this.#asking !== undefined) {
      throw new RpcError(
        invalidRequest,
        "Invalid Request: the stream is being asked already",
      );
    }
    this.#link.renew(this.#writing);
    if (this.#values.length === 0 && !this.#isOver) {
      const asking = this.#asking = new Deferred<JsonText>();
      this.#writing.asked++;
      // A cancelled question must not take values.
      call.signal.addEventListener("abort", () => {
        if (this.#asking === asking) this.#takeAsking();
      });
      this.#pump();
      return asking.promise;
    }
    const values = this.#take();
    this.#pump();
    return values;
  }

  /** Stops producing, because the stream has ended or was left. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#values = [];
    this.#count(-this.#length);
    this.#takeAsking()?.reject(unknownStream());
    this.#forget();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#writing.call?.abort(
      namedError("The stream was left by its reader", "AbortError"),
    );
    stop(this.#iterator, (error) => this.#link.report(error));
  }

  /** Takes the question that waits, to answer it. */
  #takeAsking(): Deferred<JsonText> | undefined {
    const asking = this.#asking;
    if (asking === undefined) return undefined;
    this.#asking = undefined;
    this.#link.answer(this.#writing);
    return asking;
  }

  /** Counts characters that were produced ahead. */
  #count(length: number): void {
    this.#length += length;
    this.#link.ahead += length;
  }

  #take(): JsonText {
    if (this.#values.length === 0 && this.#failure !== undefined) {
      const { error } = this.#failure;
      this.release();
      throw error;
    }
    const limit = this.#link.limits.sentLength - envelopeLength;
    let count = 0;
    let length = 0;
    for (const text of this.#values) {
      if (count > 0 && length + text.length + 1 > limit) break;
      length += text.length + 1;
      count++;
    }
    const values = this.#values.splice(0, count).join(",");
    this.#count(-length);
    const finished = this.#isOver && this.#failure === undefined &&
      this.#values.length === 0;
    if (finished) this.release();
    return new JsonText(`{"values":[${values}],"finished":${finished}}`);
  }

  /** Answers the question that waits. */
  #answer(): void {
    const asking = this.#takeAsking();
    if (asking === undefined) return;
    try {
      asking.resolve(this.#take());
    } catch (error) {
      asking.reject(error);
    }
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (
        !this.#isOver && this.#values.length < maxValues &&
        this.#length < maxLength &&
        (this.#asking !== undefined || this.#link.ahead < maxAhead)
      ) {
        const { value, done } = await this.#link.within(
          this.#writing.call,
          () => this.#iterator.next(),
        );
        if (this.#isReleased) return;
        if (done === true) this.#isOver = true;
        else this.#push(value);
        this.#answer();
      }
    } catch (error) {
      this.#isOver = true;
      this.#failure = { error };
      this.#answer();
    } finally {
      this.#isPumping = false;
    }
  }

  #push(value: unknown): void {
    try {
      const text = writeValue(value, "value");
      const { sentLength } = this.#link.limits;
      if (text.length > sentLength - envelopeLength) {
        throw new RpcError(
          responseTooLarge,
          `Value of stream has ${text.length} of at most ${sentLength} characters, see limits.sentLength`,
        );
      }
      this.#values.push(text);
      this.#count(text.length + 1);
    } catch (error) {
      // The iterator hasn't failed, so it is told to stop.
      stop(this.#iterator, () => {});
      throw error;
    }
  }
}

// Characters of a response around its values, with the longest id.
const envelopeLength = 1_024;

/** A stream that this side reads. */
class Consumer implements AsyncIterableIterator<unknown> {
  #link: Link;
  readonly #signal: AbortSignal | undefined;
  /** The call that it came with, as a param. */
  readonly #call: Lender | undefined;
  readonly #abort = (): void => this.#fail(reasonOf(this.#signal!));
  /** Cancels the question that is under way when the stream is left. */
  readonly #leaving = new AbortController();
  readonly #left: Promise<never>;
  /** The stream or a promise of it; `undefined` once its token is known. */
  #source: unknown;
  #token: unknown;
  #values: readonly unknown[] = [];
  #index = 0;
  /** The next values, if they came while the present ones are read. */
  #ahead: readonly unknown[] | undefined;
  #isOver = false;
  #error: { readonly reason: unknown } | undefined;
  #asking: Promise<void> | undefined;

  constructor(
    link: Link,
    source: unknown,
    signal: AbortSignal | undefined,
    call?: Lender,
  ) {
    this.#link = link;
    this.#call = call;
    this.#source = source;
    this.#signal = signal;
    const { signal: leaving } = this.#leaving;
    this.#left = new Promise((_, reject) =>
      leaving.addEventListener("abort", () => reject(reasonOf(leaving)))
    );
    this.#left.catch(() => {});
    if (signal?.aborted === true) this.#abort();
    else signal?.addEventListener("abort", this.#abort);
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    for (;;) {
      if (this.#index < this.#values.length) {
        const value = this.#values[this.#index++];
        // Asks for the next values while these are read.
        if (this.#ahead === undefined) this.#ask();
        return { value, done: false };
      }
      if (this.#ahead !== undefined) {
        this.#values = this.#ahead;
        this.#index = 0;
        this.#ahead = undefined;
        continue;
      }
      if (this.#isOver) break;
      await this.#ask();
    }
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error.reason;
    return { value: undefined, done: true };
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.#values = [];
    this.#ahead = undefined;
    this.#error = undefined;
    this.#leave();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Asks for values, unless a question is under way; never rejects. */
  #ask(): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return this.#asking ??= this.#fetchOrLeave().then(
      () => void (this.#asking = undefined),
      (error: unknown) => {
        this.#asking = undefined;
        this.#token = undefined;
        this.#fail(error);
      },
    );
  }

  /**
   * Fetches values, or ends when the stream is left. The first fetch waits for the
   * source, which can't be cancelled, so it is raced. Later ones end by the signal:
   * a race for each would add a reaction to `#left`, which lives as long as the
   * stream.
   */
  #fetchOrLeave(): Promise<void> {
    return this.#source === undefined
      ? this.#fetch()
      : Promise.race([this.#fetch(), this.#left]);
  }

  async #fetch(): Promise<void> {
    if (this.#source !== undefined) {
      const source = await this.#source;
      const { token, values } = readEnumerable(source);
      this.#source = undefined;
      this.#link = originOf(source)?.link ?? this.#link;
      this.#token = token;
      if (this.#isOver) return this.#release();
      if (token === undefined || values.length > 0) {
        return this.#take(values, token === undefined);
      }
    }
    this.#link.check("read stream", "streams");
    const params = { token: this.#token };
    const options = { timeout: Infinity, signal: this.#leaving.signal };
    const answer = await this.#link.request(
      enumeratorNext,
      params,
      options,
    ) as { values?: unknown; finished?: unknown } | null;
    this.#call?.live();
    const values = Array.isArray(answer?.values) ? answer.values : [];
    const finished = answer?.finished === true;
    if (finished) this.#token = undefined;
    else if (values.length === 0) {
      throw new TypeError("Cannot read stream: no value came, and no end");
    }
    this.#take(values, finished);
  }

  #take(values: readonly unknown[], finished: boolean): void {
    if (this.#isOver) return;
    if (this.#index < this.#values.length) this.#ahead = values;
    else {
      this.#values = values;
      this.#index = 0;
    }
    if (finished) this.#finish();
  }

  #finish(): void {
    this.#isOver = true;
    this.#signal?.removeEventListener("abort", this.#abort);
  }

  #fail(reason: unknown): void {
    if (this.#isOver) return;
    this.#error = { reason };
    this.#leave();
  }

  /** Ends the stream early. */
  #leave(): void {
    if (this.#isOver) return;
    this.#finish();
    this.#release();
    this.#leaving.abort();
    // The token of a stream that nobody began to read has to be fetched before it
    // can be left.
    if (this.#source !== undefined && this.#asking === undefined) {
      this.#fetch().catch(() => {});
    }
  }

  #release(): void {
    if (this.#token === undefined || this.#token === null) return;
    this.#link.notify("$/enumerator/abort", { token: this.#token });
    this.#token = undefined;
  }
}

/** Calls an iterator's `return`. */
function stop(
  iterator: AsyncIterator<unknown>,
  report: (error: unknown) => void,
): void {
  try {
    Promise.resolve(iterator.return?.()).then(undefined, report);
  } catch (error) {
    report(error);
  }
}

function unknownStream(): RpcError {
  return new RpcError(
    unknownToken,
    "Stream is unknown, or was left or read to its end",
  );
}

/** Whether a value was received, and is to be written as it came. */
function isData(value: unknown, link: Link): boolean {
  const its = originOf(value);
  return its !== undefined && (its.link === link || !its.isStream);
}

/** Whether a value can be iterated asynchronously. */
function isStream(value: unknown): value is object {
  return typeof value === "object" && value !== null &&
    (typeof (value as AsyncIterable<unknown>)[Symbol.asyncIterator] ===
        "function" || isReadable(value));
}

/** Whether a value is a ReadableStream; React Native and Jest have none. */
function isReadable(value: object): value is ReadableStream {
  return typeof ReadableStream === "function" &&
    value instanceof ReadableStream;
}

/**
 * The iterator of an async iterable or a ReadableStream; `undefined` for anything
 * else.
 */
function iteratorOf(value: unknown): AsyncIterator<unknown> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { [Symbol.asyncIterator]: iterate } = value as AsyncIterable<unknown>;
  if (typeof iterate === "function") return iterate.call(value);
  if (isReadable(value)) {
    // In Safari a ReadableStream isn't iterable yet.
    const reader = value.getReader() as ReadableStreamDefaultReader<unknown>;
    return {
      next: () => reader.read() as Promise<IteratorResult<unknown>>,
      async return() {
        await reader.cancel();
        return { value: undefined, done: true };
      },
    };
  }
  return undefined;
}

/**
 * Whether an object may be a stream: it has a token or values, and nothing else.
 */
function isEnumerable(value: unknown): value is Enumerable {
  if (typeof value !== "object" || value === null) return false;
  const { token, values } = value as Enumerable;
  if (token === undefined && !Array.isArray(values)) return false;
  for (const key of Object.keys(value)) {
    if (key !== "token" && key !== "values") return false;
  }
  return true;
}

function readEnumerable(
  value: unknown,
): { token: unknown; values: readonly unknown[] } {
  if (Array.isArray(value)) return { token: undefined, values: value };
  const isEmpty = typeof value === "object" && value !== null &&
    Object.keys(value).length === 0;
  if (!isEmpty && !isEnumerable(value)) {
    throw new TypeError("Cannot iterate the result: it is no stream");
  }
  const { token, values } = value as Enumerable;
  return {
    token: token ?? undefined,
    values: Array.isArray(values) ? values : [],
  };
}
