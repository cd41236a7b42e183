/**
 * The names of the subjects that the nodes of a cluster talk under.
 *
 * @see docs/cluster.md, "Subjects"
 *
 * @module
 */

// An engine takes a thousand characters; the prefix and what stands between need some.
const mostRoom = 900;
const mostPrefix = 64;

/** The subjects of one prefix: those of two never meet. */
export class Subjects {
  readonly #prefix: string;
  /** What every node hears. */
  readonly all: string;

  /**
   * @throws {TypeError} The prefix is no such name.
   */
  constructor(prefix: string) {
    // With a part "r" or "n" it could be that of another's rooms.
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

  /** What those hear who have a member in a room; its name encoded. */
  room(encoded: string): string {
    return `${this.#prefix}.r.${encoded}`;
  }

  /** What one node hears. */
  node(id: string): string {
    return `${this.#prefix}.n.${id}`;
  }
}

/**
 * Writes the name of a room so that every engine takes it.
 *
 * @throws {TypeError} It is no text, empty, or has half a surrogate pair.
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
    // Half a pair is no character, and could not be told from another one's half.
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
