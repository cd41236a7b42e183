/**
 * The history of rooms: what was said last in each, kept by the engine's log, and by
 * every node that has the room. A room that misses something reads it there; so does
 * a peer that comes back.
 *
 * @see docs/cluster.md, "History"
 *
 * @module
 */

import { Deferred } from "../line/deferred.ts";
import type { Bus } from "./bus.ts";
import type { Engine, Entry, Keep, Log, Place, Stretch } from "./engine.ts";
import type { Gap } from "./presence.ts";

/**
 * Where something was said in a room's history: "epoch.offset", to be kept and given
 * back as it is. Every notification of the room has it as its member `position`.
 */
export type Position = string;

/** Most entries of a room that a cluster may be told to keep. */
export const mostKept = 10_000;

/** Most UTF-16 code units that a node keeps of one room, and of all. */
export const mostKeptLength = 1_048_576;
const mostKeptTotal = 268_435_456;

// Entries that are read at a time, and most that wait for that.
const page = 256;
const mostHeard = 1_024;

/** The engine's log, as one node has it: opened when it is first needed. */
export class NodeLog {
  readonly keep: Keep;
  /** UTF-16 code units that all rooms of the node keep. */
  length = 0;
  readonly #bus: Bus;
  readonly #engine: Engine;
  readonly #prefix: string;
  #opening: Promise<Log> | undefined;

  constructor(bus: Bus, engine: Engine, prefix: string, keep: Keep) {
    this.#bus = bus;
    this.#engine = engine;
    this.#prefix = prefix;
    this.keep = keep;
  }

  /** Whether the engine can keep anything. */
  get isThere(): boolean {
    return this.#engine.openLog !== undefined;
  }

  /** Publishes a text, and keeps it; see {@linkcode Bus.publish}. */
  append(subject: string, text: string): Promise<Place> {
    return this.#bus.hand(
      text.length,
      async () => await (await this.#open()).append(subject, text),
    );
  }

  async read(subject: string, from: number): Promise<Stretch> {
    return await (await this.#open()).read(subject, from, page);
  }

  #open(): Promise<Log> {
    return this.#opening ??= this.#ask();
  }

  async #ask(): Promise<Log> {
    try {
      return await this.#engine.openLog!(this.#prefix, this.keep);
    } catch (error) {
      this.#opening = undefined; // The next one asks again.
      throw error;
    }
  }
}

/** Whose history it is. */
export interface Recorded {
  readonly subject: string;
  /** Lets those have an entry who are here. */
  deliver(entry: Entry): void;
  /** Entries are missed for good. */
  missedEntries(why: Gap["why"]): void;
  reportLoss(error: unknown): void;
}

/** What a peer has missed, as far as the history has it. */
export interface Missed {
  readonly entries: readonly Entry[];
  readonly isWhole: boolean;
}

/**
 * The last entries of one room's log, without a hole from the first to the last that
 * was heard.
 */
export class History {
  readonly #room: Recorded;
  readonly #log: NodeLog;
  #entries: Entry[] = [];
  #length = 0;
  #epoch: string | undefined;
  /** The offset of the last entry that was heard; 0: none was. */
  #last = 0;
  /** Whether what has been said until some time is known, and all since was heard. */
  #isLoaded = false;
  /** What is heard while the log is read; `undefined`: it is not. */
  #heard: Entry[] | undefined;
  /** Settles once it is read: whether it could be. */
  #reading: Deferred<boolean> | undefined;
  /** Counts what was begun: what an earlier reading finds is nobody's. */
  #attempt = 0;
  /** Why it is to be read again at the next look. */
  #failed: Gap["why"] | undefined;
  /** Whether that it can't be read was told. */
  #isFailureTold = false;
  /** Why something may be missed that was said before it was loaded. */
  #owed: Gap["why"] | undefined;
  /** The entry that the log is read for. */
  #doubted = 0;

  constructor(room: Recorded, log: NodeLog) {
    this.#room = room;
    this.#log = log;
  }

  /** Where the last entry stands that was heard; `undefined`: nothing is known. */
  get position(): Position | undefined {
    return this.#epoch && writePosition(this.#epoch, this.#last);
  }

  /** Reads what was said before, once what is said from then on is heard. */
  async begin(confirmed: Promise<void>): Promise<void> {
    const attempt = ++this.#attempt;
    this.#heard = [];
    this.#reading ??= new Deferred();
    await confirmed;
    if (attempt === this.#attempt) this.#read("engine");
  }

  /** Messages arrive again: reads what was said until now. */
  resume(why: "engine" | "paused"): void {
    if (!this.#isLoaded) this.#owed ??= why;
    this.#read(why);
  }

  /** Nothing arrives for now, and nothing can be read. */
  lose(): void {
    this.#stop();
  }

  /** Is heard no more: what it knows would be out of date. */
  forget(): void {
    this.#stop();
    this.#reset(undefined);
    this.#isLoaded = false;
    this.#owed = undefined;
  }

  /** Reads again what could not be read. */
  look(): void {
    const why = this.#failed;
    if (why !== undefined) this.#read(why);
  }

  /** Somebody says where the last entry stands that it appended. */
  compare(position: unknown): void {
    const said = readPosition(position);
    if (said === undefined || !this.#isLoaded || this.#heard) return;
    if (said.epoch !== this.#epoch || said.offset > this.#last) {
      this.#read("hole");
    }
  }

  /** Hears an entry. */
  hear(entry: Entry): void {
    if (this.#heard !== undefined) {
      this.#heard.push(entry);
      if (this.#heard.length <= mostHeard) return;
      // It is in the log, but for whom it is if that is not loaded, nobody knows.
      this.#heard.shift();
      if (!this.#isLoaded) this.#owed ??= "hole";
    } else if (this.#isLoaded) this.#take(entry);
  }

  #take(entry: Entry): void {
    const { epoch, offset, previous } = entry;
    const isSame = epoch === this.#epoch;
    if (isSame && offset <= this.#last) return;
    if (previous !== 0 && !(isSame && previous === this.#last)) {
      if (offset !== this.#doubted) {
        this.#doubted = offset;
        this.#read("hole");
        this.#heard!.push(entry);
        return;
      }
      // What was read since it was heard had neither it nor what is missing.
      this.#room.missedEntries("hole");
      this.#reset(undefined);
    }
    if (epoch !== this.#epoch) this.#reset(epoch);
    this.#add(entry);
    this.#room.deliver(entry);
  }

  #add(entry: Entry): void {
    const { messages } = this.#log.keep;
    this.#last = entry.offset;
    this.#entries.push(entry);
    this.#count(entry.text.length);
    while (
      this.#entries.length > messages || this.#length > mostKeptLength ||
      this.#log.length > mostKeptTotal && this.#entries.length > 1
    ) this.#count(-this.#entries.shift()!.text.length);
  }

  #count(length: number): void {
    this.#length += length;
    this.#log.length += length;
  }

  #reset(epoch: string | undefined): void {
    this.#count(-this.#length);
    this.#entries = [];
    this.#last = 0;
    this.#epoch = epoch;
  }

  #stop(): void {
    this.#attempt++;
    if (this.#heard !== undefined && !this.#isLoaded) this.#owed ??= "engine";
    this.#heard = undefined;
    this.#failed = undefined;
    this.#reading?.resolve(false);
    this.#reading = undefined;
  }

  /** Reads what is behind the last that is known. */
  #read(why: Gap["why"]): void {
    const attempt = ++this.#attempt;
    this.#failed = undefined;
    this.#heard ??= [];
    this.#reading ??= new Deferred();
    const isOld = (): boolean => attempt !== this.#attempt;
    this.#readAll(why, isOld).then(() => {
      if (!isOld()) this.#finish();
    }, (error: unknown) => {
      if (isOld()) return;
      this.#stop();
      this.#failed = why;
      if (!this.#isFailureTold) this.#room.reportLoss(error);
      this.#isFailureTold = true;
    });
  }

  async #readAll(why: Gap["why"], isOld: () => boolean): Promise<void> {
    for (let isFirst = true;; isFirst = false) {
      // With the last one, which shows that nothing is gone that followed it.
      const from = Math.max(this.#last, 1);
      const stretch = await this.#log.read(this.#room.subject, from);
      if (isOld()) return;
      if (isFirst || stretch.epoch !== this.#epoch) this.#check(stretch, why);
      for (const entry of stretch.entries) {
        if (entry.offset <= this.#last) continue;
        this.#add(entry);
        if (this.#isLoaded) this.#room.deliver(entry);
      }
      if (stretch.entries.length < page) return;
    }
  }

  /** Looks whether what was read goes on where this ends. */
  #check({ epoch, entries, last }: Stretch, why: Gap["why"]): void {
    const [first] = entries;
    // A log that is shorter than it may be has lost nothing.
    const most = Math.min(this.#log.keep.messages, page);
    const goesOn = this.#last > 0
      ? last === this.#last || first?.offset === this.#last
      : first === undefined || first.previous === 0 ||
        first.previous < 0 && entries.length < most;
    const isWhole = this.#epoch === undefined
      ? goesOn
      : epoch === this.#epoch && goesOn;
    if (!isWhole && this.#isLoaded) this.#room.missedEntries(why);
    if (!isWhole || this.#epoch === undefined) this.#reset(epoch);
  }

  #finish(): void {
    const heard = this.#heard!;
    const wasLoaded = this.#isLoaded;
    const owed = this.#owed;
    this.#heard = this.#owed = undefined;
    this.#isLoaded = true;
    this.#isFailureTold = false;
    if (owed !== undefined) this.#room.missedEntries(owed);
    this.#reading?.resolve(true);
    this.#reading = undefined;
    for (const entry of heard) {
      const { epoch, offset } = entry;
      // What was said since the room is heard is for its members, though it was read.
      if (wasLoaded || epoch !== this.#epoch || offset > this.#last) {
        this.hear(entry);
      } else this.#room.deliver(entry);
    }
  }

  /** Settles once what was said until now is known; `false`: it can't be, for now. */
  async ready(since?: Position): Promise<boolean> {
    const said = readPosition(since);
    // Another node may have been quicker than this one.
    if (
      this.#isLoaded && this.#heard === undefined &&
      said?.epoch === this.#epoch && said !== undefined &&
      said.offset > this.#last
    ) this.#read("hole");
    return this.#reading === undefined
      ? this.#isLoaded
      : await this.#reading.promise;
  }

  /** What was said since some position, or last. */
  since(since: Position | number): Missed {
    const entries = this.#entries;
    if (typeof since === "number") {
      return { entries: since ? entries.slice(-since) : [], isWhole: true };
    }
    const said = readPosition(since);
    const isKnown = said !== undefined && said.epoch === this.#epoch;
    if (isKnown && said.offset === this.#last) {
      return { entries: [], isWhole: true };
    }
    const index = isKnown
      ? entries.findLastIndex(({ offset }) => offset === said.offset)
      : -1;
    if (index >= 0) return { entries: entries.slice(index + 1), isWhole: true };
    const isBefore = isKnown && said.offset > 0 &&
      entries[0]?.previous === said.offset;
    return { entries: isBefore ? entries.slice() : [], isWhole: isBefore };
  }
}

/** Writes a position. */
export function writePosition(epoch: string, offset: number): Position {
  return `${epoch}.${offset}`;
}

/** Reads a position; `undefined`: it is none. */
export function readPosition(
  position: unknown,
): { readonly epoch: string; readonly offset: number } | undefined {
  if (typeof position !== "string" || position.length > 64) return undefined;
  const [, epoch, digits] = /^([\w-]{1,32})\.(\d{1,16})$/.exec(position) ?? [];
  return epoch === undefined ? undefined : { epoch, offset: Number(digits) };
}
