/**
 * JSON-RPC over WebSockets where both ends are equal: each exposes methods and
 * calls the other's, in JSON-RPC 2.0 and 1.0, over anything with the WebSocket
 * interface.
 *
 * The server is in `@jsonrpcws/peer/server`, the client in
 * `@jsonrpcws/peer/client`, an in-memory socket pair for tests in
 * `@jsonrpcws/peer/testing`.
 *
 * ```ts
 * import { Peer } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 * const local = { greet: (name: string) => `hi, ${name}` };
 * await using server = new Peer(left, { local });
 * await using client = new Peer<typeof local>(right);
 *
 * assertEquals(await client.remote.greet("ann"), "hi, ann");
 * ```
 *
 * @module
 */

export { broadcast } from "./src/events/broadcast.ts";
export { resume } from "./src/events/resume.ts";
export {
  ethereum,
  notifications,
  subscribe,
} from "./src/events/subscriptions.ts";
export type * from "./src/events/subscriptions.ts";
export { guard } from "./src/methods/guard.ts";
export { method } from "./src/methods/schema.ts";
export { marshal, references } from "./src/parts/references.ts";
export { streams } from "./src/parts/streams.ts";
export type { Call, CallOptions } from "./src/peer/call.ts";
export type * from "./src/peer/contract.ts";
export type { ConnectionState, Part } from "./src/peer/core.ts";
export {
  CloseCode,
  type CloseInfo,
  ConnectionClosedError,
  ErrorCode,
  type ErrorObject,
  RpcError,
} from "./src/wire/error.ts";
export { defaultLimits, type Limits, serverLimits } from "./src/wire/limits.ts";
export type { Id, Params, Version } from "./src/wire/message.ts";
export type { Method } from "./src/peer/methods.ts";
export type { Definition, PeerOptions, PeerSettings } from "./src/peer/options.ts";
export {
  Peer,
  type ServiceClass,
} from "./src/presets/everything.ts";
export type { AnyPeer } from "./src/peer/base.ts";
export type { Socket, SocketEvent, SocketMaker } from "./src/line/socket.ts";
export type { Trace, TraceContext } from "./src/peer/trace.ts";
