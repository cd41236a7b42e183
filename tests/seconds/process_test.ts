/**
 * What only a process shows, mostly one of its own: its first timers, its end, what
 * its garbage collector leaves.
 */

import { assert, assertEquals } from "@std/assert";
import { writeNotification } from "../../src/wire/message.ts";
import { eachPeer } from "../faces.ts";

Deno.test("startTimer rings in a process that has no timers yet, and keeps it no longer", async () => {
  const module = JSON.stringify(
    new URL("../../src/line/timers.ts", import.meta.url),
  );
  const program = `
    import { startTimer } from ${module};
    const start = performance.now();
    const told = (word) => console.log(word, performance.now() - start >= 999);
    startTimer(1_000, () => told("rung"));
    const stop = startTimer(1_000, () => told("stopped"));
    const stopLong = startTimer(3_600_000, () => told("never"));
    startTimer(1_001, () => {
      stopLong();
      told("last");
    });
    stop();
  `;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
  }).output();
  assertEquals(
    new TextDecoder().decode(stdout),
    "rung true\nlast true\n",
  );
});

eachPeer("A process ends once its peers are closed", async (face) => {
  const url = (path: string): string =>
    JSON.stringify(new URL(`../../${path}`, import.meta.url));
  const program = `
    import { Peer } from ${url(face.door)};
    import { socketPair } from ${url("testing.ts")};
    const [left, right] = socketPair();
    const one = new Peer(left);
    const other = new Peer(right, { local: { m: () => "done" } });
    console.log(await one.request("m"));
    await one[Symbol.asyncDispose]();
    await other.closed;
  `;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    signal: AbortSignal.timeout(20_000),
  });
  const { success, stdout } = await process.output();
  assertEquals([success, new TextDecoder().decode(stdout)], [true, "done\n"]);
});

eachPeer(
  "A connection keeps no call that is over, the first neither",
  async (face) => {
    const moduleOf = (name: string): string =>
      JSON.stringify(new URL(`../../${name}`, import.meta.url));
    const program = `
      import { Peer, streams } from ${moduleOf(face.door)};
      import { socketPair } from ${moduleOf("testing.ts")};
      const [left, right] = socketPair();
      const use = [streams];
      const server = new Peer(left, { local: { echo: (x) => x }, use });
      const client = new Peer(right, { use });
      const calls = [];
      async function call() {
        const promise = client.remote.echo("x");
        calls.push(new WeakRef(promise));
        await promise;
      }
      await call();
      await call();
      await new Promise((resolve) => setTimeout(resolve, 0));
      gc();
      console.log(calls.map((call) => call.deref()), client.state, server.state);
      Deno.exit();
    `;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--v8-flags=--expose-gc", program],
    }).output();
    assertEquals(
      new TextDecoder().decode(stdout),
      "[ undefined, undefined ] open open\n",
    );
  },
);

Deno.test("Long names, which may be a peer's, are not kept", () => {
  const before = Deno.memoryUsage().heapUsed;
  for (let n = 0; n < 600; n++) {
    writeNotification(`${n}`.padEnd(1_000_000, "x"), undefined);
  }
  const grown = (Deno.memoryUsage().heapUsed - before) / 1e6;
  assert(grown < 400, `${grown} MB`);
});
