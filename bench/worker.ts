/**
 * One measured process: `worker.ts server NAME`, `worker.ts client NAME URL` or `worker.ts pair NAME`.
 * It writes one line of JSON when it is ready, then one for each line of JSON that it reads.
 */

import { cpuUsage } from "node:process";
import { type Client, type Contender, contenders } from "./contender.ts";
import { converse } from "./lines.ts";
import { rows } from "./rows.ts";

/** What a client is asked: which row to run, and for how long. */
export interface Task {
  row: string;
  milliseconds: number;
}

/** What it answers. */
export interface Work {
  /** How many calls, or values. */
  count: number;
  seconds: number;
  /** CPU time of the whole process meanwhile, in microseconds. */
  cpu: number;
}

if (import.meta.main) {
  const [role, name, url] = Deno.args;
  const contender = await contenders[name!]!();
  switch (role) {
    case "server":
      await converse(await contender.serve(), (question: "collect" | "cpu") => {
        if (question === "collect") collect();
        return cpu();
      });
      break;
    case "client":
      await work(await contender.connect(url!));
      break;
    case "pair":
      await work(await pair(contender));
      break;
  }
  // The sockets would keep the process alive after its owner has gone.
  Deno.exit();
}

async function pair(contender: Contender): Promise<Client> {
  const { socketPair } = await import("@jsonrpcws/peer/testing");
  const [server, client] = socketPair({ open: true });
  return await contender.pair!(server, client);
}

async function work(client: Client): Promise<void> {
  await converse(
    "ready",
    async ({ row, milliseconds }: Task): Promise<Work> => {
      collect();
      const cpuBefore = cpu();
      const before = performance.now();
      const count = await rows[row]!.run(client, milliseconds);
      const seconds = (performance.now() - before) / 1000;
      return { count, seconds, cpu: cpu() - cpuBefore };
    },
  );
}

/** CPU time of this process so far, all its threads, user and system, in microseconds. */
function cpu(): number {
  const { user, system } = cpuUsage();
  return user + system;
}

/**
 * Collects all garbage, so that nobody pays for the round before, and everybody
 * is in the state of a program that has lived for a while: what is kept for long
 * sits among the old objects.
 */
function collect(): void {
  (globalThis as unknown as { gc(): void }).gc();
}
