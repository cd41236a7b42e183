/** The fuzzer, for a while; `deno task fuzz` goes on for longer. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Peer } from "../../mod.ts";
import { completeLimits } from "../../src/wire/limits.ts";
import { fuzz, FuzzError } from "../fuzz.ts";
import { Ledger } from "../fuzz/ledger.ts";
import { Random } from "../fuzz/random.ts";

const seed = 20_110_611;

Deno.test("Peer outlives 100,000 seeded frames, and answers exactly what it must", async () => {
  const report = await fuzz({ seed, frames: 100_000 });
  // They were not all of one kind.
  assert(report.answers > 50_000 && report.answers < 200_000);
  assertEquals(Object.keys(report.closes), ["1009", "4400"]);
});

Deno.test("Both servers outlive 2,000 seeded frames over real sockets", async () => {
  const report = await fuzz({ seed, frames: 2_000, isReal: true });
  assert(report.answers > 1_000);
});

Deno.test("fuzz does the same again from the same seed", async () => {
  const options = { seed: 7, frames: 500 };
  assertEquals(await fuzz(options), await fuzz(options));
  const [first, second] = [new Random(7), new Random(7)];
  for (let n = 0; n < 100; n++) assertEquals(first.next(), second.next());
  assert(new Random(8).next() !== new Random(7).next());
});

Deno.test("fuzz finds a peer that answers what it must not, and says how to again", async () => {
  const { respond } = Peer.prototype;
  // Whoever answers early does it twice.
  Peer.prototype.respond = function (this: Peer, id, ...rest): boolean {
    this.ws!.send(JSON.stringify({ jsonrpc: "2.0", result: "twice", id }));
    return respond.call(this, id, ...rest);
  };
  try {
    const error = await assertRejects(
      () => fuzz({ seed, frames: 10_000 }),
      FuzzError,
      "an answer was sent that is owed to nobody",
    );
    const [, found] = /again: deno task fuzz --seed (\d+) --sessions 1\n/
      .exec(error.message)!;
    const again = { seed: Number(found), frames: 1_000, sessions: 1 };
    const same = await assertRejects(() => fuzz(again), FuzzError);
    assertEquals(same.message, error.message);
    assert(error.message.includes("early"));
  } finally {
    Peer.prototype.respond = respond;
  }
});

Deno.test("Ledger knows what PROTOCOL.md says is owed", () => {
  const rows: [frame: string, owed: string[]][] = [
    ['{"jsonrpc":"2.0","method":"m","id":1}', ["1"]],
    ['{"jsonrpc":"2.0","method":"m","id":"1"}', ['"1"']],
    ['{"jsonrpc":"2.0","method":"m","id":null}', ["null"]],
    ['{"jsonrpc":"2.0","method":"m"}', []],
    ['{"method":"m","id":null}', []],
    ['{"jsonrpc":"2.0","method":"m","params":5}', []],
    ['{"jsonrpc":"2.0","method":"m","params":5,"id":7}', ["7"]],
    ['{"jsonrpc":"2.0","method":5}', ["null"]],
    ['{"jsonrpc":"2.0","method":"m","id":{}}', ["null"]],
    ['{"jsonrpc":"2.0","method":"m","id":9007199254740993}', ["null"]],
    ['{"jsonrpc":"2.0","method":"m","id":1.5}', ["1.5"]],
    ['{"jsonrpc":"2.0","id":1}', []], // It may have been a request's.
    ['{"jsonrpc":"2.0","id":0}', ["0"]],
    ['{"jsonrpc":"2.0","id":1,"params":[]}', ["1"]],
    ['{"jsonrpc":"2.0","id":"a","error":null}', ['"a"']],
    ['{"jsonrpc":"2.0","id":1,"result":null}', []],
    ['{"error":"no"}', []],
    ["{}", ["null"]],
    ["[]", ["null"]],
    ["", []],
    ["?", ["null"]],
    ['[{"jsonrpc":"2.0","method":"m","id":1},5,{"id":0}]', [
      "1",
      "null",
      "0",
    ]],
  ];
  for (const [frame, owed] of rows) {
    const ledger = new Ledger({
      limits: completeLimits({}),
      isShared: false,
      isReal: false,
      version: "2.0",
    });
    ledger.give(frame, "2.0");
    assertEquals(ledger.owed, owed, frame);
  }
});
