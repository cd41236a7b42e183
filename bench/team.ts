/** A contender at work in processes of its own, and what one round of a row says about it. */

import { Process, type Script } from "./process.ts";
import { rows } from "./rows.ts";
import type { Task, Work } from "./worker.ts";

/** Figures of one round, by name. */
export type Sample = Record<string, number>;

export interface Team extends AsyncDisposable {
  measure(task: Task): Promise<Sample>;
}

const worker: Script = {
  file: "worker.ts",
  flags: ["--v8-flags=--expose-gc", "--allow-net=127.0.0.1"],
};

const checker: Script = {
  file: "checker.ts",
  // Anywhere: where temporary files go is known once they are made.
  flags: ["--allow-run=deno", "--allow-write"],
};

/** Server and client in two processes, joined by sockets over loopback. */
export async function overSockets(contender: string): Promise<Team> {
  const server = new Process(0, worker, "server", contender);
  const client = new Process(
    1,
    worker,
    "client",
    contender,
    await server.read<string>(),
  );
  await client.read();
  return {
    async measure(task) {
      await server.ask("collect");
      const before = await server.ask<number>("cpu");
      const { count, seconds, cpu } = await client.ask<Work>(task);
      const after = await server.ask<number>("cpu");
      const { unit } = rows[task.row]!;
      return {
        [`${unit}s/s`]: count / seconds,
        [`server CPU, µs/${unit}`]: (after - before) / count,
        [`client CPU, µs/${unit}`]: cpu / count,
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
  const both = new Process(1, worker, "pair", contender);
  await both.read();
  return {
    async measure(task) {
      const { count, seconds, cpu } = await both.ask<Work>(task);
      const { unit } = rows[task.row]!;
      return {
        [`µs/${unit}`]: seconds * 1e6 / count,
        [`CPU, µs/${unit}`]: cpu / count,
      };
    },
    [Symbol.asyncDispose]: () => both[Symbol.asyncDispose](),
  };
}

/** A type checker, and the program that it checks. */
export async function overTypes(contender: string): Promise<Team> {
  const process = new Process(1, checker, contender);
  await process.read();
  return {
    async measure() {
      return { "deno check, s": await process.ask<number>("check") };
    },
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}
