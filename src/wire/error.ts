/**
 * The error codes of JSON-RPC, the close codes of WebSocket, and the two classes of
 * errors that calls reject with.
 *
 * @see {@link https://www.jsonrpc.org/specification#error_object}
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-7.4}
 *
 * @module
 */

/**
 * The error codes that have a meaning here. The range -32768 to -32000 is reserved;
 * applications use any other integer.
 *
 * -32700 and -32603 to -32600 are defined by the specification, -32052 to -32050 by
 * this protocol. The others are taken from peers that used them first: Microsoft's
 * StreamJsonRpc (-32001), EIP-1474 (-32005), jsonrpsee (-32006 to -32010), the
 * Language Server Protocol (-32800).
 *
 * @see {@link https://www.jsonrpc.org/specification#error_object}
 */
export const ErrorCode: {
  /** The text is not JSON. */
  readonly ParseError: -32700;
  /** The JSON is no valid request. */
  readonly InvalidRequest: -32600;
  /** There is no method of that name. */
  readonly MethodNotFound: -32601;
  /** The method can't be called with these params. */
  readonly InvalidParams: -32602;
  /** The method failed; the reason is told only to its owner's `onerror`. */
  readonly InternalError: -32603;
  /** The stream or reference is unknown, or was released. */
  readonly UnknownToken: -32001;
  /** Too many calls in a short time; `data.retryAfterMs` is the time to wait. */
  readonly RateLimited: -32005;
  /** Too many streams or references are open. */
  readonly TooManyStreams: -32006;
  /** The request is longer than the callee accepts. Only read, never sent. */
  readonly RequestTooLarge: -32007;
  /** The response is longer than its sender's limit. */
  readonly ResponseTooLarge: -32008;
  /** Busy or shutting down; the method was not executed. */
  readonly Busy: -32009;
  /** The batch has too many members; none was executed. */
  readonly BatchTooLarge: -32010;
  /** The caller has not signed in. */
  readonly Unauthenticated: -32050;
  /** The caller is known, but may not do this. */
  readonly Forbidden: -32051;
  /** The method took longer than its owner allows. */
  readonly HandlerTimeout: -32052;
  /** The call was cancelled by its caller. */
  readonly Cancelled: -32800;
} = {
  ParseError: -32700,
  InvalidRequest: -32600,
  MethodNotFound: -32601,
  InvalidParams: -32602,
  InternalError: -32603,
  UnknownToken: -32001,
  RateLimited: -32005,
  TooManyStreams: -32006,
  RequestTooLarge: -32007,
  ResponseTooLarge: -32008,
  Busy: -32009,
  BatchTooLarge: -32010,
  Unauthenticated: -32050,
  Forbidden: -32051,
  HandlerTimeout: -32052,
  Cancelled: -32800,
};

/**
 * The close codes that have a meaning here: codes of RFC 6455, and of the private
 * range 4000 to 4999.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1}
 */
export const CloseCode: {
  /** The connection has done its work. */
  readonly Normal: 1000;
  /** The page or the server goes away. */
  readonly GoingAway: 1001;
  /** The close frame had no code. Only read, never sent. */
  readonly NoStatus: 1005;
  /** The connection was cut without a close frame. Only read, never sent. */
  readonly Abnormal: 1006;
  /** A message was longer than the receiver accepts. */
  readonly MessageTooBig: 1009;
  /** The server failed. */
  readonly InternalError: 1011;
  /** The server restarts. */
  readonly ServiceRestart: 1012;
  /** The server is overloaded. */
  readonly TryAgainLater: 1013;
  /** The receiver reads too slowly. */
  readonly SlowConsumer: 4008;
  /** The peer gave no sign of life in time. */
  readonly HeartbeatLost: 4009;
  /** A newer connection took this one's place. */
  readonly Replaced: 4010;
  /** Too many messages were no JSON-RPC. */
  readonly BadProtocol: 4400;
  /** The caller has not signed in. */
  readonly Unauthenticated: 4401;
  /** The caller may not connect. */
  readonly Forbidden: 4403;
  /** The caller did not sign in in time. */
  readonly AuthorizationTimeout: 4408;
  /** Two requests at a time had the same id. Only read, never sent. */
  readonly DuplicateId: 4409;
  /** Too many messages. */
  readonly TooManyRequests: 4429;
} = {
  Normal: 1000,
  GoingAway: 1001,
  NoStatus: 1005,
  Abnormal: 1006,
  MessageTooBig: 1009,
  InternalError: 1011,
  ServiceRestart: 1012,
  TryAgainLater: 1013,
  SlowConsumer: 4008,
  HeartbeatLost: 4009,
  Replaced: 4010,
  BadProtocol: 4400,
  Unauthenticated: 4401,
  Forbidden: 4403,
  AuthorizationTimeout: 4408,
  DuplicateId: 4409,
  TooManyRequests: 4429,
};

/**
 * The error object of the wire.
 *
 * @see {@link https://www.jsonrpc.org/specification#error_object}
 */
export interface ErrorObject {
  /** An integer; see {@linkcode ErrorCode}. */
  readonly code: number;
  /** One sentence for a person. */
  readonly message: string;
  /** Any JSON value; absent if `undefined`. */
  readonly data?: unknown;
}

// Brands that make `instanceof` work for errors of another copy of this package:
// `/slim` beside the whole one, or two versions in one program.
const isRpcError = /* @__PURE__ */ Symbol.for("@jsonrpcws/peer RpcError");
const isClosedError = /* @__PURE__ */ Symbol.for(
  "@jsonrpcws/peer ConnectionClosedError",
);

/**
 * Adds a property that isn't enumerable: it is neither logged, compared nor written
 * as JSON.
 */
export function hide(
  error: object,
  key: string | symbol,
  value: unknown,
): void {
  Object.defineProperty(error, key, { value, configurable: true });
}

/**
 * The implementation of `instanceof`: for the branded class by its brand, for a
 * subclass by the prototype.
 */
export function isInstance(
  Class: unknown,
  Branded: unknown,
  brand: symbol,
  value: unknown,
): boolean {
  if (typeof value !== "object" || value === null) return false;
  try {
    return Class === Branded
      ? (value as { readonly [brand: symbol]: unknown })[brand] === true
      : Function.prototype[Symbol.hasInstance].call(Class, value);
  } catch {
    return false; // A method may throw anything, even a revoked proxy.
  }
}

/**
 * An error that is sent to the caller: a method throws it, and the call on the
 * other side rejects with the same code, message and data.
 *
 * Anything else that a method throws becomes -32603 "Internal error", without its
 * message, so that nothing leaks by accident.
 *
 * ```ts
 * import { RpcError } from "@jsonrpcws/peer";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new RpcError(409, "Name is taken", { name: "ann" });
 * assertEquals(
 *   JSON.stringify(error),
 *   '{"code":409,"message":"Name is taken","data":{"name":"ann"}}',
 * );
 * ```
 *
 * @see {@link https://www.jsonrpc.org/specification#error_object}
 */
export class RpcError extends Error implements ErrorObject {
  /** "RpcError". */
  override readonly name = "RpcError";
  /**
   * An integer; see {@linkcode ErrorCode}. 0 if the peer's error had no integer
   * code.
   */
  declare readonly code: number;
  /** More about the error, any JSON value; `undefined` if absent. */
  declare readonly data: unknown;
  /**
   * The called method, if a call rejected with this error. Not a part of its JSON.
   * In V8 such an error has the stack of the code that awaits the call.
   */
  declare readonly method?: string;

  /** Whether a value is an instance, also one of another copy of this package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, RpcError, isRpcError, value);
  }

  /**
   * Makes an error to throw from a method.
   *
   * @param code An integer outside -32768 to -32000, or one of
   * {@linkcode ErrorCode} with its meaning.
   * @param message One sentence for a person.
   * @param data Any JSON value; absent on the wire if `undefined`.
   * @throws {RangeError} The code is not an integer.
   */
  constructor(code: number, message: string, data?: unknown) {
    if (!Number.isInteger(code)) {
      throw new RangeError(
        `Cannot create RpcError: code must be an integer, got ${code}`,
      );
    }
    super(message);
    this.code = code;
    this.data = data;
    hide(this, isRpcError, true);
  }

  /** The wire's error object: `code`, `message`, and `data` if there is any. */
  toJSON(): ErrorObject {
    const { code, message, data } = this;
    return { code, message, ...(data !== undefined && { data }) };
  }
}

/**
 * The end of a connection, in the words of the WebSocket standard's CloseEvent.
 *
 * @see {@link https://websockets.spec.whatwg.org/#the-closeevent-interface}
 */
export interface CloseInfo {
  /**
   * The close code, given by the side that closed; 1006 if the connection was cut.
   */
  readonly code: number;
  /** The close reason; `""` if none was given. */
  readonly reason: string;
  /** Whether there was a close handshake; `false` if the connection was cut. */
  readonly wasClean: boolean;
  /** Milliseconds until this side connects again; absent if it doesn't. */
  readonly retryIn?: number;
}

/**
 * The error of a call whose connection closed before its response came. `sent` says
 * whether the method may have run.
 */
export class ConnectionClosedError extends Error implements CloseInfo {
  /** "ConnectionClosedError". */
  override readonly name = "ConnectionClosedError";
  /** See {@linkcode CloseInfo.code}. */
  declare readonly code: number;
  /** See {@linkcode CloseInfo.reason}. */
  declare readonly reason: string;
  /** See {@linkcode CloseInfo.wasClean}. */
  declare readonly wasClean: boolean;
  /** See {@linkcode CloseInfo.retryIn}. */
  declare readonly retryIn?: number;
  /**
   * `false`: the request never left, so the method has not run. `true`: it was
   * handed to the socket; whether the method ran is unknown.
   */
  declare readonly sent: boolean;
  /**
   * Whether the call was marked `idempotent`: it may be made again even if it was
   * sent.
   */
  declare readonly idempotent: boolean;

  /** Whether a value is an instance, also one of another copy of this package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, ConnectionClosedError, isClosedError, value);
  }

  /**
   * Makes the error that a call rejects with.
   *
   * @param message The action that failed, such as "Cannot call add".
   * @param info The end of the connection.
   * @param sent Whether the request was handed to the socket.
   * @param options `cause`: the socket's own error, if it gave one. `idempotent`:
   * whether the call was marked so.
   */
  constructor(
    message: string,
    info: CloseInfo,
    sent: boolean,
    options?: { cause?: unknown; idempotent?: boolean },
  ) {
    const { code, reason, wasClean, retryIn } = info;
    const { cause } = options ?? {};
    const said = reason || (cause instanceof Error ? cause.message : "");
    const why = said && `, ${inLine(said)}`;
    super(`${message}: the connection is closed (code ${code}${why})`, options);
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
    if (retryIn !== undefined) this.retryIn = retryIn;
    this.sent = sent;
    this.idempotent = options?.idempotent ?? false;
    hide(this, isClosedError, true);
  }
}

/**
 * Text from the other side for an error's message: cut to 200 characters, control
 * characters escaped, so that it can't fill or forge a log.
 */
function inLine(text: string): string {
  return text.slice(0, 200).replace(
    /[\p{Cc}\p{Zl}\p{Zp}]/gu,
    (character) =>
      `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
