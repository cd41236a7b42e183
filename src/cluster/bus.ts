/**
 * One node's connection to the engine: it bounds the messages that the node publishes,
 * and ends subscriptions that nobody has needed for a while.
 *
 * @module
 */

import { Deferred } from "../line/deferred.ts";
import {
  type Engine,
  EngineError,
  type EngineStatus,
  type Place,
} from "./engine.ts";

/** Most texts that the engine has not confirmed. */
export const mostUnconfirmed = 1_024;

/** Most UTF-16 code units of them. */
export const mostUnconfirmedLength = 4_194_304;

/** Milliseconds that a subscription is kept after it was last needed. */
export const keptFor = 5_000;

/** The owner of a bus, which is told of changes of the engine. */
export interface BusOwner {
  /** The engine's status has changed. */
  engineChanged(status: EngineStatus, cause: unknown): void;
  report(error: unknown): void;
}

/** The receiver of the texts under a subject. */
export interface Hearer {
  receive(text: string, place?: Place): void;
  /** The subscription has ended. */
  released?(): void;
}

/** A node's connection to its engine. */
export class Bus {
  status: EngineStatus;
  /** Whether no message arrives, although the engine reports no loss. */
  isDeaf = false;
  readonly #engine: Engine;
  readonly #owner: BusOwner;
  readonly #stop: () => void;
  /** The topics that are subscribed to, or are to be. */
  readonly #topics = new Set<Topic>();
  #unconfirmed = 0;
  #length = 0;

  constructor(engine: Engine, owner: BusOwner) {
    this.#engine = engine;
    this.#owner = owner;
    this.status = engine.status;
    this.#stop = engine.watch((status, cause) => this.#change(status, cause));
  }

  /**
   * Publishes a text; see {@linkcode Engine.publish}.
   *
   * @param isVital Whether it is published however many others are not confirmed.
   * @throws {EngineError} By rejecting; also, with `sent: false`, if too many messages
   * are not confirmed.
   */
  publish(
    subject: string,
    text: string,
    isVital = false,
  ): Promise<number | undefined> {
    const publish = () => this.#engine.publish(subject, text);
    return this.hand(text.length, publish, isVital);
  }

  /** Does any act with a text of a length, by the rules of {@linkcode Bus.publish}. */
  hand<T>(
    length: number,
    act: () => Promise<T>,
    isVital = false,
  ): Promise<T> {
    const isFull = this.#unconfirmed >= mostUnconfirmed ||
      this.#unconfirmed > 0 && this.#length + length > mostUnconfirmedLength;
    const why = this.status !== "open"
      ? `the engine is ${this.status}`
      : isFull && !isVital
      ? `${this.#unconfirmed} of at most ${mostUnconfirmed} messages with ${this.#length} of at most ${mostUnconfirmedLength} characters are not confirmed by the engine`
      : undefined;
    if (why !== undefined) {
      return Promise.reject(new EngineError(`Cannot publish: ${why}`, false));
    }
    let promise: Promise<T>;
    try {
      promise = act();
    } catch (error) {
      // An engine of the user's own may throw.
      return Promise.reject(error);
    }
    this.#unconfirmed++;
    this.#length += length;
    const confirm = (): void => {
      this.#unconfirmed--;
      this.#length -= length;
    };
    promise.then(confirm, confirm);
    return promise;
  }

  /** Whether a text of that length may be published now. */
  hasRoom(length: number): boolean {
    return this.#unconfirmed === 0 || this.#unconfirmed < mostUnconfirmed &&
        this.#length + length <= mostUnconfirmedLength;
  }

  /** Whether there is room for messages that nobody waits for. */
  get isFree(): boolean {
    return this.#unconfirmed < mostUnconfirmed / 2 &&
      this.#length < mostUnconfirmedLength / 2;
  }

  /** Makes a topic, which is not subscribed to yet. */
  topic(subject: string, hearer: Hearer): Topic {
    return new Topic(subject, hearer, this, this.#engine, this.#topics);
  }

  /** Ends subscriptions that are no longer needed, and repeats those that failed. */
  sweep(now: number): void {
    for (const topic of [...this.#topics]) topic.sweep(now);
  }

  /** Subscribes to everything anew, because no message arrives. */
  rebuild(): void {
    this.isDeaf = true;
    for (const topic of [...this.#topics]) topic.rebuild();
  }

  /** Leaves the engine to others. */
  close(): void {
    this.status = "closed";
    this.#stop();
    for (const topic of [...this.#topics]) topic.release();
  }

  report(error: unknown): void {
    this.#owner.report(error);
  }

  #change(status: EngineStatus, cause: unknown): void {
    if (this.status === "closed") return;
    this.status = status;
    for (const topic of [...this.#topics]) topic.engineChanged();
    this.#owner.engineChanged(status, cause);
  }
}

/**
 * A subject that a node can subscribe to. One subscription serves all of its holders,
 * from the first one until some seconds after the last.
 */
export class Topic {
  readonly subject: string;
  readonly #hearer: Hearer;
  readonly #bus: Bus;
  readonly #engine: Engine;
  /** All topics that are held, or were until a few seconds ago. */
  readonly #kept: Set<Topic>;
  #holders = 0;
  #idleSince = 0;
  /** Ends the subscription; `undefined`: there is none. */
  #release: (() => void) | undefined;
  /** Number of the present subscription; the result of an earlier one is ignored. */
  #attempt = 0;
  #isAsking = false;
  /** Resolves for those who wait until it is confirmed. */
  #waiting: Deferred<void> | undefined;

  constructor(
    subject: string,
    hearer: Hearer,
    bus: Bus,
    engine: Engine,
    kept: Set<Topic>,
  ) {
    this.subject = subject;
    this.#hearer = hearer;
    this.#bus = bus;
    this.#engine = engine;
    this.#kept = kept;
  }

  /** Whether it is held, or was until a few seconds ago. */
  get isKept(): boolean {
    return this.#kept.has(this);
  }

  /** Whether texts that are published now arrive. */
  get isSubscribed(): boolean {
    return this.#release !== undefined;
  }

  /** Whether no other node is subscribed; `false`: it may be. */
  get isAlone(): boolean {
    if (this.#bus.status !== "open") return false;
    const heard = this.#engine.listeners?.(this.subject);
    return heard !== undefined &&
      heard <= (this.#release === undefined ? 0 : 1);
  }

  /**
   * Adds a holder, until {@linkcode Topic.drop}.
   *
   * @returns Resolves once the subscription is confirmed; also if the engine is lost,
   * because its return is reported as a gap.
   */
  hold(): Promise<void> {
    this.#holders++;
    this.#kept.add(this);
    return this.confirmed();
  }

  /** Resolves once a held topic is confirmed, or the engine is lost. */
  confirmed(): Promise<void> {
    if (this.#release !== undefined || this.#bus.status !== "open") return done;
    this.#ask();
    if (this.#bus.isDeaf) return done;
    this.#waiting ??= new Deferred();
    return this.#waiting.promise;
  }

  /** Removes a holder. */
  drop(): void {
    if (--this.#holders === 0) this.#idleSince = performance.now();
  }

  /** Subscribes if it is held; ends the subscription if it was not for long enough. */
  sweep(now: number): void {
    if (this.#holders > 0) this.#ask();
    else if (now - this.#idleSince >= keptFor) this.release();
  }

  engineChanged(): void {
    if (this.#bus.status === "open") this.sweep(-Infinity);
    else this.#settle();
  }

  /** Subscribes anew; a gap follows, so nobody has to wait for it. */
  rebuild(): void {
    this.#letGo();
    this.#settle();
    if (this.#holders > 0) this.#ask();
    else this.release();
  }

  /** Ends the subscription. */
  release(): void {
    this.#letGo();
    this.#settle();
    if (this.#kept.delete(this)) this.#hearer.released?.();
  }

  #letGo(): void {
    this.#attempt++;
    this.#isAsking = false;
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }

  #settle(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  #ask(): void {
    if (this.#release !== undefined || this.#isAsking) return;
    if (this.#bus.status !== "open") return;
    this.#isAsking = true;
    const attempt = ++this.#attempt;
    const receive = (text: string, place?: Place): void => {
      if (attempt === this.#attempt) this.#hearer.receive(text, place);
    };
    let asked: Promise<() => void>;
    try {
      asked = this.#engine.subscribe(this.subject, receive);
    } catch (error) {
      asked = Promise.reject(error);
    }
    asked.then((release) => {
      if (attempt !== this.#attempt) return release();
      this.#isAsking = false;
      this.#release = release;
      this.#settle();
    }, (error: unknown) => {
      if (attempt !== this.#attempt) return;
      this.#isAsking = false;
      // After a loss it is repeated when the engine is open, or at the next look.
      if (!(error instanceof EngineError)) this.#bus.report(error);
    });
  }
}

const done: Promise<void> = /* @__PURE__ */ Promise.resolve();
