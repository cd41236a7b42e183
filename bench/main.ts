/**
 * `deno task bench`: measures the contenders in turns, prints the tables, and
 * keeps them in `results/`. README.md tells the arguments.
 */

import { parseArgs } from "node:util";
import { type BundleSize, bundleSize, others, programs } from "./bundle.ts";
import { choose } from "./comparison.ts";
import { type Failure, measureRuns } from "./measure.ts";
import { machine, pinned } from "./process.ts";
import { figures } from "./report.ts";
import { type Result, resultFile, sections, stringify } from "./result.ts";
import { readVersions } from "./versions.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    contender: { type: "string", multiple: true },
    row: { type: "string", multiple: true },
    calls: { type: "string", default: "1000000" },
    runs: { type: "string", default: "2" },
    rounds: { type: "string" },
    milliseconds: { type: "string" },
  },
});
const calls = Number(values.calls);
const runs = Number(values.runs);
const comparisons = choose(positionals, { ...values, calls });

const date = new Date().toISOString();
const versions = await readVersions();
console.log(
  `${machine}; Deno ${Deno.version.deno}; ${pinned ? "" : "not "}pinned`,
);

// First, because it fails at once if there is no bundler.
const bundles: BundleSize[] = [];
if (positionals.length === 0 || positionals.includes("sizes")) {
  for (const program of [...programs, ...others]) {
    bundles.push(await bundleSize(program));
  }
}

const failures: Failure[] = [];
const measured = await measureRuns(comparisons, runs, failures);

const result: Result = {
  date,
  machine,
  pinned,
  versions,
  runs,
  comparisons: measured.map(({ comparison, samples }) => ({
    name: comparison.name,
    contenders: comparison.contenders,
    rounds: comparison.rounds,
    milliseconds: comparison.milliseconds,
    figures: figures(comparison.contenders, samples),
  })),
  bundles,
  failures,
};
for (const { name, text } of sections(result)) {
  console.log(`\n## ${name}\n\n${text}`);
}
await Deno.writeTextFile(
  resultFile(result, [
    ...positionals,
    ...values.contender ?? [],
    ...values.row ?? [],
  ]),
  stringify(result),
);
if (failures.length > 0) Deno.exit(1);
