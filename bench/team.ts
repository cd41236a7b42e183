/** A contender at work in processes of its own, and its figures of one round of a row. */

import { fileURLToPath } from "node:url";
import { Process } from "./process.ts";
import { rowOf } from "./rows.ts";
import type { Role, Runtime } from "./runtime.ts";
import type { Usage } from "./usage.ts";
import type { Task, Work } from "./worker.ts";

/** Figures of one round, by name. */
export type Sample = Record<string, number>;

export interface Team extends AsyncDisposable {
  /** One round; `undefined` if this contender can't do that row. */
  measure(task: Task): Promise<Sample | undefined>;
}

/** Server and client in two processes, joined by sockets over loopback. */
export async function overSockets(
  contender: string,
  runtime: Runtime,
): Promise<Team> {
  await using started = new AsyncDisposableStack();
  const { server, url } = await startServer(started, contender, runtime);
  const client = started.use(
    await start(1, runtime, "client", contender, url),
  );
  await client.read();
  const processes = started.move();
  return {
    async measure(task) {
      const before = await server.ask<Usage>("collect");
      const work = await Promise.race([
        client.ask<Work | null>(task),
        server.watch(),
      ]);
      if (work === null) return;
      const after = await server.ask<Usage>("usage");
      const { count, seconds, cpu, figures } = work;
      const { unit } = rowOf(task.row);
      const serverCpu = (after.cpu - before.cpu) / count;
      const clientCpu = cpu / count;
      return {
        [`${unit}s/s`]: count / seconds,
        ...figures,
        [`server CPU, µs/${unit}`]: serverCpu,
        [`client CPU, µs/${unit}`]: clientCpu,
        [`CPU, µs/${unit}`]: serverCpu + clientCpu,
      };
    },
    [Symbol.asyncDispose]: () => processes.disposeAsync(),
  };
}

/**
 * The same with two processes for each round, because the memory of a connection
 * can be seen only while the server's memory grows.
 */
export function overFreshSockets(contender: string, runtime: Runtime): Team {
  return {
    async measure(task) {
      await using started = new AsyncDisposableStack();
      const { server, url } = await startServer(started, contender, runtime);
      const client = started.use(
        await start(1, runtime, "client", contender, url),
      );
      await client.read();
      // By then the code is compiled, and every singleton is made.
      await client.ask({ ...task, row: "1,000 idle" });
      const before = await server.ask<Usage>("collect");
      const { count, seconds, cpu } = await Promise.race([
        client.ask<Work>(task),
        server.watch(),
      ]);
      const after = await server.ask<Usage>("usage");
      const { rss } = await server.ask<Usage>("collect");
      const { unit } = rowOf(task.row);
      return {
        [`${unit}s/s`]: count / seconds,
        [`server CPU, µs/${unit}`]: (after.cpu - before.cpu) / count,
        [`client CPU, µs/${unit}`]: cpu / count,
        [`server RSS, KiB/${unit}`]: (rss - before.rss) / 1024 / count,
      };
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** A server, and for each round a client that has yet to load its code. */
export async function overFirstCalls(
  contender: string,
  runtime: Runtime,
): Promise<Team> {
  await using started = new AsyncDisposableStack();
  const { url } = await startServer(started, contender, runtime);
  const server = started.move();
  return {
    async measure() {
      await using client = await start(1, runtime, "first", contender, url);
      return { "import to answer, ms": await client.read<number>() };
    },
    [Symbol.asyncDispose]: () => server.disposeAsync(),
  };
}

/** Both halves in one process, joined by a pair of sockets in memory. */
export async function overPair(
  contender: string,
  runtime: Runtime,
  methods = 1,
): Promise<Team> {
  const both = await start(1, runtime, "pair", contender, `${methods}`);
  const isPossible = await both.read() !== null;
  return {
    async measure(task) {
      if (!isPossible) return;
      const work = await both.ask<Work | null>(task);
      if (work === null) return;
      const { count, seconds, cpu, figures } = work;
      const { unit } = rowOf(task.row);
      return {
        [`µs/${unit}`]: seconds * 1e6 / count,
        [`CPU, µs/${unit}`]: cpu / count,
        ...figures,
      };
    },
    [Symbol.asyncDispose]: () => both[Symbol.asyncDispose](),
  };
}

/** A type checker, and the program that it checks. */
export async function overTypes(contender: string): Promise<Team> {
  const script = fileURLToPath(new URL("checker.ts", import.meta.url));
  const process = new Process(
    1,
    `the types of ${contender}`,
    ...["deno", "run", "--no-prompt", "--allow-run=deno"],
    // Any path: a temporary file's is known only once it is made.
    "--allow-write",
    script,
    contender,
  );
  await process.read();
  return {
    async measure() {
      return { "deno check, s": await process.ask<number>("check") };
    },
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}

async function startServer(
  started: AsyncDisposableStack,
  contender: string,
  runtime: Runtime,
): Promise<{ server: Process; url: string }> {
  const server = started.use(await start(0, runtime, "server", contender));
  return { server, url: await server.read<string>() };
}

async function start(
  core: number,
  runtime: Runtime,
  role: Role,
  contender: string,
  ...args: string[]
): Promise<Process> {
  return new Process(
    core,
    `the ${role} of ${contender} on ${runtime.name}`,
    ...await runtime.commandOf(contender, role),
    ...args,
  );
}
