/**
 * Two clients of the soak test, both past the bad network: `{ url, role }`. One sends
 * as fast as it can; its neighbour waits for each answer. A line ends each; the
 * neighbour then tells its latency.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { lines } from "../bench/lines.ts";
import { connect } from "../client.ts";
import { frame, Opcode, RawSocket } from "../tests/interop/raw_socket.ts";

/** The task of this process. */
export interface FloodTask {
  url: string;
  role: "flood" | "neighbour";
}

const over = new AbortController();

/** Nothing of this is executed, so nothing of it is in a journal. */
async function flood(url: string): Promise<void> {
  const notification = '{"jsonrpc":"2.0","method":"flood","params":[1]}';
  const request = '{"jsonrpc":"2.0","method":"rpc.ping","params":[],"id":1}';
  const texts = [notification, request, `[${Array(50).fill(request)}]`];
  const frames = Array.from(
    { length: 300 },
    (_, n) => frame(Opcode.Text, texts[n % texts.length]!),
  );
  const bytes = new Uint8Array(
    await new Blob(frames as BlobPart[]).arrayBuffer(),
  );
  while (!over.signal.aborted) {
    try {
      using socket = await RawSocket.connect(url);
      const read = async (): Promise<void> => {
        while (await socket.receive() !== undefined);
      };
      const write = async (): Promise<void> => {
        while (!over.signal.aborted) await socket.send(bytes);
      };
      await Promise.race([read(), write()]);
    } catch {
      await sleep(100); // The server is gone, or has cut it.
    }
  }
}

/** Returns the milliseconds that 99 of 100 calls don't exceed. */
async function neighbour(url: string): Promise<number> {
  const client = connect(url, { onerror() {}, onattempt() {} });
  const latencies: number[] = [];
  while (!over.signal.aborted) {
    await client.opened.catch(() => {});
    const before = performance.now();
    try {
      await client.request("rpc.ping");
      latencies.push(performance.now() - before);
    } catch {
      // The server is gone; that is tested elsewhere.
    }
    await sleep(10);
  }
  client.close();
  await client.closed;
  latencies.sort((a, b) => a - b);
  return latencies[Math.floor(0.99 * latencies.length)] ?? 0;
}

if (import.meta.main) {
  const { url, role }: FloodTask = JSON.parse(Deno.args[0]!);
  const input = lines(Deno.stdin.readable);
  input.next().then(() => over.abort());
  const work = role === "flood" ? flood(url) : neighbour(url);
  if (role === "flood") {
    await new Promise((resolve) =>
      over.signal.addEventListener("abort", resolve)
    );
    console.log("null");
  } else console.log(JSON.stringify(await work));
  Deno.exit();
}
