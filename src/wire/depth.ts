/**
 * The depth of a JSON text, found before anything is built of it.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8259#section-9}
 *
 * @module
 */

/**
 * Whether the arrays and objects of a JSON text are nested deeper than a limit. For
 * a text that is no JSON the answer doesn't matter, since JSON.parse refuses it.
 *
 * Nearly every message is short enough, or has few enough brackets, which are
 * counted at the speed of `indexOf`; only a message with many is read.
 */
export function isDeeperThan(depth: number, text: string): boolean {
  // Each level ends with a character of its own, so a text that goes too deep does
  // so before its last `depth` characters.
  const end = text.length - depth - 1;
  if (end <= depth) return false;
  const braces = countUpTo(depth, "{", text, end);
  return braces + countUpTo(depth - braces, "[", text, end) > depth &&
    goesDeeperThan(depth, text, end);
}

/** Counts a character before `end`; stops when there are more than `enough`. */
function countUpTo(
  enough: number,
  character: string,
  text: string,
  end: number,
): number {
  let count = 0;
  let at = text.indexOf(character);
  while (count <= enough && at !== -1 && at < end) {
    count++;
    at = text.indexOf(character, at + 1);
  }
  return count;
}

function goesDeeperThan(limit: number, text: string, end: number): boolean {
  let depth = 0;
  for (let at = 0; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x5b /* [ */) {
      // Setting this bit makes a brace of a bracket.
      const brace = code | 0x20;
      if (brace === 0x7b /* { */) {
        depth++;
        if (depth > limit) return true;
      } else if (brace === 0x7d /* } */) depth--;
    } else if (code === 0x22 /* " */) at = endOfString(text, at, end);
  }
  return false;
}

// Characters: the rest of a longer string is searched by `indexOf`, ten times as
// fast if few characters are escaped.
const short = 32;

/** The end of the string that begins at `at`, or `end` if that is sooner. */
function endOfString(text: string, at: number, end: number): number {
  const near = Math.min(at + short, end);
  while (++at < near) {
    const code = text.charCodeAt(at);
    if (code === 0x22 /* " */) return at;
    if (code === 0x5c /* \ */) at++; // The escaped character is no end.
  }
  for (; at < end; at++) {
    at = text.indexOf('"', at);
    if (at === -1) return end;
    let before = at - 1;
    while (text.charCodeAt(before) === 0x5c /* \ */) before--;
    // An odd number of backslashes escapes the quote; an even number only each
    // other.
    if ((at - before) % 2 === 1) break;
  }
  return at;
}

/** The texts of the members of a JSON array. */
export function membersOf(text: string): string[] {
  const { length } = text;
  const members: string[] = [];
  let depth = 0;
  let start = 1;
  for (let at = 1; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22 /* " */) at = endOfString(text, at, length);
    else if (code === 0x5b /* [ */ || code === 0x7b /* { */) depth++;
    else if (code === 0x5d /* ] */ || code === 0x7d /* } */) depth--;
    const isEnd = depth < 0;
    if (isEnd || code === 0x2c /* , */ && depth === 0) {
      members.push(text.slice(start, at));
      start = at + 1;
    }
    if (isEnd) break;
  }
  return members;
}
