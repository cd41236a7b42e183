/**
 * A cluster: one node of it, as those see it who use it.
 *
 * @module
 */

import type { AsyncReleasable } from "../peer/contract.ts";
import type { AnyPeer } from "../peer/base.ts";
import type { Engine, EngineStatus, Keep } from "./engine.ts";
import { memory } from "./memory.ts";
import {
  Calls,
  type Disconnected,
  type RemotePeer,
  remotePeer,
  type Target,
} from "./calls.ts";
import { Node } from "./node.ts";
import { mostKept } from "./history.ts";
import {
  type HistoryRoom,
  type Room,
  type RoomOptions,
  Rooms,
} from "./room.ts";

/** How a node joins its cluster. */
export interface ClusterOptions {
  /**
   * What the nodes talk through. Default: {@linkcode memory}, of which the node is
   * the only one. An engine that is given stays open when the node is closed.
   */
  engine?: Engine;
  /**
   * What the subjects begin with: nodes of two prefixes don't hear each other. 1 to 64
   * letters, digits, `-` and `_`, in parts with dots between. Default "jsonrpcws".
   */
  prefix?: string;
  /** What is kept of each room with `history: true`. */
  history?: HistoryOptions;
  /**
   * Called with what no call rejects with: an engine that is lost, a message of
   * another node that can't be read, a notification that others have missed. What it
   * throws is dropped. Default: `console.error`.
   */
  onerror?: (this: void, error: unknown) => void | Promise<void>;
}

/**
 * How much is kept of a room; the same on all nodes. Whatever is older than either may
 * be gone.
 */
export interface HistoryOptions {
  /**
   * Notifications. At most 10,000, and 1,048,576 characters of them at each node.
   * Default 100.
   */
  messages?: number;
  /** How old they get, in milliseconds: 1,000 to 2,592,000,000, 30 days. Default 1 hour. */
  milliseconds?: number;
}

/**
 * Joins a cluster: from then on this process is one of its nodes.
 *
 * ```ts
 * import { cluster } from "@jsonrpcws/peer/cluster";
 * import { assertEquals } from "@std/assert";
 *
 * await using nodes = await cluster();
 * assertEquals(nodes.nodes, [nodes.id]);
 * ```
 *
 * @returns The node, once what it publishes has come back to it.
 * @throws {TypeError} The prefix is no such name.
 * @throws {RangeError} More history is asked for than can be kept, or none.
 * @throws {EngineError} The engine is not open, or nothing came back within 10
 * seconds.
 */
export async function cluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { engine = memory(), prefix = "jsonrpcws", history, onerror } = options;
  const node = new Node(engine, prefix, checkKeep(history), onerror);
  const nodes = new OwnNode(node);
  try {
    await node.start();
  } catch (error) {
    await nodes.close();
    throw error;
  }
  return nodes;
}

/** One node of a cluster; made by {@linkcode cluster}. `await using` closes it. */
export interface Cluster extends AsyncReleasable {
  /** This node's id: random, of this process alone. */
  readonly id: string;

  /** The ids of the nodes that are alive, as far as this one knows; its own first. */
  readonly nodes: string[];

  /**
   * The engine's status, for health checks: `"lost"` from when it is, or when nothing
   * comes back that this node publishes, until something does.
   */
  readonly status: EngineStatus;

  /**
   * The room of a name: the same object for the same name. It costs nothing before
   * somebody joins it. With `history: true` it keeps what is said in it.
   *
   * @typeParam Theirs The type of the members' `local`.
   * @typeParam Data The type of what they join with.
   * @throws {TypeError} The name is no text, or empty, or has half a surrogate pair; or
   * the engine keeps no history.
   * @throws {RangeError} It has more than 900 characters, encoded as in an address.
   */
  room<Theirs = unknown, Data = unknown>(
    name: string,
    options: RoomOptions & { history: true },
  ): HistoryRoom<Theirs, Data>;
  /**
   * The room of a name, which keeps nothing of what is said in it, unless somebody has
   * it who asked for that.
   *
   * @throws As above.
   */
  room<Theirs = unknown, Data = unknown>(
    name: string,
    options?: RoomOptions,
  ): Room<Theirs, Data>;

  /**
   * The id by which every node can reach a peer of this one, "node.n"; from now on it
   * can.
   */
  idOf(peer: AnyPeer): string;

  /**
   * A peer of whatever node, to be called as if it were one of this node: which it may
   * be. Nothing is asked before it is called.
   *
   * ```ts
   * import { cluster, memory } from "@jsonrpcws/peer/cluster";
   * import { Peer } from "@jsonrpcws/peer";
   * import { socketPair } from "@jsonrpcws/peer/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const engine = memory();
   * await using one = await cluster({ engine });
   * await using other = await cluster({ engine });
   *
   * const [left, right] = socketPair();
   * const local = { ask: (question: string) => `${question} No.` };
   * await using page = new Peer(left, { local });
   * await using peer = new Peer<typeof local>(right);
   * const id = one.idOf(peer);
   *
   * const asked = other.peer<typeof local>(id).remote.ask("Ready?");
   * assertEquals(await asked, "Ready? No.");
   * ```
   *
   * @param id Its {@linkcode Cluster.idOf}.
   */
  peer<Theirs = unknown>(id: string): RemotePeer<Theirs>;

  /**
   * Closes connections on whatever node: all that joined some room with a key, or the
   * one that has an id.
   *
   * ```ts
   * import { cluster } from "@jsonrpcws/peer/cluster";
   * import { assertEquals } from "@std/assert";
   *
   * await using nodes = await cluster();
   * assertEquals(await nodes.disconnect({ key: "ann" }, 4403, "Banned"), {
   *   closed: 0,
   *   missing: [],
   * });
   * ```
   *
   * It is as sure as any message: a node that can't be reached goes on, is named in
   * `missing`, and who comes back must be refused at the next handshake.
   *
   * @param code 1000 (the default), 1001 to 1014, or 3000 to 4999.
   * @param reason At most 123 bytes of UTF-8; what is more is cut off.
   * @returns How many were closed, and which nodes did not say so within 2 seconds.
   * Never rejects for a node that is mute or an engine that is lost.
   * @throws {RangeError} By rejecting: the code can't be sent.
   * @throws {TypeError} By rejecting: neither a key nor an id is named.
   */
  disconnect(
    target: Target,
    code?: number,
    reason?: string,
  ): Promise<Disconnected>;

  /**
   * Leaves the cluster: the other nodes are told, within a second at most. Peers stay
   * connected.
   */
  close(): Promise<void>;
}

class OwnNode implements Cluster {
  readonly #node: Node;
  readonly #rooms: Rooms;
  readonly #calls: Calls;

  constructor(node: Node) {
    this.#node = node;
    this.#rooms = new Rooms(node);
    this.#calls = new Calls(node);
  }

  peer<Theirs = unknown>(id: string): RemotePeer<Theirs> {
    return remotePeer(this.#calls, id);
  }

  disconnect(
    target: Target,
    code?: number,
    reason?: string,
  ): Promise<Disconnected> {
    return this.#calls.disconnect(target, code, reason);
  }

  get id(): string {
    return this.#node.id;
  }

  get nodes(): string[] {
    return [this.id, ...this.#node.others];
  }

  get status(): EngineStatus {
    return this.#node.status;
  }

  room<Theirs, Data>(
    name: string,
    options?: RoomOptions,
  ): HistoryRoom<Theirs, Data> {
    return this.#rooms.room(name, options) as unknown as HistoryRoom<
      Theirs,
      Data
    >;
  }

  idOf(peer: AnyPeer): string {
    return this.#node.residentOf(peer).id;
  }

  close(): Promise<void> {
    this.#rooms.close();
    const closed = this.#node.close();
    this.#calls.end();
    return closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const mostMilliseconds = 2_592_000_000;

/** @throws {RangeError} It is more than can be kept, or none. */
function checkKeep(options: HistoryOptions = {}): Keep {
  const { messages = 100, milliseconds = 3_600_000 } = options;
  const cannot = "Cannot make a cluster: history";
  if (!Number.isInteger(messages) || messages < 1 || messages > mostKept) {
    throw new RangeError(
      `${cannot}.messages must be 1 to ${mostKept}, got ${messages}`,
    );
  }
  if (!(milliseconds >= 1_000 && milliseconds <= mostMilliseconds)) {
    throw new RangeError(
      `${cannot}.milliseconds must be 1000 to ${mostMilliseconds}, got ${milliseconds}`,
    );
  }
  return { messages, milliseconds };
}
