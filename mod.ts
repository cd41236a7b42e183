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

export { broadcast } from "./src/broadcast.ts";
export type { Call, CallOptions } from "./src/call.ts";
export type {
  CannotTravel,
  HasMethod,
  IsAny,
  Marshaled,
  MethodName,
  MethodOf,
  OtherName,
  ParamsByName,
  ParamsFor,
  ParamsOf,
  Remote,
  RemoteParam,
  RemoteParams,
  RemoteReference,
  RemoteResult,
  RemoteStream,
  RemoteValue,
  ResultOf,
  Scalar,
  UntypedRemote,
} from "./src/contract.ts";
export type { ConnectionState } from "./src/core.ts";
export {
  CloseCode,
  type CloseInfo,
  ConnectionClosedError,
  ErrorCode,
  type ErrorObject,
  RpcError,
} from "./src/error.ts";
export type {
  Asked,
  Capability,
  Extension,
  Lender,
  Link,
  Writing,
} from "./src/extension.ts";
export { defaultLimits, type Limits, serverLimits } from "./src/limits.ts";
export type { Id, Params, Version } from "./src/message.ts";
export type { Method } from "./src/method.ts";
export type { Definition, PeerOptions, PeerSettings } from "./src/options.ts";
export {
  type AnyPeer,
  Peer,
  type ServiceClass,
  type ServiceDefinition,
} from "./src/peer.ts";
export type { Socket, SocketEvent } from "./src/socket.ts";
export type { Trace, TraceContext } from "./src/trace.ts";
