/**
 * `deno task bench:rooms`: the cost of telling a room. Three of its members speak,
 * each with eight messages under way, and every member is told each of them.
 *
 * The comparisons are `node`, `deno` and `bun`, one process on each, and `redis` and
 * `nats`, three processes on Node through one of these; `scale` alone is three such with 5,000
 * connections each. `--before ../other` measures the library of another
 * checkout beside this one's; `--contender`, `--members`, `--rounds`, `--milliseconds`
 * and `--runs` choose.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { EngineServer } from "../tests/cluster/servers.ts";
import { node24 } from "../tests/interop/node_program.ts";
import { Process } from "./process.ts";
import { bundle, bunProgram } from "./runtime.ts";
import type { Usage } from "./usage.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    before: { type: "string" },
    contender: { type: "string", multiple: true },
    members: { type: "string", multiple: true },
    rounds: { type: "string", default: "5" },
    runs: { type: "string", default: "2" },
    milliseconds: { type: "string", default: "1000" },
  },
});

/** The protocol of a room's members. */
type Kind = "rpc" | "shared" | "socket.io";

interface Contender {
  readonly name: string;
  readonly kind: Kind;
  /** The command of a node. */
  command(): Promise<string[]>;
}

const here = new URL("./", import.meta.url);
const bundles = new Map<string, Promise<string>>();

function configOf(bench: URL): string[] {
  const path = (file: string) => fileURLToPath(new URL(file, bench));
  const lock = path("../tests/deno.lock");
  return [
    `--config=${path("../deno.json")}`,
    ...existsSync(lock) ? [`--lock=${lock}`] : [],
  ];
}

/** The command that runs a file of `rooms/`, of either checkout. */
type Start = (
  file: string,
  args?: readonly string[],
  bench?: URL,
) => () => Promise<string[]>;

const deno: Start = (file, args = [], bench = here) => () =>
  Promise.resolve([
    ...["deno", "run", ...configOf(bench), "--no-check", "--no-prompt"],
    ...["--v8-flags=--expose-gc", "--allow-env", "--allow-read"],
    ...["--allow-sys", "--allow-net=127.0.0.1"],
    fileURLToPath(new URL(`rooms/${file}.ts`, bench)),
    ...args,
  ]);

const node: Start = (file, args = [], bench = here) => async () => {
  const path = fileURLToPath(new URL(`rooms/${file}.ts`, bench));
  const bundled = bundles.get(path) ?? bundle(configOf(bench), [path]);
  bundles.set(path, bundled);
  const program = fileURLToPath(`${await bundled}${file}.js`);
  return [node24, "--expose-gc", "--no-deprecation", program, ...args];
};

const bun: Start = (...what) => async () => {
  const [, , , ...rest] = await node(...what)();
  return [bunProgram, "run", "--expose-gc", ...rest];
};

const before = values.before === undefined
  ? undefined
  : new URL("bench/", `${pathToFileURL(values.before).href}/`);

/** The library, of this checkout and of the other one, if there is one. */
function library(
  name: string,
  kind: Kind,
  start: Start,
  file: string,
  args?: readonly string[],
): Contender[] {
  return [
    { name, kind, command: start(file, args) },
    ...before === undefined ? [] : [{
      name: `${name}, before`,
      kind,
      command: start(file, args, before),
    }],
  ];
}

const comparisons: {
  readonly [name: string]: (engine: string) => readonly Contender[];
} = {
  node: () => [
    { name: "bare loop", kind: "rpc", command: node("bare", ["write"]) },
    ...library("broadcast", "rpc", node, "library", ["ws"]),
    ...library("broadcast, shared frames", "shared", node, "library", ["ws"]),
    { name: "room", kind: "rpc", command: node("cluster") },
    { name: "ws, a send each", kind: "rpc", command: node("bare", ["send"]) },
    { name: "Socket.IO", kind: "socket.io", command: node("socket_io") },
  ],
  deno: () => [
    { name: "bare loop", kind: "rpc", command: deno("bare", ["deno"]) },
    ...library("broadcast, shared frames", "shared", deno, "library", ["deno"]),
    { name: "a send each", kind: "rpc", command: deno("bare", ["send"]) },
    ...library("broadcast", "rpc", deno, "library", ["deno"]),
  ],
  bun: () => [
    ...library("broadcast, shared frames", "shared", bun, "library", ["bun"]),
    ...library("broadcast", "rpc", bun, "library", ["bun"]),
  ],
  redis: (url) => [
    // Each has names of its own there.
    { name: "room", kind: "rpc", command: node("cluster", [url, "rooms"]) },
    {
      name: "room, shared frames",
      kind: "shared",
      command: node("cluster", [url, "shared"]),
    },
    {
      name: "room with history",
      kind: "rpc",
      command: node("cluster", [url, "kept", "history"]),
    },
    {
      name: "broadcast, by hand",
      kind: "rpc",
      command: node("by_hand", [url, "now"]),
    },
    ...before === undefined ? [] : [{
      name: "broadcast, by hand, before",
      kind: "rpc" as const,
      command: node("by_hand", [url, "before"], before),
    }],
    ...[
      ["Socket.IO, redis-adapter", "redis"],
      ["Socket.IO, the same, sharded", "sharded"],
      ["Socket.IO, redis-streams-adapter", "streams"],
    ].map(([name, adapter]): Contender => ({
      name: name!,
      kind: "socket.io",
      command: node("socket_io", [adapter!, url, adapter!]),
    })),
  ],
  nats: (url) => [
    { name: "room", kind: "rpc", command: node("cluster", [url, "rooms"]) },
    {
      name: "room with history",
      kind: "rpc",
      command: node("cluster", [url, "kept", "history"]),
    },
  ],
};

// Connections of all nodes, most of which are in other rooms.
const scale = "15000";

interface Turn {
  readonly count: number;
  readonly milliseconds: number;
  readonly latencies: number[];
}

interface Figures {
  readonly memory: number;
  readonly engine: number;
  readonly rate: number;
  readonly cpu: number;
  readonly p50: number;
  readonly p99: number;
}

/** The nodes of a contender, and the members of its room. */
interface Team {
  /** Bytes of a node's memory for each of its connections. */
  readonly memory: number;
  readonly name: string;
  readonly nodes: readonly Process[];
  readonly crowd: Process;
}

async function measure(
  contenders: readonly Contender[],
  nodes: number,
  members: string,
  total: string,
  engine: number | undefined,
): Promise<Map<string, Figures[]>> {
  const figures = new Map<string, Figures[]>(
    contenders.map(({ name }) => [name, []]),
  );
  for (let run = 0; run < Number(values.runs); run++) {
    await using stack = new AsyncDisposableStack();
    const teams: Team[] = [];
    for (const contender of contenders) {
      teams.push(await gather(stack, contender, nodes, members, total));
    }
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const team of teams) {
        figures.get(team.name)!.push(await speak(team, members, engine));
      }
      teams.push(teams.shift()!);
    }
  }
  return figures;
}

async function gather(
  stack: AsyncDisposableStack,
  { name, kind, command }: Contender,
  size: number,
  members: string,
  total: string,
): Promise<Team> {
  // Several nodes have no core of their own.
  const core = size === 1 ? 0 : undefined;
  const nodes: Process[] = [];
  const urls: string[] = [];
  for (let n = 0; n < size; n++) {
    const node = stack.use(new Process(core, name, ...await command()));
    nodes.push(node);
    urls.push(await node.read<string>());
  }
  const held = async (): Promise<number> => {
    const all = await Promise.all(
      nodes.map((node) => node.ask<Usage>("collect")),
    );
    return all.reduce((sum, { rss }) => sum + rss, 0);
  };
  const before = await held();
  const program = fileURLToPath(new URL("rooms/crowd.ts", here));
  const crowd = stack.use(
    new Process(
      core === undefined ? undefined : 1,
      name,
      ...[node24, "--no-warnings", program, kind, members, total, ...urls],
    ),
  );
  await crowd.read();
  const memory = (await held() - before) / Number(total);
  await crowd.ask<Turn>(500);
  return { name, nodes, crowd, memory };
}

/** Microseconds of CPU time that a process has used, as Linux counts: in 10 ms. */
function usedBy(pid: number): number {
  // Deno itself reads this file only with all permissions.
  const { stdout } = new Deno.Command("cat", { args: [`/proc/${pid}/stat`] })
    .outputSync();
  const stat = new TextDecoder().decode(stdout);
  const fields = stat.slice(stat.lastIndexOf(")")).split(" ");
  return (Number(fields[12]) + Number(fields[13])) * 10_000;
}

/** Like `speakOnce`, but measures again if an engine was too slow. */
async function speak(
  ...params: Parameters<typeof speakOnce>
): Promise<Figures> {
  for (let attempt = 1;; attempt++) {
    try {
      return await speakOnce(...params);
    } catch (error) {
      // A speaker hears itself at once: when an engine halts for a while, more than
      // 1,024 messages wait for it, and the others miss some.
      const isMissed = params[2] !== undefined &&
        String(error).includes(" of ");
      if (!isMissed || attempt === 5) throw error;
      console.error(`Again: ${error}`);
    }
  }
}

/** @param engine The process that messages go through, if there is one. */
async function speakOnce(
  { nodes, crowd, memory }: Team,
  members: string,
  engine: number | undefined,
): Promise<Figures> {
  const used = async (question: string): Promise<number> => {
    const all = nodes.map((node) => node.ask<Usage>(question));
    return (await Promise.all(all)).reduce((sum, { cpu }) => sum + cpu, 0);
  };
  const start = await used("collect");
  const engineStart = engine === undefined ? 0 : usedBy(engine);
  const turn = await crowd.ask<Turn>(Number(values.milliseconds));
  const cpu = (await used("") - start) / turn.count;
  const engineUsed = engine === undefined ? 0 : usedBy(engine) - engineStart;
  const sorted = turn.latencies.sort((a, b) => a - b);
  return {
    memory,
    engine: engineUsed / turn.count * Number(members),
    rate: turn.count / turn.milliseconds * 1_000,
    cpu,
    p50: sorted[sorted.length >> 1]!,
    p99: sorted[Math.floor(sorted.length * 0.99)]!,
  };
}

function median(list: readonly number[]): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

const chosen = positionals.length > 0 ? positionals : Object.keys(comparisons);
for (const name of chosen) {
  const isScale = name === "scale";
  const engine = isScale ? "redis" : name;
  await using server = engine === "redis" || engine === "nats"
    ? await EngineServer.start(engine)
    : undefined;
  const url = server?.url ?? "";
  const all = isScale
    ? comparisons["redis"]!(url).slice(0, 1)
    : comparisons[name]!(url);
  const chosen = all.filter(({ name }) =>
    values.contender?.some((part) => name.includes(part)) ?? true
  );
  console.log(
    `\n## ${name}\n\n` +
      `| members | | deliveries/s | CPU, µs/delivery | p50, ms | p99, ms |${
        server ? ` ${server.kind}, µs/message |` : ""
      }${isScale ? " KiB/connection |" : ""}\n` +
      `| --: | --- | --: | --: | --: | --: |${server ? " --: |" : ""}${
        isScale ? " --: |" : ""
      }`,
  );
  const sizes = values.members ??
    ["10", "100", "1000", ...isScale ? ["10000"] : []];
  for (const members of sizes) {
    const figures = await measure(
      chosen,
      server ? 3 : 1,
      members,
      isScale ? scale : members,
      server?.pid,
    );
    for (const [name, list] of figures) {
      const of = (key: keyof Figures) => median(list.map((one) => one[key]));
      const cells = [
        Number(members).toLocaleString("en"),
        name,
        Math.round(of("rate")).toLocaleString("en"),
        of("cpu").toFixed(2),
        of("p50").toFixed(2),
        of("p99").toFixed(2),
        ...server ? [of("engine").toFixed(0)] : [],
        ...isScale ? [(of("memory") / 1024).toFixed(1)] : [],
      ];
      console.log(`| ${cells.join(" | ")} |`);
    }
  }
}
Deno.exit();
