/**
 * Nodes of a cluster in one process, over an engine in memory.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { cluster, EngineError, memory } from "../cluster.ts";
import { FakeTime } from "./fake_time.ts";

Deno.test("Nodes of one engine know each other once both have begun, and no more when one has left", async () => {
  const engine = memory();
  await using first = await cluster({ engine });
  const second = await cluster({ engine });
  assertEquals(first.nodes, [first.id, second.id]);
  assertEquals(second.nodes, [second.id, first.id]);
  await second.close();
  assertEquals(first.nodes, [first.id]);
  assertEquals(engine.listeners?.("jsonrpcws.all"), 1);
});

Deno.test("Nodes of two prefixes don't know each other", async () => {
  const engine = memory();
  await using first = await cluster({ engine, prefix: "chat" });
  await using second = await cluster({ engine, prefix: "chat.test" });
  assertEquals(first.nodes, [first.id]);
  assertEquals(second.nodes, [second.id]);
});

Deno.test("cluster() refuses a prefix that could be mistaken for another's subjects", async () => {
  for (const prefix of ["", "a b", "a.", ".a", "a..b", "a.r", "n.a", "é"]) {
    await assertRejects(() => cluster({ prefix }), TypeError, "prefix");
  }
});

Deno.test("cluster() rejects where the engine is closed", async () => {
  const engine = memory();
  await engine.close();
  await assertRejects(() => cluster({ engine }), EngineError, "is closed");
});

Deno.test("A node whose beats don't come is dead after 6 to 8 seconds, and known again with the next", async () => {
  using time = new FakeTime();
  const engine = memory();
  await using node = await cluster({ engine });
  const beat = '{"v":1,"n":"other","k":"beat","i":1}\n';
  await engine.publish("jsonrpcws.all", beat);
  assertEquals(node.nodes, [node.id, "other"]);
  await time.flow(6_000);
  assertEquals(node.nodes, [node.id, "other"]);
  await time.flow(2_000);
  assertEquals(node.nodes, [node.id]);
  await engine.publish("jsonrpcws.all", beat);
  assertEquals(node.nodes, [node.id, "other"]);
});

Deno.test("A node that was asleep doesn't take the others for dead", async () => {
  using time = new FakeTime();
  const engine = memory();
  await using node = await cluster({ engine });
  await engine.publish("jsonrpcws.all", '{"v":1,"n":"other","k":"beat"}\n');
  await time.flow(6_000);
  await time.pass(60_000);
  assert(node.nodes.includes("other"));
});
