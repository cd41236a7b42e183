/**
 * `first.ts MODULE... URL`: the time of a process's first call, from the loading of
 * the modules, the last of which is a contender's client. This file imports nothing,
 * so that only theirs is loaded, and writes one line of JSON.
 */

import type { Connect } from "./contender.ts";
import type { Reply } from "./lines.ts";

// In Deno, `process` would have to be loaded.
const { args, exit } = "Deno" in globalThis
  ? Deno
  : { args: globalThis.process.argv.slice(2), exit: globalThis.process.exit };
const modules = args.slice(0, -1);
const url = args.at(-1)!;

const { log } = console;
// Some packages log, but standard output is for the answer alone.
console.log = console.error;

const before = performance.now();
let contender: { connect: Connect };
for (const module of modules) contender = await import(module);
const client = await contender!.connect(url);
const sum = await client.add(1, 2);
const answer = performance.now() - before;
if (sum !== 3) throw new Error(`Wrong answer: add(1, 2) is ${sum}`);
log(JSON.stringify({ answer } satisfies Reply));
// The socket would keep the process alive.
exit();
