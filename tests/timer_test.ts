import { assert, assertEquals } from "@std/assert";
import { Alarm, type Sleeper, startTimer } from "../src/line/timers.ts";
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

/** Someone who notes when it is woken, and wants to be again after so long. */
function sleeper(
  woken: string[],
  name: string,
  period: number,
  wake: () => void = () => {},
): Sleeper & { errors: unknown[] } {
  const errors: unknown[] = [];
  return {
    place: -1,
    errors,
    wake(now, due, before) {
      woken.push(`${name} ${now} ${due} ${before}`);
      wake();
    },
    wakeAt: (now) => now + period,
    report: (error) => errors.push(error),
  };
}

Deno.test("An Alarm wakes all of them when the first is due, and says when it should have", async () => {
  using time = new FakeTime();
  const alarm = new Alarm();
  const woken: string[] = [];
  const patient = sleeper(woken, "patient", 100);
  const hasty = sleeper(woken, "hasty", 30);
  assertEquals(alarm.due, Infinity);
  alarm.set(patient, 100);
  assertEquals(alarm.due, 100);
  await time.pass(10);
  alarm.set(hasty, 30);
  assertEquals(alarm.due, 40);
  alarm.set(patient, 100);
  assertEquals(alarm.due, 40);
  await time.pass(30);
  assertEquals(woken.splice(0), ["hasty 40 40 0", "patient 40 40 0"]);
  await time.pass(50);
  assertEquals(woken.splice(0), ["hasty 90 70 40", "patient 90 70 40"]);
  alarm.delete(hasty);
  await time.pass(30);
  assertEquals(woken.splice(0), ["patient 120 120 90"]);
  alarm.delete(patient);
  assertEquals(alarm.due, Infinity);
  await time.pass(1_000);
  assertEquals(woken, []);
});

Deno.test("An Alarm wakes nobody who is to sleep on, and again who is set meanwhile", async () => {
  using time = new FakeTime();
  const alarm = new Alarm();
  const woken: string[] = [];
  const once = sleeper(woken, "once", Infinity);
  const eager: Sleeper = sleeper(woken, "eager", Infinity, () => {
    if (woken.length === 1) alarm.set(late, 5);
  });
  const late = sleeper(woken, "late", Infinity);
  alarm.set(once, 10);
  alarm.set(eager, 10);
  await time.pass(10);
  assertEquals(woken.splice(0), ["eager 10 10 0", "once 10 10 0"]);
  assertEquals(alarm.due, 15);
  await time.pass(5);
  assertEquals(woken, ["late 15 15 10"]);
  assertEquals(alarm.due, Infinity);
});

Deno.test("An Alarm wakes the others when one of them ends many", async () => {
  for (let ending = 0; ending < 6; ending++) {
    using time = new FakeTime();
    const alarm = new Alarm();
    const woken: string[] = [];
    const all: Sleeper[] = Array.from(
      { length: 6 },
      (_, index) =>
        sleeper(woken, `${index}`, 10, () => {
          if (index !== ending) return;
          for (const ended of [0, ending, 4]) alarm.delete(all[ended]!);
        }),
    );
    for (const one of all) alarm.set(one, 10);
    await time.pass(10);
    const first = woken.splice(0).map((line) => line[0]);
    await time.pass(10);
    // Whoever was woken may be so again, if it has another's place by then.
    assert(first.length - new Set(first).size <= 1, `${first}`);
    const left = ["1", "2", "3", "5"].filter((name) => name !== `${ending}`);
    assertEquals(left.filter((name) => !first.includes(name)), []);
    assertEquals(woken.map((line) => line[0]).sort(), left);
    for (const one of all) alarm.delete(one);
    assertEquals(alarm.due, Infinity);
  }
});

Deno.test("An Alarm wakes the others when one of them throws", async () => {
  using time = new FakeTime();
  const alarm = new Alarm();
  const woken: string[] = [];
  const error = new Error("asleep");
  const failing = sleeper(woken, "failing", 10, () => {
    throw error;
  });
  alarm.set(sleeper(woken, "other", Infinity), 10);
  alarm.set(failing, 10);
  await time.pass(10);
  assertEquals(woken, ["failing 10 10 0", "other 10 10 0"]);
  assertEquals(failing.errors, [error]);
  assertEquals(alarm.due, 20);
  alarm.delete(failing);
});
