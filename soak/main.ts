/** `deno task soak`: makes everything go wrong for ten minutes, and accounts for every call. */

import { parseArgs } from "node:util";
import { soak, sum } from "./soak.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seconds: { type: "string", default: "600" },
    clients: { type: "string", default: "200" },
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
  },
});
const seed = Number(values.seed);
console.log(`seed ${seed}`);

let lines = 0;
const report = await soak({
  seconds: Number(values.seconds),
  clients: Number(values.clients),
  seed,
  onprogress({ seconds, calls, faults, heap }) {
    if (seconds < (lines + 1) * 10) return;
    lines = Math.floor(seconds / 10);
    const time = `${Math.floor(seconds)} s`;
    console.log(
      `${time}: ${calls} calls, ${faults} faults, clients use ${mebi(heap)}`,
    );
  },
});

const { calls, callsBack, executions, faults, violations } = report;
console.log(`calls: ${list(calls)}`);
console.log(`calls of the server: ${list(callsBack)}`);
console.log(`executions: ${executions}`);
console.log(`faults: ${sum(faults)}: ${list(faults)}`);
for (const who of ["client", "server"] as const) {
  const [before, after] = report[`${who}Heap`];
  console.log(`${who} heap: ${mebi(before)} before, ${mebi(after)} after`);
}
const [rssBefore, rssAfter] = report.serverRss;
console.log(`server RSS: ${mebi(rssBefore)} before, ${mebi(rssAfter)} after`);
console.log(`attacks: ${sum(report.attacks)}: ${list(report.attacks)}`);
console.log(
  `p99 beside one that sends as fast as it can: ${
    report.neighbourP99.toFixed(1)
  } ms`,
);
for (const violation of violations.slice(0, 50)) console.error(violation);
if (violations.length > 0) {
  console.error(
    `${violations.length} violations with seed ${seed}; journals in ${report.folder}`,
  );
  Deno.exitCode = 1;
} else console.log("no violations");

function list(counts: ReadonlyMap<string, number>): string {
  return Array.from(counts, ([name, count]) => `${name} ${count}`).join(", ");
}

function mebi(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
