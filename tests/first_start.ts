/**
 * `deno task start:first`: the first start of a stranger who has cloned this
 * repository. Prints what is downloaded before the chat can be opened, and fails
 * if that is over its budget.
 *
 * A clone of the latest commit, with an empty cache each time. What tests and
 * benchmarks need is in the `scopes` of deno.json and their lock file in
 * `tests/`, since `deno task` (2.9.5) installs all that `imports` and a lock file
 * beside deno.json name, 617 MB, whatever the task is. Seconds are printed and
 * not judged: they are the network's.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/** 6 and 5 today: `ws` and React, which are the library's own, and what `ws` may use. */
const budget = { downloads: 8, megabytes: 8 };

const commands = [
  ["task", "start"],
  ["run", "--no-prompt", "--allow-all", "examples/server.ts"],
];

const root = fileURLToPath(new URL("../", import.meta.url));

/** What a first start costs. */
interface Cost {
  readonly seconds: number;
  readonly downloads: number;
  readonly megabytes: number;
}

if (import.meta.main) {
  const folder = await Deno.makeTempDir();
  try {
    const clone = `${folder}/clone`;
    await run("git", "clone", "--quiet", root, clone);
    for (const [at, args] of commands.entries()) {
      const { seconds, downloads, megabytes } = await start(
        args,
        clone,
        `${folder}/cache${at}`,
      );
      console.log(
        `deno ${args.join(" ")}: ${downloads} downloads, ${
          megabytes.toFixed(1)
        } MB, ${seconds.toFixed(1)} s`,
      );
      if (downloads > budget.downloads || megabytes > budget.megabytes) {
        console.error(
          `The first start is too big: at most ${budget.downloads} downloads and ${budget.megabytes} MB`,
        );
        Deno.exitCode = 1;
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs one command in the clone until its page can be opened, and ends it. */
async function start(
  args: readonly string[],
  clone: string,
  cache: string,
): Promise<Cost> {
  const begun = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: clone,
    env: { DENO_DIR: cache, HOSTNAME: "", NO_COLOR: "1", PORT: "0" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const told = new Response(child.stderr).text();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();

  let printed = "";
  while (!/ at http\S+\n/.test(printed)) {
    const { value, done } = await output.read();
    if (done) throw new Error(`Cannot start: ${await told}`);
    printed += value;
  }
  const [url = ""] = /http\S+/.exec(printed) ?? [];
  const page = await fetch(url);
  if (!page.ok) throw new Error(`Cannot open the page: ${page.status}`);
  await page.body?.cancel();
  const seconds = (performance.now() - begun) / 1000;

  child.kill("SIGINT");
  await output.cancel();
  await child.status;
  return {
    seconds,
    downloads: (await told).match(/^Download /gm)?.length ?? 0,
    megabytes: await sizeOf(cache) / 1e6,
  };
}

/** The bytes of all files in a folder. */
async function sizeOf(folder: string): Promise<number> {
  let size = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    size += isDirectory ? await sizeOf(path) : (await Deno.stat(path)).size;
  }
  return size;
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(`Cannot run ${command} ${args.join(" ")}`);
}
