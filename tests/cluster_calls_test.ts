/**
 * Calls between nodes, over an engine in memory.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Engine,
  EngineError,
  type EngineStatus,
  memory,
} from "../cluster.ts";
import { ConnectionClosedError, ErrorCode, RpcError } from "../mod.ts";
import { callCases } from "./cluster/call_cases.ts";
import { Stage } from "./cluster/stage.ts";
import { FakeTime, hurry } from "./fake_time.ts";

for (const { name, run } of callCases) {
  Deno.test(`In memory: ${name}`, () =>
    hurry(async () => {
      const engine = memory();
      await using stage = new Stage(() => Promise.resolve(engine));
      await run(stage);
    }));
}

/** One node's way to a bus in memory, which can be lost. */
class Way implements Engine {
  status: EngineStatus = "open";
  /** Longest text that it takes. */
  most = Infinity;
  readonly #bus: Engine;
  readonly #watching = new Set<(status: EngineStatus) => void>();

  constructor(bus: Engine) {
    this.#bus = bus;
  }

  set(status: "open" | "lost"): void {
    this.status = status;
    for (const told of this.#watching) told(status);
  }

  async publish(subject: string, text: string): Promise<number | undefined> {
    if (this.status !== "open") throw new EngineError("It is lost", false);
    if (text.length > this.most) throw new RangeError("It is too long");
    const heard = await this.#bus.publish(subject, text);
    if (this.status !== "open") throw new EngineError("It was lost", true);
    return heard;
  }

  subscribe(
    subject: string,
    receive: (text: string) => void,
  ): Promise<() => void> {
    return this.#bus.subscribe(subject, (text) => {
      if (this.status === "open") receive(text);
    });
  }

  watch(told: (status: EngineStatus) => void): () => void {
    this.#watching.add(told);
    return () => void this.#watching.delete(told);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Two nodes over ways that can be lost, and a page at the second one. */
async function ways(stage: Stage) {
  const bus = memory();
  const [near, far] = [new Way(bus), new Way(bus)];
  const here = await stage.join(near);
  const there = await stage.join(far);
  const called = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<unknown>();
  const signals: AbortSignal[] = [];
  const { id, page } = stage.callee(there, {
    wait() {
      called.resolve();
      signals.push(page.call.signal);
      return answer.promise;
    },
  });
  const call = () => here.peer(id).request("wait");
  return { near, far, here, there, id, page, called, answer, signals, call };
}

Deno.test("A call that is under way when its node's engine is lost rejects at once, with sent: true", async () => {
  await using stage = new Stage(() => Promise.resolve(memory()));
  const { near, called, call } = await ways(stage);
  const waiting = call();
  await called.promise;
  near.set("lost");
  const error = await assertRejects(
    () => waiting,
    ConnectionClosedError,
    "the engine was lost",
  );
  assertEquals(error.sent, true);
});

Deno.test("A call that is made while the engine is lost rejects at once, with sent: false", async () => {
  await using stage = new Stage(() => Promise.resolve(memory()));
  const { near, here, id, call } = await ways(stage);
  near.set("lost");
  const error = await assertRejects(() => call(), ConnectionClosedError);
  assertEquals(error.sent, false);
  assert(error.cause instanceof EngineError);
  assertEquals(here.peer(id).notify("wait"), false);
  here.peer(id).close();
});

Deno.test("A call whose engine is lost before it confirmed rejects with sent: true", async () => {
  await using stage = new Stage(() => Promise.resolve(memory()));
  const { near, call } = await ways(stage);
  const waiting = call();
  near.status = "lost";
  const error = await assertRejects(() => waiting, ConnectionClosedError);
  assertEquals(error.sent, true);
  near.set("lost");
});

Deno.test("An answer that is due while the callee's engine is lost comes when it is back", async () => {
  await using stage = new Stage(() => Promise.resolve(memory()));
  const { far, called, answer, call } = await ways(stage);
  const waiting = call();
  await called.promise;
  far.set("lost");
  answer.resolve("late");
  await new Promise((resolve) => setTimeout(resolve, 20));
  far.set("open");
  assertEquals(await waiting, "late");
});

Deno.test("An answer that is too long for the engine is told as an error", async () => {
  await using stage = new Stage(() => Promise.resolve(memory()));
  const { far, near, answer, called, here, id, call } = await ways(stage);
  far.most = near.most = 10_000;
  const waiting = call();
  await called.promise;
  answer.resolve("x".repeat(20_000));
  const error = await assertRejects(() => waiting, RpcError, "It is too long");
  assertEquals(error.code, ErrorCode.ResponseTooLarge);
  // And so is a call.
  await assertRejects(
    () => here.peer(id).request("wait", ["x".repeat(20_000)]),
    RangeError,
    "It is too long",
  );
});

Deno.test("disconnect() names the nodes that a lost engine doesn't reach", async () => {
  await using stage = new Stage(() => Promise.resolve(memory()));
  const { near, here, there } = await ways(stage);
  near.set("lost");
  assertEquals(await here.disconnect({ key: "ann" }), {
    closed: 0,
    missing: [there.id],
  });
  await here.close();
  assertEquals(await here.disconnect({ key: "ann" }), {
    closed: 0,
    missing: [],
  });
});

Deno.test("disconnect() asks nobody twice where nobody hears", async () => {
  const engine = memory();
  await using stage = new Stage(() => Promise.resolve(engine));
  const node = await stage.join();
  await engine.publish(stage.all, '{"v":1,"n":"gone","k":"hello"}\n');
  assertEquals(node.nodes, [node.id, "gone"]);
  // Not to be taken for dead yet, but who has its inbox would have it.
  assertEquals(await node.disconnect({ id: "gone.1" }), {
    closed: 0,
    missing: [],
  });
});

Deno.test("A call may take longer than a node may be silent: its node says that it has it", async () => {
  using time = new FakeTime();
  const stage = new Stage(() => Promise.resolve(memory()));
  const { answer, call } = await ways(stage);
  const waiting = call();
  await time.flow(30_000);
  answer.resolve("at last");
  assertEquals(await waiting, "at last");
  await stage[Symbol.asyncDispose]();
});

Deno.test("Calls to a node that falls silent reject once it is taken for dead, with sent: true", async () => {
  using time = new FakeTime();
  const stage = new Stage(() => Promise.resolve(memory()));
  const { far, here, call, signals } = await ways(stage);
  const outcome = call().catch((error: unknown) => error);
  await time.flow(1_000);
  assertEquals(signals.length, 1);
  // As if it were stopped: it says nothing, and what is said to it waits.
  far.status = "lost";
  await time.flow(9_000);
  assertEquals(here.nodes, [here.id]);
  const error = await outcome;
  assert(error instanceof ConnectionClosedError);
  assertEquals(error.sent, true);
  await stage[Symbol.asyncDispose]();
});

Deno.test("A process that was asleep hears others before it gives a call up", async () => {
  using time = new FakeTime();
  const engine = memory();
  const stage = new Stage(() => Promise.resolve(engine));
  const node = await stage.join();
  await engine.subscribe(stage.inbox("other"), () => {});
  await engine.publish(stage.all, '{"v":1,"n":"other","k":"hello"}\n');
  let isSettled = false;
  const asked = node.peer("other.1").request("ask").finally(() => {
    isSettled = true;
  });
  asked.catch(() => {});
  await time.flow(1_000);
  await time.pass(20_000);
  assertEquals(isSettled, false);
  await time.flow(3_000);
  await assertRejects(
    () => asked,
    ConnectionClosedError,
    "its node has not said that it has the call",
  );
  await stage[Symbol.asyncDispose]();
});
