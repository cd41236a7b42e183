/**
 * The length of a text in bytes of UTF-8. Counted without a TextEncoder, which a
 * page in Jest lacks.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc3629#section-3}
 *
 * @module
 */

/** The beginning of a text that fits into some bytes. */
export interface Fitting {
  /** UTF-16 code units; no character is cut in two. */
  readonly length: number;
  readonly bytes: number;
}

/** Measures how much of a text fits into `most` bytes. Default: all of it. */
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
