/**
 * What the soak of a cluster stands on: its ledgers, which have to find what is wrong.
 */

import { assertEquals } from "@std/assert";
import { CallLedger, MemberLedger } from "../soak/cluster_ledger.ts";

/** A ledger that has heard some numbers of a node. */
function heard(...numbers: number[]): MemberLedger {
  const ledger = new MemberLedger("ann");
  for (const number of numbers) ledger.hear("lobby", "one", number);
  return ledger;
}

function finish(ledger: MemberLedger, last: number): readonly string[] {
  ledger.finish(new Map([["one", { lobby: last }]]));
  return ledger.violations;
}

Deno.test("MemberLedger finds nothing wrong where each number comes once, in order", () => {
  const ledger = heard(5, 6, 7);
  ledger.hear("lobby", "other", 1);
  ledger.hear("attic", "one", 1);
  assertEquals(finish(ledger, 7), []);
  assertEquals([ledger.heard, ledger.missed], [5, 0]);
});

Deno.test("MemberLedger finds what was passed over without a gap", () => {
  assertEquals(finish(heard(5, 8), 8), [
    "ann, lobby, from one: 8 came after 5, and no gap was told",
  ]);
});

Deno.test("MemberLedger excuses by a gap what was passed over before or behind it", () => {
  const before = heard(5);
  before.gap("lobby", undefined);
  before.hear("lobby", "one", 8);
  assertEquals(finish(before, 8), []);
  assertEquals(before.missed, 2);

  const behind = heard(5, 8);
  behind.gap("lobby", "one");
  assertEquals(finish(behind, 8), []);
});

Deno.test("MemberLedger excuses one jump by a gap, of its room and its node alone", () => {
  const twice = heard(5);
  twice.gap("lobby", undefined);
  twice.hear("lobby", "one", 8);
  twice.hear("lobby", "one", 10);
  assertEquals(finish(twice, 10).length, 1);

  for (const [room, node] of [["attic", undefined], ["lobby", "other"]]) {
    const other = heard(5);
    other.gap(room!, node);
    other.hear("lobby", "one", 8);
    assertEquals(finish(other, 8).length, 1);
  }
});

Deno.test("MemberLedger finds what came twice, or out of order", () => {
  assertEquals(finish(heard(5, 5), 5), [
    "ann, lobby, from one: 5 came after 5",
  ]);
  assertEquals(finish(heard(5, 4, 6), 6), [
    "ann, lobby, from one: 4 came after 5",
  ]);
});

Deno.test("MemberLedger finds what was lost last, unless a gap was told", () => {
  assertEquals(finish(heard(5), 6), [
    "ann, lobby, from one: 5 came last of 6",
  ]);
  const told = heard(5);
  told.gap("lobby", undefined);
  assertEquals(finish(told, 6), []);
  assertEquals(told.missed, 1);
});

Deno.test("MemberLedger begins anew with a connection, and forgets no jump", () => {
  const ledger = heard(5, 7);
  ledger.reset();
  ledger.hear("lobby", "one", 1);
  assertEquals(finish(ledger, 1), [
    "ann, lobby, from one: 7 came after 5, and no gap was told",
  ]);
});

Deno.test("CallLedger finds calls that ran though they should not have, or twice, or never", () => {
  const ledger = new CallLedger();
  for (const id of ["a", "b", "c", "c", "d"]) ledger.run(id);
  ledger.settle("a", "result");
  ledger.settle("b", "unsent");
  ledger.settle("c", "result");
  ledger.settle("d", "sent");
  ledger.settle("e", "result");
  ledger.settle("f", "sent");
  ledger.settle("g", "unsent");
  assertEquals(ledger.violations(), [
    "Call c was executed 2 times",
    "Call b was told not to be sent, and was executed",
    "Call e has a result, and was never executed",
  ]);
  assertEquals(ledger.counts.get("result"), 3);
});
