/**
 * `deno task bench:compare FOLDER`: measures the library of another checkout,
 * then that of this one, in turns, and keeps the figures in `results/`. README.md
 * tells the arguments.
 */

import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { compareAll, narrow } from "./comparison.ts";
import { type Failure, measureRuns } from "./measure.ts";
import { machine, pinned } from "./process.ts";
import {
  type Figure,
  figures,
  markdown,
  readable,
  type RowSamples,
} from "./report.ts";
import { type Result, resultFile, stringify } from "./result.ts";
import { type Runtime, runtimesOf } from "./runtime.ts";
import { readVersions } from "./versions.ts";

// The contenders of the other checkout have this behind their names.
const mark = " before";

const pairs = ["peer", "slim"].map((name) => [name + mark, name]);

const { values, positionals: [folder, ...rest] } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    row: { type: "string", multiple: true },
    runs: { type: "string", default: "3" },
    rounds: { type: "string", default: "4" },
    milliseconds: { type: "string" },
  },
});
if (folder === undefined || rest.length > 0) {
  throw new TypeError("Cannot compare: name the folder of one other checkout");
}

const here = new URL("../", import.meta.url);
const there = new URL(pathToFileURL(`${await Deno.realPath(folder)}/`).href);
const before = await commitOf(there);
const after = await commitOf(here);
console.log(`${machine}; before: ${before}; after: ${after}`);

const [own, other] = [here, there].map((checkout) =>
  runtimesOf(new URL("bench/", checkout))
);
const runs = Number(values.runs);
const failures: Failure[] = [];
const measured = await measureRuns(
  narrow(
    (["deno", "node"] as const).map((name) =>
      compareAll(`compare ${name}`, either(own![name], other![name]), [
        "loop",
        ...pairs.flat(),
      ])
    ),
    values,
  ),
  runs,
  failures,
);

const result: Result = {
  date: new Date().toISOString(),
  machine,
  pinned,
  versions: { ...await readVersions(), before, after },
  runs,
  comparisons: measured.flatMap(({ comparison, samples }) => {
    const { name, contenders, rounds, milliseconds } = comparison;
    const circumstances = { rounds, milliseconds };
    return [
      // Against the loop, then against each other.
      {
        name,
        contenders,
        ...circumstances,
        figures: figures(contenders, samples),
      },
      ...pairs.map((pair) => ({
        name: `${name}, ${pair[1]}`,
        contenders: pair,
        ...circumstances,
        figures: figures(pair, pick(pair, contenders, samples)),
      })),
    ];
  }),
  bundles: [],
  failures,
};
for (const { name } of measured.map(({ comparison }) => comparison)) {
  const whole = result.comparisons.find((one) => one.name === name)!;
  for (const pair of pairs) {
    const title = `${name}, ${pair[1]}`;
    const { figures } = result.comparisons.find((one) => one.name === title)!;
    console.log(`\n## ${title}\n\n${changes(pair, figures, whole.figures)}`);
  }
}
await Deno.writeTextFile(
  resultFile(result, ["compare", before, after, ...values.row ?? []]),
  stringify(result),
);
if (failures.length > 0) Deno.exit(1);

/** The commit of a checkout. */
async function commitOf(checkout: URL): Promise<string> {
  const { stdout } = await new Deno.Command("git", {
    args: ["describe", "--always", "--dirty", "--exclude=*"],
    cwd: checkout,
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** Runs the other checkout's contenders there, all else here. */
function either(own: Runtime, other: Runtime): Runtime {
  const { withLargeFrames } = own;
  return {
    name: own.name,
    commandOf: (contender, role) =>
      contender.endsWith(mark)
        ? other.commandOf(contender.slice(0, -mark.length), role)
        : own.commandOf(contender, role),
    ...withLargeFrames !== undefined && {
      withLargeFrames: either(withLargeFrames, other.withLargeFrames!),
    },
  };
}

/** The samples of these contenders alone. */
function pick(
  chosen: string[],
  contenders: string[],
  samples: RowSamples[],
): RowSamples[] {
  const indices = chosen.map((name) => contenders.indexOf(name));
  return samples.map(({ row, rounds }) => ({
    row,
    rounds: rounds.map((round) => indices.map((index) => round[index])),
  }));
}

/** A line for each row and metric: medians, their ratio, and each one's to the loop. */
function changes(pair: string[], figures: Figure[], whole: Figure[]): string {
  const body = figures.flatMap(({ row, metric, contender, median, ratio }) => {
    if (contender !== pair[1] || isDetail(metric)) return [];
    const [loop, first, second] = ["loop", ...pair].map((name) =>
      whole.find((figure) =>
        figure.row === row && figure.metric === metric &&
        figure.contender === name
      )
    );
    if (ratio === undefined) return [];
    const { median: middle, quartiles: [low, high] } = ratio;
    return [[
      row,
      metric,
      readable(loop?.median ?? null),
      readable(first?.median ?? null),
      readable(median),
      `${middle.toFixed(3)} (${low.toFixed(3)}-${high.toFixed(3)})`,
      first?.ratio?.median.toFixed(2) ?? "-",
      second?.ratio?.median.toFixed(2) ?? "-",
    ]];
  });
  const head = ["loop", "before", "after", "after / before"];
  return markdown(
    ["", "", ...head, "before / loop", "after / loop"],
    body,
    2,
  );
}

/** True for a metric that is kept and not printed, since the CPU time of both sides is. */
function isDetail(metric: string): boolean {
  return metric.startsWith("p99") ||
    /^(server|client) CPU/.test(metric) && !metric.endsWith("/connection");
}
