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
import {
  type Engine,
  EngineError,
  type Entry,
  type Keep,
  type Log,
  type Place,
  type Stretch,
} from "./engine.ts";
import type { Gap } from "./presence.ts";
import { isPlace } from "./status.ts";

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

// Milliseconds after which a node knows that nothing arrives.
const deafFor = 8_000;

// Beats in which the log must be read; what was read by then is kept.
const mostLooks = 5;

const nonsense = "what the engine says of it is no place";

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
    return this.#bus.hand(text.length, async () => {
      const place = await (await this.#open()).append(subject, text);
      if (isPlace(place)) return place;
      throw new EngineError(`Cannot append to ${subject}: ${nonsense}`, true);
    });
  }

  async read(subject: string, from: number): Promise<Stretch> {
    const stretch = await (await this.#open()).read(subject, from, page);
    const { epoch, entries } = stretch;
    const isSound = entries.every((entry) =>
      entry.epoch === epoch && isPlace(entry)
    );
    if (isSound) return stretch;
    throw new EngineError(`Cannot read ${subject}: ${nonsense}`, false);
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
  /** Lets those have an entry who were not told of it when they caught up. */
  deliverLate(entry: Entry): void;
  /** Entries are missed for good. */
  missedEntries(why: Gap["why"]): void;
  reportLoss(error: unknown): void;
}

/** What a peer has missed, as far as the history has it. */
export interface Missed {
  readonly entries: readonly Entry[];
  readonly isWhole: boolean;
}

/** A look into the log that is under way. */
interface Reading {
  /** Why something may be missed; `undefined`: nothing has been asked yet. */
  readonly why: Gap["why"] | undefined;
  /** What was heard meanwhile. */
  heard: Entry[];
  /** UTF-16 code units of it, or more. */
  length: number;
  /** The one that it is read for; `undefined`: for none of them. */
  doubted: Entry | undefined;
  /** Looks of the node since it was asked. */
  looks: number;
  /** Settles once it is read: whether it could be. */
  readonly done: Deferred<boolean>;
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
  /** The offset of the last entry that was appended, as known; 0: none was. */
  #last = 0;
  /** The first offset that members were told of since the log was first read. */
  #toldFrom = 0;
  /** Whether what has been said until some time is known, and all since was heard. */
  #isLoaded = false;
  /** When all that had been said was known. */
  #sureAt = 0;
  /** `undefined`: the log is not read; another one: what it finds is nobody's. */
  #reading: Reading | undefined;
  /** Why something may be missed until it is read again, which the next look does. */
  #failed: Gap["why"] | undefined;
  /** Whether that it can't be read was told. */
  #isFailureTold = false;
  /** Why something may be missed that was said before it was loaded. */
  #owed: Gap["why"] | undefined;

  constructor(room: Recorded, log: NodeLog) {
    this.#room = room;
    this.#log = log;
  }

  /** Where the last entry stands; `undefined`: none is known. */
  get position(): Position | undefined {
    return this.#epoch !== undefined && this.#last > 0
      ? writePosition(this.#epoch, this.#last)
      : undefined;
  }

  /** The offset of that; 0: none is known. */
  get last(): number {
    return this.#last;
  }

  /** Says something that is kept. */
  append(text: string): Promise<Place> {
    return this.#log.append(this.#room.subject, text);
  }

  /** Reads what was said before, once what is said from then on is heard. */
  async begin(confirmed: Promise<void>): Promise<void> {
    const reading = this.#start(undefined);
    await confirmed;
    if (reading === this.#reading) this.#read("engine");
  }

  /** Messages arrive again: reads what was said until now. */
  resume(why: "engine" | "paused"): void {
    if (!this.#isLoaded) this.#owed ??= why;
    this.#read(why);
  }

  /** Nothing arrives for sure until messages do again, and nothing can be read. */
  lose(): void {
    this.#stop();
    this.#failed = "engine";
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
    const reading = this.#reading;
    if (reading?.why !== undefined && ++reading.looks > mostLooks) {
      const why = `it takes longer than ${mostLooks} beats`;
      this.#fail(
        reading.why,
        new EngineError(`Cannot read ${this.#room.subject}: ${why}`, false),
      );
    } else if (this.#failed !== undefined) this.#read(this.#failed);
    else if (reading === undefined) this.#sureAt = performance.now();
  }

  /** Somebody says where some entry stands: one that isn't known here is read. */
  compare(position: unknown): void {
    const said = readPosition(position);
    if (said === undefined || !this.#isLoaded || this.#reading) return;
    if (said.epoch !== this.#epoch || said.offset > this.#last) {
      this.#read(this.#failed ?? "hole");
    }
  }

  /**
   * Hears an entry.
   *
   * @param isRead Whether the log was read for it.
   */
  hear(entry: Entry, isRead = false): void {
    const reading = this.#reading;
    if (reading === undefined) {
      if (this.#isLoaded) this.#take(entry, isRead);
      return;
    }
    const { heard } = reading;
    heard.push(entry);
    reading.length += entry.text.length;
    while (
      heard.length > mostHeard ||
      reading.length > mostKeptLength && heard.length > 1
    ) {
      // It is in the log, but for whom it is if that is not loaded, nobody knows.
      reading.length -= heard.shift()!.text.length;
      if (!this.#isLoaded) this.#owed ??= "hole";
    }
  }

  #take(entry: Entry, isRead: boolean): void {
    if (this.#has(entry)) {
      // It was read before it arrived.
      if (entry.offset < this.#toldFrom) this.#room.deliverLate(entry);
      return;
    }
    const { epoch, previous } = entry;
    // What has nothing before it is the next if nothing may be missed.
    const isNext = epoch === this.#epoch && previous === this.#last ||
      previous === 0 && this.#failed === undefined;
    if (!isNext) {
      if (!isRead) {
        this.#read(this.#failed ?? "hole").doubted = entry;
        return this.hear(entry);
      }
      // The log had neither it nor what is missing.
      this.#room.missedEntries("hole");
      this.#reset(undefined);
    }
    if (epoch !== this.#epoch) this.#reset(epoch);
    this.#add(entry);
    this.#room.deliver(entry);
  }

  #has({ epoch, offset }: Entry): boolean {
    return epoch === this.#epoch && offset <= this.#last;
  }

  #add(entry: Entry): void {
    const { messages } = this.#log.keep;
    this.#last = entry.offset;
    this.#entries.push(entry);
    this.#count(entry.text.length);
    while (
      this.#entries.length > messages || this.#length > mostKeptLength ||
      this.#log.length > mostKeptTotal && this.#entries.length > 0
    ) this.#count(-this.#entries.shift()!.text.length);
  }

  #count(length: number): void {
    this.#length += length;
    this.#log.length += length;
  }

  #reset(epoch: string | undefined): void {
    this.#count(-this.#length);
    this.#entries = [];
    this.#last = this.#toldFrom = 0;
    this.#epoch = epoch;
  }

  #start(why: Gap["why"] | undefined): Reading {
    const { heard = [], length = 0, doubted, done = new Deferred<boolean>() } =
      this.#reading ?? {};
    return this.#reading = { why, heard, length, doubted, looks: 0, done };
  }

  #stop(): void {
    if (this.#reading !== undefined && !this.#isLoaded) this.#owed ??= "engine";
    this.#failed = undefined;
    this.#end(false);
  }

  #end(isRead: boolean): void {
    this.#reading?.done.resolve(isRead);
    this.#reading = undefined;
  }

  /** Reads what is behind the last that is known. */
  #read(why: Gap["why"]): Reading {
    this.#failed = undefined;
    const reading = this.#start(why);
    this.#readAll(reading, why).then(() => {
      if (reading === this.#reading) this.#finish(reading);
    }, (error: unknown) => {
      if (reading === this.#reading) this.#fail(why, error);
    });
    return reading;
  }

  #fail(why: Gap["why"], error: unknown): void {
    this.#stop();
    this.#failed = why;
    if (!this.#isFailureTold) this.#room.reportLoss(error);
    this.#isFailureTold = true;
  }

  async #readAll(reading: Reading, why: Gap["why"]): Promise<void> {
    let isTold = !this.#isLoaded;
    while (true) {
      // With the last one, which shows that nothing is gone that followed it.
      const from = Math.max(this.#last, 1);
      const stretch = await this.#log.read(this.#room.subject, from);
      if (reading !== this.#reading) return;
      const { epoch, entries, last = 0 } = stretch;
      if (!this.#isFollowedBy(stretch)) {
        if (!isTold) this.#room.missedEntries(why);
        isTold = true;
        // What was told must not be taken anew.
        if (this.#isLoaded) {
          reading.heard = reading.heard.filter((entry) => !this.#has(entry));
        }
        const isAnew = epoch !== this.#epoch || entries.length === 0;
        this.#reset(epoch);
        if (isAnew && from > 1) continue;
      }
      const before = this.#last;
      this.#epoch = epoch;
      for (const entry of entries) {
        if (entry.offset <= this.#last) continue;
        this.#add(entry);
        if (this.#isLoaded) this.#room.deliver(entry);
      }
      if (entries.length === 0) this.#last = last;
      if (entries.length < page || this.#last === before) return;
    }
  }

  /** Whether what was read goes on where this ends. */
  #isFollowedBy({ epoch, entries, last }: Stretch): boolean {
    if (this.#epoch !== undefined && epoch !== this.#epoch) return false;
    const [first] = entries;
    if (last === this.#last || first?.offset === this.#last) return true;
    if (this.#last > 0) return false;
    const { messages, milliseconds } = this.#log.keep;
    // What has been said since, and is too old by now, would not be seen.
    const unsureFor = performance.now() - this.#sureAt + deafFor;
    if (this.#isLoaded && unsureFor >= milliseconds) return false;
    if (first === undefined) return last === undefined;
    // A log that is shorter than it may be has lost nothing.
    const most = Math.min(messages, page);
    return first.previous === 0 ||
      first.previous < 0 && entries.length < most;
  }

  #finish({ heard, doubted }: Reading): void {
    const wasLoaded = this.#isLoaded;
    const owed = this.#owed;
    this.#owed = undefined;
    this.#isLoaded = true;
    this.#isFailureTold = false;
    this.#sureAt = performance.now();
    if (owed !== undefined) this.#room.missedEntries(owed);
    this.#end(true);
    const epoch = this.#epoch;
    if (epoch && heard.some((entry) => entry.epoch !== epoch)) {
      // The log has begun anew meanwhile: which of them were before can't be known.
      this.#room.missedEntries("hole");
      this.#read("hole");
      return;
    }
    const last = wasLoaded ? 0 : this.#last;
    if (!wasLoaded) this.#deliverSince(heard);
    for (const entry of heard) {
      if (entry.offset > last) this.hear(entry, entry === doubted);
    }
  }

  /**
   * Lets members have what was said since the room is heard, though it was read, or has
   * not arrived.
   */
  #deliverSince(heard: readonly Entry[]): void {
    const last = this.#last;
    const from = heard[0]?.offset ?? last + 1;
    this.#toldFrom = from;
    // What was heard first may be kept no more.
    const first = this.#entries[0]?.offset ?? Infinity;
    const all = [
      ...heard.filter(({ offset }) => offset < first && offset <= last),
      ...this.#entries.filter(({ offset }) => offset >= from),
    ];
    for (const entry of all) this.#room.deliver(entry);
  }

  /** Settles once what was said until now is known; `false`: it can't be, for now. */
  async ready(since: Position | number): Promise<boolean> {
    // Another node may have been quicker than this one.
    this.compare(since);
    return this.#reading === undefined
      ? this.#isLoaded
      : await this.#reading.done.promise;
  }

  /** What was said since some position, or last. */
  since(since: Position | number): Missed {
    const entries = this.#entries;
    if (typeof since === "number") {
      const first = Math.max(0, entries.length - Math.floor(since));
      return { entries: entries.slice(first), isWhole: true };
    }
    const said = readPosition(since);
    if (said === undefined || said.epoch !== this.#epoch) {
      return { entries: [], isWhole: false };
    }
    const { offset } = said;
    if (offset === this.#last) return { entries: [], isWhole: true };
    const isBefore = offset > 0 && entries[0]?.previous === offset;
    const index = entries.findLastIndex((entry) => entry.offset === offset);
    const isWhole = isBefore || index >= 0;
    return { entries: isWhole ? entries.slice(index + 1) : [], isWhole };
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
