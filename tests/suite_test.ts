/** What is the same on all servers, as Node and Bun run it; and what Bun's alone does. */

// Imported so that Deno fetches the package that has the program in it.
import "@oven/bun-linux-x64/package.json" with { type: "json" };
import "ws";
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { node24 } from "./interop/node_program.ts";
import { resolveWs } from "./node_ws.ts";
import type { Outcome } from "./suite.ts";

const root = new URL("../", import.meta.url);
const bun = fileURLToPath(import.meta.resolve("@oven/bun-linux-x64/bin/bun"));
const folder = await Deno.makeTempDir({ prefix: "suite_" });
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

// All but `ws`, which Bun has its own of.
const bundle = `${folder}/suite.mjs`;
const { success, stderr } = await new Deno.Command(Deno.execPath(), {
  args: [
    ...["bundle", "--lock=tests/deno.lock", "--no-check", "--platform=deno"],
    ...["--external=ws", "tests/suite.ts", "-o", bundle],
  ],
  cwd: root,
}).output();
assert(success, new TextDecoder().decode(stderr));
const run = `await import(${JSON.stringify(bundle)});`;

for (
  const [name, platforms, program, ...args] of [
    ["Node", ["Node"], node24, "--input-type=module", "-e", resolveWs + run],
    ["Bun", ["Node", "Bun"], bun, "-e", run],
  ] as const
) {
  Deno.test(`The servers do the same in ${name}`, async (test) => {
    const { stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      cwd: root,
    }).output();
    const lines = new TextDecoder().decode(stdout).split("\n");
    const outcomes: Outcome[] = lines
      .filter((line) => line.startsWith('{"title"'))
      .map((line) => JSON.parse(line));
    for (const { title, error } of outcomes) {
      await test.step(title, () => assertEquals(error, undefined, error));
    }
    // Each of its servers has done all, to the last that is imported.
    const complaints = new TextDecoder().decode(stderr);
    for (const platform of platforms) {
      const own = outcomes.filter(({ title }) => title.endsWith(platform));
      assert(own.length > 60, complaints);
      assert(own.at(-1)?.title.startsWith("connect of /node"), complaints);
    }
  });
}

Deno.test("Bun runs the listings of docs/guide/bun.md and of bun.ts", async () => {
  const page = await Deno.readTextFile(new URL("docs/guide/bun.md", root));
  const door = await Deno.readTextFile(new URL("bun.ts", root));
  const commented = door.replaceAll(/^ \* ?/gm, "");
  const listings = [page, commented].flatMap((text) =>
    [...text.matchAll(/^```ts ignore\n(.*?)^```$/gms)].map(([, code]) => code!)
  );
  assertEquals(listings.length, 4);
  const { exports } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", root)),
  );
  for (const [index, listing] of listings.entries()) {
    const code = listing.replaceAll(
      /"@jsonrpcws\/peer(\/\w+)?"/g,
      (_, door = "") => JSON.stringify(new URL(exports[`.${door}`], root).href),
    );
    const file = `${folder}/listing_${index}.ts`;
    await Deno.writeTextFile(file, code);
    const { success, stderr } = await new Deno.Command(bun, {
      args: ["run", file],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  }
});
