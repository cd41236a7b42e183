/**
 * Many servers as one: rooms, presence, and calls to a peer on any of the servers.
 * An engine passes messages between them; without an engine, the rooms are those of
 * one server.
 *
 * ```ts
 * import { cluster } from "@jsonrpcws/peer/cluster";
 * import { assertEquals } from "@std/assert";
 *
 * await using nodes = await cluster();
 * assertEquals(nodes.nodes, [nodes.id]);
 * ```
 *
 * @see docs/cluster.md
 *
 * @module
 */

export type {
  Disconnected,
  RemoteCallOptions,
  RemotePeer,
  Target,
} from "./src/cluster/calls.ts";
export {
  type Cluster,
  cluster,
  type ClusterOptions,
  type HistoryOptions,
} from "./src/cluster/cluster.ts";
export {
  type Engine,
  EngineError,
  type EngineStatus,
  type Entry,
  type Keep,
  type Log,
  type Place,
  type Stretch,
} from "./src/cluster/engine.ts";
export { memory } from "./src/cluster/memory.ts";
export type {
  Change,
  Changes,
  Gap,
  LeaveReason,
  Member,
  Members,
} from "./src/cluster/presence.ts";
export type { Position } from "./src/cluster/history.ts";
export type {
  CaughtUp,
  HistoryRoom,
  JoinOptions,
  NoticeOptions,
  Past,
  Room,
  RoomOptions,
  Said,
} from "./src/cluster/room.ts";
