/**
 * JSON-RPC over WebSockets where both ends are equal: each exposes methods and
 * calls the other's, in JSON-RPC 2.0 and 1.0, over anything with the WebSocket
 * interface.
 *
 * This module has the peer, which is one end of a connection. `connect` of
 * `@jsonrpcws/peer/client` makes one for a client, and `serve` of
 * `@jsonrpcws/peer/server` (Deno), `/node`, `/bun` or `/workers` one for each
 * connection of a server. `/slim` is the small client, `/cluster` many servers
 * as one, `/testing` a pair of sockets in memory.
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

import "./src/presets/graph.ts";
import "./src/peer/observers.ts";

// The peer, its options and its parts.
export { Peer, type ServiceClass } from "./src/presets/everything.ts";
export type { AnyPeer, BasePeer, theirs, TheirsOf } from "./src/peer/base.ts";
export type {
  Definition,
  LineSettings,
  NoPeer,
  Part,
  PeerOptions,
  PeerSettings,
} from "./src/peer/options.ts";
export { streams } from "./src/parts/streams.ts";
export {
  marshal,
  type MarshalOptions,
  references,
} from "./src/parts/references.ts";

// Calls: their options, and what a method reads of them.
export type {
  Call,
  CallOptions,
  ErrorContext,
  First,
} from "./src/peer/call.ts";
export type { Trace, TraceContext } from "./src/peer/trace.ts";

// Methods that are validated, guarded, or take plain data.
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
export { guard, type Verdict } from "./src/methods/guard.ts";
export {
  type NoData,
  plain,
  type PlainParam,
  type PlainParams,
} from "./src/methods/plain.ts";

// Notifications to many peers, and as iterables; streams over lost connections.
export { broadcast } from "./src/events/broadcast.ts";
export {
  ethereum,
  type EventOptions,
  type Events,
  type NotificationOptions,
  notifications,
  subscribe,
  type SubscriptionMethods,
} from "./src/events/subscriptions.ts";
export { resume } from "./src/events/resume.ts";

// Connections: sockets, states, reconnection.
export type { Socket, SocketEvent, SocketMaker } from "./src/line/socket.ts";
export type { ConnectionState } from "./src/peer/core.ts";
export type { ConnectionStatus, ConnectionStore } from "./src/parts/status.ts";
export type { FailedAttempt, ReconnectOptions } from "./src/line/retry.ts";

// The wire: errors, codes, limits, members of messages.
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

// Types: how one side sees the other's `local`.
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
