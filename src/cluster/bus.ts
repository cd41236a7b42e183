/**
 * One node's place at the engine: what it publishes, within bounds, and what it is
 * subscribed to, which is taken back when nobody has needed it for a while.
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

/** Milliseconds that a subscription is kept which nobody needs any more. */
export const keptFor = 5_000;

/** Who is told what becomes of the engine. */
export interface BusOwner {
  /** The engine passes messages on, or doesn't. */
  engineChanged(status: EngineStatus, cause: unknown): void;
  report(error: unknown): void;
}

/** Who hears what is published under a subject. */
export interface Hearer {
  receive(text: string, place?: Place): void;
  /** The subscription was taken back. */
  released?(): void;
}

/** A node's place at its engine. */
export class Bus {
  status: EngineStatus;
  /** Whether nothing arrives, though the engine doesn't say so. */
  isDeaf = false;
  readonly #engine: Engine;
  readonly #owner: BusOwner;
  readonly #stop: () => void;
  /** What is subscribed to, or is to be. */
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
   * @param isVital Whether it leaves however many others are not confirmed.
   * @throws {EngineError} By rejecting; also, with `sent: false`, where too much is
   * not confirmed.
   */
  publish(
    subject: string,
    text: string,
    isVital = false,
  ): Promise<number | undefined> {
    const publish = () => this.#engine.publish(subject, text);
    return this.hand(text.length, publish, isVital);
  }

  /** Hands the engine something of a length, as {@linkcode Bus.publish} does. */
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
      // An engine of the user's own, perhaps.
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

  /** Whether a text of that length may be published now, as well as others. */
  hasRoom(length: number): boolean {
    return this.#unconfirmed === 0 || this.#unconfirmed < mostUnconfirmed &&
        this.#length + length <= mostUnconfirmedLength;
  }

  /** Whether there is room for what nobody waits for. */
  get isFree(): boolean {
    return this.#unconfirmed < mostUnconfirmed / 2 &&
      this.#length < mostUnconfirmedLength / 2;
  }

  /** Makes what may be subscribed to. */
  topic(subject: string, hearer: Hearer): Topic {
    return new Topic(subject, hearer, this, this.#engine, this.#topics);
  }

  /** Takes back what nobody has needed for long enough, asks again for what failed. */
  sweep(now: number): void {
    for (const topic of [...this.#topics]) topic.sweep(now);
  }

  /** Subscribes to everything anew, since nothing arrives. */
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
 * What a node is subscribed to, or may be: by one subscription, however many need it,
 * from the first of them to some seconds after the last.
 */
export class Topic {
  readonly subject: string;
  readonly #hearer: Hearer;
  readonly #bus: Bus;
  readonly #engine: Engine;
  /** The topics that are held, or were lately. */
  readonly #kept: Set<Topic>;
  #holders = 0;
  #idleSince = 0;
  /** Takes the subscription back; `undefined`: there is none. */
  #release: (() => void) | undefined;
  /** Counts the subscriptions that were asked for: an earlier one is nobody's. */
  #attempt = 0;
  #isAsking = false;
  /** Who waits until it is confirmed. */
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

  /** Whether it is held, or was lately. */
  get isKept(): boolean {
    return this.#kept.has(this);
  }

  /** Whether what is published now is heard. */
  get isSubscribed(): boolean {
    return this.#release !== undefined;
  }

  /** Whether nobody but this node hears what is published now; `false`: unknown. */
  get isAlone(): boolean {
    if (this.#bus.status !== "open") return false;
    const heard = this.#engine.listeners?.(this.subject);
    return heard !== undefined &&
      heard <= (this.#release === undefined ? 0 : 1);
  }

  /**
   * Needs it, until {@linkcode Topic.drop}.
   *
   * @returns Resolves once it is confirmed; also where the engine is lost, whose
   * return is told as a gap.
   */
  hold(): Promise<void> {
    this.#holders++;
    this.#kept.add(this);
    return this.confirmed();
  }

  /** Resolves once it is confirmed, of a topic that is held, or the engine is lost. */
  confirmed(): Promise<void> {
    if (this.#release !== undefined || this.#bus.status !== "open") return done;
    this.#ask();
    if (this.#bus.isDeaf) return done;
    this.#waiting ??= new Deferred();
    return this.#waiting.promise;
  }

  /** Needs it no more. */
  drop(): void {
    if (--this.#holders === 0) this.#idleSince = performance.now();
  }

  /** Takes it back if nobody has needed it for long enough. */
  sweep(now: number): void {
    if (this.#holders > 0) this.#ask();
    else if (now - this.#idleSince >= keptFor) this.release();
  }

  engineChanged(): void {
    if (this.#bus.status === "open") this.sweep(-Infinity);
    else this.#settle();
  }

  /** Subscribes anew; who waits for it is told by the gap that follows. */
  rebuild(): void {
    this.#letGo();
    this.#settle();
    if (this.#holders > 0) this.#ask();
    else this.release();
  }

  /** Takes it back. */
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
      // What was lost is asked for again when it is open, or at the next look.
      if (!(error instanceof EngineError)) this.#bus.report(error);
    });
  }
}

const done: Promise<void> = /* @__PURE__ */ Promise.resolve();
