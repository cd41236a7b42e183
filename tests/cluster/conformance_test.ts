/**
 * Rooms, presence, calls and history over real engines: the same sentences as in memory.
 */

import { callCases } from "./call_cases.ts";
import { connectEngine } from "./engines.ts";
import { historyCases } from "./history_cases.ts";
import { roomCases } from "./room_cases.ts";
import { EngineServer } from "./servers.ts";
import { Stage } from "./stage.ts";

for (const kind of ["nats", "redis"] as const) {
  Deno.test(`A cluster over ${kind}`, async (t) => {
    await using server = await EngineServer.start(kind);
    for (const { name, run } of [...roomCases, ...callCases, ...historyCases]) {
      await t.step(name, async () => {
        await using connections = new AsyncDisposableStack();
        await using stage = new Stage(async () => {
          const { engine, end } = await connectEngine(server);
          connections.defer(end);
          return engine;
        });
        await run(stage);
      });
    }
  });
}
