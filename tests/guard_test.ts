import { assertEquals, assertRejects } from "@std/assert";
import * as z from "zod";
import {
  guard,
  method,
  Peer,
  type PeerOptions,
  RpcError,
  type Verdict,
} from "../mod.ts";
import { socketPair } from "../testing.ts";
import { describe } from "../discovery.ts";
import { openScripted, request } from "./scripted_socket.ts";

/** What a request is answered with. */
async function answerTo(
  options: PeerOptions,
  name: string,
  params: unknown,
): Promise<unknown> {
  await using scripted = await openScripted(options);
  const { socket } = scripted;
  socket.receive(request(1, name, params));
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  const [answer] = socket.take() as { result?: unknown; error?: unknown }[];
  return answer?.error ?? answer?.result;
}

const forbidden = { code: -32051, message: "Forbidden" };
const unauthenticated = { code: -32050, message: "Unauthenticated" };
const internal = { code: -32603, message: "Internal error" };

Deno.test("guard runs a method for true alone", async () => {
  const rows: [verdict: unknown, answer: unknown][] = [
    [true, 7],
    [false, forbidden],
    [undefined, unauthenticated],
    [null, unauthenticated],
    [1, internal],
    ["yes", internal],
    [{}, internal],
    [0, internal],
    ["", internal],
  ];
  for (const [verdict, answer] of rows) {
    for (const later of [false, true]) {
      let runs = 0;
      const errors: unknown[] = [];
      const check = () =>
        (later ? Promise.resolve(verdict) : verdict) as Verdict;
      const local = { seven: guard(check, () => (runs++, 7)) };
      const onerror = (error: unknown) => void errors.push(error);
      assertEquals(await answerTo({ local, onerror }, "seven", []), answer);
      assertEquals(runs, verdict === true ? 1 : 0);
      assertEquals(errors.length, answer === internal ? 1 : 0);
    }
  }
});

Deno.test("guard hides what a check throws, unless it was made for the caller", async () => {
  const errors: unknown[] = [];
  const onerror = (error: unknown) => void errors.push(error);
  const failing = (error: unknown): PeerOptions => ({
    local: {
      now: guard(() => {
        throw error;
      }, () => 7),
      later: guard(() => Promise.reject(error), () => 7),
    },
    onerror,
  });
  for (const name of ["now", "later"]) {
    const own = new RpcError(402, "Pay first");
    assertEquals(await answerTo(failing(own), name, []), own.toJSON());
    assertEquals(await answerTo(failing(new Error("x")), name, []), internal);
  }
  assertEquals(errors.map(String), ["Error: x", "Error: x"]);
});

Deno.test("guard gives its check the call's params and what it is called on", async () => {
  const seen: unknown[] = [];
  const local = {
    add: guard(function (this: Peer, a: number, b: number) {
      seen.push(this instanceof Peer, this.call.method, a, b);
      return true;
    }, function (a: number, b: number) {
      seen.push(this.call.id);
      return a + b;
    }),
  };
  assertEquals(await answerTo({ local }, "add", [1, 2]), 3);
  assertEquals(seen, [true, "add", 1, 2, 1]);
});

Deno.test("guard looks at the context of the moment", async () => {
  class Room extends Peer<unknown, { isModerator: boolean } | undefined> {
    override local = {
      clear: guard(() => this.context?.isModerator, () => "cleared"),
    };
  }
  const [left, right] = socketPair();
  await using room = new Room(left);
  await using client = new Peer<Room["local"]>(right);
  const codes: unknown[] = [];
  const contexts = [undefined, { isModerator: false }, { isModerator: true }];
  for (const context of [...contexts, undefined]) {
    room.context = context;
    await client.remote.clear().then(
      (result) => codes.push(result),
      (error: RpcError) => codes.push(error.code),
    );
  }
  assertEquals(codes, [-32050, -32051, "cleared", -32050]);
});

Deno.test("guard keeps a method's names, schemas and length, twice guarded too", async () => {
  const subtract = method({
    params: { minuend: z.number(), subtrahend: z.number() },
    summary: "Subtracts",
  }, (minuend, subtrahend) => minuend - subtrahend);
  const checked: unknown[] = [];
  const check = (...params: unknown[]) => checked.push(params) > 0;
  const plain = { subtract };
  const local = {
    subtract: guard(check, guard(check, subtract)),
    two: guard(() => true, (_a: unknown, _b: unknown) => 2),
  };
  const params = { subtrahend: 23, minuend: 42 };
  assertEquals(await answerTo({ local }, "subtract", params), 19);
  assertEquals(checked, [[42, 23], [42, 23]]);
  const info = { title: "Guarded", version: "1.0.0" };
  const options = { toJsonSchema: z.toJSONSchema as never };
  const [guarded, two] = describe(info, options)(local).methods;
  assertEquals(guarded, describe(info, options)(plain).methods[0]);
  assertEquals(two?.params.length, 2);
});

Deno.test("guard comes before the schemas, or after them, as it is written", async () => {
  const params = [{ name: z.string() }];
  const seen: unknown[] = [];
  const check = (...[name]: unknown[]) => {
    seen.push(name);
    return false;
  };
  const local = {
    before: guard(check, method({ params }, String)),
    after: method({ params }, guard(check, String)),
  };
  assertEquals(await answerTo({ local }, "before", [5]), forbidden);
  const answer = await answerTo({ local }, "after", [5]) as RpcError;
  assertEquals(answer.code, -32602);
  assertEquals(await answerTo({ local }, "after", ["ann"]), forbidden);
  assertEquals(seen, [5, "ann"]);
});

Deno.test("guard refuses a notification in silence, and guards a stream's method", async () => {
  let runs = 0;
  const errors: unknown[] = [];
  const local = { run: guard(() => false, () => void runs++) };
  const onerror = (error: unknown) => void errors.push(error);
  await using scripted = await openScripted({ local, onerror });
  scripted.socket.receive({ jsonrpc: "2.0", method: "run" });
  await Promise.resolve();
  assertEquals([scripted.socket.sent, runs, errors], [[], 0, []]);

  const [left, right] = socketPair();
  const ticks = {
    ticks: guard(() => false, async function* () {
      yield await Promise.resolve(1);
    }),
  };
  await using _server = new Peer(left, { local: ticks });
  await using client = new Peer(right);
  await assertRejects(() => client.request("ticks"), RpcError, "Forbidden");
});
