/** A contender at work in processes of its own, and what one round of a row says about it. */

import { Process } from "./process.ts";
import type { Task, Work } from "./worker.ts";

/** Figures of one round, by name. */
export type Sample = Record<string, number>;

export interface Team extends AsyncDisposable {
  measure(task: Task): Promise<Sample>;
}

/** Server and client in two processes, joined by sockets over loopback. */
export async function overSockets(contender: string): Promise<Team> {
  const server = new Process(0, "server", contender);
  const client = new Process(
    1,
    "client",
    contender,
    await server.read<string>(),
  );
  await client.read();
  return {
    async measure(task) {
      await server.ask("collect");
      const before = await server.ask<number>("cpu");
      const { calls, seconds, cpu } = await client.ask<Work>(task);
      const after = await server.ask<number>("cpu");
      return {
        "calls/s": calls / seconds,
        "server CPU, µs/call": (after - before) / calls,
        "client CPU, µs/call": cpu / calls,
      };
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Both halves in one process, joined by a pair of sockets in memory. */
export async function overPair(contender: string): Promise<Team> {
  const both = new Process(1, "pair", contender);
  await both.read();
  return {
    async measure(task) {
      const { calls, seconds, cpu } = await both.ask<Work>(task);
      return { "µs/call": seconds * 1e6 / calls, "CPU, µs/call": cpu / calls };
    },
    [Symbol.asyncDispose]: () => both[Symbol.asyncDispose](),
  };
}
