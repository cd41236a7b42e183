import { assert, assertEquals } from "@std/assert";
import {
  type Entry,
  type Pending,
  PendingTable,
  Queue,
} from "../src/peer/pending.ts";

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
    text: undefined,
    loan: undefined,
    places: 1,
    sent: false,
    wasSent: false,
    settled: false,
    queued: 0,
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
      "01",
      "1.0",
      "NaN",
      "",
      null,
      undefined,
      2 ** 40 + 1,
    ]
  ) {
    assertEquals(table.take(id), undefined);
  }
  for (const pending of all) assert(table.get(`${pending.id}`) === pending);
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

Deno.test("Queue keeps its order and its counts, whoever goes and is given up", () => {
  const queue = new Queue();
  const table = new PendingTable(queue);
  // What should be there, by hand.
  let model: Entry[] = [];
  let seed = 1;
  const random = (most: number): number =>
    (seed = seed * 48_271 % 0x7fff_ffff) % most;
  for (let step = 0; step < 30_000; step++) {
    const isFull = step > 15_000;
    switch (random(isFull ? 4 : 3)) {
      case 0:
      case 1: {
        const pending = random(4) === 0 ? undefined : add(table);
        const entry = { text: "x".repeat(1 + random(9)), pending };
        queue.push(entry);
        model.push(entry);
        break;
      }
      case 2: {
        const given = model[random(model.length + 1)]?.pending;
        if (given === undefined) break;
        table.take(given.id);
        model = model.filter(({ pending }) => pending !== given);
        break;
      }
      case 3:
        for (let times = random(5); times > 0 && model.length > 0; times--) {
          assert(queue.first === model.shift());
          queue.shift();
        }
        break;
    }
    assert(queue.first === model[0]);
    assert(queue.size === model.length);
    if (step % 1_000 !== 0) continue;
    const length = model.reduce((sum, { text }) => sum + text.length, 0);
    assertEquals(queue.length, length);
  }
  const first = { text: "first", pending: add(table) };
  queue.putFirst([first]);
  assert(queue.first === first);
  assertEquals([queue.size, first.pending.queued], [model.length + 1, 5]);
  queue.clear();
  assertEquals([queue.size, queue.length, queue.first], [0, 0, undefined]);
});

Deno.test("PendingTable counts places of what was sent, and keeps no large table for few", () => {
  const table = new PendingTable();
  const all = Array.from({ length: 10_000 }, () => add(table));
  for (const pending of all) table.mark(pending, true);
  table.mark(all[0]!, true);
  assertEquals(table.inFlight, 10_000);
  table.mark(all[0]!, false);
  assertEquals(table.inFlight, 9_999);
  for (const { id } of all) table.take(id);
  // One that is over has given its place back already.
  table.mark(all[0]!, true);
  table.mark(all[1]!, false);
  assertEquals([table.inFlight, table.size], [0, 0]);
  const next = add(table);
  assertEquals([next.id, table.all()], [10_001, [next]]);
});

Deno.test("PendingTable tells those that are due, the oldest first, and when the next is", () => {
  const table = new PendingTable();
  const all = Array.from({ length: 20 }, () => add(table));
  for (const pending of all) pending.deadline = 100 + pending.id % 5;
  const due: Pending[] = [];
  assertEquals(table.sweep(101, due), 102);
  assertEquals(due.map(({ id }) => id), [1, 5, 6, 10, 11, 15, 16, 20]);
  for (const { id } of all) table.take(id);
  assertEquals(table.sweep(1_000, []), Infinity);
});
