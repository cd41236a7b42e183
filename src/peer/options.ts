/**
 * The options of a peer: a definition of what it does, and settings of how it
 * speaks.
 *
 * @module
 */

import type { CloseInfo, RpcError } from "../wire/error.ts";
import type { Limits } from "../wire/limits.ts";
import type { FailedAttempt, ReconnectOptions } from "../line/retry.ts";
import type { ErrorContext, First } from "./call.ts";
import type { Trace } from "./trace.ts";
import type { Version } from "../wire/message.ts";

/**
 * A service as a plain object: what the other side may call, and what happens
 * when the connection opens and closes. Every member may be left out.
 */
export interface Definition {
  /** What the other side may call; see {@linkcode Peer.local}. */
  local?: object | { readonly [name: string]: unknown };
  /** See {@linkcode Peer.onopen}. */
  onopen?(first: First): void | Promise<void>;
  /** See {@linkcode Peer.onresume}. */
  onresume?(first: First): void | Promise<void>;
  /** See {@linkcode Peer.onclose}. */
  onclose?(event: CloseInfo): void | Promise<void>;
  /** See {@linkcode Peer.onattempt}. */
  onattempt?(failed: FailedAttempt): void | Promise<void>;
  /** See {@linkcode Peer.onerror}. */
  onerror?(error: unknown, context: ErrorContext): void | Promise<void>;
  /** See {@linkcode Peer.oninvalid}. */
  oninvalid?(text: string, error: RpcError): boolean | void;
}

/** The settings of a peer: how it speaks and what it takes. */
export interface PeerSettings {
  /**
   * The version of what this side sends of itself. Default: 2.0, until the
   * first message that arrives is one of 1.0. A response always has the version
   * of its request.
   */
  version?: Version;
  /**
   * Whether errors in JSON-RPC 1.0 are written as their message alone, a
   * string, as some 1.0 peers require. Default `false`: as an error object.
   */
  stringErrors?: boolean;
  /**
   * Whether the ids of this side's requests are written as strings, `"1"`, as some
   * servers require. Default `false`: as numbers. A response may have either.
   */
  stringIds?: boolean;
  /**
   * Whether messages may share a frame, which makes many of them at a time several
   * times as fast. The other side must do the same: a client offers the
   * subprotocol `jsonrpcws.v1`, and does it once the server has shown that it knows
   * what that is; a server selects it where it is offered. A peer that was given
   * its socket, not how to make one, does it at once. Never with `version` 1.0.
   * Default `false`, on a server `true`.
   */
  sharedFrames?: boolean;
  /**
   * Milliseconds that a call may go without a sign of life before it is cancelled
   * and rejects with a `TimeoutError`, a sixteenth more at most; see `timeout` of
   * {@linkcode CallOptions}. Default 60,000. `Infinity`: for ever.
   */
  timeout?: number;
  /**
   * Takes part in distributed traces. Default: it doesn't, and what calls say of
   * theirs is ignored.
   */
  trace?: Trace;
  /**
   * Answers `rpc.discover`, from what may be called; see `describe` of
   * `@jsonrpcws/peer/discovery`. Default: there is no such method.
   */
  discover?: (this: void, local: object) => unknown;
  /**
   * Limits that differ from {@linkcode defaultLimits}, on a server from
   * {@linkcode serverLimits}. 0 is zero, `Infinity` is no limit.
   */
  limits?: Partial<Limits>;
}

/** The settings of a peer that makes its sockets. */
export interface LineSettings {
  /**
   * How to replace a connection that is lost, or `false`: not at all. Default:
   * for ever, after a random delay of at most half a second, and of twice as much
   * after each attempt that fails, up to 30 seconds; at once when the network
   * comes back or the page is looked at.
   *
   * A connection is lost if it was cut, or closed with one of the codes that mean
   * trouble of the moment (PROTOCOL.md, "Close codes"); any other code is final,
   * and so is an HTTP status 403, 404 or 410, where the socket knows it, or a second
   * 401. `when` decides otherwise.
   */
  reconnect?: boolean | ReconnectOptions;
  /**
   * Milliseconds that an attempt to connect may take, with the time of the
   * functions that it asks. Default 20,000. `Infinity`: for ever.
   */
  handshakeTimeout?: number;
}

/**
 * The options of a peer, a definition and settings in one; a subclass hands them
 * on to `super`.
 */
export interface PeerOptions<Context = unknown>
  extends PeerSettings, LineSettings, Definition {
  /** The peer's {@linkcode Peer.context}. Default `undefined`. */
  context?: Context;
  /**
   * Whether the socket that it is given had a peer before, which is gone while the
   * connection lives on: {@linkcode Peer.onresume} is called, not `onopen`. Default
   * `false`.
   */
  resumed?: boolean;
}

/**
 * The members that only a class or a peer has: who gives one of those for a
 * definition is told so.
 */
export interface NoPeer {
  /** Never: a class goes first, and has its settings behind it. */
  prototype?: never;
  /** Never: a peer has its connection. Give its class, or a definition. */
  closed?: never;
}

/**
 * What a peer can do beside calls, as `use` of `@jsonrpcws/peer/slim` lists it:
 * `streams`, `references`.
 */
export interface Part {
  /** The name of the part. */
  readonly name: string;
}
