import { assert, assertEquals } from "@std/assert";
import { type Pending, PendingTable } from "../src/peer/pending.ts";

function pendingOf(id: number): Pending {
  return {
    id,
    method: "m",
    timeout: 0,
    resolve() {},
    reject() {},
    deadline: 0,
    onprogress: undefined,
    idempotent: false,
    again: undefined,
    lends: false,
    sent: false,
    wasSent: false,
    settled: false,
    release: undefined,
  };
}

function add(table: PendingTable): Pending {
  const pending = pendingOf(table.takeId());
  table.add(pending);
  return pending;
}

Deno.test("PendingTable counts ids from 1 and gives back what waits under them", () => {
  const table = new PendingTable();
  const all = Array.from({ length: 1_000 }, () => add(table));
  assertEquals(all.map(({ id }) => id), all.map((_, index) => index + 1));
  assertEquals(table.size, 1_000);
  assertEquals(table.all(), all);
  for (const pending of all) assert(table.get(pending.id) === pending);
  for (
    const id of [
      0,
      -1,
      1_001,
      1.5,
      NaN,
      Infinity,
      "1",
      null,
      undefined,
      2 ** 40 + 1,
    ]
  ) {
    assertEquals(table.take(id), undefined);
  }
  for (const pending of all) {
    assert(table.take(pending.id) === pending);
    assert(pending.settled);
    assertEquals(table.take(pending.id), undefined);
  }
  assertEquals([table.size, table.all()], [0, []]);
});

Deno.test("PendingTable never gives an id that still waits, however long", () => {
  const table = new PendingTable();
  const patient = [add(table), add(table), add(table)];
  const seen = new Set(patient.map(({ id }) => id));
  let last = 3;
  for (let n = 0; n < 10_000; n++) {
    const { id } = add(table);
    assert(id > last && !seen.has(id));
    last = id;
    table.take(id);
  }
  assertEquals(table.all(), patient);
});

Deno.test("PendingTable lets go of what a request held, and says whether it succeeded", () => {
  const table = new PendingTable();
  const released: boolean[] = [];
  const release = (succeeded: boolean): void => void released.push(succeeded);
  for (const succeeded of [true, false, undefined]) {
    const id = table.takeId();
    table.add({ ...pendingOf(id), release });
    table.take(id, succeeded);
    table.take(id, !succeeded);
  }
  assertEquals(released, [true, false, false]);
});
