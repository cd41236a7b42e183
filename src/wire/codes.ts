/**
 * The codes that a peer sends or compares, one constant each: a bundler inlines the
 * numbers and leaves out the tables of all codes.
 *
 * @module
 */

import type { CloseCode, ErrorCode } from "./error.ts";

type Codes = typeof ErrorCode;

export const unknownToken: Codes["UnknownToken"] = -32001;
export const tooManyStreams: Codes["TooManyStreams"] = -32006;
export const handlerTimeout: Codes["HandlerTimeout"] = -32052;
export const parseError: Codes["ParseError"] = -32700;
export const invalidRequest: Codes["InvalidRequest"] = -32600;
export const methodNotFound: Codes["MethodNotFound"] = -32601;
export const invalidParams: Codes["InvalidParams"] = -32602;
export const internalError: Codes["InternalError"] = -32603;
export const requestTooLarge: Codes["RequestTooLarge"] = -32007;
export const responseTooLarge: Codes["ResponseTooLarge"] = -32008;
export const busy: Codes["Busy"] = -32009;
export const batchTooLarge: Codes["BatchTooLarge"] = -32010;
export const rateLimited: Codes["RateLimited"] = -32005;
export const unauthenticated: Codes["Unauthenticated"] = -32050;
export const cancelled: Codes["Cancelled"] = -32800;

export const messageTooBig: (typeof CloseCode)["MessageTooBig"] = 1009;
export const slowConsumer: (typeof CloseCode)["SlowConsumer"] = 4008;
export const heartbeatLost: (typeof CloseCode)["HeartbeatLost"] = 4009;
export const tooManyRequests: (typeof CloseCode)["TooManyRequests"] = 4429;
export const badProtocol: (typeof CloseCode)["BadProtocol"] = 4400;
export const closedForError: (typeof CloseCode)["InternalError"] = 1011;
export const closedUnauthenticated: (typeof CloseCode)["Unauthenticated"] =
  4401;
export const closedForbidden: (typeof CloseCode)["Forbidden"] = 4403;
