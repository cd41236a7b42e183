/** Texts that are gathered: who is told the same gathers the same. */

import { assert, assertEquals } from "@std/assert";
import { Gathered, textsOf } from "../src/line/gathered.ts";

Deno.test("Gathered is the same for all who gather the same, in the same order", () => {
  const nothing = new Gathered<string>();
  const one = nothing.with("a").with("b");
  assert(nothing.with("a").with("b") === one);
  assert(nothing.with("b") !== one);
  // Those who speak two versions may take turns.
  assert(nothing.with("a").with("b") === one);
  assertEquals(textsOf(nothing.with("b").with("a")), ["b", "a"]);
  assertEquals([textsOf(one), one.count, one.length], [["a", "b"], 2, 2]);
  assertEquals([textsOf(nothing), nothing.count, nothing.length], [[], 0, 0]);
});

Deno.test("Gathered goes on for each by itself", () => {
  const all = new Gathered<string>().with("to all");
  const own = all.with("to one");
  const others = all.with("to the others");
  // The one is told it, too, behind what was for him alone.
  assertEquals(textsOf(own.with("to the others")), [
    "to all",
    "to one",
    "to the others",
  ]);
  assertEquals(textsOf(others), ["to all", "to the others"]);
  assert(all.with("to the others") === others);
});

Deno.test("Gathered knows what was made of it, and forgets what followed", () => {
  const nothing = new Gathered<string>();
  const one = nothing.with("a");
  one.made = "A";
  assertEquals(nothing.with("a").made, "A");
  nothing.forget();
  assertEquals(nothing.with("a").made, undefined);
  assertEquals(textsOf(one), ["a"]);
});
