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

/** The members that a message has beside those of its version's specification. */
export type Members = Readonly<Record<string, unknown>>;

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
  /** Whether it is a call, though one that can't be made: it names a method. */
  readonly isCall: boolean;
  readonly code: number;
  readonly message: string;
}

/** What a frame, or a member of a batch, can be. */
export type Message = Request | Notification | Response | Invalid;

/**
 * Reads what JSON made of a message.
 *
 * @param text The frame that it came in, where an id's digits are looked up.
 * @param unnamed The version of a message that doesn't name one; `"2.0"`: no
 * other is spoken.
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
    // With neither, it may be the response of who leaves out what is undefined.
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
  // 1.0 says "no response wanted" with null, 2.0 by leaving the id out.
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

/** What is no message, and why, in the words that its sender is told. */
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

/** A frame of which nothing can be told. */
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
 * Whether a number lost digits when it was read, so that an answer could not give
 * it back: 9007199254740993 becomes ...992, which may be another's id.
 *
 * JSON.parse does not say how it was written, so every number behind a key `id` is
 * looked at: each that is read as this one has to be written as this side would.
 * Among too many keys `id` none is.
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

// More keys `id` than this have no frame of honest messages with such ids: none of
// those is told then. To look at a megabyte of them took five times as long as to
// parse them.
const mostLooks = 2_048;

// Of the last frame that had such an id: its batch may have a hundred of them.
const exactness = { text: "", isExact: new Map<number, boolean>() };

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
export function writeParams(params: Params | undefined): string | undefined {
  if (params === undefined) return undefined;
  const text: string | undefined = typeof params === "object"
    ? JSON.stringify(params)
    : undefined;
  // An object may write itself as something else, a Date as a string.
  const first = text?.charCodeAt(0);
  if (first === 0x5b /* [ */ || first === 0x7b /* { */) {
    checkData(params, "params");
    return text;
  }
  if (params instanceof JsonText) return params.text;
  throw new TypeError(
    `params must be an array or an object, got ${text ?? typeof params}`,
  );
}

/**
 * What is JSON text already, in the place of a value: a result, or the params of a
 * call.
 */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Says nothing to who asks as for any value, and so is asked for its text. */
  toJSON(): undefined {}
}

// The envelopes are concatenated around what is already text: members are never
// serialized twice (bench/ shows what that saves).

const beforeParams = ',"params":';

/** What a call of a method begins with, up to its params. */
const heads = new Map<string, string>();

// A program calls few names often, and to quote one costs as much as the rest of
// the envelope (bench/). Bounded, because names may be made at run time.
function headOf(method: string): string {
  let head = heads.get(method);
  if (head === undefined) {
    head = `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${beforeParams}`;
    // Handles are part of names that don't come back, and long ones may be a peer's.
    if (
      heads.size < 1_024 && method.length <= 256 &&
      !method.startsWith("$/invokeProxy/")
    ) heads.set(method, head);
  }
  return head;
}

/**
 * A long text in its envelope. Concatenated it would be a tree of pieces that the
 * socket has to copy together; joined it is flat at once (bench/, "1 KiB both
 * ways").
 */
export function wrap(head: string, text: string, tail: string): string {
  return text.length < 256 ? head + text + tail : [head, text, tail].join("");
}

/** Writes a request in 2.0; `params` as {@linkcode writeParams} wrote them. */
export function writeRequest(
  id: number | string,
  method: string,
  params: string | undefined,
): string {
  const head = headOf(method);
  return params === undefined
    ? `${head.slice(0, -beforeParams.length)},"id":${writeId(id)}}`
    : wrap(head, params, `,"id":${writeId(id)}}`);
}

/** Writes a notification in 2.0; `params` as {@linkcode writeParams} wrote them. */
export function writeNotification(
  method: string,
  params: string | undefined,
): string {
  const head = headOf(method);
  return params === undefined
    ? `${head.slice(0, -beforeParams.length)}}`
    : wrap(head, params, "}");
}

/**
 * Refuses what would arrive as null, or not at all: functions that nobody has
 * replaced, and symbols. Asked of what has been written, of which it is known by then
 * that it has an end. The look takes a sixth as long as to write it.
 *
 * @param what What it is, for the error.
 * @throws {TypeError} There is one.
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
 * What the other side has given back of what it was lent: where it stored that as
 * data, it would take the rest from all who read it. JSON says what it can.
 */
export const givenBack: WeakSet<object> = /* @__PURE__ */ new WeakSet();

/** What there is, and where, the innermost name first; `undefined`: nothing. */
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
  // What was lent to this side writes itself, to where it came from and nobody else.
  if (isFunction) {
    return isWritten && toJSON.call(value, key) !== undefined ||
        givenBack.has(value as object)
      ? undefined
      : [type];
  }
  // What writes itself does so whole. What is deeper has no room on the stack.
  if (isWritten || depth === mostDepth) return undefined;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const lost = findIn(value, index, depth);
      if (lost !== undefined) return lost;
    }
    return undefined;
  }
  for (const name in value as object) {
    const lost = findIn(value as object, name, depth);
    // What is inherited is not written.
    if (
      lost !== undefined && Object.hasOwn(value as object, name) &&
      !givenBack.has(value as object)
    ) return lost;
  }
  return undefined;
}

const mostDepth = 1_000;

function findIn(
  holder: object,
  name: string | number,
  depth: number,
): (string | number)[] | undefined {
  const member = (holder as { [name: string | number]: unknown })[name];
  // So are most.
  if (typeof member === "string" || typeof member === "number") {
    return undefined;
  }
  const lost = findLost(member, name, depth + 1);
  lost?.push(name);
  return lost;
}

/**
 * Writes members beside the envelope, to be put before the end of a request.
 *
 * @throws {TypeError} One has the name of a member that a message has by itself, or
 * can't be written as JSON.
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

/** Reads the members beside the envelope. */
export function readMembers(source: object): Members {
  const { jsonrpc: _j, id: _i, method: _m, params: _p, ...members } =
    source as { [name: string]: unknown };
  return members;
}

/**
 * Writes a result, or another value; `undefined` as null.
 *
 * @param what What it is, for the error.
 * @throws {TypeError} JSON has no word for it, or for something in it.
 */
export function writeValue(value: unknown, what = "result"): string {
  // A number is its own text, and not to be looked for in anything (bench/).
  if (Number.isFinite(value)) return `${value}`;
  const text: string | undefined = JSON.stringify(value);
  checkData(value, what);
  return text ?? "null";
}

/** Writes an id, which mostly is a number. */
export function writeId(id: Id): string | number {
  return typeof id === "number" ? id : JSON.stringify(id);
}

/** Writes a response in 2.0 with a result, which is JSON text already. */
export function writeResult(id: Id, result: string): string {
  return wrap('{"jsonrpc":"2.0","result":', result, `,"id":${writeId(id)}}`);
}

/**
 * Writes a response in 2.0 with an error.
 *
 * @throws {TypeError} The error's `data` can't be written.
 */
export function writeError(id: Id, error: ErrorObject): string {
  return `{"jsonrpc":"2.0","error":${JSON.stringify(error)},"id":${
    writeId(id)
  }}`;
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
