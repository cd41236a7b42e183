/**
 * A node of the cluster: its id, its peers by id and by key, the messages of other
 * nodes, and which of them are alive.
 *
 * @see docs/cluster.md
 *
 * @module
 */

import { Deferred, isThenable } from "../line/deferred.ts";
import { Alarm, alarmOf, type Sleeper, startTimer } from "../line/timers.ts";
import { coreOf } from "../peer/base.ts";
import type { Core } from "../peer/core.ts";
import { Bus, type BusOwner, type Topic } from "./bus.ts";
import {
  type Engine,
  EngineError,
  type EngineStatus,
  type Keep,
} from "./engine.ts";
import { NodeLog } from "./history.ts";
import {
  type BusMessage,
  headOf,
  readCount,
  readMessage,
  readPeerId,
  writeMessage,
} from "./message.ts";
import { Subjects } from "./subjects.ts";

/** Milliseconds between two beats. */
export const beatEvery = 2_000;

/** Most looks in a row without a sign of life from a node; with one more it is dead. */
export const mostMissed = 3;

/** Most other nodes that are known. */
export const mostNodes = 1_024;

/** Most rooms with their numbers in one beat, and most characters of their names. */
const mostSaid = 256;
const mostSaidLength = 32_768;

// Late looks in a row that are ignored. A late look proves nothing about other nodes,
// but if every look is late, a dead node must be found at some time.
const mostReprieves = 3;

// Milliseconds in which the first beat must come back.
const startWithin = 10_000;

// Milliseconds that a node waits for its `bye` to be sent.
const leaveWithin = 1_000;

// Milliseconds between two errors about messages of others.
const complainEvery = 60_000;

/** A peer of this node that other nodes may know. */
export interface Resident {
  readonly id: string;
  readonly number: number;
  readonly core: Core;
  /** The keys that it has in rooms, with the number of rooms. */
  readonly keys: Map<string, number>;
  /** Called once when it closes. */
  readonly ends: Set<() => void>;
}

/** Takes messages of one kind. `onerror` is told of its errors. */
export type Handler = (message: BusMessage) => void;

/** A watcher of other nodes and of the engine. */
export interface NodeWatcher {
  /** A node is alive; `isNew`: it has just started, and has no members yet. */
  nodeCame?(node: string, isNew: boolean): void;
  /** A node is dead, has left, or seems to be dead. */
  nodeWent?(node: string): void;
  /** The engine was lost, or is open; see {@linkcode Node.status}. */
  engineChanged?(status: EngineStatus): void;
  /** A general loss is over: until now, messages of every room may be missed. */
  restored?(why: "engine" | "paused"): void;
  /** Called every {@linkcode beatEvery} milliseconds. */
  beat?(now: number): void;
}

/** A room, as far as its node has to know it. */
export interface Numbered {
  /** Its name, encoded. */
  readonly encoded: string;
  /** Its entry in a beat. */
  readonly spoken: readonly unknown[];
}

interface Other {
  /** Looks since a sign of life. */
  missed: number;
  /** The time of its `hello`; -Infinity: this node didn't hear it. */
  readonly bornAt: number;
}

/** One node of a cluster. */
export class Node implements Sleeper, BusOwner {
  readonly id: string = createId();
  /** The beginning of all of its messages. */
  readonly head: string;
  readonly subjects: Subjects;
  readonly bus: Bus;
  /** The engine's log. */
  readonly log: NodeLog;
  place = -1;
  /** The highest number of a message in any room. */
  highest = 0;
  readonly #onerror: ((error: unknown) => unknown) | undefined;
  readonly #alarm: Alarm = alarmOf(alarm);
  readonly #inbox: Topic;
  readonly #all: Topic;
  readonly #heardHere = new Map<string, Handler[]>();
  readonly #heardByAll = new Map<string, Handler[]>();
  readonly #watchers = new Set<NodeWatcher>();
  readonly #others = new Map<string, Other>();
  readonly #residents = new Map<number, Resident>();
  readonly #keys = new Map<string, Set<Resident>>();
  readonly #byCore = new WeakMap<Core, Resident>();
  #residentCount = 0;
  /**
   * The rooms with a message since a beat that named them came back, and the last beat
   * that named them; 0: none.
   */
  readonly #spoken = new Map<Numbered, number>();
  #beats = 0;
  /** The last own beat that came back. */
  #echo = 0;
  /** The first own beat whose return proves that messages arrive. */
  #proof = Infinity;
  /** Looks since an own beat came back. */
  #missed = 0;
  #reprieves = 0;
  #next = 0;
  #breach: "engine" | "paused" | undefined;
  #isClosed = false;
  #proven: Deferred<void> | undefined;
  /** Whether the owner was told that other nodes have missed messages. */
  #isLossTold = false;
  /** Number of errors about messages that were not reported since the last one. */
  #dropped = 0;
  #complainedAt = -Infinity;

  constructor(
    engine: Engine,
    prefix: string,
    keep: Keep,
    onerror: ((error: unknown) => unknown) | undefined,
  ) {
    this.head = headOf(this.id);
    this.subjects = new Subjects(prefix);
    this.#onerror = onerror;
    this.bus = new Bus(engine, this);
    this.log = new NodeLog(this.bus, engine, prefix, keep);
    this.#inbox = this.bus.topic(this.subjects.node(this.id), {
      receive: (text) => this.#hear(text, this.#heardHere, true),
    });
    this.#all = this.bus.topic(this.subjects.all, {
      receive: (text) => this.#hear(text, this.#heardByAll, false),
    });
    this.onAll("beat", (message) => this.#hearBeat(message));
    this.onInbox("beat", (message) => this.#hearBeat(message));
    this.onAll("hello", (message) => this.#hearHello(message));
    this.onAll("bye", ({ node }) => this.#forget(node));
  }

  /** The engine's status; `"lost"` also until it is known that messages arrive. */
  get status(): EngineStatus {
    const { status } = this.bus;
    return status === "open" && this.#breach !== undefined ? "lost" : status;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether messages may have been missed, which is not reported yet. */
  get isBroken(): boolean {
    return this.#breach !== undefined;
  }

  /** The ids of the other nodes that are alive. */
  get others(): Iterable<string> {
    return this.#others.keys();
  }

  /** Whether another node has started since a time, so all its messages arrived. */
  isBornSince(node: string, time: number): boolean {
    return (this.#others.get(node)?.bornAt ?? -Infinity) > time;
  }

  /** Whether another node is alive, as far as is known. */
  isAlive(node: string): boolean {
    return this.#others.has(node);
  }

  // Its peers.

  /** Makes a peer known to other nodes, by an id. */
  residentOf(peer: object): Resident {
    const core = coreOf(peer);
    let resident = this.#byCore.get(core);
    if (resident === undefined) {
      const number = ++this.#residentCount;
      resident = {
        id: `${this.id}.${number}`,
        number,
        core,
        keys: new Map(),
        ends: new Set(),
      };
      this.#byCore.set(core, resident);
      if (core.state !== "closed" && !this.#isClosed) {
        const { ends } = resident;
        this.#residents.set(number, resident);
        core.enlist({
          next: undefined,
          end: (): void => {
            this.#residents.delete(number);
            for (const end of [...ends]) end();
          },
        });
      }
    }
    return resident;
  }

  /** A peer of this node by its id; `undefined`: there is none that is open. */
  resident(id: string): Resident | undefined {
    const read = readPeerId(id);
    return read?.node === this.id
      ? this.#residents.get(read.number)
      : undefined;
  }

  /** The peers of this node that have a key in any room. */
  residentsOf(key: string): Resident[] {
    return [...this.#keys.get(key) ?? []];
  }

  /** A peer has a key in one more room. */
  addKey(resident: Resident, key: string): void {
    resident.keys.set(key, (resident.keys.get(key) ?? 0) + 1);
    const all = this.#keys.get(key);
    if (all === undefined) this.#keys.set(key, new Set([resident]));
    else all.add(resident);
  }

  /** A peer has a key in one room less. */
  removeKey(resident: Resident, key: string): void {
    const rooms = resident.keys.get(key)! - 1;
    if (rooms > 0) return void resident.keys.set(key, rooms);
    resident.keys.delete(key);
    const all = this.#keys.get(key);
    all?.delete(resident);
    if (all?.size === 0) this.#keys.delete(key);
  }

  // Messages out.

  /** Sends a message to one node. */
  tell(
    node: string,
    kind: string,
    fields?: object,
    body?: string,
  ): Promise<number | undefined> {
    return this.#publish(this.subjects.node(node), kind, fields, body);
  }

  /** Sends a message to all nodes, this one included. */
  tellAll(
    kind: string,
    fields?: object,
    body?: string,
  ): Promise<number | undefined> {
    return this.#publish(this.subjects.all, kind, fields, body);
  }

  #publish(
    subject: string,
    kind: string,
    fields: object | undefined,
    body: string | undefined,
  ): Promise<number | undefined> {
    let text: string;
    try {
      text = writeMessage(this.head, kind, fields, body);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.bus.publish(subject, text);
  }

  /** A room has a new message: one of the next beats has its number. */
  spoke(room: Numbered): void {
    this.#spoken.set(room, 0);
  }

  // Messages in.

  /** Sets a handler of messages to this node. */
  onInbox(kind: string, handler: Handler): void {
    add(this.#heardHere, kind, handler);
  }

  /** Sets a handler of messages to all nodes, own ones included. */
  onAll(kind: string, handler: Handler): void {
    add(this.#heardByAll, kind, handler);
  }

  /** Adds a watcher; returns a function that removes it. */
  watch(watcher: NodeWatcher): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Reads a message; if it is invalid, reports that. */
  read(text: string): BusMessage | undefined {
    const message = readMessage(text);
    if (!("why" in message)) return message;
    this.complain(message.why);
    if (message.node !== undefined && message.call !== undefined) {
      this.#refuse(message.node, message.call, undefined);
    }
    return undefined;
  }

  #hear(
    text: string,
    handlers: Map<string, Handler[]>,
    isAsked: boolean,
  ): void {
    if (this.#isClosed) return;
    const message = this.read(text);
    if (message === undefined) return;
    const { node, kind, fields } = message;
    const other = this.#others.get(node);
    if (other !== undefined) other.missed = 0;
    const all = handlers.get(kind);
    if (all !== undefined) {
      return all.forEach((handler) => this.guard(() => handler(message)));
    }
    // A kind that is newer than this node: a question must not wait in vain.
    const call = readCount(fields, "c");
    if (isAsked && call !== undefined && node !== this.id) {
      this.#refuse(node, call, kind);
    }
  }

  #refuse(node: string, call: number, kind: string | undefined): void {
    if (kind === "unsupported") return;
    this.tell(node, "unsupported", { c: call, of: kind }).catch(ignore);
  }

  /** Calls a function whose errors must not reach the engine. */
  guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.report(error);
    }
  }

  // Other nodes.

  #hearBeat({ node, fields }: BusMessage): void {
    if (node === this.id) this.#hearOwn(readCount(fields, "i") ?? 0);
    else this.#admit(node, false);
  }

  #hearHello({ node }: BusMessage): void {
    if (node === this.id) return;
    this.#admit(node, true);
    this.tell(node, "beat").catch(ignore);
  }

  #admit(node: string, isNew: boolean): void {
    if (this.#others.has(node)) return;
    if (this.#others.size >= mostNodes) {
      return this.complain(
        `there are ${mostNodes} of at most ${mostNodes} nodes`,
      );
    }
    const bornAt = isNew ? performance.now() : -Infinity;
    this.#others.set(node, { missed: 0, bornAt });
    this.#each((watcher) => watcher.nodeCame?.(node, isNew));
  }

  #forget(node: string): void {
    if (!this.#others.delete(node)) return;
    this.#each((watcher) => watcher.nodeWent?.(node));
  }

  #each(tell: (watcher: NodeWatcher) => void): void {
    for (const watcher of [...this.#watchers]) this.guard(() => tell(watcher));
  }

  // Beats, and whether they come back.

  /**
   * Joins the cluster: from then on, other nodes know this one, and it knows those that
   * answered.
   *
   * @throws {EngineError} The engine is not open, or the node's messages don't come
   * back.
   */
  async start(): Promise<void> {
    const why = "Cannot join the cluster";
    if (this.bus.status !== "open") {
      throw new EngineError(`${why}: the engine is ${this.bus.status}`, false);
    }
    const late = new Deferred<never>();
    late.promise.catch(ignore);
    const stop = startTimer(startWithin, () => {
      const what = `its messages did not come back within ${startWithin} ms`;
      late.reject(new EngineError(`${why}: ${what}`, false));
    });
    try {
      await Promise.race([this.#begin(), late.promise]);
    } finally {
      stop();
    }
    this.#next = performance.now() + beatEvery;
    this.#alarm.set(this, beatEvery);
  }

  async #begin(): Promise<void> {
    await Promise.all([this.#inbox.hold(), this.#all.hold()]);
    await this.tellAll("hello");
    // When the second beat is back, the others have answered.
    await this.#beatBack();
    await this.#beatBack();
  }

  #beatBack(): Promise<void> {
    this.#proven = new Deferred();
    this.#prove();
    return this.#proven.promise;
  }

  /** Sends a beat whose return proves that messages arrive. */
  #prove(): void {
    this.#proof = this.#beats + 1;
    this.#beat();
  }

  #beat(): void {
    const beat = ++this.#beats;
    const at: (readonly unknown[])[] = [];
    let length = 0;
    for (const [room] of this.#spoken) {
      length += room.encoded.length + 32;
      if (at.length === mostSaid || length > mostSaidLength) break;
      at.push(room.spoken);
      // Moved behind the rooms that were in no beat.
      this.#spoken.delete(room);
      this.#spoken.set(room, beat);
      if (at.length === this.#spoken.size) break;
    }
    const fields = at.length > 0 ? { i: beat, at } : { i: beat };
    const text = writeMessage(this.head, "beat", fields);
    // A failure shows by the beat that doesn't come back.
    this.bus.publish(this.subjects.all, text, true).catch(ignore);
  }

  #hearOwn(beat: number): void {
    this.#missed = 0;
    const isNext = beat === this.#echo + 1;
    this.#echo = beat;
    for (const [room, said] of this.#spoken) {
      if (said === beat) this.#spoken.delete(room);
    }
    if (this.#breach === undefined && !isNext) {
      // If a beat was missed, other messages may be, too.
      this.#tellLoss(
        "A beat of this node did not come back, but the next one did",
      );
    } else if (beat < this.#proof) return;
    this.#proof = Infinity;
    this.#proven?.resolve();
    if (this.#breach !== undefined) this.#restore(this.#breach);
  }

  /** Reports that messages may be missed, although the engine reports no loss. */
  #tellLoss(why: string): void {
    this.#breach = "engine";
    this.report(new EngineError(why, false));
    this.#each((watcher) => watcher.engineChanged?.("lost"));
  }

  /** Messages arrive again: ends the general loss. */
  #restore(why: "engine" | "paused"): void {
    this.#breach = undefined;
    this.bus.isDeaf = false;
    for (const other of this.#others.values()) other.missed = 0;
    this.#each((watcher) => watcher.restored?.(why));
    this.#each((watcher) => watcher.engineChanged?.(this.status));
  }

  engineChanged(status: EngineStatus, cause: unknown): void {
    if (this.#isClosed) return;
    if (status === "open") return this.#prove();
    this.#proof = Infinity;
    const isNew = this.#breach !== "engine" || status === "closed";
    this.#breach = "engine";
    if (!isNew) return;
    const why = status === "closed"
      ? "The engine is closed: other nodes are out of reach for good"
      : "The engine is lost: other nodes are out of reach until it is back";
    this.report(
      new EngineError(why, false, cause === undefined ? {} : { cause }),
    );
    this.#each((watcher) => watcher.engineChanged?.(status));
  }

  wake(now: number): void {
    if (now < this.#next) return;
    const late = now - this.#next;
    this.#next = now + beatEvery;
    this.bus.sweep(now);
    this.#isLossTold = false;
    this.#each((watcher) => watcher.beat?.(now));
    if (this.bus.status !== "open") return;
    if (late > mostMissed * beatEvery && this.#breach === undefined) {
      this.#breach = "paused";
    }
    // The process slept or was busy: messages may wait that it has not handled.
    if (late > beatEvery / 2 && this.#reprieves < mostReprieves) {
      this.#reprieves++;
    } else {
      this.#reprieves = 0;
      this.#look();
    }
    if (this.#breach !== undefined && this.#proof === Infinity) this.#prove();
    else this.#beat();
  }

  wakeAt(): number {
    return this.#next;
  }

  /** Looks which nodes have given no sign of life, and whether own beats come back. */
  #look(): void {
    if (++this.#missed > mostMissed) {
      this.#missed = 0;
      if (this.#breach === undefined) {
        const within = (mostMissed + 1) * beatEvery;
        this.#tellLoss(
          `Messages of this node did not come back within ${within} ms: it subscribes anew`,
        );
      }
      this.#proof = Infinity;
      this.bus.rebuild();
    }
    // A node that hears nothing can't know which others are dead.
    if (this.#breach !== undefined) return;
    for (const [node, other] of [...this.#others]) {
      if (++other.missed > mostMissed) this.#forget(node);
    }
  }

  /** Reports a bad message of others; not each one, or they could fill a log. */
  complain(why: string): void {
    const now = performance.now();
    if (now - this.#complainedAt < complainEvery) return void this.#dropped++;
    this.#complainedAt = now;
    const more = this.#dropped === 0
      ? ""
      : `; ${this.#dropped} others were since the last such error`;
    this.#dropped = 0;
    this.report(
      new Error(`A message of another node is dropped: ${why}${more}`),
    );
  }

  /** Reports that other nodes have missed messages, once for an outage. */
  reportLoss(error: unknown): void {
    if (error instanceof EngineError) {
      // The loss itself was reported.
      if (this.bus.status !== "open" || this.#isLossTold) return;
      this.#isLossTold = true;
    }
    this.report(error);
  }

  /** Tells the node's owner of an error. */
  report(error: unknown): void {
    try {
      const result = this.#onerror === undefined
        ? console.error(error)
        : this.#onerror(error);
      if (isThenable(result)) Promise.resolve(result).catch(ignore);
    } catch {
      // There is nobody left to tell.
    }
  }

  /** Leaves the cluster; the engine has a second to tell the others. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#alarm.delete(this);
    this.#proven?.reject(
      new EngineError("Cannot join the cluster: it is closed", false),
    );
    const late = new Deferred<void>();
    const stop = startTimer(leaveWithin, late.resolve);
    await Promise.race([this.tellAll("bye").catch(ignore), late.promise]);
    stop();
    this.bus.close();
    this.#residents.clear();
    this.#keys.clear();
    this.#others.clear();
    this.#spoken.clear();
  }
}

/** The one timer of all nodes that a process has. */
const alarm = /* @__PURE__ */ new Alarm();

function add(
  handlers: Map<string, Handler[]>,
  kind: string,
  handler: Handler,
): void {
  const all = handlers.get(kind);
  if (all === undefined) handlers.set(kind, [handler]);
  else all.push(handler);
}

function ignore(): void {}

/** An id that no node has had: 60 random bits. */
function createId(): string {
  const letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return Array.from(bytes, (byte) => letters[byte & 63]).join("");
}
