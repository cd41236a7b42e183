/**
 * The wire format: reads and writes requests, notifications and responses in three
 * versions of JSON-RPC. Pure functions: no socket, no clock, no table of calls.
 *
 * @see {@link https://www.jsonrpc.org/specification} for 2.0
 * @see {@link https://www.jsonrpc.org/specification_v1} for 1.0
 *
 * @module
 */

import { invalidRequest } from "./codes.ts";
import { type ErrorObject, RpcError } from "./error.ts";
import type { Limits } from "./limits.ts";

/**
 * A version of JSON-RPC: `"2.0"`; `"1.0"`, whose responses have both `result`
 * and `error`, whose params are an array and whose notifications have id null;
 * or `"bare"`, which is 2.0 without the member `jsonrpc`, as Chrome DevTools
 * speaks it.
 */
export type Version = "2.0" | "1.0" | "bare";

/**
 * The id of a request, which its response repeats.
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

/** The members of a message beside those of the specification. */
export type Members = Readonly<Record<string, unknown>>;

/** A call that wants a response. */
export interface Request {
  readonly type: "request";
  readonly version: Version;
  readonly id: Id;
  readonly method: string;
  readonly params: Params | undefined;
  /** The parsed message, for further members. */
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
  /** `undefined` if absent or of another type. */
  readonly id: Id | undefined;
  readonly result: unknown;
  /** `undefined` if absent or null; else any value, not checked yet. */
  readonly error: unknown;
}

/** A frame, or a member of a batch, that is no message. */
export interface Invalid {
  readonly type: "invalid";
  /** `undefined` if it is not known. */
  readonly version: Version | undefined;
  /**
   * The id to answer with, null if it is not known; `undefined` for a notification,
   * which is not answered.
   */
  readonly id: Id | undefined;
  /** Whether it has a method's name: a call, though an invalid one. */
  readonly isCall: boolean;
  readonly code: number;
  readonly message: string;
}

/** A frame, or a member of a batch, once it is read. */
export type Message = Request | Notification | Response | Invalid;

/**
 * Reads a message from parsed JSON.
 *
 * @param text The frame's text, where an id's digits are looked up.
 * @param unnamed The version of a message without `jsonrpc`. With `"2.0"`, no other
 * version is accepted.
 */
export function readMessage(
  value: unknown,
  text: string,
  unnamed: Version,
  limits: Limits,
): Message {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return invalid(undefined, null);
  }
  const { jsonrpc, id, method } = value as { [member: string]: unknown };
  const version = jsonrpc === "2.0"
    ? "2.0"
    : jsonrpc === undefined
    ? unnamed
    : jsonrpc === "1.0" && unnamed !== "2.0"
    ? "1.0"
    : undefined;

  if (method === undefined) {
    const { result, error, params } = value as { [member: string]: unknown };
    // Without a result and an error it may be a response, too: some peers leave out
    // a result that is undefined.
    if (
      result !== undefined || error !== undefined ||
      id !== undefined && params === undefined
    ) {
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
      ? id.length > limits.idLength && tooLong("id", id, limits.idLength)
      : typeof id !== "number"
      ? "id must be a string, a number or null"
      : isInexact(id, text) &&
        "id must be a number that comes back as it was written";
    if (refusal) return invalid(version, null, refusal);
  }
  // A notification has the id null in 1.0, and no id in 2.0.
  const answerTo = jsonrpc !== "2.0" && id === null
    ? undefined
    : id as Id | undefined;

  const isCall = typeof method === "string";
  if (version === undefined) {
    const why = 'jsonrpc must be "2.0"';
    return invalid(undefined, answerTo ?? null, why, isCall);
  }
  if (!isCall) {
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
      tooLong("method", method, limits.methodLength),
      isCall,
    );
  }
  let { params } = value as { params?: unknown };
  if (params === null) params = undefined;
  if (params !== undefined && typeof params !== "object") {
    return invalid(
      version,
      answerTo,
      "params must be an array or an object",
      isCall,
    );
  }
  return {
    type: answerTo === undefined ? "notification" : "request",
    version,
    id: answerTo,
    method,
    params,
    source: value,
  } as Request | Notification;
}

function tooLong(what: string, { length }: string, most: number): string {
  return `${what} has ${length} of at most ${most} characters`;
}

/** Makes an invalid message, with the reason that its sender is told. */
export function invalid(
  version: Version | undefined,
  id: Id | undefined,
  why?: string,
  isCall = false,
): Invalid {
  return {
    type: "invalid",
    version,
    id,
    isCall,
    code: invalidRequest,
    message: why === undefined ? "Invalid Request" : `Invalid Request: ${why}`,
  };
}

/** Makes an invalid message of a frame that can't be read at all. */
export function unreadable(code: number, message: string): Invalid {
  return {
    type: "invalid",
    version: undefined,
    id: null,
    isCall: false,
    code,
    message,
  };
}

/**
 * Whether an id lost digits when it was parsed, so that a response could not repeat
 * it: 9007199254740993 becomes ...992, which may be another request's id.
 *
 * JSON.parse doesn't tell the digits, so every number behind a key `id` in the
 * frame is looked at: all that are parsed to this value must be written as this
 * side would write it. If there are too many keys `id`, all such ids count as
 * inexact.
 */
export function isInexact(id: number, text: string): boolean {
  if (text !== exactness.text) {
    exactness.text = text;
    exactness.isExact = new Map();
    let looks = 0;
    for (const [, digits] of text.matchAll(/"id"\s*:\s*(-?\d[\d.eE+-]*)/g)) {
      if (looks++ === mostLooks) {
        exactness.isExact.clear();
        break;
      }
      const number = Number(digits);
      const isExact = exactness.isExact.get(number) !== false &&
        digits === `${number}`;
      if (!Number.isSafeInteger(number)) {
        exactness.isExact.set(number, isExact);
      }
    }
  }
  return !exactness.isExact.get(id);
}

// Most keys `id` that are looked at. No honest frame with such ids has more;
// looking at a megabyte of them took five times as long as parsing it.
const mostLooks = 2_048;

// The result for the last frame that had such an id, since a batch may have a
// hundred of them.
const exactness = { text: "", isExact: new Map<number, boolean>() };

function isId(value: unknown): value is Id {
  return typeof value === "number" || typeof value === "string" ||
    value === null;
}

/**
 * Makes an RpcError of a response's `error`, whatever it is: the specification's
 * object, a string, or anything else. Without an integer code, the code is 0 and
 * `data` is the whole value.
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
export function writeParams(params: Params | undefined): string | undefined {
  if (params === undefined) return undefined;
  const text: string | undefined = typeof params === "object"
    ? JSON.stringify(params)
    : undefined;
  // Looked at the text, since an object may write itself as something else: a Date
  // as a string.
  if (text !== undefined && isList(text, 0)) {
    checkData(params, "params");
    return text;
  }
  if (params instanceof JsonText) return params.text;
  throw new TypeError(
    `params must be an array or an object, got ${text ?? typeof params}`,
  );
}

/** A value that is JSON text already: a result, or the params of a call. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /**
   * JSON.stringify writes nothing for it, by which a writer knows that it may be
   * text.
   */
  toJSON(): undefined {}
}

// An envelope is put around what is short, or text already. A long value is written
// together with its envelope, since V8 would copy its text into the envelope's: for 1
// KiB, that costs as much as writing half of it (bench/, "1 KiB both ways").

const beforeParams = ',"params":';
const beforeResult = '{"jsonrpc":"2.0","result":';

/** The beginnings of calls, up to the params, by method. */
const heads = new Map<string, string>();

// Kept, because a program calls few names often, and quoting a name costs as much
// as the rest of the envelope (bench/). Bounded, because names may be made at run
// time.
function headOf(method: string): string {
  let head = heads.get(method);
  if (head === undefined) {
    head = `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${beforeParams}`;
    // Names with handles are used for one object only; long names may come from a
    // peer.
    if (
      heads.size < 1_024 && method.length <= 256 &&
      !method.startsWith("$/invokeProxy/")
    ) heads.set(method, head);
  }
  return head;
}

/**
 * Writes a request in 2.0.
 *
 * @throws {TypeError} The params can't be written as a JSON array or object.
 */
export function writeRequest(
  id: number | string,
  method: string,
  params: Params | undefined,
): string {
  return writeCall(method, params, endOf(id), id);
}

/**
 * Writes a notification in 2.0.
 *
 * @throws {TypeError} The params can't be written as a JSON array or object.
 */
export function writeNotification(
  method: string,
  params: Params | undefined,
): string {
  return writeCall(method, params, "}");
}

/** @param tail The text behind the params. */
function writeCall(
  method: string,
  params: Params | undefined,
  tail: string,
  id?: number | string,
): string {
  const head = headOf(method);
  if (params === undefined) return head.slice(0, -beforeParams.length) + tail;
  let written = writeScalars(params) ??
    (params instanceof JsonText ? params.text : undefined);
  if (written === undefined) {
    const text = JSON.stringify({ jsonrpc: "2.0", method, params, id });
    if (text.startsWith(head) && isList(text, head.length)) {
      checkData(params, "params");
      return text;
    }
    written = writeParams(params)!; // Says what they are instead.
  }
  return wrap(head, written, tail);
}

/**
 * Writes an array of a few numbers, booleans and short strings; `undefined`: it is
 * anything else. Numbers are written in a third of the time of JSON.stringify.
 */
function writeScalars(params: Params): string | undefined {
  if (
    !Array.isArray(params) || params.length > 16 ||
    (params as { toJSON?: unknown }).toJSON !== undefined
  ) return undefined;
  let text = "[";
  let areNumbers = true;
  for (let index = 0; index < params.length; index++) {
    const member: unknown = params[index];
    if (Number.isFinite(member)) text += index === 0 ? member : `,${member}`;
    else if (
      typeof member === "string"
        ? member.length > 64
        : typeof member !== "boolean"
    ) return undefined;
    else areNumbers = false;
  }
  return areNumbers ? `${text}]` : JSON.stringify(params);
}

/** Whether an array or an object begins at this place of a text. */
function isList(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x5b /* [ */ || code === 0x7b /* { */;
}

/**
 * Puts an envelope around a text. A long one is joined, since of concatenated texts
 * V8 makes a tree of pieces, which the socket would have to flatten.
 */
function wrap(head: string, text: string, tail: string): string {
  return text.length < 256 ? head + text + tail : [head, text, tail].join("");
}

/** The text behind the params or the result. */
function endOf(id: Id): string {
  return `,"id":${writeId(id)}}`;
}

/**
 * Refuses functions and symbols, which JSON would write as null or leave out.
 * Called after JSON.stringify, so the value is known to have no cycles. It takes a
 * sixth of the time of writing.
 *
 * @param what The name of the value, for the error.
 * @throws {TypeError} The value has a function or a symbol in it.
 */
function checkData(value: unknown, what: string): void {
  const lost = findLost(value, "", 0);
  if (lost === undefined) return;
  const [kind, ...place] = lost;
  throw new TypeError(
    `a ${kind} can't be passed as ${
      [what, ...place.reverse()].join(".")
    }: JSON has none; a function is lent by references (\`use\`), deep in a value by marshal()`,
  );
}

/**
 * Functions and objects that this side had lent and that the other side sent back.
 * They are written as plain JSON without their functions, rather than refused: else
 * a peer that stored one as data would make every later message with it fail.
 */
export const givenBack: WeakSet<object> = /* @__PURE__ */ new WeakSet();

/**
 * The type of the first function or symbol, and the path to it, innermost name
 * first; `undefined`: there is none.
 */
function findLost(
  value: unknown,
  key: string | number,
  depth: number,
): (string | number)[] | undefined {
  const type = typeof value;
  if (type === "symbol") return [type];
  const isFunction = type === "function";
  if (!isFunction && type !== "object" || value === null) return undefined;
  const { toJSON } = value as { toJSON?: unknown };
  const isWritten = typeof toJSON === "function";
  // A function that the other side lent writes itself, to that side alone.
  if (isFunction) {
    return isWritten && toJSON.call(value, key) !== undefined ||
        givenBack.has(value as object)
      ? undefined
      : [type];
  }
  // An object with toJSON is written by that. The depth is bounded by the stack.
  if (isWritten || depth === mostDepth) return undefined;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const member: unknown = value[index];
      if (isScalar(member)) continue;
      const lost = findLost(member, index, depth + 1);
      lost?.push(index);
      if (lost !== undefined) return lost;
    }
    return undefined;
  }
  const members = value as { [name: string]: unknown };
  for (const name in members) {
    // Read here in the loop, where V8 knows the member's place: in a function of its
    // own it would look each up by name, which takes half as long again.
    const member = members[name];
    if (isScalar(member)) continue;
    const lost = findLost(member, name, depth + 1);
    lost?.push(name);
    // JSON.stringify writes no inherited members.
    if (
      lost !== undefined && Object.hasOwn(members, name) &&
      !givenBack.has(members)
    ) return lost;
  }
  return undefined;
}

const mostDepth = 1_000;

/** Whether a value needs no look, as most. */
function isScalar(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number";
}

/**
 * Writes further members of a request, to be put before its closing brace.
 *
 * @throws {TypeError} A member has a name of the envelope, or can't be written as
 * JSON.
 */
export function writeMembers(members: object | undefined): string {
  if (members === undefined) return "";
  let more = "";
  for (const [name, value] of Object.entries(members)) {
    if (/^(jsonrpc|id|method|params|result|error)$/.test(name)) {
      throw new TypeError(`members must not have "${name}", the message does`);
    }
    const written: string | undefined = JSON.stringify(value);
    if (written !== undefined) more += `,${JSON.stringify(name)}:${written}`;
  }
  return more;
}

/** Reads the further members of a message. */
export function readMembers(source: object): Members {
  const { jsonrpc: _j, id: _i, method: _m, params: _p, ...members } =
    source as { [name: string]: unknown };
  return members;
}

/**
 * Writes a result or another value; `undefined` becomes null.
 *
 * @param what The name of the value, for the error.
 * @throws {TypeError} The value can't be written as JSON, or has a function or a
 * symbol in it.
 */
export function writeValue(value: unknown, what = "result"): string {
  // The fast way for numbers (bench/).
  if (Number.isFinite(value)) return `${value}`;
  if (value instanceof JsonText) return value.text;
  const text: string | undefined = JSON.stringify(value);
  checkData(value, what);
  return text ?? "null";
}

/** Writes an id: a number as it is, a string quoted. */
export function writeId(id: Id): string | number {
  return typeof id === "number" ? id : JSON.stringify(id);
}

/**
 * Writes a response in 2.0; `undefined` becomes null.
 *
 * @throws {TypeError} The result can't be written as JSON, or has a function or a
 * symbol in it.
 */
export function writeResult(id: Id, result: unknown): string {
  if (
    typeof result === "string" ||
    typeof result === "object" && !(result instanceof JsonText)
  ) {
    const text = JSON.stringify({ jsonrpc: "2.0", result, id });
    checkData(result, "result");
    // An object may write itself as nothing.
    return text.startsWith(beforeResult)
      ? text
      : `${beforeResult}null${endOf(id)}`;
  }
  return wrap(beforeResult, writeValue(result), endOf(id));
}

/**
 * Writes a response in 2.0 with an error.
 *
 * @throws {TypeError} The error's `data` can't be written as JSON.
 */
export function writeError(id: Id, error: ErrorObject): string {
  return `{"jsonrpc":"2.0","error":${JSON.stringify(error)},"id":${
    writeId(id)
  }}`;
}

/** A param of one of the protocol's own methods, given by name or by position. */
export function readParam(
  params: Params | undefined,
  name: string,
  index: number,
): unknown {
  const key = Array.isArray(params) ? index : name;
  return (params as { [key: string | number]: unknown } | undefined)?.[key];
}
