/**
 * Rooms: a notification to a room reaches its members on all nodes.
 *
 * @see docs/cluster.md, "Rooms"
 *
 * @module
 */

import { tellAll } from "../events/broadcast.ts";
import { isThenable } from "../line/deferred.ts";
import { startTimer } from "../line/timers.ts";
import type { AnyPeer } from "../peer/base.ts";
import type {
  MethodName,
  MethodOf,
  OtherName,
  ParamsFor,
} from "../peer/contract.ts";
import type { Core } from "../peer/core.ts";
import { checkMethod, writeNotice } from "../peer/outgoing.ts";
import { isClosed, messageOf } from "../peer/owner.ts";
import { cannotNotify } from "../peer/sending.ts";
import type { Peer } from "../presets/everything.ts";
import { isDeeperThan } from "../wire/depth.ts";
import {
  JsonText,
  type Params,
  type Version,
  writeNotification,
} from "../wire/message.ts";
import type { Hearer, Topic } from "./bus.ts";
import { writeFor } from "./calls.ts";
import { EngineError, type Entry, type Place } from "./engine.ts";
import {
  History,
  type NodeLog,
  type Position,
  type Recorded,
  writePosition,
} from "./history.ts";
import {
  type BusMessage,
  type Fields,
  mostHeader,
  readCount,
  readText,
  withBody,
} from "./message.ts";
import { mostNodes, type Node, type Numbered, type Resident } from "./node.ts";
import {
  type Changes,
  type Gap,
  type LeaveReason,
  type Member,
  type Members,
  mostChanges,
  mostChangesLength,
  mostData,
  mostDataDepth,
  mostKey,
  View,
  type ViewOwner,
  writeJoin,
  writeLeave,
} from "./presence.ts";
import { isPlace } from "./status.ts";
import { encodeRoom } from "./subjects.ts";

/** The options by which a peer joins a room. */
export interface JoinOptions<Data = unknown> {
  /**
   * The user of the connection: `disconnect` closes all connections with one key, and
   * a list of members shows two tabs of one user by it. At most 256 characters.
   */
  key?: string;
  /**
   * Data that is listed with the member: any JSON of at most 4,096 characters and 32
   * levels.
   */
  data?: Data;
}

/** The options of a notification. */
export interface NoticeOptions {
  /**
   * The peers that don't get it: peers of this node, or ids of peers of any node. At
   * most 256.
   */
  except?: AnyPeer | string | readonly (AnyPeer | string)[];
}

/** The options of a room. */
export interface RoomOptions {
  /**
   * Whether the room keeps its notifications: then all members get them in one order,
   * and a node or a peer that missed some is sent those; see {@linkcode HistoryRoom}.
   * Must be set wherever the room is asked for. It holds as long as the room has
   * members, listeners or holders. Default `false`.
   */
  history?: boolean;
}

/** Whether a peer has got all that it missed, and up to where. */
export interface CaughtUp {
  /**
   * `false`: nothing was sent, because more was missed than is kept, the engine can't
   * be asked now, or the peer is no member or has asked again meanwhile.
   */
  readonly isWhole: boolean;
  /**
   * The position of the room's last notification at that time; `undefined`: none is
   * known.
   */
  readonly position: Position | undefined;
}

/** A notification of a room's history. */
export interface Said {
  /** Its method. */
  readonly method: string;
  /** Its params, as they came from JSON; not checked. */
  readonly params: Params | undefined;
  /** Its position. */
  readonly position: Position;
}

/** A part of a room's history; see {@linkcode HistoryRoom.history}. */
export interface Past extends CaughtUp {
  /** The notifications, oldest first. */
  readonly said: Said[];
}

/**
 * A room of the cluster: peers of all nodes join it, and a notification to the room
 * reaches all of them. Made by {@linkcode Cluster.room}.
 *
 * Notifications of one node arrive everywhere in their order, at most once. A possible
 * loss is reported to {@linkcode Room.ongap}.
 *
 * @typeParam Theirs The type of the members' `local`.
 * @typeParam Data The type of the members' data.
 */
export interface Room<Theirs = unknown, Data = unknown> {
  /** The room's name. */
  readonly name: string;

  /** Number of this node's peers in the room. */
  readonly size: number;

  /**
   * Called when messages of other nodes may have been missed: once for the room, when
   * the loss is over. Then the members' data can be brought up to date, if that
   * matters. Default: nothing is done.
   */
  ongap: ((gap: Gap) => void | Promise<void>) | undefined;

  /**
   * Takes a peer of this node into the room. The peer leaves when it closes. If it
   * joins a second time, it has the new key and data from then on. A closed peer
   * doesn't join.
   *
   * @returns Resolves once the node hears the room: messages that any node publishes
   * from then on are not missed. While the engine is lost, it resolves at once; a gap
   * follows when the engine is back.
   * @throws {RangeError} The key or the data are too long, or the data too deep.
   * @throws {TypeError} The key is not a string, or the data can't be written as JSON.
   * @throws {EngineError} The cluster is closed.
   */
  join(
    peer: unknown extends Theirs ? AnyPeer : Peer<Theirs>,
    options?: JoinOptions<Data>,
  ): Promise<void>;

  /** Takes a peer out of the room; `false`: it was not in it. */
  leave(peer: AnyPeer): boolean;

  /**
   * Sends a notification to all members: at once to those of this node, and through
   * the engine to those of other nodes. It is written once.
   *
   * @param method Name of the remote method.
   * @param rest Its params, by position (array) or by name (object), and the options.
   * @returns Number of this node's members that took it; see {@linkcode Peer.notify}.
   * @throws {TypeError} The params can't be written as JSON; it was sent to nobody.
   * @throws {RangeError} It is too long for a member of this node; the others were
   * sent it.
   */
  notify<Method extends MethodName<Theirs>>(
    method: Method,
    ...rest: ParamsFor<MethodOf<Theirs, Method>, [options?: NoticeOptions]>
  ): number;
  /**
   * Sends a notification by a name that the type of the members doesn't know.
   */
  notify<Method extends string>(
    method: OtherName<Method, Theirs>,
    params?: Params,
    options?: NoticeOptions,
  ): number;

  /**
   * Sends a notification to all members, and waits until the engine has it.
   *
   * @param method Name of the remote method.
   * @param rest Its params, by position (array) or by name (object), and the options.
   * @returns Resolves once it is on its way to all nodes. This node's members are sent
   * it at once, even if the promise rejects.
   * @throws {EngineError} Members on other nodes may not have it; if `sent` is `false`,
   * none of them has. Also if 1,024 messages, or 4,194,304 characters, wait for the
   * engine's confirmation.
   * @throws {TypeError} The params can't be written as JSON; it was sent to nobody.
   * @throws {RangeError} It is too long for a member of this node, or for the engine.
   */
  publish<Method extends MethodName<Theirs>>(
    method: Method,
    ...rest: ParamsFor<MethodOf<Theirs, Method>, [options?: NoticeOptions]>
  ): Promise<void>;
  /**
   * Sends a notification by a name that the type of the members doesn't know.
   */
  publish<Method extends string>(
    method: OtherName<Method, Theirs>,
    params?: Params,
    options?: NoticeOptions,
  ): Promise<void>;

  /**
   * Lists the members on all nodes. The first call asks the other nodes; until half a
   * minute after the last call, they report changes by themselves.
   *
   * @returns Resolves within 2 seconds, however many nodes don't answer: `missing`
   * names them.
   * @throws {EngineError} The cluster is closed.
   */
  members(): Promise<Members<Data>>;

  /**
   * Iterates over the changes of members on all nodes: first a snapshot, then each
   * change.
   *
   * At most 1,024 changes wait to be read. A slower reader gets a gap, and then a new
   * snapshot. The iteration ends when the cluster is closed.
   */
  changes(): Changes<Data>;
}

/**
 * A room that keeps its notifications, made by {@linkcode Cluster.room} with
 * `history: true`. In such a room
 *
 * - all members on all nodes get the same notifications in the same order, also those
 *   of this node only when they come back from the engine. While the engine is lost,
 *   nobody gets any, and `publish` rejects.
 * - each notification has a member `position` beside `method` and `params`, which the
 *   called method finds in `call.members`; members that speak JSON-RPC 1.0 get none.
 * - a node reads the notifications that it missed, and sends them to its members in
 *   order and once: a gap is only for those that are no longer kept.
 * - `notify` returns the number of this node's members that it is for.
 */
export interface HistoryRoom<Theirs = unknown, Data = unknown>
  extends Room<Theirs, Data> {
  /**
   * Takes a peer into the room like {@linkcode Room.join}, but first sends it the
   * notifications that it missed: none is left out, and none is sent twice.
   *
   * @param since The `position` of the last notification that the peer has, from any
   * node; any text is safe, so it may come from the peer. Or a number: at most so many
   * of the last notifications. A notification that excepted the peer by the id of an
   * earlier connection is sent, too.
   * @returns Resolves once they are sent; see {@linkcode CaughtUp}. If `isWhole` is
   * `false`, the peer is a member and gets further notifications, but has missed some:
   * send it the data from elsewhere, or call this again with a number.
   * @throws {RangeError} `since` is a number, but not 0 or more; or as `join`.
   * @throws {TypeError} `since` is neither a string nor a number; or as `join`.
   * @throws {EngineError} The cluster is closed.
   */
  catchUp(
    peer: unknown extends Theirs ? AnyPeer : Peer<Theirs>,
    since: Position | number,
    options?: JoinOptions<Data>,
  ): Promise<CaughtUp>;

  /**
   * Reads the room's history.
   *
   * @param since As in {@linkcode HistoryRoom.catchUp}. Default: all that is kept.
   * @throws {RangeError} `since` is a number, but not 0 or more.
   * @throws {TypeError} `since` is neither a string nor a number.
   * @throws {EngineError} The cluster is closed.
   */
  history(since?: Position | number): Promise<Past>;
}

/** A peer of this node in a room. */
interface Membership {
  readonly resident: Resident;
  readonly leave: () => void;
  key: string | undefined;
  /** Its data, as JSON. */
  data: string | undefined;
  /** Its entry in a list of members. */
  member: Member;
  /** The offset of the last entry that was known when it caught up. */
  caughtUp: number;
}

// Most ids of peers that don't get a notification.
const mostExcept = 256;

/** The beginning of a notification that may be passed on. */
const noticeHead = '{"jsonrpc":"2.0","method":';

const noNotification = "it is no notification";

/** A room on one node. */
export class OwnRoom
  implements HistoryRoom, Hearer, Numbered, ViewOwner, Recorded {
  readonly name: string;
  readonly encoded: string;
  /** The number of this node's last message in it. */
  number: number;
  /** The number of its first one, since the node knows the room. */
  readonly #first: number;
  readonly #rooms: Rooms;
  readonly #node: Node;
  readonly #topic: Topic;
  /** This node's members, by peer. */
  readonly #members = new Map<object, Membership>();
  /** The number of each other node's last message. */
  readonly #heard = new Map<string, number>();
  /** Whether the gap of a general loss is still to be reported. */
  #isRestoring = false;
  /** The time since which the room's messages arrive. */
  #since = 0;
  /** The time of this node's last message. */
  #saidAt = 0;
  /** The changes of members that are not sent yet. */
  #unsaid: string[] = [];
  #unsaidLength = 0;
  #view: View | undefined;
  /** `undefined`: the room keeps no history. */
  #history: History | undefined;
  /** The position that this node last appended. */
  #appended: Position | undefined;
  /** The members that still have to be sent what they missed, by their last `catchUp`. */
  readonly #behind = new Map<object, object>();
  #ongap: ((gap: Gap) => void | Promise<void>) | undefined;

  constructor(rooms: Rooms, node: Node, name: string, encoded: string) {
    this.name = name;
    this.encoded = encoded;
    this.#rooms = rooms;
    this.#node = node;
    // No number is used twice, even if the node has forgotten the room.
    this.number = node.highest;
    this.#first = node.highest + 1;
    this.#topic = node.bus.topic(node.subjects.room(encoded), this);
  }

  get size(): number {
    return this.#members.size;
  }

  get subject(): string {
    return this.#topic.subject;
  }

  /** Keeps notifications from now on. */
  record(log: NodeLog): void {
    if (this.#history !== undefined) return;
    this.#history = new History(this, log);
    if (this.#topic.isKept) void this.#history.begin(this.#topic.confirmed());
  }

  get ongap(): ((gap: Gap) => void | Promise<void>) | undefined {
    return this.#ongap;
  }

  set ongap(ongap: ((gap: Gap) => void | Promise<void>) | undefined) {
    this.#ongap = ongap;
    this.#rooms.keep(this, this.isKept);
  }

  /** Whether the node still needs it. */
  get isKept(): boolean {
    return this.#topic.isKept || this.#ongap !== undefined;
  }

  // Its own members.

  async join(peer: AnyPeer, options?: JoinOptions): Promise<void> {
    await this.#enter(peer, options);
  }

  /** @throws {EngineError} The cluster is closed. */
  #mustBeOpen(cannot: string): void {
    if (!this.#node.isClosed) return;
    throw new EngineError(`${cannot}: the cluster is closed`, false);
  }

  /** Takes a peer in at once, or throws; resolves like {@linkcode OwnRoom.join}. */
  #enter(
    peer: AnyPeer,
    { key, data }: JoinOptions = {},
  ): Promise<void> | undefined {
    const cannot = `Cannot join ${JSON.stringify(this.name)}`;
    this.#mustBeOpen(cannot);
    checkKey(cannot, key);
    const written = writeData(cannot, data);
    const resident = this.#node.residentOf(peer);
    if (isClosed(resident.core)) return undefined;
    const { id, number } = resident;
    const before = this.#members.get(peer);
    const member: Member = {
      id,
      node: this.#node.id,
      key,
      data: written === undefined ? undefined : JSON.parse(written),
    };
    if (before !== undefined) {
      this.#dropKey(before);
      Object.assign(before, { key, data: written, member });
    } else {
      const leave = (): void => void this.#leave(peer, "closed");
      resident.ends.add(leave);
      this.#members.set(peer, {
        resident,
        leave,
        key,
        data: written,
        member,
        caughtUp: 0,
      });
    }
    if (key !== undefined) this.#node.addKey(resident, key);
    this.#view?.tell({ type: "join", member });
    this.#change(writeJoin(number, key, written));
    return before === undefined ? this.#hold() : this.#topic.confirmed();
  }

  leave(peer: AnyPeer): boolean {
    return this.#leave(peer, "left");
  }

  #leave(peer: object, why: LeaveReason): boolean {
    const membership = this.#members.get(peer);
    if (membership === undefined) return false;
    this.#members.delete(peer);
    this.#behind.delete(peer);
    const { resident, leave, member } = membership;
    resident.ends.delete(leave);
    this.#dropKey(membership);
    this.#view?.tell({ type: "leave", member, why });
    this.#change(writeLeave(resident.number, why));
    this.#topic.drop();
    return true;
  }

  #dropKey({ resident, key }: Membership): void {
    if (key !== undefined) this.#node.removeKey(resident, key);
  }

  /** Adds a holder of the subscription. */
  #hold(): Promise<void> {
    const isNew = !this.#topic.isKept;
    const confirmed = this.#topic.hold();
    if (isNew) {
      this.#rooms.keep(this, true);
      this.#since = Infinity;
      confirmed.then(() => this.#since = performance.now());
      void this.#history?.begin(confirmed);
    }
    return confirmed;
  }

  released(): void {
    this.#isRestoring = false;
    this.#heard.clear();
    this.#history?.forget();
    this.#rooms.keep(this, this.isKept);
  }

  // Notifications out.

  notify(method: string, params?: Params, options?: NoticeOptions): number {
    const { taken, error, said } = this.#send(method, params, options);
    said?.catch((error: unknown) => this.#node.reportLoss(error));
    if (error !== undefined) throw error.reason;
    return taken;
  }

  async publish(
    method: string,
    params?: Params,
    options?: NoticeOptions,
  ): Promise<void> {
    const { error, said } = this.#send(method, params, options);
    await said;
    if (error !== undefined) throw error.reason;
  }

  /** Sends a notification to this node's members, and publishes it for other nodes. */
  #send(
    method: string,
    params: Params | undefined,
    options: NoticeOptions | undefined,
  ): {
    readonly taken: number;
    readonly error: { readonly reason: unknown } | undefined;
    readonly said: Promise<unknown> | undefined;
  } {
    const except = options?.except === undefined
      ? undefined
      : this.#read(options.except);
    const fields = except === undefined || except.size === 0
      ? ""
      : `,"x":${JSON.stringify([...except])}`;
    const head = `,"m":${JSON.stringify(method)}${fields}`;
    if (this.#history !== undefined) {
      const text = writeDetached(method, params);
      const taken = except === undefined
        ? this.size
        : this.#among([...this.#members.keys()], except).length;
      const said = this.#append(this.#history, head, text);
      return { taken, error: undefined, said };
    }
    const isAlone = this.#topic.isAlone;
    let text: string | undefined;
    let isWritten = false;
    const write = (core: Core, version: Version): string => {
      const written = writeNotice(core, method, params);
      isWritten = true;
      if (version === "2.0") text = written;
      return written;
    };
    let taken = 0;
    let error: { readonly reason: unknown } | undefined;
    try {
      taken = tellAll(this.#but(except), method, write);
    } catch (reason) {
      if (!isWritten) throw reason;
      error = { reason };
    }
    if (isAlone) return { taken, error, said: undefined };
    text ??= writeDetached(method, params);
    return { taken, error, said: this.#say("notify", head, text) };
  }

  /** The ids of the peers that don't get a notification. */
  #read(
    except: NonNullable<NoticeOptions["except"]>,
  ): Set<string> {
    const all = Array.isArray(except) ? except : [except];
    if (all.length > mostExcept) {
      throw new RangeError(
        `${cannotNotify}: except has ${all.length} of at most ${mostExcept} peers`,
      );
    }
    const ids = new Set<string>();
    for (const one of all as readonly (AnyPeer | string)[]) {
      ids.add(typeof one === "string" ? one : this.#node.residentOf(one).id);
    }
    return ids;
  }

  /** This node's members, without excepted ones and those that are catching up. */
  #but(except: ReadonlySet<string> | undefined): Iterable<object> {
    const behind = this.#behind;
    if (except === undefined && behind.size === 0) return this.#members.keys();
    const peers: object[] = [];
    for (const [peer, { resident }] of this.#members) {
      if (!except?.has(resident.id) && !behind.has(peer)) peers.push(peer);
    }
    return peers;
  }

  /** Appends a notification to the log; all members get it when it comes back. */
  async #append(
    history: History,
    fields: string,
    body: string,
  ): Promise<void> {
    const { head } = this.#node;
    const text = withBody("notify", `${head}"k":"notify"${fields}}`, body);
    const { epoch, offset } = await history.append(text);
    // If several are under way, the last to be confirmed counts.
    this.#appended = writePosition(epoch, offset);
    // A node that hears the room later reads it from the log.
    if (!this.#topic.isAlone) this.#node.spoke(this);
  }

  /** Publishes a message for the other nodes, with the next number. */
  #say(kind: string, fields: string, body: string): Promise<unknown> {
    const node = this.#node;
    const number = ++this.number;
    if (number > node.highest) node.highest = number;
    node.spoke(this);
    const first = this.#first === 1 ? "" : `,"b":${this.#first}`;
    // Earlier messages may be lost, and a node that heard none of them can't know it.
    const before = node.isBroken && number > this.#first
      ? `,"a":${this.#ago}`
      : "";
    this.#saidAt = performance.now();
    const header =
      `${node.head}"k":"${kind}","s":${number}${first}${before}${fields}}`;
    let text: string;
    try {
      text = withBody(kind, header, body);
    } catch (error) {
      return Promise.reject(error);
    }
    return node.bus.publish(this.#topic.subject, text);
  }

  /** Its entry in a beat: its name, the last number, and how many milliseconds ago. */
  get spoken(): readonly unknown[] {
    const { encoded } = this;
    // Appended messages have no number.
    const said = this.number < this.#first
      ? [encoded, 0, null]
      : [encoded, this.number, this.#ago];
    return this.#appended === undefined ? said : [...said, this.#appended];
  }

  /** Milliseconds since this node's last message. */
  get #ago(): number {
    return Math.round((performance.now() - this.#saidAt) * 1_000) / 1_000;
  }

  // Messages in.

  receive(text: string, place?: Place): void {
    if (place !== undefined && this.#history !== undefined) {
      if (!isPlace(place)) return this.complain("its place is invalid");
      return this.#node.guard(() => this.#history!.hear({ ...place, text }));
    }
    // This node's members have its own messages already.
    if (text.startsWith(this.#node.head)) return;
    const message = this.#node.read(text);
    if (message !== undefined) this.#node.guard(() => this.#take(message));
  }

  #take(message: BusMessage): void {
    const { node, kind, fields, body } = message;
    const number = readCount(fields, "s");
    if (number === undefined) {
      return this.complain(
        `it has no number${
          kind === "notify" ? "; is the history of the room for all nodes?" : ""
        }`,
      );
    }
    if (!this.#follow(node, number, fields)) return;
    if (kind === "notify") this.#deliver(message);
    else if (kind === "presence") this.#view?.change(node, number, body);
  }

  /** Whether a message with this number is new; a hole before it is reported. */
  #follow(node: string, number: number, { b, a }: Fields): boolean {
    const last = this.#lastOf(node);
    if (last !== undefined && number <= last) {
      this.complain(`its number ${number} was ${last} before`);
      return false;
    }
    this.#hear(node, number);
    if (last === undefined) {
      if (this.#wasHeard(a)) this.#missed(node);
      return true;
    }
    const first = typeof b === "number" ? Math.min(b, number) : 1;
    const missed = number - Math.max(last + 1, first);
    if (missed > 0) this.#missed(node, missed);
    return true;
  }

  /** Whether a message of so many milliseconds ago should have arrived. */
  #wasHeard(ago: unknown): boolean {
    return typeof ago === "number" && performance.now() - ago >= this.#since;
  }

  /** The number of a node's last message; 0: it certainly has sent none. */
  #lastOf(node: string): number | undefined {
    return this.#heard.get(node) ??
      (this.#node.isBornSince(node, this.#since) ? 0 : undefined);
  }

  #hear(node: string, number: number): void {
    const heard = this.#heard;
    if (!heard.has(node) && heard.size >= mostNodes) {
      heard.delete(heard.keys().next().value!);
    }
    heard.set(node, number);
  }

  #missed(node: string, missed?: number): void {
    this.#view?.doubt(node);
    // Here only changes of members have numbers, and these are asked for anew.
    if (this.#history !== undefined) return;
    // A general loss will be reported for all nodes.
    if (this.#node.isBroken || this.#isRestoring) return;
    const why = "hole";
    const gap: Gap = { room: this.name, why, node };
    this.#tell(missed === undefined ? gap : { ...gap, missed });
  }

  /**
   * Compares with the number of a node's last message, which shows a loss at the end.
   *
   * @param ago How many milliseconds ago that message was sent, if the node tells it.
   */
  compare(
    node: string,
    number: number,
    ago: unknown,
    position?: unknown,
  ): void {
    if (!this.#topic.isSubscribed) return;
    if (position !== undefined) this.#history?.compare(position);
    const last = this.#lastOf(node);
    if (last !== undefined && number <= last) return;
    this.#hear(node, number);
    // The number with which the node began is unknown here.
    if (last !== undefined) {
      this.#missed(node, last ? number - last : undefined);
    } else if (this.#wasHeard(ago)) this.#missed(node);
  }

  /** Sends an entry of the log to members. */
  deliver(entry: Entry, peers?: readonly object[]): void {
    const message = this.#node.read(entry.text);
    if (message?.kind === "notify") this.#deliver(message, entry, peers);
  }

  deliverLate(entry: Entry): void {
    const peers: object[] = [];
    for (const [peer, { caughtUp }] of this.#members) {
      if (!this.#behind.has(peer) && caughtUp < entry.offset) peers.push(peer);
    }
    this.deliver(entry, peers);
  }

  missedEntries(why: Gap["why"]): void {
    if (this.#members.size > 0 || this.#view !== undefined) {
      this.#tell({ room: this.name, why });
    }
  }

  reportLoss(error: unknown): void {
    this.#node.reportLoss(error);
  }

  #deliver(
    message: BusMessage,
    place?: Place,
    peers?: readonly object[],
  ): void {
    const method = this.#methodOf(message);
    if (method === undefined) return;
    const { fields: { x }, body } = message;
    const except = Array.isArray(x)
      ? new Set(x.slice(0, mostExcept) as string[])
      : undefined;
    const text = place === undefined ? body : withPosition(body, place);
    try {
      tellAll(
        peers === undefined ? this.#but(except) : this.#among(peers, except),
        method,
        (core, version) =>
          version === "2.0" ? text : rewrite(core, method, body),
      );
    } catch (error) {
      this.complain(`it can't be delivered (${messageOf(error)})`);
    }
  }

  /** The method of a valid notification; an invalid one is reported. */
  #methodOf({ fields, body }: BusMessage): string | undefined {
    const method = readText(fields, "m", mostHeader);
    const isNotice = body.startsWith(noticeHead) && body.endsWith("}");
    if (method === undefined || !isNotice) this.complain(noNotification);
    return isNotice ? method : undefined;
  }

  #among(
    peers: readonly object[],
    except: ReadonlySet<string> | undefined,
  ): readonly object[] {
    if (except === undefined) return peers;
    return peers.filter((peer) => !except.has(this.#node.residentOf(peer).id));
  }

  // History.

  get #recorded(): History {
    if (this.#history !== undefined) return this.#history;
    throw new TypeError(
      `Cannot look into the history of ${
        JSON.stringify(this.name)
      }: it has none, see the option history of room()`,
    );
  }

  #recall({ epoch, offset, text }: Entry): Said[] {
    const message = this.#node.read(text);
    if (message?.kind !== "notify") return [];
    const method = this.#methodOf(message);
    if (method === undefined) return [];
    try {
      const { params } = JSON.parse(message.body);
      return [{ method, params, position: writePosition(epoch, offset) }];
    } catch {
      this.complain(noNotification);
      return [];
    }
  }

  async catchUp(
    peer: AnyPeer,
    since: Position | number,
    options?: JoinOptions,
  ): Promise<CaughtUp> {
    checkSince(`Cannot catch up with ${JSON.stringify(this.name)}`, since);
    const history = this.#recorded;
    const own = {};
    const isLast = (): boolean => this.#behind.get(peer) === own;
    const confirmed = this.#enter(peer, options);
    // A closed peer is no member.
    if (this.#members.has(peer)) this.#behind.set(peer, own);
    try {
      await confirmed;
      const isReady = await history.ready(since);
      // It may have left meanwhile, or asked again.
      if (!isReady || !isLast()) return { isWhole: false, position: undefined };
      const { entries, isWhole } = history.since(since);
      for (const entry of entries) this.deliver(entry, [peer]);
      const membership = this.#members.get(peer);
      if (membership !== undefined) membership.caughtUp = history.last;
      return { isWhole, position: history.position };
    } finally {
      // From here on it gets what arrives.
      if (isLast()) this.#behind.delete(peer);
    }
  }

  async history(since: Position | number = Infinity): Promise<Past> {
    const cannot = `Cannot read the history of ${JSON.stringify(this.name)}`;
    checkSince(cannot, since);
    this.#mustBeOpen(cannot);
    const history = this.#recorded;
    await this.#hold();
    try {
      const isReady = await history.ready(since);
      const { entries, isWhole } = history.since(since);
      const said = entries.flatMap((entry) => this.#recall(entry));
      return {
        said,
        isWhole: isReady && isWhole,
        position: history.position,
      };
    } finally {
      this.#topic.drop();
    }
  }

  #tell(gap: Gap): void {
    this.#view?.tell({ type: "gap", gap });
    this.#node.guard(() => {
      const result = this.#ongap?.(gap);
      if (isThenable(result)) {
        Promise.resolve(result).catch((error) => this.#node.report(error));
      }
    });
  }

  /** The engine is lost. */
  lost(): void {
    if (this.#topic.isKept) this.#history?.lose();
    this.#view?.doubtAll();
    this.#view?.giveUp();
  }

  /** A general loss is over: until now, any message may have been missed. */
  restored(why: "engine" | "paused"): void {
    if (!this.#topic.isKept) return;
    this.#isRestoring = true;
    this.#topic.confirmed().then(() => {
      if (!this.#topic.isKept) return;
      // The end of the next loss will report it.
      if (this.#node.isBroken || this.#node.isClosed) return;
      this.#isRestoring = false;
      this.#heard.clear();
      this.#since = performance.now();
      // Entries that can be read are not missed.
      if (this.#history !== undefined) this.#history.resume(why);
      else this.missedEntries(why);
      this.#view?.doubtAll();
      this.#rooms.ask(this);
    });
  }

  // Members.

  /** Gathers a change of members with others, to be sent together. */
  #change(entry: string): void {
    if (this.#topic.isAlone) return;
    this.#unsaid.push(entry);
    this.#unsaidLength += entry.length;
    if (
      this.#unsaid.length >= mostChanges ||
      this.#unsaidLength >= mostChangesLength
    ) this.flush();
    else this.#rooms.gather(this);
  }

  /** Sends the changes of members. */
  flush(): void {
    const entries = this.#unsaid;
    if (entries.length === 0) return;
    this.#unsaid = [];
    this.#unsaidLength = 0;
    // A loss shows by the next beat, and then the members are asked for.
    this.#say("presence", "", `[${entries.join(",")}]`)
      .catch((error: unknown) => this.#node.reportLoss(error));
  }

  /** Sends another node the list of this node's members. */
  answer(node: string, call: number): void {
    this.flush();
    const { encoded: r, number: s } = this;
    const fields = s < this.#first
      ? { c: call, r, s }
      : { c: call, r, s, a: this.#ago };
    let entries: string[] = [];
    let length = 0;
    const tell = (more: boolean): void => {
      const part = more ? { ...fields, more } : fields;
      // A node that doesn't get it asks again.
      this.#node.tell(node, "here", part, `[${entries.join(",")}]`)
        .catch(() => {});
      entries = [];
      length = 0;
    };
    for (const { resident, key, data } of this.#members.values()) {
      if (entries.length >= mostChanges || length >= mostChangesLength) {
        tell(true);
      }
      const entry = writeJoin(resident.number, key, data);
      length += entry.length;
      entries.push(entry);
    }
    tell(false);
  }

  /** Takes the list of another node's members. */
  hear({ node, fields, body }: BusMessage): void {
    // Its earlier messages have arrived, or are lost.
    this.compare(node, readCount(fields, "s") ?? 0, fields.a);
    this.#view?.hear(node, fields, body);
  }

  async members(): Promise<Members> {
    this.#mustBeOpen(`Cannot list the members of ${JSON.stringify(this.name)}`);
    return await this.#look().members();
  }

  changes(): Changes {
    const { isClosed } = this.#node;
    const view = isClosed ? new View(this) : this.#look();
    const changes = view.read();
    if (isClosed) view.end();
    return changes;
  }

  #look(): View {
    let view = this.#view;
    if (view === undefined) {
      view = this.#view = new View(this);
      // From then on, the changes of other nodes arrive.
      this.#hold().then(() => {
        if (this.#view === view && this.isSure) view!.ask();
      });
    }
    return view;
  }

  get others(): Iterable<string> {
    return this.#node.others;
  }

  get isSure(): boolean {
    return this.#node.status === "open";
  }

  ownMembers(): Member[] {
    return Array.from(this.#members.values(), ({ member }) => member);
  }

  ask(node?: string): number {
    const call = this.#rooms.nextCall();
    const fields = { c: call, r: this.encoded };
    // A node that doesn't hear it is asked again.
    (node === undefined
      ? this.#node.tellAll("who", fields)
      : this.#node.tell(node, "who", fields)).catch(() => {});
    return call;
  }

  /** Asks all nodes, if somebody wants to know. */
  askAgain(): void {
    this.#view?.ask();
  }

  complain(why: string): void {
    this.#node.complain(why);
  }

  nodeCame(node: string, isNew: boolean): void {
    this.#view?.nodeCame(node, isNew);
  }

  nodeWent(node: string): void {
    this.#view?.nodeWent(node);
  }

  /** Looks whether somebody still wants to know who is there, and who doesn't say. */
  beat(now: number): void {
    if (this.isSure && !this.#isRestoring) this.#history?.look();
    const view = this.#view;
    if (view === undefined) return;
    if (view.isIdle(now)) {
      this.#view = undefined;
      view.end();
      this.#topic.drop();
    } else if (this.isSure) view.look();
  }

  /** Has nothing to do with its members any more. */
  end(): void {
    this.#view?.end();
    for (const { resident, leave } of this.#members.values()) {
      resident.ends.delete(leave);
    }
    this.#members.clear();
    this.#behind.clear();
    this.#history?.forget();
    this.#unsaid = [];
  }
}

// Milliseconds in which who comes and goes is gathered.
const gatherFor = 50;

/** Most rooms that all nodes are asked about in that time. */
const mostAsked = 64;

/** The rooms of one node. */
export class Rooms {
  readonly #node: Node;
  // Who is in none, and listens to nothing, is nobody's but the user's.
  readonly #rooms = new Map<string, WeakRef<OwnRoom>>();
  readonly #gone = new FinalizationRegistry<string>((encoded) => {
    if (this.#rooms.get(encoded)?.deref() === undefined) {
      this.#rooms.delete(encoded);
    }
  });
  /** Those that must not be forgotten. */
  readonly #kept = new Set<OwnRoom>();
  readonly #gathered = new Set<OwnRoom>();
  readonly #asking = new Set<OwnRoom>();
  #stopTimer: (() => void) | undefined;
  #calls = 0;

  constructor(node: Node) {
    this.#node = node;
    node.onAll("who", (message) => this.#answer(message));
    node.onInbox("who", (message) => this.#answer(message));
    node.onInbox("here", (message) => {
      this.#find(message.fields)?.hear(message);
    });
    node.onAll("beat", (message) => this.#compare(message));
    node.watch({
      nodeCame: (id, isNew) => this.#each((room) => room.nodeCame(id, isNew)),
      nodeWent: (id) => this.#each((room) => room.nodeWent(id)),
      engineChanged: (status) => {
        if (status !== "open") this.#each((room) => room.lost());
      },
      restored: (why) => this.#each((room) => room.restored(why)),
      beat: (now) => this.#each((room) => room.beat(now)),
    });
  }

  #each(tell: (room: OwnRoom) => void): void {
    for (const room of [...this.#kept]) this.#node.guard(() => tell(room));
  }

  /**
   * The room of a name: the same as long as somebody is in it, listens to it or has
   * it.
   */
  room(name: string, { history = false }: RoomOptions = {}): OwnRoom {
    const encoded = encodeRoom(name);
    const log = history ? this.#node.log : undefined;
    if (log?.isThere === false) {
      throw new TypeError(
        `Cannot keep the history of ${
          JSON.stringify(name)
        }: the engine has no log`,
      );
    }
    let room = this.#rooms.get(encoded)?.deref();
    if (room === undefined) {
      room = new OwnRoom(this, this.#node, name, encoded);
      this.#rooms.set(encoded, new WeakRef(room));
      this.#gone.register(room, encoded);
    }
    if (log !== undefined) room.record(log);
    return room;
  }

  #find(fields: Fields): OwnRoom | undefined {
    return this.#rooms.get(fields.r as string)?.deref();
  }

  #answer({ node, fields }: BusMessage): void {
    if (node === this.#node.id) return;
    const call = readCount(fields, "c");
    const encoded = readText(fields, "r", mostHeader);
    if (call === undefined || encoded === undefined) {
      return this.#node.complain("it asks for no room");
    }
    const room = this.#find(fields);
    if (room !== undefined) return room.answer(node, call);
    this.#node.tell(node, "here", { c: call, r: encoded, s: 0 }, "[]")
      .catch(() => {});
  }

  #compare({ node, fields }: BusMessage): void {
    if (node === this.#node.id || !Array.isArray(fields.at)) return;
    for (const said of fields.at as unknown[]) {
      if (!Array.isArray(said)) continue;
      const [encoded, number, ago, position] = said as unknown[];
      const room = this.#rooms.get(encoded as string)?.deref();
      if (room === undefined || !Number.isSafeInteger(number)) continue;
      room.compare(node, number as number, ago, position);
    }
  }

  /** Remembers a room though nobody has it, or doesn't. */
  keep(room: OwnRoom, isKept: boolean): void {
    if (isKept) this.#kept.add(room);
    else this.#kept.delete(room);
  }

  nextCall(): number {
    return ++this.#calls;
  }

  /** Lets a room say, soon, who came and went. */
  gather(room: OwnRoom): void {
    this.#gathered.add(room);
    this.#start();
  }

  /** Lets a room ask, at its turn, who is there. */
  ask(room: OwnRoom): void {
    this.#asking.add(room);
    this.#start();
  }

  #start(): void {
    if (this.#node.isClosed) return;
    this.#stopTimer ??= startTimer(gatherFor, () => this.#flush());
  }

  #flush(): void {
    this.#stopTimer = undefined;
    const { bus } = this.#node;
    for (const room of this.#gathered) {
      // The others of a crowd follow when these have left.
      if (!bus.isFree) return this.#start();
      this.#gathered.delete(room);
      room.flush();
    }
    let asked = 0;
    for (const room of this.#asking) {
      if (asked++ === mostAsked || !bus.isFree) return this.#start();
      this.#asking.delete(room);
      room.askAgain();
    }
  }

  /** Ends with the node. */
  close(): void {
    this.#stopTimer?.();
    this.#gathered.clear();
    this.#asking.clear();
    this.#each((room) => room.end());
    this.#kept.clear();
    this.#rooms.clear();
  }
}

/** @throws {TypeError} A key is no text. @throws {RangeError} It is too long. */
function checkKey(cannot: string, key: unknown): void {
  if (key === undefined) return;
  if (typeof key !== "string") {
    throw new TypeError(`${cannot}: key must be a text, got ${typeof key}`);
  }
  if (key.length > mostKey) {
    throw new RangeError(
      `${cannot}: key has ${key.length} of at most ${mostKey} characters`,
    );
  }
}

/**
 * @throws {TypeError} It is neither a position nor a number.
 * @throws {RangeError} It is no number of 0 or more.
 */
function checkSince(cannot: string, since: unknown): void {
  if (typeof since === "string") return;
  const what = `${cannot}: since must be a position or a number of 0 or more`;
  if (typeof since !== "number") {
    throw new TypeError(`${what}, got ${typeof since}`);
  }
  if (!(since >= 0)) throw new RangeError(`${what}, got ${since}`);
}

/** Puts behind a notification's params where it stands. */
function withPosition(body: string, { epoch, offset }: Place): string {
  const position = writePosition(epoch, offset);
  return `${body.slice(0, -1)},"position":"${position}"}`;
}

function writeData(cannot: string, data: unknown): string | undefined {
  if (data === undefined) return undefined;
  let written: string | undefined;
  try {
    written = JSON.stringify(data);
  } catch (cause) {
    throw new TypeError(`${cannot}: data can't be written as JSON`, { cause });
  }
  if (written === undefined) {
    throw new TypeError(`${cannot}: data is no JSON, got ${typeof data}`);
  }
  if (written.length > mostData) {
    throw new RangeError(
      `${cannot}: data has ${written.length} of at most ${mostData} characters`,
    );
  }
  if (isDeeperThan(mostDataDepth, written)) {
    throw new RangeError(
      `${cannot}: data is nested deeper than ${mostDataDepth}`,
    );
  }
  return written;
}

/**
 * Writes a notification for others alone.
 *
 * @throws {TypeError} The params can't be written as JSON.
 */
function writeDetached(method: string, params: Params | undefined): string {
  checkMethod(cannotNotify, method);
  const text = writeFor(`${cannotNotify} "${method}"`, params);
  return writeNotification(
    method,
    text === undefined ? undefined : new JsonText(text),
  );
}

/** Writes one anew that came in 2.0, for a peer of another version. */
function rewrite(core: Core, method: string, text: string): string {
  const { params } = JSON.parse(text) as { params?: Params };
  return writeNotice(core, method, params);
}
