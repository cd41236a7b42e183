/**
 * The server that is flooded: `server.ts deno|ws|bun`. It says its address, and
 * answers each line with the delay of its timers since the last one.
 *
 * @module
 */

import process from "node:process";
import { Peer } from "@jsonrpcws/peer";
import { converse } from "../lines.ts";
import { p99 } from "./percentile.ts";

class Service extends Peer {
  override local = {
    echo: (value: unknown) => value,
    take: (_value: unknown) => {},
    wait: () => new Promise((resolve) => setTimeout(resolve, 50)),
    hang: () => new Promise(() => {}),
    long: () => "x".repeat(1_000_000),
  };
}

const every = 10;
let lates: number[] = [];
let due = performance.now() + every;
function tick(): void {
  const now = performance.now();
  lates.push(Math.max(0, now - due));
  due = now + every;
  setTimeout(tick, every);
}

const where = { hostname: "127.0.0.1", port: 0, onListen() {} };
const settings = { ...where, onerror() {} };
const listen: { readonly [platform: string]: () => Promise<{ url: string }> } =
  {
    deno: async () =>
      (await import("@jsonrpcws/peer/server")).serve(Service, settings),
    ws: async () =>
      (await import("@jsonrpcws/peer/node")).serve(Service, settings),
    bun: async () =>
      (await import("@jsonrpcws/peer/bun")).serve(Service, settings),
  };
const { url } = await listen[process.argv[2]!]!();
setTimeout(tick, every);

await converse(url, () => {
  const report = {
    p99: p99(lates),
    most: Math.max(0, ...lates, performance.now() - due),
    rss: process.memoryUsage().rss / 2 ** 20,
  };
  lates = [];
  return report;
});
process.exit();
