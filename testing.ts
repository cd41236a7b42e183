/**
 * Two sockets in memory that are connected to each other: for tests without a
 * network.
 *
 * ```ts
 * import { Peer } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 * const local = { add: (a: number, b: number) => a + b };
 * await using server = new Peer(left, { local });
 * await using client = new Peer<typeof local>(right);
 *
 * assertEquals(await client.remote.add(1, 2), 3);
 * ```
 *
 * @see {@link https://websockets.spec.whatwg.org/#the-websocket-interface}
 *
 * @module
 */

export {
  MemorySocket,
  socketPair,
  type SocketPairOptions,
} from "./src/line/socket_pair.ts";
export type { Socket, SocketEvent } from "./src/line/socket.ts";
