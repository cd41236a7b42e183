/** `deno task bench`: measures the contenders in turns, prints the table, and keeps it in `results/`. */

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { bundleSize } from "./bundle.ts";
import { contenders as known } from "./contender.ts";
import { pinned } from "./process.ts";
import { figures, type RowSamples, table } from "./report.ts";
import { pairRows, rows } from "./rows.ts";
import { overPair, overSockets, type Sample, type Team } from "./team.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "3" },
    rounds: { type: "string", default: "6" },
    milliseconds: { type: "string", default: "700" },
  },
});
const runs = Number(values.runs);
const rounds = Number(values.rounds);
const milliseconds = Number(values.milliseconds);
const contenders = positionals.length > 0 ? positionals : ["loop", "peer"];
const unknown = contenders.find((name) => !Object.hasOwn(known, name));
if (unknown !== undefined) {
  throw new RangeError(`Cannot measure "${unknown}": no such contender`);
}

const machine = `${
  cpus()[0]?.model ?? "unknown CPU"
}, ${navigator.hardwareConcurrency} cores`;
const date = new Date().toISOString();
console.log(
  `${machine}; Deno ${Deno.version.deno}; ${pinned ? "" : "not "}pinned\n`,
);

// First, because it is quick to fail where the bundler can't be had.
const client = await bundleSize(new URL("../client.ts", import.meta.url));

const samples: RowSamples[] = [];
for (let run = 0; run < runs; run++) {
  await measure(overSockets, Object.keys(rows));
  await measure(overPair, Object.keys(pairRows));
}
const measured = figures(contenders, samples);
console.log(table(contenders, measured));

console.log(
  `\nclient.ts: ${client.minified} bytes minified, ${client.gzipped} gzipped`,
);

const result = {
  date,
  machine,
  deno: Deno.version.deno,
  pinned,
  runs,
  rounds,
  milliseconds,
  contenders,
  client,
  figures: measured,
};
const name = [
  date.slice(0, 10),
  machine,
  "deno",
  Deno.version.deno,
  ...contenders,
].join(" ");
const file = new URL(
  `results/${name.replaceAll(/[^\w.-]+/g, "-")}.json`,
  import.meta.url,
);
await Deno.writeTextFile(file, JSON.stringify(result, null, 2) + "\n");

/** Measures these rows in fresh processes, the contenders by turns within each round. */
async function measure(
  start: (contender: string) => Promise<Team>,
  names: string[],
) {
  await using teams = new AsyncDisposableStack();
  const turns: { team: Team; index: number }[] = [];
  for (const [index, contender] of contenders.entries()) {
    turns.push({ team: teams.use(await start(contender)), index });
  }
  for (const row of names) {
    const rowSamples = samples.find((known) => known.row === row) ??
      { row, rounds: [] };
    if (rowSamples.rounds.length === 0) samples.push(rowSamples);
    for (const { team } of turns) {
      await team.measure({ row, milliseconds: 1000 });
    }
    for (let turn = 0; turn < rounds; turn++) {
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
