/**
 * Who is in a room, on all nodes. Each node says who of its own peers comes and goes;
 * here is what one node knows of the others' word.
 *
 * @see docs/cluster.md, "Presence"
 *
 * @module
 */

import { Deferred } from "../line/deferred.ts";
import { startTimer } from "../line/timers.ts";
import type { AsyncReleasable } from "../peer/contract.ts";
import { isDeeperThan } from "../wire/depth.ts";
import type { Fields } from "./message.ts";
import { readCount, readText } from "./message.ts";

/** A peer that is in a room. */
export interface Member<Data = unknown> {
  /** By what it is reached on whatever node; see {@linkcode Cluster.idOf}. */
  readonly id: string;
  /** The node that it is connected to. */
  readonly node: string;
  /** What it joined with: whose connection it is. Several may have the same. */
  readonly key: string | undefined;
  /** What it joined with, as JSON brought it here; not checked. */
  readonly data: Data;
}

/** Who is in a room, as far as is known. */
export interface Members<Data = unknown> {
  /** Those of this node and, as far as these have said, those of others. */
  readonly members: Member<Data>[];
  /** The nodes whose members of now could not be asked for within 2 seconds. */
  readonly missing: string[];
  /**
   * Whether some of it may be out of date: the engine is lost, or was, or one of
   * `missing` had told of members before.
   */
  readonly isStale: boolean;
}

/** A time in which something may have been missed. */
export interface Gap {
  /** The room's name. */
  readonly room: string;
  /**
   * - `"engine"`: the engine was lost, or passed nothing on to this node.
   * - `"hole"`: a node has said more than arrived.
   * - `"paused"`: this process was asleep for longer than others wait for it.
   * - `"slow"`: changes came faster than they were read.
   */
  readonly why: "engine" | "hole" | "paused" | "slow";
  /** Whose messages they are; absent: anybody's. */
  readonly node?: string;
  /** How many, if that is known: notifications, and changes of who is there. */
  readonly missed?: number;
}

/** Why a member left: it did, its connection closed, or its node is gone. */
export type LeaveReason = "left" | "closed" | "node";

/** What happens to the members of a room; first of all a snapshot. */
export type Change<Data = unknown> =
  | {
    /** All members from now on. */
    readonly type: "snapshot";
    readonly members: Member<Data>[];
    /** See {@linkcode Members.missing}. */
    readonly missing: string[];
  }
  | {
    /** One more; or one that was there already has another key, or other data. */
    readonly type: "join";
    readonly member: Member<Data>;
  }
  | {
    /** One less. */
    readonly type: "leave";
    readonly member: Member<Data>;
    readonly why: LeaveReason;
  }
  | {
    /**
     * Something may have been missed. What of it changed the members follows as joins
     * and leaves; if it is `"slow"`, as a new snapshot.
     */
    readonly type: "gap";
    readonly gap: Gap;
  };

/**
 * Changes as they come. Iterate it, and it is released when the loop is left; else
 * call `return`, or declare it with `await using`.
 */
export interface Changes<Data = unknown>
  extends AsyncIterableIterator<Change<Data>>, AsyncReleasable {
  /** Listens no more. Changes that wait are forgotten. */
  return(): Promise<IteratorResult<Change<Data>, undefined>>;
}

/** Most changes, or characters of them, that nodes say at a time. */
export const mostChanges = 256;
export const mostChangesLength = 131_072;

/** Most characters of what a member joins with. */
export const mostKey = 256;
export const mostData = 4_096;

/** Deepest nesting of it. */
export const mostDataDepth = 32;

/** Most members that one node may have in one room. */
export const mostMembers = 100_000;

/** Milliseconds in which other nodes have to say who is there. */
const answerWithin = 2_000;

/** Milliseconds that who is there is kept though nobody asks. */
const keptFor = 30_000;

/** Most changes that wait to be read. */
const mostWaiting = 1_024;

/** Looks until a node is asked again. */
const askAgain = 2;

/** What a member joined with, as the wire has it. */
interface Entry {
  readonly number: number;
  readonly key: string | undefined;
  readonly data: unknown;
  /** Why it left; `undefined`: it is there. */
  readonly why: string | undefined;
}

/** Writes that a member is there. */
export function writeJoin(
  number: number,
  key: string | undefined,
  data: string | undefined,
): string {
  const named = key === undefined ? "" : `,"key":${JSON.stringify(key)}`;
  return `{"id":${number}${named}${
    data === undefined ? "" : `,"data":${data}`
  }}`;
}

/** Writes that one is not. */
export function writeLeave(number: number, why: LeaveReason): string {
  return `{"id":${number},"why":"${why}"}`;
}

/** Reads a list of such words; a text says what is wrong with it. */
function readEntries(body: string): Entry[] | string {
  if (isDeeperThan(mostDataDepth + 2, body)) return "its members are too deep";
  let list: unknown;
  try {
    list = JSON.parse(body);
  } catch {
    // Said below.
  }
  if (!Array.isArray(list) || list.length > mostChanges) {
    return `it has no list of at most ${mostChanges} members`;
  }
  const entries: Entry[] = [];
  for (const it of list as unknown[]) {
    if (typeof it !== "object" || it === null) return "a member is no object";
    const fields = it as Fields;
    const number = readCount(fields, "id");
    const key = readText(fields, "key", mostKey);
    if (number === undefined) return "a member has no id";
    if (fields.key !== undefined && key === undefined) {
      return "a member's key is no text, or too long";
    }
    const { data } = fields;
    entries.push({ number, key, data, why: readText(fields, "why", 16) });
  }
  return entries;
}

/** Who a view is of, and by whom it asks. */
export interface ViewOwner {
  readonly name: string;
  /** The other nodes that are alive. */
  readonly others: Iterable<string>;
  /** Whether nothing can have been missed. */
  readonly isSure: boolean;
  /** This node's own members. */
  ownMembers(): Member[];
  /**
   * Asks who is there; each of those who hear it answers once, in parts.
   *
   * @param node Whom; `undefined`: all nodes.
   * @returns The number of the question.
   */
  ask(node: string | undefined): number;
  complain(why: string): void;
}

/** What one other node has said. */
interface Said {
  members: Map<number, Member>;
  /** Whether that is all, as of {@linkcode Said.at}. */
  isWhole: boolean;
  /** The number of what the node had last said in the room by then. */
  at: number;
  /** The question that it has to answer. */
  call: number;
  /** Looks since it was asked. */
  looks: number;
  /** What it has answered so far. */
  parts: Map<number, Member> | undefined;
}

/** What one node knows of who is in a room, as long as somebody wants to know. */
export class View {
  readonly #owner: ViewOwner;
  readonly #nodes = new Map<string, Said>();
  readonly #readers = new Set<Reader>();
  /** Who waits until all have answered. */
  readonly #waiting = new Set<() => void>();
  #usedAt = performance.now();
  #isEnded = false;

  constructor(owner: ViewOwner) {
    this.#owner = owner;
    for (const node of owner.others) this.#add(node, false);
  }

  /** Whether nobody has wanted to know for a while. */
  isIdle(now: number): boolean {
    return this.#readers.size === 0 && this.#waiting.size === 0 &&
      now - this.#usedAt >= keptFor;
  }

  #add(node: string, isWhole: boolean): Said {
    const said: Said = {
      members: new Map(),
      isWhole,
      at: 0,
      call: -1,
      looks: 0,
      parts: undefined,
    };
    this.#nodes.set(node, said);
    return said;
  }

  /** Asks all nodes. */
  ask(): void {
    if (this.#nodes.size === 0) return;
    const call = this.#owner.ask(undefined);
    for (const said of this.#nodes.values()) expect(said, call);
  }

  #askNode(node: string, said: Said): void {
    expect(said, this.#owner.ask(node));
  }

  /** Asks those again who have not answered. */
  look(): void {
    for (const [node, said] of this.#nodes) {
      if (!said.isWhole && ++said.looks >= askAgain) this.#askNode(node, said);
    }
  }

  /** A node is alive. */
  nodeCame(node: string, isNew: boolean): void {
    const said = this.#add(node, isNew);
    if (!isNew) this.#askNode(node, said);
  }

  /** A node is gone, and its members with it. */
  nodeWent(node: string): void {
    const said = this.#nodes.get(node);
    if (said === undefined) return;
    this.#nodes.delete(node);
    for (const member of said.members.values()) {
      this.tell({ type: "leave", member, why: "node" });
    }
    this.#check();
  }

  /** Something that a node said was missed. */
  doubt(node: string): void {
    const said = this.#nodes.get(node);
    if (said !== undefined) this.#askNode(node, said);
  }

  /** Something that anybody said may have been. */
  doubtAll(): void {
    for (const said of this.#nodes.values()) said.isWhole = false;
  }

  /** A node says what has changed. */
  change(node: string, at: number, body: string): void {
    const said = this.#nodes.get(node);
    // Of who has not said who is there, what it says next has it all.
    if (said === undefined || !said.isWhole || at <= said.at) return;
    const entries = readEntries(body);
    if (typeof entries === "string") {
      this.#owner.complain(entries);
      return this.#askNode(node, said);
    }
    said.at = at;
    for (const entry of entries) {
      if (entry.why === undefined) {
        if (!this.#put(said.members, node, entry)) continue;
        this.tell({ type: "join", member: said.members.get(entry.number)! });
      } else {
        const member = said.members.get(entry.number);
        if (!said.members.delete(entry.number)) continue;
        const why = entry.why === "left" ? "left" : "closed";
        this.tell({ type: "leave", member: member!, why });
      }
    }
  }

  #put(
    members: Map<number, Member>,
    node: string,
    { number, key, data }: Entry,
  ): boolean {
    if (members.size >= mostMembers && !members.has(number)) {
      this.#owner.complain(
        `node ${node} has more than ${mostMembers} members in a room`,
      );
      return false;
    }
    members.set(number, { id: `${node}.${number}`, node, key, data });
    return true;
  }

  /** A node answers who is there, or a part of it. */
  hear(node: string, fields: Fields, body: string): void {
    const said = this.#nodes.get(node);
    if (said === undefined || readCount(fields, "c") !== said.call) return;
    const entries = readEntries(body);
    if (typeof entries === "string") return this.#owner.complain(entries);
    const parts = said.parts ??= new Map();
    for (const entry of entries) {
      if (!this.#put(parts, node, entry)) return;
    }
    said.looks = 0;
    if (fields.more === true) return;
    const before = said.members;
    said.members = parts;
    said.parts = undefined;
    said.call = -1;
    said.at = readCount(fields, "s") ?? 0;
    said.isWhole = true;
    for (const [number, member] of before) {
      if (!parts.has(number)) this.tell({ type: "leave", member, why: "left" });
    }
    for (const [number, member] of parts) {
      const known = before.get(number);
      if (known !== undefined && isSame(known, member)) continue;
      this.tell({ type: "join", member });
    }
    this.#check();
  }

  /** Who is there, as far as is known, once all have answered or had the time for it. */
  async members(): Promise<Members> {
    await this.#whole();
    return this.now();
  }

  /** The same without waiting. */
  now(): Members {
    this.#usedAt = performance.now();
    const members = this.#owner.ownMembers();
    const missing: string[] = [];
    let isStale = !this.#owner.isSure;
    for (const [node, said] of this.#nodes) {
      if (!said.isWhole) {
        missing.push(node);
        if (said.members.size > 0) isStale = true;
      }
      for (const member of said.members.values()) members.push(member);
    }
    return { members, missing, isStale };
  }

  #isWhole(): boolean {
    for (const said of this.#nodes.values()) if (!said.isWhole) return false;
    return true;
  }

  /** Resolves once all have answered, or nobody will. */
  async #whole(): Promise<void> {
    if (this.#isWhole() || !this.#owner.isSure || this.#isEnded) return;
    const done = new Deferred<void>();
    const { resolve } = done;
    this.#waiting.add(resolve);
    const stop = startTimer(answerWithin, resolve);
    await done.promise;
    stop();
    this.#waiting.delete(resolve);
    this.#usedAt = performance.now();
  }

  #check(): void {
    if (this.#waiting.size > 0 && this.#isWhole()) this.giveUp();
  }

  /** Lets nobody wait for who has not answered. */
  giveUp(): void {
    for (const resolve of this.#waiting) resolve();
  }

  /** Tells those who read the changes of one. */
  tell(change: Change): void {
    for (const reader of this.#readers) reader.push(change);
  }

  /** Reads the changes from now on. */
  read(): Changes {
    const reader: Reader = new Reader(
      this.#owner.name,
      () => this.now(),
      () => {
        this.#readers.delete(reader);
        this.#usedAt = performance.now();
      },
    );
    this.#readers.add(reader);
    this.#whole().then(() => reader.begin());
    return reader;
  }

  /** Nobody is told anything any more. */
  end(): void {
    this.#isEnded = true;
    this.giveUp();
    for (const reader of [...this.#readers]) reader.end();
  }
}

function expect(said: Said, call: number): void {
  said.isWhole = false;
  said.call = call;
  said.looks = 0;
  said.parts = undefined;
}

/** Whether a member is there as before. */
function isSame(one: Member, other: Member): boolean {
  return one.key === other.key &&
    JSON.stringify(one.data) === JSON.stringify(other.data);
}

type Result = IteratorResult<Change, undefined>;

/** Changes that wait for their reader, or a reader that waits for changes. */
class Reader implements Changes {
  readonly #room: string;
  readonly #look: () => Members;
  readonly #release: () => void;
  #changes: Change[] = [];
  #readers: Deferred<Result>[] = [];
  /** Whether a snapshot is to follow what waits. */
  #isBehind = false;
  #hasBegun = false;
  #isOver = false;

  constructor(room: string, look: () => Members, release: () => void) {
    this.#room = room;
    this.#look = look;
    this.#release = release;
  }

  /** Begins with a snapshot. */
  begin(): void {
    if (this.#hasBegun || this.#isOver) return;
    this.#hasBegun = true;
    this.#isBehind = true;
    this.#serve();
  }

  push(change: Change): void {
    // The snapshot that follows has it.
    if (!this.#hasBegun || this.#isBehind || this.#isOver) return;
    if (this.#changes.length >= mostWaiting) {
      const missed = this.#changes.length + 1;
      const gap: Gap = { room: this.#room, why: "slow", missed };
      this.#changes = [{ type: "gap", gap }];
      this.#isBehind = true;
    } else this.#changes.push(change);
    this.#serve();
  }

  #serve(): void {
    while (this.#readers.length > 0) {
      const change = this.#take();
      if (change === undefined) return;
      this.#readers.shift()!.resolve({ value: change, done: false });
    }
  }

  #take(): Change | undefined {
    const change = this.#changes.shift();
    if (change !== undefined || !this.#isBehind) return change;
    this.#isBehind = false;
    const { members, missing } = this.#look();
    return { type: "snapshot", members, missing };
  }

  next(): Promise<Result> {
    const change = this.#isOver ? undefined : this.#take();
    if (change !== undefined) {
      return Promise.resolve({ value: change, done: false });
    }
    if (this.#isOver) return Promise.resolve({ value: undefined, done: true });
    const reader = new Deferred<Result>();
    this.#readers.push(reader);
    return reader.promise;
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#changes = [];
    this.#release();
    for (const { resolve } of this.#readers.splice(0)) {
      resolve({ value: undefined, done: true });
    }
  }

  return(): Promise<Result> {
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
