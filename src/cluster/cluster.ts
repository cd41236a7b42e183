/**
 * A cluster: the class of a node that programs use.
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
   * The engine through which the nodes talk. Default: a {@linkcode memory} of this
   * node's own. An engine that is given stays open when the node is closed.
   */
  engine?: Engine;
  /**
   * The beginning of all subjects: nodes with different prefixes don't hear each
   * other. 1 to 64 letters, digits, `-` and `_`, in parts with dots between. Default
   * "jsonrpcws".
   */
  prefix?: string;
  /** How much is kept of each room with `history: true`. */
  history?: HistoryOptions;
  /**
   * Called with errors that no call rejects with: the engine is lost, a message of
   * another node can't be read, other nodes have missed a notification. Its own errors
   * are dropped. Default: `console.error`.
   */
  onerror?: (this: void, error: unknown) => void | Promise<void>;
}

/**
 * How much is kept of a room; must be the same on all nodes. A notification beyond
 * either limit may be gone.
 */
export interface HistoryOptions {
  /**
   * Number of notifications, at most 10,000. A node also keeps at most 1,048,576
   * characters of a room. Default 100.
   */
  messages?: number;
  /** Milliseconds: 1,000 to 2,592,000,000, which is 30 days. Default 1 hour. */
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
 * @returns The node, once a message that it published has come back to it.
 * @throws {TypeError} The prefix is invalid.
 * @throws {RangeError} A number of `history` is outside its range.
 * @throws {EngineError} The engine is not open, or no message came back within 10
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
  /** This node's id: random for each start of a process, and never used again. */
  readonly id: string;

  /** The ids of the nodes that are known to be alive; this node's own is the first. */
  readonly nodes: string[];

  /**
   * The engine's status, for health checks. It is `"lost"` also while no message that
   * this node publishes comes back to it.
   */
  readonly status: EngineStatus;

  /**
   * Returns the room with a name: the same object for the same name. A room costs
   * nothing before a peer joins it. With `history: true` it keeps its notifications.
   *
   * @typeParam Theirs The type of the members' `local`.
   * @typeParam Data The type of the members' data.
   * @throws {TypeError} The name is not a string, is empty, or has half a surrogate
   * pair; or the engine keeps no history.
   * @throws {RangeError} The name, encoded as in an address, has more than 900
   * characters.
   */
  room<Theirs = unknown, Data = unknown>(
    name: string,
    options: RoomOptions & { history: true },
  ): HistoryRoom<Theirs, Data>;
  /**
   * Returns the room with a name. It keeps no notifications, unless it was asked for
   * with `history: true` elsewhere in the program.
   *
   * @throws As above.
   */
  room<Theirs = unknown, Data = unknown>(
    name: string,
    options?: RoomOptions,
  ): Room<Theirs, Data>;

  /**
   * Returns the id of a peer of this node, "node.n". From now on, every node can call
   * the peer by it.
   */
  idOf(peer: AnyPeer): string;

  /**
   * Returns a peer of any node, this one included, to be called like a peer of this
   * node. No message is sent before the first call.
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
   * @param id The peer's id, from {@linkcode Cluster.idOf}.
   */
  peer<Theirs = unknown>(id: string): RemotePeer<Theirs>;

  /**
   * Closes connections on all nodes: those that joined any room with a key, or the one
   * with an id.
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
   * A node that can't be reached closes nothing, and is named in `missing`. Clients
   * may connect again, so they must be refused at the next handshake.
   *
   * @param code 1000 (the default), 1001 to 1014, or 3000 to 4999.
   * @param reason At most 123 bytes of UTF-8; the rest is cut off.
   * @returns The number of closed connections, and the nodes that did not answer within
   * 2 seconds. Doesn't reject if a node is silent or the engine is lost.
   * @throws {RangeError} By rejecting: the code can't be sent.
   * @throws {TypeError} By rejecting: there is neither a key nor an id.
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

/** @throws {RangeError} A number is outside its range. */
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
