/**
 * Texts that are gathered for somebody, in order. Those who are told the same gather
 * the same, and what is made of it is made once for all of them.
 *
 * @module
 */

/**
 * A text behind all that were gathered before it. Nobody changes what somebody else
 * has gathered: who is told something else goes on with a row of his own, and order
 * needs no thought.
 */
export class Gathered<Made> {
  /** What was gathered before it; `undefined`: this is no text, but the beginning. */
  readonly before: Gathered<Made> | undefined;
  readonly text: string;
  /** How many texts there are, with those before. */
  readonly count: number;
  /** Their characters. */
  readonly length: number;
  /** What was made of all of them, once it was. */
  made: Made | undefined;
  /** The last two that followed it, whose ever: not all speak the same version. */
  #next: Gathered<Made> | undefined;
  #other: Gathered<Made> | undefined;

  constructor(before?: Gathered<Made>, text = "") {
    this.before = before;
    this.text = text;
    this.count = before === undefined ? 0 : before.count + 1;
    this.length = before === undefined ? 0 : before.length + text.length;
  }

  /** The same with one text more. */
  with(text: string): Gathered<Made> {
    const next = this.#next;
    if (next === undefined) return this.#next = new Gathered(this, text);
    if (next.text === text) return next;
    const other = this.#other;
    if (other !== undefined && other.text === text) return other;
    this.#other = next;
    return this.#next = new Gathered(this, text);
  }

  /** Forgets what followed: nobody else will be told that. */
  forget(): void {
    this.#next = this.#other = undefined;
  }
}

/** All texts that were gathered, in order. */
export function textsOf<Made>(all: Gathered<Made>): string[] {
  const texts: string[] = new Array(all.count);
  for (let it = all; it.before !== undefined; it = it.before) {
    texts[it.count - 1] = it.text;
  }
  return texts;
}

/** What is being told now. */
export const telling: { isForMany: boolean } = {
  /** Whether it is for many: nobody waits for it alone, and more may follow. */
  isForMany: false,
};
