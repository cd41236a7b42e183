/**
 * An engine that fails when a test says so, over one that doesn't.
 *
 * @module
 */

import {
  type Engine,
  EngineError,
  type EngineStatus,
  type Keep,
  type Log,
  type Place,
} from "../../cluster.ts";

type Told = (status: EngineStatus, cause?: unknown) => void;

/** What a test may do to an engine. */
export class FaultyEngine implements Engine {
  readonly #engine: Engine;
  readonly #watching = new Set<Told>();
  readonly #stop: () => void;
  #isLost = false;
  /** Whether nothing arrives, and nobody says so. */
  isDeaf = false;
  /** Whether what is subscribed to is never confirmed. */
  hangs = false;
  /** Counts how often the subscriptions of until then were forgotten. */
  #era = 0;
  /** Whether what is published doesn't leave, and nobody says so. */
  isMute = false;
  /** Which of what is published doesn't leave, and nobody says so. */
  loses: (text: string) => boolean = () => false;
  /** Which of what is appended doesn't arrive here, and nobody says so. */
  misses: (text: string) => boolean = () => false;
  /** Whether the log can't be read, and says so. */
  isUnreadable = false;
  /** Whether what is appended is not confirmed, as if the engine had been lost. */
  isUnsure = false;
  /** What was asked of the log and is not answered. */
  readonly #stuck: ((error: EngineError) => void)[] = [];
  /** Settles what is published; `undefined`: the engine does. */
  confirms: Promise<number> | undefined;
  /** What arrived, and was not passed on. */
  readonly unheard: string[] = [];
  /** How often something was subscribed to. */
  subscribed = 0;
  /** What was published. */
  readonly published: string[] = [];

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#stop = engine.watch((...what) => this.#tell(...what));
  }

  get status(): EngineStatus {
    return this.#isLost ? "lost" : this.#engine.status;
  }

  /** Loses the connection, and tells it. */
  lose(): void {
    this.#isLost = true;
    this.#tell("lost", new Error("cut"));
    for (const reject of this.#stuck.splice(0)) {
      reject(new EngineError("Cannot tell: lost meanwhile", true));
    }
  }

  /** Has it back. */
  find(): void {
    this.#isLost = false;
    this.#tell("open");
  }

  #tell(...what: Parameters<Told>): void {
    for (const told of [...this.#watching]) told(...what);
  }

  publish(subject: string, text: string): Promise<number | undefined> {
    if (this.#isLost) {
      return Promise.reject(new EngineError("Cannot publish: lost", false));
    }
    this.published.push(text);
    if (this.isMute || this.loses(text)) return Promise.resolve(undefined);
    const published = this.#engine.publish(subject, text);
    return this.confirms ?? published;
  }

  subscribe(
    subject: string,
    receive: (text: string, place?: Place) => void,
  ): Promise<() => void> {
    this.subscribed++;
    const era = this.#era;
    if (this.hangs) return new Promise(() => {});
    return this.#engine.subscribe(subject, (text, place) => {
      const isHeard = !this.#isLost && !this.isDeaf && era === this.#era &&
        (place === undefined || !this.misses(text));
      if (isHeard) receive(text, place);
      else this.unheard.push(text);
    });
  }

  async openLog(prefix: string, keep: Keep): Promise<Log> {
    const log = await this.#engine.openLog!(prefix, keep);
    const reach = <T>(isStuck: boolean, ask: () => Promise<T>): Promise<T> => {
      if (this.#isLost) {
        return Promise.reject(new EngineError("Cannot ask: lost", false));
      }
      return isStuck
        ? new Promise((_resolve, reject) => this.#stuck.push(reject))
        : ask();
    };
    return {
      append: (subject, text) =>
        reach(this.isMute, async () => {
          const place = await log.append(subject, text);
          if (!this.isUnsure) return place;
          throw new EngineError("Cannot append: lost meanwhile", true);
        }),
      read: (subject, from, most) =>
        reach(
          this.isMute || this.isDeaf,
          () =>
            this.isUnreadable
              ? Promise.reject(new EngineError("Cannot read", false))
              : log.read(subject, from, most),
        ),
    };
  }

  /** Forgets what was subscribed to, and doesn't say so. */
  forget(): void {
    this.#era++;
  }

  watch(told: Told): () => void {
    this.#watching.add(told);
    return () => void this.#watching.delete(told);
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#engine.close();
  }
}
