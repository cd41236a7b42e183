/**
 * JSON-RPC over WebSockets where both ends are equal: each exposes methods and
 * calls the other's, in JSON-RPC 2.0 and 1.0, over anything with the WebSocket
 * interface.
 *
 * Servers are in `@jsonrpcws/peer/server` (Deno), `/node`, `/bun` and `/workers`;
 * the client in `@jsonrpcws/peer/client`; an in-memory socket pair for tests in
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
export type {
  Call,
  CallOptions,
  ErrorContext,
  First,
} from "./src/peer/call.ts";
export type {
  AsyncReleasable,
  CannotTravel,
  DefiniteParams,
  HasGap,
  HasMethod,
  IsAny,
  IsError,
  IsInstance,
  Json,
  Marshaled,
  MethodName,
  MethodOf,
  ObjectName,
  OptionalParams,
  OtherName,
  OwnName,
  ParamsByName,
  ParamsFor,
  ParamsOf,
  PassedParams,
  PassedPrefix,
  PassedStream,
  Releasable,
  Remote,
  RemoteItem,
  RemoteItemParams,
  RemoteItems,
  RemoteMember,
  RemoteMemberParam,
  RemoteParam,
  RemoteParams,
  RemoteReference,
  RemoteResult,
  RemoteStream,
  RemoteStreamItem,
  RemoteValue,
  ResultOf,
  Scalar,
  UntypedMethod,
  UntypedRemote,
  Unwritable,
} from "./src/peer/contract.ts";
export type { ConnectionState } from "./src/peer/core.ts";
export type {
  Definition,
  LineSettings,
  NoPeer,
  Part,
  PeerOptions,
  PeerSettings,
} from "./src/peer/options.ts";
export type { AnyPeer, BasePeer, theirs, TheirsOf } from "./src/peer/base.ts";
export { Peer, type ServiceClass } from "./src/presets/everything.ts";
export { guard, type Verdict } from "./src/methods/guard.ts";
export {
  type NoData,
  plain,
  type PlainParam,
  type PlainParams,
} from "./src/methods/plain.ts";
export {
  type AnyOf,
  type Declaration,
  type DeclaredMethod,
  type DeclaredResult,
  type Issue,
  method,
  type OptionalTail,
  type ParameterSchemas,
  type Repeat,
  type Returnable,
  type SchemaInput,
  type SchemaInputs,
  type SchemaIssue,
  type SchemaOf,
  type SchemaOutput,
  type SchemaOutputs,
  type SchemaResult,
  type StandardSchema,
  type Widened,
} from "./src/methods/schema.ts";
export {
  marshal,
  type MarshalOptions,
  references,
} from "./src/parts/references.ts";
export { resume } from "./src/events/resume.ts";
export { streams } from "./src/parts/streams.ts";
export {
  ethereum,
  type EventOptions,
  type Events,
  type NotificationOptions,
  notifications,
  subscribe,
  type SubscriptionMethods,
} from "./src/events/subscriptions.ts";
export type { Trace, TraceContext } from "./src/peer/trace.ts";
export type { FailedAttempt, ReconnectOptions } from "./src/line/retry.ts";
export type { ConnectionStatus, ConnectionStore } from "./src/parts/status.ts";
export type { Socket, SocketEvent, SocketMaker } from "./src/line/socket.ts";
export {
  CloseCode,
  type CloseInfo,
  ConnectionClosedError,
  ErrorCode,
  type ErrorObject,
  RpcError,
} from "./src/wire/error.ts";
export {
  clientLimits,
  defaultLimits,
  type Limits,
  serverLimits,
} from "./src/wire/limits.ts";
export type { Id, Members, Params, Version } from "./src/wire/message.ts";
