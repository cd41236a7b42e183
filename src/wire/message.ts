/**
 * The wire format: text in, a request, notification, response or invalid
 * message out, and back, in the three versions of JSON-RPC that this peer
 * speaks. Pure: it knows no socket, no clock and no pending calls.
 *
 * @see {@link https://www.jsonrpc.org/specification} for 2.0
 * @see {@link https://www.jsonrpc.org/specification_v1} for 1.0
 *
 * @module
 */

import { ErrorCode, type ErrorObject, RpcError } from "./error.ts";
import type { Limits } from "./limits.ts";

/**
 * A version of JSON-RPC: `"2.0"`; `"1.0"`, whose responses have both `result`
 * and `error`, whose params are an array and whose notifications have id null;
 * or `"bare"`, which is 2.0 without the member `jsonrpc`, as Chrome DevTools
 * speaks it.
 */
export type Version = "2.0" | "1.0" | "bare";

/**
 * The id that ties a response to its request, as its sender wrote it.
 *
 * @see {@link https://www.jsonrpc.org/specification#request_object}
 */
export type Id = string | number | null;

/**
 * The params of a call: by position (an array) or by name (an object).
 *
 * @see {@link https://www.jsonrpc.org/specification#parameter_structures}
 */
export type Params = readonly unknown[] | object;

/** A call that wants a response. */
export interface Request {
  readonly type: "request";
  readonly version: Version;
  readonly id: Id;
  readonly method: string;
  readonly params: Params | undefined;
  /** The message itself, for what else it may say. */
  readonly source: object;
}

/** A call that is never answered. */
export interface Notification {
  readonly type: "notification";
  readonly version: Version;
  readonly id: undefined;
  readonly method: string;
  readonly params: Params | undefined;
  readonly source: object;
}

/** The answer to a request: an error, or else the result. */
export interface Response {
  readonly type: "response";
  readonly version: Version;
  /** `undefined` if it was absent or no id. */
  readonly id: Id | undefined;
  readonly result: unknown;
  /** `undefined` if absent or null; else as sloppy as its sender. */
  readonly error: unknown;
}

/** A frame, or a member of a batch, that is none of the three. */
export interface Invalid {
  readonly type: "invalid";
  /** `undefined` if it could not be told. */
  readonly version: Version | undefined;
  /** The id to answer with; `undefined` for a notification: no answer. */
  readonly id: Id | undefined;
  readonly code: number;
  readonly message: string;
}

/** What a frame, or a member of a batch, can be. */
export type Message = Request | Notification | Response | Invalid;

/** The version of a message that doesn't name one. */
export type UnnamedVersion = "1.0" | "bare";

/**
 * Reads what JSON made of a message.
 *
 * @param isInexact Says whether a number that is no safe integer lost digits, so
 * that an answer could not give it back.
 * @param source What to ask it of.
 */
export function readMessage<Source>(
  value: unknown,
  unnamed: UnnamedVersion,
  limits: Limits,
  isInexact: (id: number, source: Source) => boolean,
  source: Source,
): Message {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return invalid(undefined, null);
  }
  const { jsonrpc, id, method } = value as { [member: string]: unknown };
  const version = jsonrpc === "2.0"
    ? "2.0"
    : jsonrpc === undefined
    ? unnamed
    : jsonrpc === "1.0"
    ? "1.0"
    : undefined;

  if (method === undefined) {
    const { result, error } = value as { result?: unknown; error?: unknown };
    if (id !== undefined || result !== undefined || error !== undefined) {
      return {
        type: "response",
        version: version ?? "2.0",
        id: isId(id) ? id : undefined,
        result,
        error: error === null ? undefined : error,
      };
    }
  }

  if (id !== undefined) {
    const refusal = Number.isSafeInteger(id) || id === null
      ? undefined
      : typeof id === "string"
      ? id.length > limits.idLength &&
        `id has ${id.length} of at most ${limits.idLength} characters`
      : typeof id !== "number"
      ? "id must be a string, a number or null"
      : isInexact(id, source) &&
        "id must be a number that comes back as it was written";
    if (refusal) return invalid(version, null, refusal);
  }
  // 1.0 says "no response wanted" with null, 2.0 by leaving the id out.
  const answerTo = version !== "2.0" && version !== undefined && id === null
    ? undefined
    : id as Id | undefined;

  if (version === undefined) {
    return invalid(undefined, answerTo ?? null, 'jsonrpc must be "2.0"');
  }
  if (typeof method !== "string") {
    return invalid(
      jsonrpc === undefined ? undefined : version,
      answerTo ?? null,
      "method must be a string",
    );
  }
  if (method.length > limits.methodLength) {
    return invalid(
      version,
      answerTo,
      `method has ${method.length} of at most ${limits.methodLength} characters`,
    );
  }
  let { params } = value as { params?: unknown };
  if (params === null) params = undefined;
  if (params !== undefined && typeof params !== "object") {
    return invalid(
      version,
      answerTo,
      "params must be an array or an object",
    );
  }
  return answerTo === undefined
    ? {
      type: "notification",
      version,
      id: undefined,
      method,
      params: params as Params | undefined,
      source: value,
    }
    : {
      type: "request",
      version,
      id: answerTo,
      method,
      params: params as Params | undefined,
      source: value,
    };
}

/** What is no message, and why, in the words that its sender is told. */
export function invalid(
  version: Version | undefined,
  id: Id | undefined,
  why?: string,
): Invalid {
  return {
    type: "invalid",
    version,
    id,
    code: ErrorCode.InvalidRequest,
    message: why === undefined ? "Invalid Request" : `Invalid Request: ${why}`,
  };
}

/** A frame of which nothing can be told. */
export function unreadable(code: number, message: string): Invalid {
  return { type: "invalid", version: undefined, id: null, code, message };
}

function isId(value: unknown): value is Id {
  return typeof value === "number" || typeof value === "string" ||
    value === null;
}

/**
 * Makes an error out of whatever a peer put in a response's `error`: the
 * specification's object, a string, or an object without a code. What the
 * error's own fields can't hold is kept in `data`, the code is then 0.
 */
export function readError(error: unknown): RpcError {
  if (typeof error === "string") return new RpcError(0, error);
  if (typeof error !== "object" || error === null) {
    return new RpcError(0, "Unknown error", error);
  }
  const { code, message, data } = error as { [member: string]: unknown };
  const text = typeof message === "string" ? message : "Unknown error";
  return Number.isInteger(code)
    ? new RpcError(code as number, text, data ?? undefined)
    : new RpcError(0, text, error);
}

/**
 * Writes the params of a call, or `undefined` if there are none.
 *
 * @throws {TypeError} The params can't be written as a JSON array or object.
 */
export function writeParams(
  version: Version,
  params: Params | undefined,
): string | undefined {
  if (params === undefined) return version === "1.0" ? "[]" : undefined;
  if (typeof params !== "object" || params === null) {
    throw new TypeError(
      `params must be an array or an object, got ${
        params === null ? "null" : typeof params
      }`,
    );
  }
  if (version === "1.0" && !Array.isArray(params)) {
    throw new TypeError("JSON-RPC 1.0 has no params by name, pass an array");
  }
  const text: string | undefined = JSON.stringify(params);
  // An object may write itself as something else, a Date as a string.
  const first = text?.charCodeAt(0);
  if (first !== 0x5b /* [ */ && first !== 0x7b /* { */) {
    throw new TypeError(`params must be an array or an object, got ${text}`);
  }
  return text;
}

// The envelopes are concatenated around what is already text: members are never
// serialized twice (bench/ shows what that saves).

/** What a call of a method begins with. */
interface Head {
  /** The method's name, quoted. */
  readonly name: string;
  /** All that comes before its params, in version 2.0. */
  readonly text: string;
}

// A program calls few names often, and to quote one costs as much as the rest of
// the envelope (bench/). Bounded, because names may be made at run time.
const heads = new Map<string, Head>();

function headOf(method: string): Head {
  let head = heads.get(method);
  if (head === undefined) {
    const name = JSON.stringify(method);
    head = { name, text: `{"jsonrpc":"2.0","method":${name},"params":` };
    // Handles are part of names that don't come back, and long ones may be a peer's.
    if (
      heads.size < 1_024 && method.length <= 256 &&
      !method.startsWith("$/invokeProxy/")
    ) heads.set(method, head);
  }
  return head;
}

/** Writes a request; `params` as {@linkcode writeParams} wrote them. */
export function writeRequest(
  version: Version,
  id: number,
  method: string,
  params: string | undefined,
): string {
  const { name, text } = headOf(method);
  if (version === "1.0") {
    return `{"id":${id},"method":${name},"params":${params}}`;
  }
  if (version === "2.0") {
    return params === undefined
      ? `{"jsonrpc":"2.0","method":${name},"id":${id}}`
      : `${text}${params},"id":${id}}`;
  }
  return params === undefined
    ? `{"method":${name},"id":${id}}`
    : `{"method":${name},"params":${params},"id":${id}}`;
}

/** Writes a notification; `params` as {@linkcode writeParams} wrote them. */
export function writeNotification(
  version: Version,
  method: string,
  params: string | undefined,
): string {
  const { name, text } = headOf(method);
  if (version === "1.0") {
    return `{"id":null,"method":${name},"params":${params}}`;
  }
  if (version === "2.0") {
    return params === undefined
      ? `{"jsonrpc":"2.0","method":${name}}`
      : `${text}${params}}`;
  }
  return params === undefined
    ? `{"method":${name}}`
    : `{"method":${name},"params":${params}}`;
}

/** Writes a result; `undefined` where JSON has no word for it. */
export function writeValue(value: unknown): string | undefined {
  // A number is its own text, and not to be looked for in anything (bench/).
  return Number.isFinite(value) ? `${value}` : JSON.stringify(value);
}

/** Writes a response with a result, which is JSON text already. */
export function writeResult(version: Version, id: Id, result: string): string {
  const idText = typeof id === "number" ? id : JSON.stringify(id);
  if (version === "2.0") {
    return `{"jsonrpc":"2.0","result":${result},"id":${idText}}`;
  }
  return version === "1.0"
    ? `{"id":${idText},"result":${result},"error":null}`
    : `{"result":${result},"id":${idText}}`;
}

/**
 * Writes a response with an error.
 *
 * @param asString In version 1.0, write only the error's message, as a string.
 * @throws {TypeError} The error's `data` can't be written.
 */
export function writeError(
  version: Version,
  id: Id,
  error: ErrorObject,
  asString = false,
): string {
  const idText = JSON.stringify(id);
  if (version === "1.0") {
    const text = JSON.stringify(asString ? error.message : error);
    return `{"id":${idText},"result":null,"error":${text}}`;
  }
  const head = version === "2.0" ? '{"jsonrpc":"2.0","error":' : '{"error":';
  return `${head}${JSON.stringify(error)},"id":${idText}}`;
}

/** A param of one of the protocol's own methods, which come either way. */
export function readParam(
  params: Params | undefined,
  name: string,
  index: number,
): unknown {
  const key = Array.isArray(params) ? index : name;
  return (params as { [key: string | number]: unknown } | undefined)?.[key];
}
