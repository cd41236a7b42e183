/**
 * Bounds of calls between nodes that take seconds to be reached.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { memory } from "../../cluster.ts";
import { ErrorCode } from "../../mod.ts";
import { FakeTime } from "../fake_time.ts";
import { Stage } from "./stage.ts";

Deno.test("Calls that wait for other nodes, and those that run for them, are bounded", async () => {
  using _time = new FakeTime();
  const engine = memory();
  const stage = new Stage(() => Promise.resolve(engine));
  const node = await stage.join();
  const { id } = stage.callee(node, {
    wait: () => new Promise<void>(() => {}),
  });
  const inbox = stage.inbox("other");
  const answers: string[] = [];
  await engine.subscribe(inbox, (text) => void answers.push(text));
  await engine.publish(stage.all, '{"v":1,"n":"other","k":"hello"}\n');
  const most = 65_536;

  let rejected = 0;
  const { remote } = node.peer<{ ask(): void }>("other.1");
  for (let count = 0; count < most; count++) {
    remote.ask().catch(() => void rejected++);
  }
  await assertRejects(
    () => remote.ask(),
    RangeError,
    "65536 of at most 65536 wait for other nodes",
  );

  const call = (number: number) => {
    const header = {
      v: 1,
      n: "other",
      k: "call",
      c: number,
      to: id,
      m: "wait",
    };
    return engine.publish(
      stage.inbox(node.id),
      `${JSON.stringify(header)}\n[]`,
    );
  };
  for (let number = 1; number <= most; number++) await call(number);
  assertEquals(answers.filter((text) => text.includes('"done"')), []);
  await call(most + 1);
  const busy = answers.at(-1)!;
  assert(busy.includes('"done"'), busy);
  assert(busy.includes(`"code":${ErrorCode.Busy}`), busy);
  assert(busy.includes("65536 of at most 65536 calls run for other nodes"));

  // Nothing is left of them.
  await stage[Symbol.asyncDispose]();
  assertEquals(rejected, most);
});
