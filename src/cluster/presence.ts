/**
 * Presence: the members of a room on all nodes. Each node announces which of its
 * own peers join and leave; this file keeps what one node has heard of the others.
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
  /** Its id in the cluster; see {@linkcode Cluster.idOf}. */
  readonly id: string;
  /** The node that it is connected to. */
  readonly node: string;
  /**
   * The key that it joined with, such as a user's name. Several members may have
   * the same.
   */
  readonly key: string | undefined;
  /** The data that it joined with, as JSON; not checked. */
  readonly data: Data;
}

/** The members of a room, as far as this node knows. */
export interface Members<Data = unknown> {
  /** The members on this node, and those that other nodes have announced. */
  readonly members: Member<Data>[];
  /** The nodes that did not answer within 2 seconds. */
  readonly missing: string[];
  /**
   * Whether some members may be out of date: the engine is or was lost, or one of
   * `missing` has announced members before.
   */
  readonly isStale: boolean;
}

/** A gap: messages that this node may have missed. */
export interface Gap {
  /** The room's name. */
  readonly room: string;
  /**
   * - `"engine"`: the engine was lost, or passed no messages on to this node.
   * - `"hole"`: a message of a node is missing, by its number.
   * - `"paused"`: this process stood still for longer than other nodes wait for it.
   * - `"slow"`: changes came faster than they were read.
   */
  readonly why: "engine" | "hole" | "paused" | "slow";
  /** The node whose messages were missed; absent: any node's. */
  readonly node?: string;
  /** The number of missed notifications and changes of members, if it is known. */
  readonly missed?: number;
}

/**
 * The reason why a member left: `"left"`, it left the room; `"closed"`, its
 * connection closed; `"node"`, its node is gone.
 */
export type LeaveReason = "left" | "closed" | "node";

/** A change of a room's members. The first one is a snapshot. */
export type Change<Data = unknown> =
  | {
    /** All members at this time. */
    readonly type: "snapshot";
    readonly members: Member<Data>[];
    /** See {@linkcode Members.missing}. */
    readonly missing: string[];
  }
  | {
    /** A member has joined, or has another key or other data than before. */
    readonly type: "join";
    readonly member: Member<Data>;
  }
  | {
    /** A member has left. */
    readonly type: "leave";
    readonly member: Member<Data>;
    readonly why: LeaveReason;
  }
  | {
    /**
     * Messages may have been missed. The changes among them follow as joins and
     * leaves; after `"slow"`, as a new snapshot.
     */
    readonly type: "gap";
    readonly gap: Gap;
  };

/**
 * An iterable of changes. Leaving its loop releases it; without a loop, call
 * `return`, or declare it with `await using`.
 */
export interface Changes<Data = unknown>
  extends AsyncIterableIterator<Change<Data>>, AsyncReleasable {
  /** Stops listening, and drops changes that wait. */
  return(): Promise<IteratorResult<Change<Data>, undefined>>;
}

/** Most changes in one message, and most characters of them. */
export const mostChanges = 256;
export const mostChangesLength = 131_072;

/** Most characters of a member's key, and of its data as JSON. */
export const mostKey = 256;
export const mostData = 4_096;

/** Deepest nesting of a member's data. */
export const mostDataDepth = 32;

/** Most members of one node in one room. */
export const mostMembers = 100_000;

/** Milliseconds that other nodes have to answer who is there. */
const answerWithin = 2_000;

/** Milliseconds that a view is kept after the last question. */
const keptFor = 30_000;

/** Most changes that wait to be read. */
const mostWaiting = 1_024;

/** Number of looks after which a node is asked again. */
const askAgain = 2;

/** A member in a message: it is there, or has left. */
interface Entry {
  readonly number: number;
  readonly key: string | undefined;
  readonly data: unknown;
  /** The reason why it left; `undefined`: it is there. */
  readonly why: string | undefined;
}

/** Writes a member that is there. */
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

/** Writes a member that has left. */
export function writeLeave(number: number, why: LeaveReason): string {
  return `{"id":${number},"why":"${why}"}`;
}

/** Reads a list of members; a string says what is wrong with it. */
function readEntries(body: string): Entry[] | string {
  if (isDeeperThan(mostDataDepth + 2, body)) return "its members are too deep";
  let list: unknown;
  try {
    list = JSON.parse(body);
  } catch {
    // Refused below.
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

/** The room of a view. */
export interface ViewOwner {
  readonly name: string;
  /** The other nodes that are alive. */
  readonly others: Iterable<string>;
  /** Whether no message can have been missed. */
  readonly isSure: boolean;
  /** This node's own members. */
  ownMembers(): Member[];
  /**
   * Asks other nodes who is there; each answers once, in parts.
   *
   * @param node The node to ask; `undefined`: all.
   * @returns The number of the question.
   */
  ask(node: string | undefined): number;
  complain(why: string): void;
}

/** The members that one other node has announced. */
interface Said {
  members: Map<number, Member>;
  /** Whether they are complete, up to the message {@linkcode Said.at}. */
  isWhole: boolean;
  /** The number of the node's last message in the room that is included. */
  at: number;
  /** The number of the question that it has to answer. */
  call: number;
  /** Looks since it was asked. */
  looks: number;
  /** The parts of its answer that have arrived. */
  parts: Map<number, Member> | undefined;
}

/** A node's view of a room's members; kept as long as somebody uses it. */
export class View {
  readonly #owner: ViewOwner;
  readonly #nodes = new Map<string, Said>();
  readonly #readers = new Set<Reader>();
  /** The functions to call once all nodes have answered. */
  readonly #waiting = new Set<() => void>();
  #usedAt = performance.now();
  #isEnded = false;

  constructor(owner: ViewOwner) {
    this.#owner = owner;
    for (const node of owner.others) this.#add(node, false);
  }

  /** Whether nobody has used it for 30 seconds. */
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

  /** Asks the nodes again that have not answered. */
  look(): void {
    for (const [node, said] of this.#nodes) {
      if (!said.isWhole && ++said.looks >= askAgain) this.#askNode(node, said);
    }
  }

  /** Adds a node. `isNew`: it has just started, and has no members. */
  nodeCame(node: string, isNew: boolean): void {
    const said = this.#add(node, isNew);
    if (!isNew) this.#askNode(node, said);
  }

  /** Removes a node and its members. */
  nodeWent(node: string): void {
    const said = this.#nodes.get(node);
    if (said === undefined) return;
    this.#nodes.delete(node);
    for (const member of said.members.values()) {
      this.tell({ type: "leave", member, why: "node" });
    }
    this.#check();
  }

  /** Asks a node again, since a message of it was missed. */
  doubt(node: string): void {
    const said = this.#nodes.get(node);
    if (said !== undefined) this.#askNode(node, said);
  }

  /** Marks all nodes as incomplete, since messages may have been missed. */
  doubtAll(): void {
    for (const said of this.#nodes.values()) said.isWhole = false;
  }

  /** Takes the changes that a node announces. */
  change(node: string, at: number, body: string): void {
    const said = this.#nodes.get(node);
    // A node whose answer is awaited will include these changes in it.
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

  /** Takes a node's answer, or a part of it. */
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

  /** The members, once all nodes have answered or have run out of time. */
  async members(): Promise<Members> {
    await this.#whole();
    return this.now();
  }

  /** The members as known now. */
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

  /**
   * Resolves once all nodes have answered, after 2 seconds, or at once if the
   * engine is lost.
   */
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

  /** Lets nobody wait for further answers. */
  giveUp(): void {
    for (const resolve of this.#waiting) resolve();
  }

  /** Passes a change on to all readers. */
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

  /** Ends all readers. */
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

/** Whether a member has the same key and data. */
function isSame(one: Member, other: Member): boolean {
  return one.key === other.key &&
    JSON.stringify(one.data) === JSON.stringify(other.data);
}

type Result = IteratorResult<Change, undefined>;

/** A queue of changes that wait to be read, or of reads that wait for changes. */
class Reader implements Changes {
  readonly #room: string;
  readonly #look: () => Members;
  readonly #release: () => void;
  #changes: Change[] = [];
  #readers: Deferred<Result>[] = [];
  /** Whether a snapshot follows the changes that wait. */
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
    // The snapshot that follows will include this change.
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
