/**
 * Hints for developers who may have meant something else: a method that a class has
 * and nobody can call, a call that `onopen` has made and holds back itself.
 *
 * @module
 */

import type { Core, CorePart } from "../peer/core.ts";
import { ownValue } from "../peer/methods.ts";
import { complain } from "../peer/owner.ts";
import { type Entry, messagesOf } from "../peer/pending.ts";
import type { Opening } from "../peer/seams.ts";
import { advance } from "../peer/waiting.ts";

/** Lets a peer tell what may have been meant. */
export const hints: CorePart = {
  name: "hints",
  attach(core) {
    core.hints = { explain, watch: (opening) => watch(core, opening) };
  },
};

// Milliseconds without anything of its own under way, after which a call that waits
// may be what `onopen` itself waits for.
const patience = 1_000;

/** Looks from time to time whether an `onopen` waits for a call that waits for it. */
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

/** The method of a message that waits, as it was written. */
function nameOf(entry: Entry): string {
  const { text } = messagesOf(entry)[0] ?? entry;
  return /"method":("(?:[^"\\]|\\.)*")/.exec(text)?.[1] ?? "a method";
}

// Each class once, whoever asks how often.
const explained = /* @__PURE__ */ new WeakSet<object>();

/**
 * Why a method was not found that its author may have meant to be: a class has it,
 * of which an instance is a group of methods, or all of them.
 *
 * @returns The reason, the first time for each class.
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
