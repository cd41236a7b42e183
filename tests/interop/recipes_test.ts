/**
 * The recipes of docs/interop.md: each is a part of a test beside this one, and
 * every such part is there.
 */

import { assert, assertEquals } from "@std/assert";

const folder = new URL("./", import.meta.url);
const page = new URL("../../docs/interop.md", import.meta.url);

/** Code without what a formatter decides by the width of the page. */
function plain(code: string): string {
  return code.replaceAll(/\s+/g, "").replaceAll(/,(?=[)\]}])/g, "");
}

/** The marked parts of a program, by their names. */
function recipes(program: string): [name: string, code: string][] {
  const marked = /^ *(?:\/\/|#) recipe: ([^\n]+)\n(.*?)^ *(?:\/\/|#) end$/gms;
  return Array.from(program.matchAll(marked), ([, name, code]) => [
    name!,
    plain(code!),
  ]);
}

/** The listings of a document by the titles that they stand under. */
function listings(document: string): Map<string, string[]> {
  const sections = new Map<string, string[]>();
  for (const section of document.split(/^## /m).slice(1)) {
    const title = section.slice(0, section.indexOf("\n"));
    const codes = Array.from(
      section.matchAll(/^```[a-z]+\n(.*?)^```$/gms),
      ([, code]) => plain(code!),
    );
    sections.set(title, codes);
  }
  return sections;
}

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
