import { assertEquals } from "@std/assert";
import { startTimer } from "../src/timer.ts";
import { FakeTime } from "./fake_time.ts";

Deno.test("startTimer rings when its time has come, and not once it was stopped", async () => {
  using time = new FakeTime();
  const rung: string[] = [];
  startTimer(2_000, () => rung.push("far"));
  startTimer(20, () => rung.push("near"));
  const stop = startTimer(3_000, () => rung.push("stopped"));
  startTimer(Infinity, () => rung.push("never"));
  await time.pass(20);
  assertEquals(rung, ["near"]);
  stop();
  await time.pass(1_980);
  assertEquals(rung, ["near", "far"]);
  await time.pass(60_000);
  assertEquals(rung, ["near", "far"]);
});

// A process of its own, since it is about the first timers of one.
Deno.test("startTimer does so in a process that has no timers yet, and keeps it no longer", async () => {
  const module = JSON.stringify(new URL("../src/timer.ts", import.meta.url));
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
