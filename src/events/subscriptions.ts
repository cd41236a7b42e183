/**
 * The other side's notifications as async iterables: all of one name, or those of
 * one subscription, in the form of Ethereum's nodes.
 *
 * ```ts
 * import { notifications, Peer } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 * await using server = new Peer(left);
 * await using client = new Peer(right);
 *
 * const ticks = notifications<[symbol: string, price: number]>(client, "tick");
 * server.notify("tick", ["ACME", 7]);
 * for await (const [symbol, price] of ticks) {
 *   assertEquals([symbol, price], ["ACME", 7]);
 *   break;
 * }
 * ```
 *
 * @see {@link https://geth.ethereum.org/docs/interacting-with-geth/rpc/pubsub}
 *
 * @module
 */

import { Deferred } from "../line/deferred.ts";
import {
  type Id,
  type Members,
  type Params,
  readError,
} from "../wire/message.ts";
import { noMoreOf, type Observer, Observers } from "../peer/observers.ts";
import { closedError } from "../peer/owner.ts";
import type { AsyncReleasable } from "../peer/contract.ts";
import { type AnyPeer, type BasePeer, coreOf } from "../peer/base.ts";

/** The options for events that come faster than they are read. */
export interface EventOptions {
  /** Most events that wait to be read, 1 or more. Default 1,024. */
  limit?: number;
  /**
   * The effect of one more event: `"fail"`, the default, ends the iteration with a
   * RangeError, after the events that wait; `"drop-oldest"` drops the oldest one;
   * `"latest"` keeps only the newest one, whatever the limit.
   */
  overflow?: "fail" | "drop-oldest" | "latest";
}

/** The options of {@linkcode notifications}. */
export interface NotificationOptions extends EventOptions {
  /**
   * Further members that a notification must have, each with exactly this value,
   * such as the `sessionId` of one DevTools session among several. Default: none.
   */
  members?: Members;
}

/**
 * An iterable of events. Leaving its loop releases it; without a loop, call
 * `return`, or declare it with `await using`.
 */
export interface Events<Event>
  extends AsyncIterableIterator<Event>, AsyncReleasable {
  /** Stops listening, and drops events that wait. */
  return(): Promise<IteratorResult<Event, undefined>>;
}

/** The methods and the notification of a kind of subscription. */
export interface SubscriptionMethods {
  /** The method that subscribes and answers an id. */
  readonly subscribe: string;
  /** The method that takes the id and ends the subscription. */
  readonly unsubscribe: string;
  /** The notification with params `{ subscription: id, result: event }`. */
  readonly notification: string;
}

/**
 * The subscriptions of Ethereum's nodes.
 *
 * @see {@link https://geth.ethereum.org/docs/interacting-with-geth/rpc/pubsub}
 */
export const ethereum: SubscriptionMethods = {
  subscribe: "eth_subscribe",
  unsubscribe: "eth_unsubscribe",
  notification: "eth_subscription",
};

/**
 * Listens to the other side's notifications of one name, from now on. A method of
 * that name in `local` is called, too.
 *
 * @typeParam Event The type of the notifications' params; not checked.
 * @param peer The peer that sends them.
 * @param method The notification's name.
 * @param options A choice among them, and the options for events that come faster
 * than they are read.
 * @returns The params of each notification. When the connection closes, the
 * iteration throws a ConnectionClosedError, after the events that wait.
 */
export function notifications<Event = unknown>(
  peer: AnyPeer,
  method: string,
  options: NotificationOptions = {},
): Events<Event> {
  const wanted = Object.entries(options.members ?? {});
  // Called before it is set if the connection is closed already.
  let stop = (): void => {};
  const queue = new EventQueue<Event>(method, options, () => stop());
  stop = observe(peer, method, {
    next: (params, source) => {
      const message = source as Members;
      if (wanted.every(([name, value]) => message[name] === value)) {
        queue.push(params as Event);
      }
    },
    end: (error) => queue.end(error),
  });
  return queue;
}

/**
 * Subscribes at the other side, and listens to the events. None is lost, even if it
 * comes before the response.
 *
 * ```ts ignore
 * import { ethereum, subscribe } from "@jsonrpcws/peer";
 * import { connect } from "@jsonrpcws/peer/client";
 *
 * await using node = connect("ws://localhost:8545");
 * for await (const head of subscribe(node, ethereum, ["newHeads"])) {
 *   console.log(head);
 * }
 * ```
 *
 * @typeParam Event The type of an event; not checked.
 * @param peer The peer to subscribe at.
 * @param methods The methods and the notification of this kind of subscription.
 * @param params The params of the subscribing call.
 * @param options The options for events that come faster than they are read.
 * @returns The events. The iteration throws the error of the subscribing call, and
 * a ConnectionClosedError when the connection closes. Leaving the loop
 * unsubscribes.
 */
export function subscribe<Event = unknown>(
  peer: AnyPeer,
  methods: SubscriptionMethods,
  params?: Params,
  options: EventOptions = {},
): Events<Event> {
  const { notification } = methods;
  let id: Id | undefined;
  let isDone = false;
  let isLost = false;
  let stop = (): void => {};
  // Notifications from before the response, which tells the subscription's id.
  let early: Notice[] | undefined = [];

  const queue = new EventQueue<Event>(notification, options, () => {
    isDone = true;
    stop();
    if (id !== undefined && !isLost) unsubscribe();
  });
  stop = observe(peer, notification, {
    next(params) {
      const notice = (params ?? {}) as Notice;
      if (early === undefined) return take(notice);
      // Most of these may belong to other subscriptions, so there is room for more
      // of them.
      if (early.length < Math.max(queue.limit, maxEarly)) early.push(notice);
      else if ((options.overflow ?? "fail") === "fail") queue.fail();
      else {
        early.shift();
        early.push(notice);
      }
    },
    end(error) {
      // The id is not valid on the next connection.
      isLost = true;
      queue.end(error);
    },
  });
  // AnyPeer has no `request`.
  const untyped = peer as BasePeer;
  untyped.request<Id>(methods.subscribe, params).then((answer) => {
    id = answer;
    // A response comes by the connection of its subscription, even if that is the
    // next one.
    if (isDone) return unsubscribe();
    for (const notice of early ?? []) take(notice);
    early = undefined;
  }, (error: unknown) => queue.end(error));

  function take({ subscription, result, error }: Notice): void {
    if (subscription !== id) return;
    if (error === undefined) queue.push(result as Event);
    else queue.end(readError(error));
  }

  function unsubscribe(): void {
    // Caught: if this fails, the subscription or the connection is gone already.
    untyped.request(methods.unsubscribe, [id]).catch(() => {});
  }

  return queue;
}

const maxEarly = 1_024;

/** The params of a subscription's notification, not checked yet. */
interface Notice {
  readonly subscription?: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
}

/** A queue of events that wait to be read, or of readers that wait for events. */
class EventQueue<Event> implements Events<Event> {
  readonly limit: number;
  readonly #method: string;
  readonly #overflow: "fail" | "drop-oldest" | "latest";
  readonly #release: () => void;
  #events: Event[] = [];
  #readers: Deferred<IteratorResult<Event, undefined>>[] = [];
  #isOver = false;
  /** Thrown once, after the last event. */
  #error: { readonly reason: unknown } | undefined;

  constructor(method: string, options: EventOptions, release: () => void) {
    const { limit = 1_024, overflow = "fail" } = options;
    if (!(limit >= 1)) {
      throw new RangeError(
        `Cannot listen to "${method}": limit must be 1 or more, got ${limit}`,
      );
    }
    this.limit = limit;
    this.#method = method;
    this.#overflow = overflow;
    this.#release = release;
  }

  push(event: Event): void {
    if (this.#isOver) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      return reader.resolve({ value: event, done: false });
    }
    if (this.#overflow === "latest") this.#events = [event];
    else if (this.#events.length < this.limit) this.#events.push(event);
    else if (this.#overflow === "fail") this.fail();
    else {
      this.#events.shift();
      this.#events.push(event);
    }
  }

  /** Ends because too many events wait. */
  fail(): void {
    this.end(
      new RangeError(
        `Cannot take "${this.#method}": ${this.limit} of at most ${this.limit} events wait to be read`,
      ),
    );
  }

  /** Ends with an error, after the events that wait. */
  end(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const [reader, ...rest] = this.#readers.splice(0);
    if (reader === undefined) this.#error = { reason };
    else reader.reject(reason);
    for (const { resolve } of rest) resolve({ value: undefined, done: true });
    this.#release();
  }

  next(): Promise<IteratorResult<Event, undefined>> {
    if (this.#events.length > 0) {
      return Promise.resolve({ value: this.#events.shift()!, done: false });
    }
    if (this.#error !== undefined) {
      const { reason } = this.#error;
      this.#error = undefined;
      return Promise.reject(reason);
    }
    if (this.#isOver) return Promise.resolve({ value: undefined, done: true });
    const reader = new Deferred<IteratorResult<Event, undefined>>();
    this.#readers.push(reader);
    return reader.promise;
  }

  return(): Promise<IteratorResult<Event, undefined>> {
    this.#events = [];
    this.#error = undefined;
    if (!this.#isOver) {
      this.#isOver = true;
      for (const { resolve } of this.#readers.splice(0)) {
        resolve({ value: undefined, done: true });
      }
      this.#release();
    }
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

/** Adds a listener to a notification; returns a function that removes it. */
function observe(
  peer: object,
  method: string,
  observer: Observer,
): () => void {
  const core = coreOf(peer);
  const { connection } = core;
  if (core.state !== "closed") {
    return (connection.observers ??= new Observers()).add(method, observer);
  }
  observer.end(closedError(core, noMoreOf(method)));
  return () => {};
}
