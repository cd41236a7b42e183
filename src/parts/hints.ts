/**
 * Hints for developers about two mistakes: a method that an instance only inherits,
 * so that nobody can call it; and a call in `onopen` that waits for `onopen`
 * itself.
 *
 * @module
 */

import type { Core, CorePart, Hints } from "../peer/core.ts";
import { ownValue } from "../peer/methods.ts";
import { complain } from "../peer/owner.ts";
import { type Entry, messagesOf } from "../peer/pending.ts";
import type { Opening } from "../peer/seams.ts";
import { advance } from "../peer/waiting.ts";

/** The part that gives hints. */
export const hints: CorePart = {
  name: "hints",
  attach(core) {
    core.hints = hint;
  },
};

const hint: Hints = { explain, watch };

// Milliseconds: if `onopen` has had nothing under way for so long, it may be
// waiting for a call that waits for it.
const patience = 1_000;

/** Looks every second whether an `onopen` waits for a call that waits for it. */
function watch(core: Core, opening: Opening): () => void {
  const { queue } = core;
  const handshake: ReadonlySet<Entry> = new Set(queue.others);
  let before = 0;
  let timer = setTimeout(look, patience);
  return () => clearTimeout(timer);
  function look(): void {
    const isQuiet = opening.made === before && opening.answered === before;
    before = opening.made;
    const first = isQuiet ? queue.passOthers(handshake) : undefined;
    if (first === undefined) {
      timer = setTimeout(look, patience);
      return;
    }
    opening.isLenient = true;
    const why = `The call of ${
      nameOf(first)
    } waited ${patience} ms for onopen, which may have made it: after an await, say first(() => this.remote...), with the argument of onopen`;
    complain(core, new Error(why));
    advance(core);
  }
}

/** The method's name in a message's text, quoted. */
function nameOf(entry: Entry): string {
  const { text } = messagesOf(entry)[0] ?? entry;
  return /"method":("(?:[^"\\]|\\.)*")/.exec(text)?.[1] ?? "a method";
}

// The classes that were explained: each once.
const explained = /* @__PURE__ */ new WeakSet<object>();

/**
 * The reason why a method was not found: the class of `local`, or of a group in it,
 * has it, but only own functions can be called.
 *
 * @returns The error for the owner, the first time for each class.
 */
export function explain(holder: object, name: string): TypeError | undefined {
  for (let dot = -1; (dot = name.indexOf(".", dot + 1)) !== -1;) {
    const group = ownValue(holder, name.slice(0, dot));
    const why = typeof group === "object" && group !== null &&
      explain(group, name.slice(dot + 1));
    if (why) return why;
  }
  for (
    let from: object | null = Object.getPrototypeOf(holder);
    from !== null && from !== Object.prototype;
    from = Object.getPrototypeOf(from)
  ) {
    if (typeof ownValue(from, name) !== "function") continue;
    if (name === "constructor" || explained.has(from)) return undefined;
    explained.add(from);
    return new TypeError(
      `Cannot call "${name}": an instance inherits it, and only own functions can be called. List it: { ${name}: (...params) => instance.${name}(...params) }`,
    );
  }
  return undefined;
}
