import { assert, assertEquals } from "@std/assert";
import { type Pending, PendingTable } from "../src/peer/pending.ts";

function add(table: PendingTable): Pending {
  const pending: Pending = {
    id: table.takeId(),
    method: "m",
    timeout: 0,
    resolve() {},
    reject() {},
    batch: undefined,
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

Deno.test("PendingTable lets go of signals, and of batches", () => {
  const table = new PendingTable();
  const batch = { members: [], pending: new Set<Pending>(), promises: [] };
  let released = 0;
  const pending: Pending = { ...add(table), batch, release: () => released++ };
  table.take(pending.id);
  table.add(pending);
  batch.pending.add(pending);
  table.take(pending.id);
  assertEquals([released, batch.pending.size], [1, 0]);
});
