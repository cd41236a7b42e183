/**
 * `deno task bench:fairness`: a neighbour's latency beside a client that sends as
 * fast as it can, and the delay of the server's timers; `deno task attack`: the same
 * beside attacks, and then the cost of messages for their length.
 */

import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { connect } from "@jsonrpcws/peer/client";
import { node24 } from "../tests/interop/node_program.ts";
import { attacks } from "./fairness/attacks.ts";
import { floods } from "./fairness/floods.ts";
import { p99 } from "./fairness/percentile.ts";
import { Process } from "./process.ts";
import { bundle, bunProgram } from "./runtime.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    server: { type: "string", multiple: true },
    row: { type: "string", multiple: true },
    attacks: { type: "boolean", default: false },
    seconds: { type: "string", default: "5" },
  },
});
const config = `--config=${pathOf("../deno.json")}`;
const deno = [
  ...["deno", "run", config, "--no-check", "--no-prompt"],
  "--allow-all",
];
let bundled: Promise<string> | undefined;
/** The server as one program, for runtimes that don't know the names in `deno.json`. */
const bundledServer = async (): Promise<string> =>
  fileURLToPath(
    `${await (bundled ??= bundle(
      [config],
      [pathOf("fairness/server.ts")],
    ))}server.js`,
  );
const servers: { [name: string]: () => Promise<string[]> } = {
  "Deno": () =>
    Promise.resolve([...deno, pathOf("fairness/server.ts"), "deno"]),
  "ws on Deno": () =>
    Promise.resolve([...deno, pathOf("fairness/server.ts"), "ws"]),
  "ws on Node": async () => [node24, await bundledServer(), "ws"],
  "Bun": async () => [bunProgram, "run", await bundledServer(), "bun"],
};

const rows = values.attacks ? attacks : floods;

interface Lateness {
  p99: number;
  most: number;
  rss: number;
}

console.log(
  "| server | beside | sent/s | cuts | calls | p50, ms | p99, ms | most, ms | timers p99 | timers most | RSS, MiB |",
);
console.log("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
for (const name of values.server ?? Object.keys(servers)) {
  const command = await servers[name]!();
  for (const kind of values.row ?? ["nothing", ...Object.keys(rows)]) {
    await using server = new Process(0, name, ...command);
    const url = await server.read<string>();
    await using flood = kind === "nothing" ? undefined : new Process(
      1,
      kind,
      ...deno,
      pathOf("fairness/flood.ts"),
      url,
      kind,
    );
    await flood?.read();
    await using client = connect(url, { timeout: 30_000, onerror() {} });
    const latencies: number[] = [];
    const measure = async (seconds: number): Promise<void> => {
      for (
        const end = performance.now() + seconds * 1_000;
        performance.now() < end;
      ) {
        const before = performance.now();
        try {
          await client.request("echo", [1]);
        } catch (error) {
          console.error(String(error));
        }
        latencies.push(performance.now() - before);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await measure(1);
    latencies.length = 0;
    await server.ask("");
    await flood?.ask("go");
    await measure(Number(values.seconds));
    const { sent, cuts } =
      await flood?.ask<{ sent: number; cuts: number }>("") ??
        { sent: 0, cuts: 0 };
    const late = await server.ask<Lateness>("");
    const sorted = latencies.toSorted((a, b) => a - b);
    const cells = [
      name,
      kind,
      Math.round(sent / Number(values.seconds)),
      cuts,
      latencies.length,
      ...[
        sorted[sorted.length >> 1]!,
        p99(latencies),
        sorted.at(-1)!,
        late.p99,
        late.most,
        late.rss,
      ].map((value) => value.toFixed(1)),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}
if (values.attacks && values.row === undefined) await compareCosts();
Deno.exit();

/** Prints the cost of messages against plain JSON of their length. */
async function compareCosts(): Promise<void> {
  const file = pathOf("fairness/costs.ts");
  const bundled = fileURLToPath(`${await bundle([config], [file])}costs.js`);
  const processes = [
    new Process(1, "Deno", ...deno, file),
    new Process(1, "Node", node24, bundled),
    new Process(1, "Bun", bunProgram, "run", bundled),
  ];
  console.log("\n| message | Deno | Node | Bun |\n|---|--:|--:|--:|");
  const [kinds] = await Promise.all(
    processes.map((one) => one.read<string[]>()),
  );
  for (const kind of kinds!) {
    const cells: string[] = [];
    for (const one of processes) {
      const { all, parse } = await one.ask<{ all: number; parse: number }>(
        kind,
      );
      cells.push(`${all.toFixed(1)} (${parse.toFixed(1)})`);
    }
    console.log(`| ${kind} | ${cells.join(" | ")} |`);
  }
  for (const one of processes) await one[Symbol.asyncDispose]();
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}
