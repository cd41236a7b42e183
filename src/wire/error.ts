/**
 * The error codes of JSON-RPC, the close codes of WebSocket, and the two errors
 * that callers meet.
 *
 * @see {@link https://www.jsonrpc.org/specification#error_object}
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-7.4}
 *
 * @module
 */

/**
 * Error codes that this protocol gives a meaning to. The range -32768 to
 * -32000 is reserved; applications use any other integer.
 *
 * -32700 and those from -32603 to -32600 are the specification's own, those from
 * -32052 to -32050 this protocol's. The others are shared with peers that used
 * them first: Microsoft's StreamJsonRpc (-32001), EIP-1474 (-32005), jsonrpsee
 * (-32006 to -32010), the Language Server Protocol (-32800).
 *
 * @see {@link https://www.jsonrpc.org/specification#error_object}
 */
export const ErrorCode: {
  /** The text is not JSON. */
  readonly ParseError: -32700;
  /** The JSON is not a request that can be answered. */
  readonly InvalidRequest: -32600;
  /** No method of that name may be called. */
  readonly MethodNotFound: -32601;
  /** The method can't be called with these params. */
  readonly InvalidParams: -32602;
  /** The method failed in a way that is its owner's business. */
  readonly InternalError: -32603;
  /** The stream or reference is unknown, or was released. */
  readonly UnknownToken: -32001;
  /** Too many calls for now; `data.retryAfterMs` says when to try again. */
  readonly RateLimited: -32005;
  /** Too many streams or references are open. */
  readonly TooManyStreams: -32006;
  /** The request is longer than the callee accepts. Only read, never sent. */
  readonly RequestTooLarge: -32007;
  /** The response is longer than its sender may write. */
  readonly ResponseTooLarge: -32008;
  /** Busy or shutting down; the method was not executed. */
  readonly Busy: -32009;
  /** The batch has too many members; none was executed. */
  readonly BatchTooLarge: -32010;
  /** The caller has not said who it is. */
  readonly Unauthenticated: -32050;
  /** The caller may not do this. */
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
 * Close codes that this protocol gives a meaning to: those of RFC 6455 and the
 * private range 4000 to 4999.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1}
 */
export const CloseCode: {
  /** Done. */
  readonly Normal: 1000;
  /** The page or the server goes away. */
  readonly GoingAway: 1001;
  /** A close frame without a code. Only read, never sent. */
  readonly NoStatus: 1005;
  /** Cut without a close frame. Only read, never sent. */
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
  /** No sign of life in time. */
  readonly HeartbeatLost: 4009;
  /** A newer connection took this one's place. */
  readonly Replaced: 4010;
  /** What arrived is not the protocol. */
  readonly BadProtocol: 4400;
  /** The caller has not said who it is. */
  readonly Unauthenticated: 4401;
  /** The caller may not connect. */
  readonly Forbidden: 4403;
  /** The caller did not say in time who it is. */
  readonly AuthorizationTimeout: 4408;
  /** A request id was used twice at a time. Only read, never sent. */
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
  /** Anything JSON can say about the error; absent if `undefined`. */
  readonly data?: unknown;
}

// Brands, by which an error of another copy of this package is known: of `/slim`
// beside the whole one, of two versions in one program.
const isRpcError = /* @__PURE__ */ Symbol.for("@jsonrpcws/peer RpcError");
const isClosedError = /* @__PURE__ */ Symbol.for(
  "@jsonrpcws/peer ConnectionClosedError",
);

/** Gives an error a property that is neither shown, compared nor written. */
export function hide(
  error: object,
  key: string | symbol,
  value: unknown,
): void {
  Object.defineProperty(error, key, { value, configurable: true });
}

/** Whether a value has the brand of a class, or is an instance of a subclass. */
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
    return false; // A proxy, which may be revoked: what is thrown may be anything.
  }
}

/**
 * An error that travels: thrown by a method it reaches the caller as it is, and
 * a call rejects with it when the response carries an error object.
 *
 * Whatever else a method throws reaches the caller as a bare -32603 "Internal
 * error", so nothing leaks by accident.
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
  /** An integer; see {@linkcode ErrorCode}. 0 if the peer's error had none. */
  declare readonly code: number;
  /** What else the error's author had to say; `undefined` if nothing. */
  declare readonly data: unknown;
  /**
   * The method that was called, of an error that a call rejected with. Not a part of
   * its JSON. Such an error has the stack of whoever awaits the call, where the
   * engine tells of that: V8 does.
   */
  declare readonly method?: string;

  /** Whether it is one: of this copy of the package, or of another. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, RpcError, isRpcError, value);
  }

  /**
   * Makes an error to throw from a method.
   *
   * @param code An integer outside -32768 to -32000, unless it means what
   * {@linkcode ErrorCode} says.
   * @param message One sentence for a person.
   * @param data Anything JSON can say; absent on the wire if `undefined`.
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
  /** The close code: this side's if it closed, else the peer's. 1006: cut. */
  readonly code: number;
  /** The close reason; `""` if none was given. */
  readonly reason: string;
  /** Whether it was closed by one of the peers rather than cut. */
  readonly wasClean: boolean;
  /**
   * In how many milliseconds this side tries to connect again; absent: never.
   */
  readonly retryIn?: number;
}

/**
 * A call's connection closed before its response came. Read `sent` to know
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
  /** Whether the call was marked so: it may be made again even if it was sent. */
  declare readonly idempotent: boolean;

  /** Whether it is one: of this copy of the package, or of another. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, ConnectionClosedError, isClosedError, value);
  }

  /**
   * Makes the error that a call rejects with.
   *
   * @param message What could not be done.
   * @param info How the connection ended.
   * @param sent Whether the request had been handed to the socket.
   * @param options `cause`: the socket's own error, where it gave one.
   * `idempotent`: whether the call was marked so.
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

/** Words of others in one line, so that they neither fill a log nor forge it. */
function inLine(text: string): string {
  return text.slice(0, 200).replace(
    /[\p{Cc}\p{Zl}\p{Zp}]/gu,
    (character) =>
      `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
