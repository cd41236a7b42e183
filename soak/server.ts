/**
 * The server of the soak test, a process of its own. It writes one line of JSON
 * when it listens, and one for each line that it reads; SIGTERM ends it.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { lines } from "../bench/lines.ts";
import { serve, type Server } from "../server.ts";
import { usedHeap } from "./heap.ts";
import { Journal } from "./ledger.ts";
import { Random } from "./random.ts";
import { type Office, Service } from "./service.ts";

/** The task of this process. */
export interface ServerTask {
  port: number;
  journal: string;
  /** From 1, a number for each process. */
  number: number;
  seed: number;
}

/** Its answers. */
export interface ServerStatus {
  /** The number of connections. */
  peers: number;
  /** The number of its streams that are produced or read. */
  streams: number;
  /** Bytes. */
  heap: number;
  /** Bytes of the process's memory. */
  rss: number;
}

/** Waits until nothing is left of any connection, for 20 s at most. */
async function settle(office: Office, server: Server): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    if (server.peers.size === 0 && office.streams === 0) return;
    await sleep(100);
  }
}

if (import.meta.main) {
  const task: ServerTask = JSON.parse(Deno.args[0]!);
  const { port, number, seed } = task;
  const office: Office = {
    journal: new Journal(task.journal),
    random: new Random(seed + number),
    lastId: number * 1e9,
    streams: 0,
  };
  const server: Server = serve(Service, {
    authorize: ({ url }) =>
      url.endsWith("/flood") ? { ...office, isFlood: true } : office,
    hostname: "127.0.0.1",
    port,
    // Shorter than a loss of the network may last.
    idleTimeout: 4,
    // Few, so that some calls are told that the server is busy.
    limits: { incoming: 8, held: 0 },
    onListen: () => console.log(JSON.stringify("ready")),
  });
  Deno.addSignalListener("SIGTERM", async () => {
    await server.shutdown();
    // Deno may keep a connection that it never opened, and the timer of one that was
    // cut (seen in 2.9.5).
    Deno.exit();
  });
  for await (const _ of lines(Deno.stdin.readable)) {
    await settle(office, server);
    const heap = await usedHeap();
    const { streams } = office;
    const { rss } = Deno.memoryUsage();
    const peers = server.peers.size;
    const status: ServerStatus = { peers, streams, heap, rss };
    console.log(JSON.stringify(status));
  }
}
