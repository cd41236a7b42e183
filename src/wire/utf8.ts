/**
 * The length of a text in bytes of UTF-8, counted without an encoder, which not
 * every platform has: Jest's page has none.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc3629#section-3}
 *
 * @module
 */

/** The part of a text that fits into some bytes. */
export interface Fitting {
  /** UTF-16 code units, of whole characters. */
  readonly length: number;
  readonly bytes: number;
}

/** Measures how much of a text fits into some bytes; by default all of it does. */
export function fit(text: string, most: number = Infinity): Fitting {
  let length = 0;
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0)!;
    const size = point < 0x80
      ? 1
      : point < 0x800
      ? 2
      : point < 0x1_0000
      ? 3
      : 4;
    if (bytes + size > most) break;
    bytes += size;
    length += character.length;
  }
  return { length, bytes };
}
