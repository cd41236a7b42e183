/**
 * The recipes of docs/interop.md: each is a part of a test beside this one, and
 * every such part is there.
 */

import { assert, assertEquals } from "@std/assert";
import { listings, recipes } from "../recipes.ts";

const folders = ["./", "../dotnet/"];
const page = new URL("../../docs/interop.md", import.meta.url);

Deno.test("docs/interop.md prints the recipes that are tested, and has one for each peer", async () => {
  const sections = listings(await Deno.readTextFile(page));
  const seen = new Set<string>();
  for (const path of folders) {
    const folder = new URL(path, import.meta.url);
    for await (const { name: file } of Deno.readDir(folder)) {
      if (!/\.(ts|py|cs)$/.test(file) || file === "recipes_test.ts") continue;
      const program = await Deno.readTextFile(new URL(file, folder));
      const parts = recipes(program);
      for (const [name, code] of parts) {
        const printed = sections.get(name) ?? [];
        // Each by itself, or all of a file's in one listing.
        const all = parts.filter(([of]) => of === name).map(([, it]) => it);
        assert(
          printed.includes(code) || printed.includes(all.join("")),
          `${file}: ${name} is printed differently`,
        );
        seen.add(name);
      }
    }
  }
  assertEquals([...seen].sort(), [...sections.keys()].sort());
});
