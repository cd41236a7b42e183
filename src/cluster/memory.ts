/**
 * The engine of one process: what is published stays in it.
 *
 * @module
 */

import { type Engine, EngineError, type EngineStatus } from "./engine.ts";
import { checkSubject, guard, Status } from "./status.ts";

type Receive = (text: string) => void;

/**
 * Makes an engine in memory: the default of a cluster that has one node, and for
 * tests that have several in one process.
 *
 * Those who share it hear each other; two of them are two buses. It behaves as one
 * over a network: a text arrives in a microtask after `publish`, in order, and its
 * publisher gets it, too. It is `"open"` until it is closed.
 */
export function memory(): Engine {
  return new Memory();
}

class Memory implements Engine {
  readonly #status = new Status("open");
  readonly #subscribed = new Map<string, Set<{ readonly receive: Receive }>>();

  get status(): EngineStatus {
    return this.#status.now;
  }

  // What is asked is done in the next microtask, in the order in which it was asked.
  async publish(subject: string, text: string): Promise<number> {
    this.#check("publish", subject);
    await undefined;
    const all = this.#subscribed.get(subject);
    if (all === undefined) return 0;
    const heard = all.size;
    // Who takes back meanwhile hears no more; nobody subscribes meanwhile.
    for (const { receive } of all) guard(receive, text);
    return heard;
  }

  async subscribe(subject: string, receive: Receive): Promise<() => void> {
    this.#check("subscribe", subject);
    await undefined;
    this.#check("subscribe", subject);
    const all = this.#subscribed.get(subject) ?? new Set();
    this.#subscribed.set(subject, all);
    const subscription = { receive };
    all.add(subscription);
    return (): void => {
      all.delete(subscription);
      if (all.size === 0 && this.#subscribed.get(subject) === all) {
        this.#subscribed.delete(subject);
      }
    };
  }

  listeners(subject: string): number {
    return this.#subscribed.get(subject)?.size ?? 0;
  }

  watch(told: Parameters<Engine["watch"]>[0]): () => void {
    return this.#status.watch(told);
  }

  close(): Promise<void> {
    for (const all of this.#subscribed.values()) all.clear();
    this.#subscribed.clear();
    this.#status.become("closed");
    return Promise.resolve();
  }

  #check(what: string, subject: string): void {
    checkSubject(subject);
    if (this.status === "closed") {
      throw new EngineError(`Cannot ${what}: the engine is closed`, false);
    }
  }
}
