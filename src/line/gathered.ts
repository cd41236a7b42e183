/**
 * Texts that are gathered for a socket before they are sent, in order. Sockets that
 * gather the same texts share them, so that their frames are made only once.
 *
 * @module
 */

/**
 * A list of texts, linked from the last one to the first. A list is never changed:
 * adding a text makes a new one or finds one that another socket made, so sockets
 * can share the beginning of their lists.
 */
export class Gathered<Made> {
  /** The list without its last text; `undefined`: this is the empty list. */
  readonly before: Gathered<Made> | undefined;
  readonly text: string;
  /** Number of texts. */
  readonly count: number;
  /** Characters of all texts. */
  readonly length: number;
  /** The frames that were made of all texts, if they were. */
  made: Made | undefined;
  /**
   * The last two lists that were made of this one by adding a text. Two, because
   * what many are told is written in up to two versions of JSON-RPC at a time.
   */
  #next: Gathered<Made> | undefined;
  #other: Gathered<Made> | undefined;

  constructor(before?: Gathered<Made>, text = "") {
    this.before = before;
    this.text = text;
    this.count = before === undefined ? 0 : before.count + 1;
    this.length = before === undefined ? 0 : before.length + text.length;
  }

  /** The list with one more text. */
  with(text: string): Gathered<Made> {
    const next = this.#next;
    if (next === undefined) return this.#next = new Gathered(this, text);
    if (next.text === text) return next;
    const other = this.#other;
    if (other !== undefined && other.text === text) return other;
    this.#other = next;
    return this.#next = new Gathered(this, text);
  }

  /** Forgets the lists that were made of this one, at the end of a turn. */
  forget(): void {
    this.#next = this.#other = undefined;
  }
}

/** All texts of a list, in order. */
export function textsOf<Made>(all: Gathered<Made>): string[] {
  const texts: string[] = new Array(all.count);
  for (let it = all; it.before !== undefined; it = it.before) {
    texts[it.count - 1] = it.text;
  }
  return texts;
}

/** The message that is being sent now. */
export const telling: { isForMany: boolean } = {
  /**
   * Whether it is for many peers: then sockets gather it rather than send it at
   * once.
   */
  isForMany: false,
};
