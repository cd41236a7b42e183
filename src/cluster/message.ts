/**
 * The messages between nodes: a header, which is a line of JSON, and a body, which
 * is text that is passed on unread.
 *
 * Messages are checked here, once: whoever may publish at the engine can send
 * anything.
 *
 * @see docs/cluster.md, "Messages"
 *
 * @module
 */

/** The version of this format. */
export const busVersion = 1;

/** Most UTF-16 code units of a header. */
export const mostHeader = 65_536;

/** Most UTF-16 code units of a whole message. */
export const mostMessage = 67_108_864;

/** The members of a header, not checked yet. */
export type Fields = { readonly [name: string]: unknown };

/** A message of another node, or an own one that came back. */
export interface BusMessage {
  /** The node that sent it. */
  readonly node: string;
  readonly kind: string;
  readonly fields: Fields;
  /** The text behind the header; `""`: none. */
  readonly body: string;
}

/** A message that could not be read, with the members that an answer needs. */
export interface Unreadable {
  readonly why: string;
  /** The sender, if that could be read. */
  readonly node?: string;
  readonly call?: number;
}

/** The beginning of every header of one node. */
export function headOf(node: string): string {
  return `{"v":${busVersion},"n":"${node}",`;
}

/**
 * Writes a message.
 *
 * @param head The beginning of the node's headers.
 * @throws {RangeError} The header is too long.
 */
export function writeMessage(
  head: string,
  kind: string,
  fields: object = {},
  body = "",
): string {
  const more = JSON.stringify(fields).slice(1);
  const comma = more === "}" ? "" : ",";
  return withBody(kind, `${head}"k":"${kind}"${comma}${more}`, body);
}

/**
 * Joins a header and a body.
 *
 * @param header The whole header.
 * @throws {RangeError} The header is too long.
 */
export function withBody(kind: string, header: string, body: string): string {
  if (header.length > mostHeader) {
    throw new RangeError(
      `Cannot send to other nodes: the header of "${kind}" has ${header.length} of at most ${mostHeader} characters`,
    );
  }
  return body.length < 256 ? `${header}\n${body}` : [header, body].join("\n");
}

/** Reads a message. */
export function readMessage(text: string): BusMessage | Unreadable {
  const { length } = text;
  if (length > mostMessage) {
    return { why: `it has ${length} of at most ${mostMessage} characters` };
  }
  const found = text.indexOf("\n");
  const end = found === -1 ? length : found;
  if (end > mostHeader) {
    return { why: `its header has more than ${mostHeader} characters` };
  }
  let fields: Fields;
  try {
    fields = JSON.parse(text.slice(0, end));
  } catch {
    return { why: "its header is no JSON" };
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    return { why: "its header is no object" };
  }
  const { v, n: node, k: kind } = fields;
  if (!isNodeId(node)) return { why: "it names no node" };
  if (v !== busVersion) {
    const call = readCount(fields, "c");
    return {
      why: `it is of another version than ${busVersion}`,
      node,
      ...call !== undefined && { call },
    };
  }
  if (typeof kind !== "string" || kind.length > 32) {
    return { why: "it is of no kind" };
  }
  return { node, kind, fields, body: text.slice(end + 1) };
}

/** Whether a value is the id of a node. */
export function isNodeId(value: unknown): value is string {
  return typeof value === "string" && /^[\w-]{1,32}$/.test(value);
}

/** The parts of a peer's id; `undefined`: it is invalid. */
export function readPeerId(
  id: unknown,
): { readonly node: string; readonly number: number } | undefined {
  if (typeof id !== "string" || id.length > 64) return undefined;
  const [, node, digits] = /^([\w-]{1,32})\.(\d{1,15})$/.exec(id) ?? [];
  return node === undefined ? undefined : { node, number: Number(digits) };
}

/** A member that is a whole number of 0 or more; `undefined`: it isn't. */
export function readCount(fields: Fields, name: string): number | undefined {
  const value = fields[name];
  return Number.isSafeInteger(value) && (value as number) >= 0
    ? value as number
    : undefined;
}

/** A member that is a string; `undefined`: it is none, or too long. */
export function readText(
  fields: Fields,
  name: string,
  most: number,
): string | undefined {
  const value = fields[name];
  return typeof value === "string" && value.length <= most ? value : undefined;
}
