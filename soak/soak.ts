/**
 * One soak: clients in a process, a server in another that dies and comes back, a
 * bad network between them, and at the end an account of every call.
 *
 * @module
 */

import type { AttackTask } from "./attack.ts";
import { Child } from "./child.ts";
import type { ClientsTask, Report as ClientsReport } from "./clients.ts";
import { type Counts, disturb, restart } from "./faults.ts";
import type { FloodTask } from "./flood.ts";
import { findPort, Host } from "./host.ts";
import { audit } from "./ledger.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";

/** The length, the number of clients and the seed of a soak. */
export interface SoakOptions {
  /** The time of the faults. */
  seconds: number;
  clients: number;
  seed: number;
  /** Called once a second. */
  onprogress?: (progress: Progress) => void;
}

/** The progress of a soak. */
export interface Progress {
  seconds: number;
  /** The clients' calls. */
  calls: number;
  faults: number;
  /** Bytes that the clients use. */
  heap: number;
}

/** The result of a soak. */
export interface SoakReport {
  /** The clients' calls, by kind and by outcome. */
  calls: ReadonlyMap<string, number>;
  /** The server's calls, by kind and by outcome. */
  callsBack: ReadonlyMap<string, number>;
  executions: number;
  faults: ReadonlyMap<string, number>;
  /** Bytes used without a connection: after the warm-up, and at the end. */
  clientHeap: readonly [number, number];
  serverHeap: readonly [number, number];
  /** Bytes of the server process's memory, at the same two times. */
  serverRss: readonly [number, number];
  /**
   * Milliseconds that 99 of 100 calls of a neighbour don't exceed, beside a client that
   * sends as fast as it can.
   */
  neighbourP99: number;
  /** The number of each attack. */
  attacks: ReadonlyMap<string, number>;
  /** A sentence for each violation. */
  violations: readonly string[];
  /** The folder of the journals; it is kept if there are violations. */
  folder: string;
}

// After that everything was used once, and its code compiled.
const warmUpSeconds = 3;

// Milliseconds between two faults of one client, on average.
const faultPeriod = 6_000;

// Bytes by which a heap may grow. If each call left 100 bytes behind, a hundred
// clients would exceed this within a minute.
const tolerance = 8 * 2 ** 20;

// The same of a process's memory. V8 and the system's allocator keep a part of what
// was once needed: messages of 1 MiB, and answers that nobody read.
const rssTolerance = 192 * 2 ** 20;

const attackerCount = 2;

/** Soaks. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { seconds, clients, seed, onprogress } = options;
  const folder = await Deno.makeTempDir({ prefix: "soak-" });
  const theirs = `${folder}/server.jsonl`;
  const ours = `${folder}/clients.jsonl`;
  await using stack = new AsyncDisposableStack();

  const port = findPort();
  const host = new Host({ port, journal: theirs, seed });
  await host.start();
  stack.defer(() => host.stop("SIGKILL"));

  const latency = new Random(seed);
  const network = stack.use(
    await Network.open(port, () => Math.max(0, latency.between(-15, 15))),
  );
  const task: ClientsTask = {
    url: `ws://127.0.0.1:${network.port}`,
    journal: ours,
    clients,
    seconds,
    warmUpSeconds,
    seed,
  };
  const child = new Child("clients.ts", task);
  stack.defer(async () => void await child.kill("SIGKILL"));

  const faults: Counts = new Map();
  const violations: string[] = [];
  const over = new AbortController();
  let trouble: Promise<unknown> = Promise.resolve();
  stack.defer(async () => {
    over.abort();
    await trouble;
  });

  const warm = await read(child, "warm");
  const serverBefore = await host.status();

  // Past the bad network, which would be the slow part.
  const url = `ws://127.0.0.1:${port}/flood`;
  const [flood, neighbour] = (["flood", "neighbour"] as const).map((role) => {
    const child = new Child("flood.ts", { url, role } satisfies FloodTask);
    stack.defer(async () => void await child.kill("SIGKILL"));
    return child;
  });
  const attackers = Array.from({ length: attackerCount }, (_, n) => {
    const task: AttackTask = { url, seed: seed + 1_000 + n };
    const child = new Child("attack.ts", task);
    stack.defer(async () => void await child.kill("SIGKILL"));
    return child;
  });

  // The last server lives long enough to show what it leaves behind.
  const restarting = AbortSignal.any([
    over.signal,
    AbortSignal.timeout(seconds * 1_000 * 2 / 3),
  ]);
  const period = faultPeriod / clients;
  trouble = Promise.all([
    disturb(network, new Random(seed + 1), period, faults, over.signal),
    restart(host, new Random(seed + 2), faults, restarting),
  ]);
  const start = performance.now();
  await child.tell();
  await read(child, "ending", ({ calls, heap }) => {
    const seconds = (performance.now() - start) / 1_000;
    onprogress?.({ seconds, calls, heap, faults: sum(faults) });
  });
  over.abort();
  await trouble;
  network.heal();
  await neighbour!.tell();
  const neighbourP99 = await neighbour!.read<number>();
  await flood!.tell();
  await flood!.read();
  const attacks: Counts = new Map();
  for (const attacker of attackers) {
    await attacker.tell();
    for (const [kind, count] of await attacker.read<[string, number][]>()) {
      attacks.set(kind, (attacks.get(kind) ?? 0) + count);
    }
  }
  const ended = await read(child, "ended");

  // From here on all that follows is the end.
  await network[Symbol.asyncDispose]();
  const { success, code, signal } = await child.leave();
  if (!success) violations.push(`The clients ended with ${signal ?? code}`);
  const serverAfter = await host.status();
  await host.stop("SIGTERM");

  const calls = await audit(ours, theirs, ended.calls);
  const callsBack = await audit(theirs, ours);
  const clientHeap = [warm.heap, ended.heap] as const;
  const serverHeap = [serverBefore.heap, serverAfter.heap] as const;
  const serverRss = [serverBefore.rss, serverAfter.rss] as const;
  violations.push(
    ...host.complaints,
    ...calls.violations,
    ...callsBack.violations,
    ...compare("The clients", clientHeap),
    ...compare("The server", serverHeap),
    ...compare("The server's process", serverRss, rssTolerance),
  );
  for (const name of ["peers", "streams"] as const) {
    const left = serverAfter[name];
    if (left > 0) violations.push(`The server has ${left} ${name} left`);
  }
  if (violations.length === 0) await Deno.remove(folder, { recursive: true });
  return {
    calls: calls.counts,
    callsBack: callsBack.counts,
    executions: calls.executions,
    faults,
    clientHeap,
    serverHeap,
    serverRss,
    neighbourP99,
    attacks,
    violations,
    folder,
  };
}

type ReportOf<Type> = Extract<ClientsReport, { type: Type }>;

/** Reads the clients' reports up to one of a type. */
async function read<Type extends ClientsReport["type"]>(
  child: Child,
  type: Type,
  onprogress?: (report: ReportOf<"progress">) => void,
): Promise<ReportOf<Type>> {
  for (;;) {
    const report = await child.read<ClientsReport>();
    if (report.type === type) return report as ReportOf<Type>;
    if (report.type === "progress") onprogress?.(report);
  }
}

function compare(
  who: string,
  [before, after]: readonly [number, number],
  most = tolerance,
): string[] {
  if (after - before <= most) return [];
  return [`${who} used ${before} bytes before, and ${after} after`];
}

/** The sum of all counts. */
export function sum(counts: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}
