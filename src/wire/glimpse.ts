/**
 * What can be told of a message that is too long or too deep to be read, by its first
 * and its last characters: whether it answers something, and its id.
 *
 * @see {@link https://www.jsonrpc.org/specification#response_object}
 *
 * @module
 */

import type { Id } from "./message.ts";

/** What was told. */
export interface Glimpse {
  /** `undefined`: it could not be told. */
  readonly kind: "call" | "response" | undefined;
  /** `undefined`: there is none where it was looked for. */
  readonly id: Id | undefined;
}

// So much of either end, which bounds the time of the look.
const length = 1_024;

const simple = String.raw`"(?:[^"\\]|\\.)*"|[-+.\w]+`;

// A member, and its value if that is short and no array or object.
const member = /* @__PURE__ */ new RegExp(
  String.raw`\s*[{,]\s*"(\w+)"\s*:\s*(${simple})?`,
  "y",
);

// Behind the last array or object: it is a member of the message, since nothing but
// the end of the message follows.
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

/** Looks at both ends of a message. */
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

/** Reads an id that comes back as it was written. */
function readId(text: string): Id | undefined {
  if (text === "null") return null;
  if (text.startsWith('"')) {
    return text.includes("\\") ? undefined : text.slice(1, -1);
  }
  const id = Number(text);
  return `${id}` === text ? id : undefined;
}
