/**
 * A glimpse of a message that is too long or too deep to be parsed: its kind and
 * its id, found in its first and last characters.
 *
 * @see {@link https://www.jsonrpc.org/specification#response_object}
 *
 * @module
 */

import type { Id } from "./message.ts";

/** The kind and the id of a message. */
export interface Glimpse {
  /** `undefined`: not found. */
  readonly kind: "call" | "response" | undefined;
  /** `undefined`: not found, or absent. */
  readonly id: Id | undefined;
}

// Characters of each end that are searched.
const length = 1_024;

const simple = String.raw`"(?:[^"\\]|\\.)*"|[-+.\w]+`;

// A member's name, and its value unless that is an array or an object.
const member = /* @__PURE__ */ new RegExp(
  String.raw`\s*[{,]\s*"(\w+)"\s*:\s*(${simple})?`,
  "y",
);

// An id after the last array or object. It is the message's own, since only simple
// members and the end of the message follow.
const lastId = /* @__PURE__ */ new RegExp(
  String
    .raw`,\s*"id"\s*:\s*(${simple})\s*(?:,\s*"\w+"\s*:\s*(?:${simple})\s*)*\}\s*$`,
);

const kinds: { readonly [name: string]: Glimpse["kind"] } = {
  __proto__: null as never,
  method: "call",
  params: "call",
  result: "response",
  error: "response",
};

/** Reads both ends of a message. */
export function glimpse(text: string): Glimpse {
  const head = text.slice(0, length);
  let kind: Glimpse["kind"];
  let id: string | undefined;
  member.lastIndex = 0;
  for (;;) {
    const [, name, value] = member.exec(head) ?? [];
    if (name === undefined) break;
    kind ??= kinds[name];
    if (value === undefined) break;
    if (name === "id") id = value;
  }
  id ??= lastId.exec(text.slice(-length))?.[1];
  return { kind, id: id === undefined ? undefined : readId(id) };
}

/** Reads an id; `undefined` if it can't be sent back exactly as it was written. */
function readId(text: string): Id | undefined {
  if (text === "null") return null;
  if (text.startsWith('"')) {
    return text.includes("\\") ? undefined : text.slice(1, -1);
  }
  const id = Number(text);
  return `${id}` === text ? id : undefined;
}
