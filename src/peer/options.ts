/**
 * The options of a peer: a definition (methods and hooks) and settings.
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
 * A service as a plain object: its methods and hooks. Every member may be left out.
 */
export interface Definition {
  /** The methods that the other side may call; see {@linkcode Peer.local}. */
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

/** The settings of a peer. */
export interface PeerSettings {
  /**
   * The version of this side's calls. Default: 2.0, or 1.0 if the first message
   * that arrives is 1.0. A response always has the version of its request.
   */
  version?: Version;
  /**
   * Whether errors in JSON-RPC 1.0 are written as a string, the message, as some
   * 1.0 peers require. Default `false`: as an error object.
   */
  stringErrors?: boolean;
  /**
   * Whether the ids of this side's requests are written as strings, `"1"`, as some
   * servers require. Default `false`: as numbers. A response may have either.
   */
  stringIds?: boolean;
  /**
   * Whether messages may share a frame, which makes many messages at a time several
   * times as fast. Both sides must agree: a client offers the subprotocol
   * `jsonrpcws.v1`, and begins once the server has confirmed that it knows it; a
   * server selects it if it is offered. A peer that is given an open socket begins
   * at once. Never with `version` 1.0. Default `false`; on a server `true`.
   */
  sharedFrames?: boolean;
  /**
   * Milliseconds without a sign of life after which a call is cancelled and rejects
   * with a `TimeoutError`, at most a sixteenth later; see `timeout` of
   * {@linkcode CallOptions}. Default 60,000. `Infinity`: never.
   */
  timeout?: number;
  /**
   * Passes on distributed traces. Default: none are sent, and those of calls are
   * only read, see {@linkcode Call.trace}.
   */
  trace?: Trace;
  /**
   * Answers `rpc.discover` with a description of `local`; see `describe` of
   * `@jsonrpcws/peer/discovery`. Default: there is no such method.
   */
  discover?: (this: void, local: object) => unknown;
  /**
   * Limits of the connection. 0 is zero, `Infinity` is no limit. Default:
   * {@linkcode defaultLimits}, for a client {@linkcode clientLimits}, on a server
   * {@linkcode serverLimits}.
   */
  limits?: Partial<Limits>;
}

/** The settings of a peer that makes its sockets: a client. */
export interface LineSettings {
  /**
   * The rules for replacing a lost connection; `false`: it isn't replaced. Default:
   * attempts without end, after a random delay of at most half a second, whose
   * range doubles with each failed attempt up to 30 seconds; at once when the
   * network comes back or the page becomes visible.
   *
   * A connection is lost if it was cut, or closed with a code that means trouble of
   * the moment (PROTOCOL.md, "Close codes"). Any other code is final; so are the
   * HTTP statuses 403, 404 and 410, where the socket tells them, and a second 401.
   * `when` can decide otherwise.
   */
  reconnect?: boolean | ReconnectOptions;
  /**
   * Milliseconds that an attempt to connect may take, including the functions for
   * address, subprotocols and headers. Default 20,000. `Infinity`: no limit.
   */
  handshakeTimeout?: number;
}

/**
 * A peer's definition and settings in one object; a subclass passes them on to
 * `super`.
 */
export interface PeerOptions<Context = unknown>
  extends PeerSettings, LineSettings, Definition {
  /** The peer's {@linkcode Peer.context}. Default `undefined`. */
  context?: Context;
  /**
   * Whether the socket had another peer before, which is gone while the connection
   * is still open: {@linkcode Peer.onresume} is called instead of `onopen`. Default
   * `false`.
   */
  resumed?: boolean;
}

/** Excludes a class and a peer where a definition is expected. */
export interface NoPeer {
  /** Never: a class is an argument of its own, before its settings. */
  prototype?: never;
  /** Never: a peer has a connection already. Give its class, or a definition. */
  closed?: never;
}

/**
 * A part of a peer for the option `use` of `@jsonrpcws/peer/slim`: `streams` or
 * `references`.
 */
export interface Part {
  /** The name of the part. */
  readonly name: string;
}
