/**
 * The history of rooms: the last notifications of each, kept by the engine's log, and
 * by every node that has the room. A node that missed some reads them from the log; a
 * peer that comes back is sent those that it missed.
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
 * The position of a notification in a room's history: "epoch.offset". Keep it and pass
 * it back unchanged. Every notification of the room has it as its member `position`.
 */
export type Position = string;

/** Most entries of a room that a cluster may be told to keep. */
export const mostKept = 10_000;

/** Most UTF-16 code units that a node keeps of one room, and of all. */
export const mostKeptLength = 1_048_576;
const mostKeptTotal = 268_435_456;

// Entries that are read at a time, and most that arrive and wait meanwhile.
const page = 256;
const mostHeard = 1_024;

// Milliseconds after which a node knows that nothing arrives.
const deafFor = 8_000;

// Beats in which the log must be read; entries that were read by then are kept.
const mostLooks = 5;

const nonsense = "the engine gave an invalid place";

/** One node's access to the engine's log, which is opened when it is first needed. */
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

/** The room of a history. */
export interface Recorded {
  readonly subject: string;
  /** Sends an entry to this node's members. */
  deliver(entry: Entry): void;
  /** Sends an entry to the members that caught up before it. */
  deliverLate(entry: Entry): void;
  /** Reports that entries are missed for good. */
  missedEntries(why: Gap["why"]): void;
  reportLoss(error: unknown): void;
}

/** The entries that a peer has missed, as far as the history has them. */
export interface Missed {
  readonly entries: readonly Entry[];
  readonly isWhole: boolean;
}

/** A reading of the log that is under way. */
interface Reading {
  /** Why entries may be missed; `undefined`: the log was not asked yet. */
  readonly why: Gap["why"] | undefined;
  /** The entries that arrived meanwhile. */
  heard: Entry[];
  /** Their UTF-16 code units, or more. */
  length: number;
  /** The entry that caused the reading; `undefined`: none did. */
  doubted: Entry | undefined;
  /** Looks of the node since the log was asked. */
  looks: number;
  /** Resolves with whether the log could be read. */
  readonly done: Deferred<boolean>;
}

/** The last entries of one room's log, without a hole between them. */
export class History {
  readonly #room: Recorded;
  readonly #log: NodeLog;
  #entries: Entry[] = [];
  #length = 0;
  #epoch: string | undefined;
  /** The offset of the last appended entry that is known; 0: none is. */
  #last = 0;
  /** The first offset that members were sent since the log was first read. */
  #toldFrom = 0;
  /** Whether the log was read once, and all entries since then have arrived. */
  #isLoaded = false;
  /** The last time when all entries were known. */
  #sureAt = 0;
  /** The present reading; `undefined`: none. Earlier ones are ignored. */
  #reading: Reading | undefined;
  /** Why entries may be missed since a reading failed; the next look reads again. */
  #failed: Gap["why"] | undefined;
  /** Whether the owner was told that the log can't be read. */
  #isFailureTold = false;
  /** Why entries may be missed that were appended before the first reading. */
  #owed: Gap["why"] | undefined;

  constructor(room: Recorded, log: NodeLog) {
    this.#room = room;
    this.#log = log;
  }

  /** The position of the last entry; `undefined`: none is known. */
  get position(): Position | undefined {
    return this.#epoch !== undefined && this.#last > 0
      ? writePosition(this.#epoch, this.#last)
      : undefined;
  }

  /** The offset of the last entry; 0: none is known. */
  get last(): number {
    return this.#last;
  }

  /** Appends a text to the log. */
  append(text: string): Promise<Place> {
    return this.#log.append(this.#room.subject, text);
  }

  /** Reads earlier entries, once the subscription to later ones is confirmed. */
  async begin(confirmed: Promise<void>): Promise<void> {
    const reading = this.#start(undefined);
    await confirmed;
    if (reading === this.#reading) this.#read("engine");
  }

  /** Messages arrive again: reads the entries until now. */
  resume(why: "engine" | "paused"): void {
    if (!this.#isLoaded) this.#owed ??= why;
    this.#read(why);
  }

  /** The engine is lost: no entry arrives for sure, and none can be read. */
  lose(): void {
    this.#stop();
    this.#failed = "engine";
  }

  /** The subscription has ended: the known entries would get out of date. */
  forget(): void {
    this.#stop();
    this.#reset(undefined);
    this.#isLoaded = false;
    this.#owed = undefined;
  }

  /** Reads again if the last reading failed. */
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

  /** Compares with the position of some entry, and reads if that isn't known here. */
  compare(position: unknown): void {
    const said = readPosition(position);
    if (said === undefined || !this.#isLoaded || this.#reading) return;
    if (said.epoch !== this.#epoch || said.offset > this.#last) {
      this.#read(this.#failed ?? "hole");
    }
  }

  /**
   * Takes an entry that arrived.
   *
   * @param isRead Whether the log was read because of it.
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
      // The reading will find it in the log; but if it is the first reading, it is not
      // known whether members have to get it.
      reading.length -= heard.shift()!.text.length;
      if (!this.#isLoaded) this.#owed ??= "hole";
    }
  }

  #take(entry: Entry, isRead: boolean): void {
    if (this.#has(entry)) {
      // The log was read before it arrived.
      if (entry.offset < this.#toldFrom) this.#room.deliverLate(entry);
      return;
    }
    const { epoch, previous } = entry;
    // An entry without a previous one is the next if no entry can be missed.
    const isNext = epoch === this.#epoch && previous === this.#last ||
      previous === 0 && this.#failed === undefined;
    if (!isNext) {
      if (!isRead) {
        this.#read(this.#failed ?? "hole").doubted = entry;
        return this.hear(entry);
      }
      // The log had neither this entry nor the missing ones.
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

  /** Reads the entries behind the last that is known. */
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
      // Includes the last known entry: if it is still there, so are all after it.
      const from = Math.max(this.#last, 1);
      const stretch = await this.#log.read(this.#room.subject, from);
      if (reading !== this.#reading) return;
      const { epoch, entries, last = 0 } = stretch;
      if (!this.#isFollowedBy(stretch)) {
        if (!isTold) this.#room.missedEntries(why);
        isTold = true;
        // Entries that members have must not be taken anew.
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

  /** Whether the entries that were read follow the last known one. */
  #isFollowedBy({ epoch, entries, last }: Stretch): boolean {
    if (this.#epoch !== undefined && epoch !== this.#epoch) return false;
    const [first] = entries;
    if (last === this.#last || first?.offset === this.#last) return true;
    if (this.#last > 0) return false;
    const { messages, milliseconds } = this.#log.keep;
    // Later entries that are too old by now would not be seen.
    const unsureFor = performance.now() - this.#sureAt + deafFor;
    if (this.#isLoaded && unsureFor >= milliseconds) return false;
    if (first === undefined) return last === undefined;
    // A log that is shorter than its limit has lost no entry.
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
      // The log has begun anew meanwhile, and the order of these entries is unknown.
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
   * Sends members the entries since the node asked for the subscription, also those
   * that were only read.
   */
  #deliverSince(heard: readonly Entry[]): void {
    const last = this.#last;
    const from = heard[0]?.offset ?? last + 1;
    this.#toldFrom = from;
    // The first entries that arrived may no longer be kept.
    const first = this.#entries[0]?.offset ?? Infinity;
    const all = [
      ...heard.filter(({ offset }) => offset < first && offset <= last),
      ...this.#entries.filter(({ offset }) => offset >= from),
    ];
    for (const entry of all) this.#room.deliver(entry);
  }

  /** Resolves once the entries until now are known; `false`: they can't be read now. */
  async ready(since: Position | number): Promise<boolean> {
    // The peer may come from a node that has heard more than this one.
    this.compare(since);
    return this.#reading === undefined
      ? this.#isLoaded
      : await this.#reading.done.promise;
  }

  /** The entries since a position, or the last so many. */
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

/** Reads a position; `undefined`: it is invalid. */
export function readPosition(
  position: unknown,
): { readonly epoch: string; readonly offset: number } | undefined {
  if (typeof position !== "string" || position.length > 64) return undefined;
  const [, epoch, digits] = /^([\w-]{1,32})\.(\d{1,16})$/.exec(position) ?? [];
  return epoch === undefined ? undefined : { epoch, offset: Number(digits) };
}
