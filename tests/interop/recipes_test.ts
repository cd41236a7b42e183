/**
 * The recipes of docs/interop.md: each is a part of a test beside this one, and
 * every such part is there.
 */

import { assert, assertEquals } from "@std/assert";
import { listings, recipes } from "../recipes.ts";

const folder = new URL("./", import.meta.url);
const page = new URL("../../docs/interop.md", import.meta.url);

Deno.test("docs/interop.md prints the recipes that are tested, and has one for each peer", async () => {
  const sections = listings(await Deno.readTextFile(page));
  const seen = new Set<string>();
  for await (const { name: file } of Deno.readDir(folder)) {
    if (!/\.(ts|py)$/.test(file) || file === "recipes_test.ts") continue;
    const program = await Deno.readTextFile(new URL(file, folder));
    for (const [name, code] of recipes(program)) {
      const printed = sections.get(name) ?? [];
      assert(printed.includes(code), `${file}: ${name} is printed differently`);
      seen.add(name);
    }
  }
  assertEquals([...seen].sort(), [...sections.keys()].sort());
});
