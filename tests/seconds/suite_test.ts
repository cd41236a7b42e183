/**
 * What is the same on all servers, as Node, Bun and Cloudflare's runtime run it (Deno
 * runs the files themselves); and what Bun's alone does.
 */

// Imported so that Deno fetches the package that has the program in it.
import "@oven/bun-linux-x64/package.json" with { type: "json" };
import "ws";
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { node24 } from "../interop/node_program.ts";
import { resolveWs } from "../node_ws.ts";
import { cloudflares } from "../servers.ts";
import type { Outcome } from "../suite.ts";
import { start } from "../workers/workerd.ts";

const root = new URL("../../", import.meta.url);
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

/** The modules that workerd has not, and those of the packages that it has. */
function importsOf(): { [name: string]: string } {
  const absent = new URL("tests/workers/absent.ts", root).href;
  const own = ["node.ts", "src/runtime/ws_socket.ts"]
    .map((path) => new URL(path, root).href);
  const others = [
    "ws",
    "selfsigned",
    "node:events",
    "node:stream",
    "node:test",
  ];
  return {
    "@std/assert": new URL("links/assert/mod.ts", root).href,
    "@std/http": new URL("links/http/mod.ts", root).href,
    ...Object.fromEntries([...own, ...others].map((name) => [name, absent])),
  };
}

Deno.test("The servers do the same in workerd", async (test) => {
  // Of this date a client answers a close by itself.
  const date = "2026-11-01";
  await using workerd = await start("suite.ts", ["Stage"], date, importsOf());
  const response = await fetch(`${workerd.url.replace("ws:", "http:")}run`);
  const lines = (await response.text()).trim().split("\n");
  const outcomes: Outcome[] = lines.map((line) => JSON.parse(line));
  for (const { title, error } of outcomes) {
    await test.step(title, () => assertEquals(error, undefined, error));
  }
  assert(outcomes.length > 60);
  assert(outcomes.at(-1)?.title.startsWith("Sixty answers"));
});

Deno.test("docs/guide/workers.md says what is not the same in workerd", async () => {
  const page = await Deno.readTextFile(new URL("docs/guide/workers.md", root));
  const [, differences] = page.split(
    "## What differs from the other servers\n",
  );
  const text = differences!.replaceAll(/\s+/g, " ");
  for (const { workerd } of Object.values(cloudflares)) {
    assert(text.includes(workerd), workerd);
  }
});

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
