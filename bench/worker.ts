/**
 * One measured process: `worker.ts server MODULE`, `worker.ts client MODULE URL`
 * or `worker.ts pair MODULE METHODS`, where MODULE is the URL of a contender's
 * module. It writes one line of JSON when it is ready, then one for each line of
 * JSON that it reads.
 */

import process from "node:process";
import { Clients } from "./clients.ts";
import type { Contender } from "./contender.ts";
import { converse } from "./lines.ts";
import { rowOf } from "./rows.ts";
import { collect, type Usage, usage } from "./usage.ts";

/** The question to a client: the row to run, and the time. */
export interface Task {
  row: string;
  milliseconds: number;
}

/** The client's answer, or null if it can't do that row. */
export interface Work {
  /** The number of calls, values or messages. */
  count: number;
  seconds: number;
  /** CPU time of the whole process meanwhile, in microseconds. */
  cpu: number;
  /** The row's further figures, by name. */
  figures: { [metric: string]: number };
}

// Some packages log, but standard output is for the answers alone.
console.log = console.error;

const [role, module, ...args] = process.argv.slice(2);
switch (role) {
  case "server": {
    const contender: Contender = await import(module!);
    const url = await contender.serve();
    await converse(url, (question: "collect" | "usage"): Usage => {
      if (question === "collect") collect();
      return usage();
    });
    break;
  }
  case "client": {
    const { connect }: Pick<Contender, "connect"> = await import(module!);
    await work(new Clients(() => connect(args[0]!)));
    break;
  }
  case "pair": {
    const { pair }: Contender = await import(module!);
    if (pair === undefined) await converse(null, () => {});
    else {
      const { socketPair } = await import("@jsonrpcws/peer/testing");
      const [server, client] = socketPair({ open: true });
      const methods = Number(args[0]);
      await work(new Clients(() => pair(server, client, methods)));
    }
    break;
  }
}
// The sockets would keep the process alive after its owner has gone.
process.exit();

async function work(clients: Clients): Promise<void> {
  await clients.take(1);
  await converse(
    "ready",
    async ({ row, milliseconds }: Task): Promise<Work | null> => {
      const { run, needs = [], isHeapRead = false } = rowOf(row);
      const [client] = await clients.take(1);
      if (needs.some((name) => client![name] === undefined)) return null;
      collect();
      const cpuBefore = usage().cpu;
      const before = performance.now();
      const { count, figures = {} } = await run(clients, milliseconds);
      const seconds = (performance.now() - before) / 1000;
      const cpu = usage().cpu - cpuBefore;
      if (isHeapRead) {
        collect();
        figures["heap, MiB"] = usage().heap / 2 ** 20;
      }
      return { count, seconds, cpu, figures };
    },
  );
}
