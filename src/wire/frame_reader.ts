/**
 * Reads frames: a message, a batch, or messages that share a frame.
 *
 * Pure like `message.ts`: text in, messages out.
 *
 * @see {@link https://www.jsonrpc.org/specification#batch}
 *
 * @module
 */

import { isDeeperThan } from "./depth.ts";
import { ErrorCode } from "./error.ts";
import type { Limits } from "./limits.ts";
import {
  type Invalid,
  invalid,
  type Message,
  readMessage,
  type UnnamedVersion,
  unreadable,
} from "./message.ts";
import { keepShape } from "../runtime/shapes.ts";

// What this library writes, and what most others do.
for (
  const text of [
    '{"jsonrpc":"2.0","method":"","params":[],"id":1}',
    '{"jsonrpc":"2.0","method":"","id":1}',
    '{"jsonrpc":"2.0","result":null,"id":1}',
    '{"jsonrpc":"2.0","id":1,"method":"","params":[]}',
    '{"jsonrpc":"2.0","id":1,"result":null}',
  ]
) keepShape(JSON.parse(text));

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
    : readMessage(value, unnamed, limits, isInexact, text);
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
    return [readMessage(value, unnamed, limits, isInexact, text)];
  }
  if (value.length > limits.frameMembers) {
    const message =
      `Frame has ${value.length} of at most ${limits.frameMembers} messages`;
    return [unreadable(ErrorCode.BatchTooLarge, message)];
  }
  const isFragile = value.some((member) =>
    Array.isArray(member) ? member.some(hasFragileId) : hasFragileId(member)
  );
  const inexact = isFragile ? inexactIds(text) : undefined;
  return value.map((member) =>
    Array.isArray(member)
      ? readBatch(member, inexact, unnamed, limits)
      : readMessage(member, unnamed, limits, isInexact, inexact)
  );
}

/** What became of a text that is nothing to be read. */
class Unreadable {
  readonly message: Invalid;

  constructor(code: number, message: string) {
    this.message = unreadable(code, message);
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

/** @param source The frame's text, or what {@linkcode inexactIds} said of it. */
function readBatch(
  value: unknown[],
  source: string | InexactIds | undefined,
  unnamed: UnnamedVersion,
  limits: Limits,
): Message | Message[] {
  if (value.length === 0) {
    return invalid(undefined, null);
  }
  if (value.length > limits.batchMembers) {
    return unreadable(
      ErrorCode.BatchTooLarge,
      `Batch has ${value.length} of at most ${limits.batchMembers} members`,
    );
  }
  const inexact = typeof source !== "string"
    ? source
    : value.some(hasFragileId)
    ? inexactIds(source)
    : undefined;
  return value.map((member) =>
    readMessage(member, unnamed, limits, isInexact, inexact)
  );
}

/** Whether an id lost digits when it was read. */
function isInexact(
  id: number,
  source: string | InexactIds | undefined,
): boolean {
  const inexact = typeof source === "string" ? inexactIds(source) : source;
  return inexact === undefined || inexact === "unknown" || inexact.has(id);
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
