// deno run --allow-env --allow-net --allow-read --allow-run --allow-write examples/cluster.ts

/**
 * The chat of examples/server.ts, by three servers on one engine, behind a load
 * balancer: each page shows every person's server. Kill one of the servers, and
 * watch.
 *
 * `ENGINE` is the address of a NATS with JetStream, or a Redis, that runs already, such
 * as "nats://127.0.0.1:4222"; without it, one is started. `PORT` and `HOSTNAME` say where
 * the balancer listens, as they do for examples/server.ts.
 *
 * @module
 */

import { balance } from "./cluster/balancer.ts";
import { startEngine } from "./cluster/start_engine.ts";
import { listen } from "./listen.ts";

const root = new URL("../", import.meta.url);

/** One of the servers: a process of its own. */
interface Running {
  readonly name: string;
  readonly port: number;
  readonly child: Deno.ChildProcess;
}

/** Starts cluster/node.ts, and waits until it listens. */
async function startServer(name: string, engine: string): Promise<Running> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--allow-env", "--allow-net", "--allow-read"],
      ...["--allow-sys", "examples/cluster/node.ts", engine, name],
    ],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    // Ctrl+C goes to all programs of a terminal: these ignore it, and drain when asked.
    detached: true,
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await output.read();
  if (value === undefined) throw new Error(`Cannot start server ${name}`);
  return { name, port: Number(value), child };
}

await listen("Chat", 8888, async ({ port, hostname, onListen }) => {
  const engine = await startEngine(Deno.env.get("ENGINE"));
  const servers = await Promise.all(
    ["A", "B", "C"].map((name) => startServer(name, engine.address)),
  );
  const ports = new Set(servers.map(({ port }) => port));
  const listener = Deno.listen({ port, hostname });
  const balanced = balance(listener, ports);

  onListen(listener.addr);
  for (const { name, port, child } of servers) {
    console.log(
      `Server ${name} at http://localhost:${port}, process ${child.pid}`,
    );
  }
  const { address, pid } = engine;
  console.log(`Engine at ${address}${pid ? `, process ${pid}` : ""}`);
  console.log(`End a server, and watch: kill -9 ${servers[0]!.child.pid}`);

  let isEnding = false;
  const ended = servers.map(async ({ name, port, child }) => {
    await child.status;
    ports.delete(port);
    if (!isEnding) console.log(`Server ${name} has ended`);
  });
  return {
    async drain() {
      isEnding = true;
      listener.close();
      // Each drains when its input ends.
      await Promise.all(servers.map(({ child }) => end(child)));
      await Promise.all([balanced, ...ended]);
      await engine.stop();
    },
  };
});

async function end(child: Deno.ChildProcess): Promise<void> {
  try {
    await child.stdin.close();
  } catch {
    // It has ended already.
  }
}
