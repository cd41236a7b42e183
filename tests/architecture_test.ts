/**
 * The plan of the house: imports run one way, as ARCHITECTURE.md says.
 */

import { assert, assertEquals } from "@std/assert";

const root = new URL("../", import.meta.url);

const architecture = await Deno.readTextFile(new URL("ARCHITECTURE.md", root));

/** The rooms, the lowest first; a file imports from its own or a lower one. */
const rooms = [
  "wire",
  "line",
  "peer",
  "parts",
  "presets",
  "events",
  "cluster",
  "methods",
  "server",
  "doors",
];

/** Workarounds: imported by anybody; they import types, and the ground they stand on. */
const runtime = "runtime";
const ground = ["src/line/socket.ts", "src/line/gathered.ts"];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isType: boolean;
}

async function filesOf(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (
    const { name, isDirectory } of Deno.readDir(new URL(folder, root))
  ) {
    const path = folder + name;
    if (isDirectory) files.push(...await filesOf(`${path}/`));
    else if (path.endsWith(".ts") && !path.endsWith(".d.ts")) files.push(path);
  }
  return files.sort();
}

async function imports(files: readonly string[]): Promise<Import[]> {
  const all: Import[] = [];
  for (const from of files) {
    const text = await Deno.readTextFile(new URL(from, root));
    const code = text.replaceAll(/^\s*\*.*$/gm, "");
    for (
      const [, what, path] of code.matchAll(
        /(?:import|export)\s+(?:([^;"]*?)from\s+)?"(\.[^"]+)"/g,
      )
    ) {
      const to = new URL(path!, new URL(from, root)).href.slice(
        root.href.length,
      );
      all.push({ from, to, isType: what?.startsWith("type ") ?? false });
    }
  }
  return all;
}

function roomOf(path: string): string {
  return /^src\/(\w+)\//.exec(path)?.[1] ?? "doors";
}

const doors = [
  "mod",
  "client",
  "slim",
  "server",
  "node",
  "bun",
  "discovery",
  "testing",
  "react",
  "workers",
  "cluster",
  "nats",
  "redis",
]
  .map((name) => `${name}.ts`);

Deno.test("Imports run one way through the rooms, types too", async () => {
  const all = await imports([...await filesOf("src/"), ...doors]);
  assert(all.length > 100);
  const upwards = all.filter(({ from, to, isType }) => {
    const [here, there] = [roomOf(from), roomOf(to)];
    if (here === runtime) {
      return there !== runtime && !isType && !ground.includes(to);
    }
    if (there === runtime) return false;
    return rooms.indexOf(there) > rooms.indexOf(here);
  });
  assertEquals(upwards, []);
  for (const { from } of all) {
    assert(rooms.includes(roomOf(from)) || roomOf(from) === runtime, from);
  }
});

Deno.test("No file of a room imports itself, by whatever way", async () => {
  const files = [...await filesOf("src/"), ...doors];
  const next = new Map<string, string[]>();
  for (const { from, to } of await imports(files)) {
    next.set(from, [...next.get(from) ?? [], to]);
  }
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    const start = way.indexOf(file);
    assertEquals(start === -1 ? [] : [...way.slice(start), file], []);
    if (done.has(file)) return;
    for (const to of next.get(file) ?? []) visit(to, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});

Deno.test("Modules are imported first by a door or a preset, where Deno loads them: see src/presets/graph.ts", async () => {
  const graph = "src/presets/graph.ts";
  const next = new Map<string, string[]>();
  for (
    const { from, to, isType } of await imports([
      ...await filesOf("src/"),
      ...doors,
    ])
  ) {
    if (!isType) next.set(from, [...next.get(from) ?? [], to]);
  }
  /** The modules that a door loads, in Deno's order, each with the one that was the first to import it. */
  const load = (door: string): Map<string, string> => {
    const first = new Map([[door, door]]);
    for (const from of first.keys()) {
      for (const to of next.get(from) ?? []) {
        if (!first.has(to)) first.set(to, from);
      }
    }
    return first;
  };
  for (const door of ["mod.ts", "client.ts", "slim.ts", "server.ts"]) {
    const first = load(door);
    assert(first.size > 30);
    for (const [file, from] of first) {
      assert(
        /^(src\/presets\/)?\w+\.ts$/.test(from),
        `${from} imports ${file}`,
      );
    }
  }
  const named = next.get(graph)!;
  next.set(graph, []);
  const slim = load("slim.ts");
  assertEquals(named.filter((file) => !slim.has(file)), []);
});

Deno.test("deno.json imports what the library needs, and nothing else does", async () => {
  const { imports, lock } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", root)),
  );
  // All of it is installed by `deno task start`: see first_start.ts. What tests,
  // benchmarks and examples need is in `scopes`, and in tests/deno.lock.
  assertEquals(Object.keys(imports), ["react", "ws"]);
  assertEquals(lock, false);

  const needed = new Set<string>();
  for (const file of [...await filesOf("src/"), ...doors]) {
    const text = await Deno.readTextFile(new URL(file, root));
    const code = text.replaceAll(/^\s*\*.*$/gm, "");
    for (
      const [, name] of code.matchAll(/\b(?:from|import\()\s*"([^".][^"]*)"/g)
    ) {
      if (!name!.startsWith("node:")) needed.add(name!);
    }
  }
  assertEquals([...needed].sort(), ["react", "ws"]);
});

Deno.test("test:fast leaves out folders, and starts no other program", async () => {
  const { tasks } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", root)),
  );
  const [, list] = /--ignore=(\S+)/.exec(tasks["test:fast"].command)!;
  const left = list!.split(",");
  for (const folder of left) {
    assert((await Deno.stat(new URL(folder, root))).isDirectory, folder);
  }
  const files = (await filesOf("tests/")).filter((file) =>
    file.endsWith("_test.ts") &&
    !left.some((folder) => file.startsWith(`${folder}/`))
  );
  assert(files.length > 50);
  for (const file of files) {
    const text = await Deno.readTextFile(new URL(file, root));
    assert(!/new Deno\.Command\(/.test(text), file);
  }
});

Deno.test("The core and its parts say nothing of a platform", async () => {
  for (const file of await filesOf("src/")) {
    const text = await Deno.readTextFile(new URL(file, root));
    const code = text.replaceAll(/^\s*(\*|\/\/).*$/gm, "");
    if (roomOf(file) === runtime) continue;
    assert(!/\bDeno\.|\bBun\.|\bprocess\.|from "node:/.test(code), file);
  }
});

Deno.test("A runtime's name is said by one door each", async () => {
  const owners: { readonly [owner: string]: RegExp } = {
    "server.ts": /\bDeno\./,
    "bun.ts": /\bBun\./,
    "node.ts": /from "node:/,
  };
  for (const [owner, name] of Object.entries(owners)) {
    const sayers: string[] = [];
    for (const door of doors) {
      const text = await Deno.readTextFile(new URL(door, root));
      const code = text.replaceAll(/^\s*(\*|\/\/).*$/gm, "");
      if (name.test(code)) sayers.push(door);
    }
    assertEquals(sayers, [owner]);
  }
});

Deno.test("ARCHITECTURE.md names every room and every part", async () => {
  const files = await filesOf("src/");
  for (const room of new Set(files.map(roomOf))) {
    assert(architecture.includes(`\`src/${room}/\``), room);
  }
  const everything = await Deno.readTextFile(
    new URL("src/presets/everything.ts", root),
  );
  const [, list] = /everything: readonly \w+\[\] = \[([^\]]*)\]/.exec(
    everything,
  )!;
  const parts = list!.match(/\w+/g) ?? [];
  assert(parts.length >= 8);
  for (const part of parts) assert(architecture.includes(`\`${part}\``), part);
});

Deno.test("ARCHITECTURE.md names every file of the core, and no file that isn't there", async () => {
  const files = await filesOf("src/");
  for (const file of files) {
    if (roomOf(file) !== "peer") continue;
    const name = file.slice(file.lastIndexOf("/") + 1);
    assert(architecture.includes(`\`${name}\``), name);
  }
  const all = [...files, ...doors, "tests/architecture_test.ts"];
  for (const [, name] of architecture.matchAll(/`([\w/]+\.ts)`/g)) {
    assert(all.some((file) => `/${file}`.endsWith(`/${name}`)), name);
  }
});

Deno.test("The files of the core import downwards, as ARCHITECTURE.md lists them", async () => {
  const [, core] = /## The core\n([^]*?)\n## /.exec(architecture)!;
  const order = Array.from(
    core!.matchAll(/^\| `(\w+\.ts)` +\|/gm),
    ([, name]) => `src/peer/${name}`,
  );
  assert(order.length > 10);
  for (const { from, to } of await imports(order)) {
    const [here, there] = [order.indexOf(from), order.indexOf(to)];
    assert(there === -1 || there > here, `${from} imports ${to}`);
  }
});

/** A function: the file that has it, its place there, and its text. */
interface Place {
  readonly file: string;
  readonly at: number;
  readonly text: string;
}

/** The functions of the library by name, without comments. */
async function functions(): Promise<Map<string, Place[]>> {
  const places = new Map<string, Place[]>();
  for (const file of await filesOf("src/")) {
    const source = await Deno.readTextFile(new URL(file, root));
    const code = source.replaceAll(/^\s*(\/?\*|\/\/).*$/gm, "");
    const heads = /^(?:export )?(?:async )?function\*? (\w+)/gm;
    for (const { 1: name, index: at } of code.matchAll(heads)) {
      const text = code.slice(at, code.indexOf("\n}", at));
      const place = { file, at, text };
      places.set(name!, [...places.get(name!) ?? [], place]);
    }
  }
  return places;
}

Deno.test("The ways in ARCHITECTURE.md are those of the code, downwards in each file", async () => {
  const places = await functions();
  const [, ways] = /## The life of a call\n([^]*)\n## Many servers/.exec(
    architecture,
  )!;
  const steps = [...ways!.matchAll(/`(\w+)`\s+→\s+(?=`(\w+)`)/g)];
  assert(steps.length > 40);
  for (const [, from, to] of steps) {
    const ends = places.get(to!) ?? [];
    const isWay = (places.get(from!) ?? []).some(({ file, at, text }) =>
      new RegExp(`\\b${to}\\b`).test(text) &&
      ends.some((end) => end.file !== file || end.at > at)
    );
    assert(isWay, `${from} → ${to}`);
  }
});
