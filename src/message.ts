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

import { isDeeperThan } from "./depth.ts";
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
 * Reads one frame: a message, or the members of a batch in their order.
 *
 * Never throws: what can't be read is an {@linkcode Invalid}.
 *
 * @param text The frame's text.
 * @param unnamed What a message without the member `jsonrpc` is taken for.
 * @param limits The lengths and the depth to refuse.
 */
export function readFrame(
  text: string,
  unnamed: UnnamedVersion,
  limits: Limits,
): Message | Message[] {
  const value = parse(text, limits.depth);
  if (value instanceof Unreadable) return value.message;
  return Array.isArray(value)
    ? readBatch(value, text, unnamed, limits)
    : readMessage(value, text, unnamed, limits);
}

/**
 * Reads one frame that messages may share: each is a message, or the members of a
 * batch.
 *
 * @param text The frame's text.
 * @param limits What to refuse.
 */
export function readSharedFrame(
  text: string,
  limits: Limits,
): (Message | Message[])[] {
  const unnamed = "bare";
  // The frame itself is a level that its messages don't know of.
  const value = parse(text, limits.depth + (text.startsWith("[") ? 1 : 0));
  if (value instanceof Unreadable) return [value.message];
  if (!Array.isArray(value)) {
    return [readMessage(value, text, unnamed, limits)];
  }
  if (value.length > limits.frameMembers) {
    const message =
      `Frame has ${value.length} of at most ${limits.frameMembers} messages`;
    return [invalid(undefined, null, ErrorCode.BatchTooLarge, message)];
  }
  const isFragile = value.some((member) =>
    Array.isArray(member) ? member.some(hasFragileId) : hasFragileId(member)
  );
  const inexact = isFragile ? inexactIds(text) : undefined;
  return value.map((member) =>
    Array.isArray(member)
      ? readBatch(member, inexact, unnamed, limits)
      : readMessage(member, inexact, unnamed, limits)
  );
}

/** What became of a text that is nothing to be read. */
class Unreadable {
  readonly message: Invalid;

  constructor(code: number, message: string) {
    this.message = invalid(undefined, null, code, message);
  }
}

function parse(text: string, depth: number): unknown {
  if (isDeeperThan(depth, text)) {
    return new Unreadable(
      ErrorCode.InvalidRequest,
      `Invalid Request: it is nested deeper than ${depth}`,
    );
  }
  try {
    return JSON.parse(text);
  } catch {
    return new Unreadable(ErrorCode.ParseError, "Parse error");
  }
}

/** @param source As {@linkcode readMessage} takes it. */
function readBatch(
  value: unknown[],
  source: string | InexactIds | undefined,
  unnamed: UnnamedVersion,
  limits: Limits,
): Message | Message[] {
  if (value.length === 0) {
    return invalid(
      undefined,
      null,
      ErrorCode.InvalidRequest,
      "Invalid Request",
    );
  }
  if (value.length > limits.batchMembers) {
    return invalid(
      undefined,
      null,
      ErrorCode.BatchTooLarge,
      `Batch has ${value.length} of at most ${limits.batchMembers} members`,
    );
  }
  const inexact = typeof source !== "string"
    ? source
    : value.some(hasFragileId)
    ? inexactIds(source)
    : undefined;
  return value.map((member) => readMessage(member, inexact, unnamed, limits));
}

/** @param source The frame's text, or what {@linkcode inexactIds} said of it. */
function readMessage(
  value: unknown,
  source: string | InexactIds | undefined,
  unnamed: UnnamedVersion,
  limits: Limits,
): Message {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return invalid(
      undefined,
      null,
      ErrorCode.InvalidRequest,
      "Invalid Request",
    );
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
    const refusal = refuseId(id, source, limits);
    if (refusal !== undefined) {
      return invalid(
        version,
        null,
        ErrorCode.InvalidRequest,
        `Invalid Request: ${refusal}`,
      );
    }
  }
  // 1.0 says "no response wanted" with null, 2.0 by leaving the id out.
  const answerTo = version !== "2.0" && version !== undefined && id === null
    ? undefined
    : id as Id | undefined;

  if (version === undefined) {
    return invalid(
      undefined,
      answerTo ?? null,
      ErrorCode.InvalidRequest,
      'Invalid Request: jsonrpc must be "2.0"',
    );
  }
  if (typeof method !== "string") {
    return invalid(
      jsonrpc === undefined ? undefined : version,
      answerTo ?? null,
      ErrorCode.InvalidRequest,
      "Invalid Request: method must be a string",
    );
  }
  if (method.length > limits.methodLength) {
    return invalid(
      version,
      answerTo,
      ErrorCode.InvalidRequest,
      `Invalid Request: method has ${method.length} of at most ${limits.methodLength} characters`,
    );
  }
  let { params } = value as { params?: unknown };
  if (params === null) params = undefined;
  if (params !== undefined && typeof params !== "object") {
    return invalid(
      version,
      answerTo,
      ErrorCode.InvalidRequest,
      "Invalid Request: params must be an array or an object",
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

function invalid(
  version: Version | undefined,
  id: Id | undefined,
  code: number,
  message: string,
): Invalid {
  return { type: "invalid", version, id, code, message };
}

function isId(value: unknown): value is Id {
  return typeof value === "number" || typeof value === "string" ||
    value === null;
}

/** Says why an id that a request brings can't be given back, if it can't. */
function refuseId(
  id: unknown,
  source: string | InexactIds | undefined,
  limits: Limits,
): string | undefined {
  if (Number.isSafeInteger(id) || id === null) return undefined;
  if (typeof id === "string") {
    return id.length <= limits.idLength
      ? undefined
      : `id has ${id.length} of at most ${limits.idLength} characters`;
  }
  if (typeof id !== "number") return "id must be a string, a number or null";
  const inexact = typeof source === "string" ? inexactIds(source) : source;
  return inexact === undefined || inexact === "unknown" || inexact.has(id)
    ? "id must be a number that comes back as it was written"
    : undefined;
}

/** The ids of a frame that lost digits; "unknown" on a runtime that can't tell. */
type InexactIds = ReadonlySet<number> | "unknown";

/** Whether a number may have lost digits when it was read. */
function hasFragileId(member: unknown): boolean {
  const id = (member as { id?: unknown } | null)?.id;
  return typeof id === "number" && !Number.isSafeInteger(id);
}

/**
 * Finds ids like 9007199254740993, which a double can't hold: answering with
 * the nearest one would be an answer to somebody else's request.
 *
 * A second parse, with the tokens' source text, that only frames with such an
 * id pay for.
 *
 * @see {@link https://tc39.es/proposal-json-parse-with-source/}
 */
function inexactIds(text: string): InexactIds {
  const inexact = new Set<number>();
  let known = true;
  try {
    JSON.parse(
      text,
      (key: string, value: unknown, ...rest: unknown[]): unknown => {
        if (key === "id" && typeof value === "number") {
          const { source } = (rest[0] ?? {}) as { source?: string };
          if (source === undefined) known = false;
          else if (source !== String(value)) inexact.add(value);
        }
        return value;
      },
    );
  } catch {
    known = false; // It is nested deeper than the stack is.
  }
  return known ? inexact : "unknown";
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

// A program calls few names often, and quoting one costs as much as the rest of
// the envelope (bench/). Bounded, because names may be made at run time.
const names = new Map<string, string>();

function writeName(method: string): string {
  let text = names.get(method);
  if (text === undefined) {
    text = JSON.stringify(method);
    // Handles are part of names that don't come back.
    if (names.size < 1_024 && !method.startsWith("$/invokeProxy/")) {
      names.set(method, text);
    }
  }
  return text;
}

/** Writes a request; `params` as {@linkcode writeParams} wrote them. */
export function writeRequest(
  version: Version,
  id: number,
  method: string,
  params: string | undefined,
): string {
  if (version === "1.0") {
    return `{"id":${id},"method":${writeName(method)},"params":${params}}`;
  }
  const head = version === "2.0" ? '{"jsonrpc":"2.0","method":' : '{"method":';
  return params === undefined
    ? `${head}${writeName(method)},"id":${id}}`
    : `${head}${writeName(method)},"params":${params},"id":${id}}`;
}

/** Writes a notification; `params` as {@linkcode writeParams} wrote them. */
export function writeNotification(
  version: Version,
  method: string,
  params: string | undefined,
): string {
  if (version === "1.0") {
    return `{"id":null,"method":${writeName(method)},"params":${params}}`;
  }
  const head = version === "2.0" ? '{"jsonrpc":"2.0","method":' : '{"method":';
  return params === undefined
    ? `${head}${writeName(method)}}`
    : `${head}${writeName(method)},"params":${params}}`;
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
