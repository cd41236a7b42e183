/**
 * The subjects of a cluster at its engine.
 *
 * @see docs/cluster.md, "Subjects"
 *
 * @module
 */

// Most characters of a room's encoded name: an engine takes 1,000, and the rest of
// the subject needs some.
const mostRoom = 900;
const mostPrefix = 64;

/** The subjects of one prefix. Those of two prefixes are never the same. */
export class Subjects {
  readonly #prefix: string;
  /** The subject that every node hears. */
  readonly all: string;

  /** @throws {TypeError} The prefix is invalid. */
  constructor(prefix: string) {
    // No part may be "r" or "n", or the prefix could be a subject under another
    // one.
    const isName = typeof prefix === "string" && prefix.length <= mostPrefix &&
      /^[\w-]+(\.[\w-]+)*$/.test(prefix) && !/(^|\.)[rn](\.|$)/.test(prefix);
    if (!isName) {
      throw new TypeError(
        `Cannot make a cluster of prefix ${
          JSON.stringify(prefix)
        }: it must be 1 to ${mostPrefix} letters, digits, "-" and "_", in parts with dots between, none of them "r" or "n"`,
      );
    }
    this.#prefix = prefix;
    this.all = `${prefix}.all`;
  }

  /** The subject that the nodes with members in a room hear. */
  room(encoded: string): string {
    return `${this.#prefix}.r.${encoded}`;
  }

  /** The subject that one node hears. */
  node(id: string): string {
    return `${this.#prefix}.n.${id}`;
  }
}

/**
 * Encodes the name of a room in characters that every engine accepts.
 *
 * @throws {TypeError} It is no string, is empty, or has half a surrogate pair.
 * @throws {RangeError} It is too long.
 */
export function encodeRoom(name: string): string {
  let encoded = "";
  try {
    if (typeof name === "string") {
      encoded = encodeURIComponent(name)
        .replaceAll(".", "%2E").replaceAll("*", "%2A");
    }
  } catch {
    // Half a surrogate pair, which encodeURIComponent refuses.
  }
  if (encoded === "") {
    throw new TypeError(
      `Cannot name a room ${
        JSON.stringify(name)
      }: it must be a text of 1 or more whole characters`,
    );
  }
  if (encoded.length > mostRoom) {
    throw new RangeError(
      `Cannot name a room: encoded as in an address it has ${encoded.length} of at most ${mostRoom} characters`,
    );
  }
  return encoded;
}
