/**
 * The engine of one process: its messages don't leave the process.
 *
 * @module
 */

import type {
  Engine,
  EngineStatus,
  Entry,
  Keep,
  Log,
  Place,
  Stretch,
} from "./engine.ts";
import {
  type Act,
  checkLogged,
  checkSubject,
  failure,
  guard,
  type Receive,
  Status,
} from "./status.ts";

/**
 * Most UTF-16 code units that the log of an engine keeps, and those that each entry
 * counts beside its text. Beyond the limit, the subjects go to which nothing was
 * appended for the longest time.
 */
const mostKeptLength = 268_435_456;
const entryLength = 128;

/**
 * Makes an engine in memory: the default of a cluster that has one node, and for
 * tests that have several in one process.
 *
 * Clusters that share one engine hear each other; two engines are two buses. It behaves
 * like one over a network: a text arrives in a microtask after `publish`, in order, and
 * its publisher gets it, too. It is `"open"` until it is closed. Its log ends with the
 * process, and keeps at most 268,435,456 characters; beyond that, the history of the
 * rooms goes that were silent for the longest time.
 */
export function memory(): Engine {
  return new Memory();
}

class Memory implements Engine {
  readonly #status = new Status("open");
  readonly #subscribed = new Map<string, Set<{ readonly receive: Receive }>>();
  /** By subject; the one with the oldest last entry is the first. */
  readonly #records = new Map<string, Kept>();
  readonly #account: Account = { length: 0 };

  get status(): EngineStatus {
    return this.#status.now;
  }

  // Each call acts in the next microtask, in the order of the calls.
  async publish(subject: string, text: string): Promise<number> {
    checkSubject(subject);
    this.#mustBeOpen("publish", subject);
    await undefined;
    return this.#tell(subject, text);
  }

  async subscribe(subject: string, receive: Receive): Promise<() => void> {
    checkSubject(subject);
    this.#mustBeOpen("subscribe", subject);
    await undefined;
    this.#mustBeOpen("subscribe", subject);
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

  // deno-lint-ignore require-await -- What it throws rejects.
  async openLog(prefix: string, keep: Keep): Promise<Log> {
    checkSubject(prefix);
    this.#mustBeOpen("open the log of", prefix);
    return {
      append: async (subject, text) => {
        checkLogged(subject, prefix);
        this.#mustBeOpen("append", subject);
        await undefined;
        const place = this.#record(subject).add(text, keep);
        this.#tell(subject, text, place);
        return place;
      },
      read: async (subject, from, most) => {
        checkLogged(subject, prefix);
        this.#mustBeOpen("read", subject);
        await undefined;
        return this.#records.get(subject)?.read(from, most) ?? { entries: [] };
      },
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
    this.#records.clear();
    this.#status.become("closed");
    return Promise.resolve();
  }

  #mustBeOpen(what: Act, subject: string): void {
    if (this.status !== "closed") return;
    throw failure(what, subject, "the engine is closed", false);
  }

  #tell(subject: string, text: string, place?: Place): number {
    const all = this.#subscribed.get(subject);
    if (all === undefined) return 0;
    const heard = all.size;
    // A subscription that ends meanwhile gets it no more; none can begin meanwhile.
    for (const { receive } of all) guard(receive, text, place);
    return heard;
  }

  /** The entries of a subject that is appended to; others go to make room for it. */
  #record(subject: string): Kept {
    const now = performance.now();
    const record = this.#records.get(subject) ?? new Kept(this.#account);
    this.#records.delete(subject);
    for (const [other, kept] of this.#records) {
      if (now < kept.diesAt && this.#account.length <= mostKeptLength) break;
      kept.clear();
      this.#records.delete(other);
    }
    this.#records.set(subject, record);
    return record;
  }
}

/** The UTF-16 code units that all subjects keep. */
interface Account {
  length: number;
}

/** The kept entries of one subject. */
class Kept {
  readonly #account: Account;
  #length = 0;
  readonly #epoch = crypto.randomUUID().slice(0, 8);
  readonly #entries: Entry[] = [];
  /** The time when each of them is too old. */
  readonly #ends: number[] = [];
  #last = 0;

  constructor(account: Account) {
    this.#account = account;
  }

  /** The time when its last entry is too old. */
  get diesAt(): number {
    return this.#ends.at(-1) ?? -Infinity;
  }

  add(text: string, { messages, milliseconds }: Keep): Place {
    const place = {
      epoch: this.#epoch,
      offset: this.#last + 1,
      previous: this.#last,
    };
    this.#last++;
    this.#entries.push({ ...place, text });
    this.#count(entryLength + text.length);
    this.#ends.push(performance.now() + milliseconds);
    this.#trim(messages);
    return place;
  }

  read(from: number, most: number): Stretch {
    this.#trim(Infinity);
    const first = this.#entries[0]?.offset ?? from;
    const begin = Math.max(0, from - first);
    return {
      epoch: this.#epoch,
      entries: this.#entries.slice(begin, begin + most),
      last: this.#last,
    };
  }

  clear(): void {
    this.#trim(0);
  }

  #trim(most: number): void {
    const now = performance.now();
    let gone = 0;
    while (
      gone < this.#ends.length &&
      (this.#ends.length - gone > most || this.#ends[gone]! <= now ||
        this.#length > mostKeptLength)
    ) this.#count(-entryLength - this.#entries[gone++]!.text.length);
    if (gone === 0) return;
    this.#entries.splice(0, gone);
    this.#ends.splice(0, gone);
  }

  #count(length: number): void {
    this.#length += length;
    this.#account.length += length;
  }
}
