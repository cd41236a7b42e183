/** `deno task bench`: measures the contenders in turns, prints the tables, and keeps them in `results/`. */

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { type BundleSize, bundleSize, programs } from "./bundle.ts";
import { choose, type Comparison, type Setting } from "./comparison.ts";
import { pinned } from "./process.ts";
import { figures, type RowSamples, sizeTable, table } from "./report.ts";
import type { Sample, Team } from "./team.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "3" },
    rounds: { type: "string", default: "4" },
    milliseconds: { type: "string", default: "700" },
  },
});
const runs = Number(values.runs);
const rounds = Number(values.rounds);
const milliseconds = Number(values.milliseconds);
const comparisons = choose(positionals).map((comparison) => ({
  ...comparison,
  samples: [] as RowSamples[],
}));

// Milliseconds of work before a row's first round: by then its code is compiled.
const warmUp = 500;

const machine = `${
  cpus()[0]?.model ?? "unknown CPU"
}, ${navigator.hardwareConcurrency} cores`;
const date = new Date().toISOString();
console.log(
  `${machine}; Deno ${Deno.version.deno}; ${pinned ? "" : "not "}pinned`,
);

// First, because it is quick to fail where the bundler can't be had.
const bundles: BundleSize[] = [];
for (const program of programs) bundles.push(await bundleSize(program));

for (let run = 0; run < runs; run++) {
  for (const comparison of comparisons) {
    for (const setting of comparison.settings) {
      await measure(comparison, setting, comparison.samples);
    }
  }
}

const measured = comparisons.map(({ contenders, samples }) => ({
  contenders,
  figures: figures(contenders, samples),
}));
for (const { contenders, figures } of measured) {
  console.log(`\n${table(contenders, figures)}`);
}
for (const figure of measured.flatMap(({ figures }) => figures)) {
  const { row, contender, metric, difference } = figure;
  if (metric !== "deno check, s" || difference === undefined) continue;
  const { median, quartiles: [low, high] } = difference;
  console.log(
    `\n${row}, ${contender}: ${median.toFixed(2)} s more (${low.toFixed(2)}-${
      high.toFixed(2)
    })`,
  );
}
console.log(`\n${sizeTable(bundles)}`);

const result = {
  date,
  machine,
  deno: Deno.version.deno,
  pinned,
  runs,
  rounds,
  milliseconds,
  comparisons: measured,
  bundles,
};
const name = [
  date.slice(0, 10),
  machine,
  "deno",
  Deno.version.deno,
  ...positionals,
].join(" ");
const file = new URL(
  `results/${name.replaceAll(/[^\w.-]+/g, "-")}.json`,
  import.meta.url,
);
await Deno.writeTextFile(file, JSON.stringify(result, null, 2) + "\n");

/** Measures these rows in fresh processes, the contenders by turns within each round. */
async function measure(
  { contenders }: Comparison,
  { start, rows, isSlow = false }: Setting,
  samples: RowSamples[],
) {
  await using teams = new AsyncDisposableStack();
  const turns: { team: Team; index: number }[] = [];
  for (const [index, contender] of contenders.entries()) {
    turns.push({ team: teams.use(await start(contender)), index });
  }
  for (const row of rows) {
    const rowSamples: RowSamples = samples.find((known) => known.row === row) ??
      { row, rounds: [] };
    if (rowSamples.rounds.length === 0) samples.push(rowSamples);
    if (!isSlow) {
      for (const { team } of turns) {
        await team.measure({ row, milliseconds: warmUp });
      }
    }
    for (let turn = 0; turn < (isSlow ? rounds / 2 : rounds); turn++) {
      const round: Sample[] = [];
      for (const { team, index } of turns) {
        round[index] = await team.measure({ row, milliseconds });
      }
      rowSamples.rounds.push(round);
      // Who goes first changes, so that a drift of the machine favours nobody.
      turns.reverse();
    }
  }
}
