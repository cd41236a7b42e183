import { assertEquals } from "@std/assert";
import * as z from "zod";
import { type BasePeer, guard, method } from "../mod.ts";
import { eachPeer, wholePeer } from "./faces.ts";
import { failure, request, result } from "./scripted_socket.ts";
import { echo, open, take } from "./stage.ts";

eachPeer("Peer finds own functions alone", async (face) => {
  const local = {
    field: 5,
    get getter(): () => number {
      throw new Error("A getter was called");
    },
    group: { method: () => 1, field: 5 },
    map: new Map([["get", 1]]),
    "rpc.mine": () => 1,
    "$/mine": () => 1,
    [Symbol("s")]: () => 1,
    "a.b": () => 2,
  };
  await using it = await open(face, { local });
  const names = ["constructor", "__proto__", "toString", "then", "getter"]
    .concat(["hasOwnProperty", "field", "group", "group.field", "map.get"])
    .concat(["group.constructor", "rpc.mine", "$/mine", "Symbol(s)", ""]);
  for (const name of names) {
    assertEquals(await it.ask(request(1, name)), [
      failure(1, -32601, "Method not found"),
    ]);
  }
  assertEquals(await it.ask(request(1, "group.method")), [result(1, 1)]);
  assertEquals(await it.ask(request(1, "a.b")), [result(1, 2)]);
  assertEquals(await it.ask(request(1, "rpc.ping")), [result(1, null)]);
});

eachPeer(
  "Params with the names of prototypes are data to a peer",
  async (face) => {
    await using it = await open(face, { local: { echo } });
    const text =
      '{"__proto__":{"polluted":1},"constructor":1,"toJSON":2,"then":3}';
    it.socket.receive(
      `{"jsonrpc":"2.0","method":"echo","params":[${text}],"id":1}`,
    );
    assertEquals(
      it.socket.sent.splice(0),
      [`{"jsonrpc":"2.0","result":${text},"id":1}`],
    );
    assertEquals(({} as { polluted?: number }).polluted, undefined);
  },
);

eachPeer("Peer calls methods with schemas and guards", async (face) => {
  await using it = await open(face, {
    context: "ann",
    local: {
      subtract: method(
        { params: { minuend: z.number(), subtrahend: z.number() } },
        (minuend, subtrahend) => minuend - subtrahend,
      ),
      secret: guard(
        function (this: BasePeer, name: string) {
          return this.context === name;
        },
        (name: string) => `secret of ${name}`,
      ),
    },
  });
  const params = { subtrahend: 23, minuend: 42 };
  assertEquals(await it.ask(request(1, "subtract", params)), [result(1, 19)]);
  const [wrong] = await it.ask(request(2, "subtract", [1, "2"])) as [
    { error: { code: number } },
  ];
  assertEquals(wrong.error.code, -32602);
  assertEquals(await it.ask(request(3, "secret", ["ann"])), [
    result(3, "secret of ann"),
  ]);
  assertEquals(await it.ask(request(4, "secret", ["bob"])), [
    failure(4, -32051, "Forbidden"),
  ]);
});

eachPeer(
  "Peer calls nothing of a group that was deleted or replaced",
  async (face) => {
    const local: { [name: string]: object } = { math: { add: () => "old" } };
    await using it = await open(face, { local });
    const { socket } = it;
    socket.receive(request(1, "math.add"));
    local["math"] = { add: () => "new" };
    socket.receive(request(2, "math.add"));
    delete local["math"];
    socket.receive(request(3, "math.add"));
    const frames = take(socket);
    assertEquals(frames.slice(0, 2), [result(1, "old"), result(2, "new")]);
    assertEquals(frames[2]!.error?.code, -32601);
  },
);

wholePeer(
  "Peer tells its owner once of a method that an instance inherits",
  async (face) => {
    class Database {
      readonly find = (): number => 1;
      query(): number {
        return 2;
      }
    }
    class Cached extends Database {}
    class Service {
      readonly own = (): number => 3;
      readonly database = new Cached();
      said(): number {
        return 4;
      }
    }
    const local = new Service();
    await using it = await open(face, { local });
    const names = ["database.query", "database.query", "database.find", "said"]
      .concat(["constructor", "database.constructor", "toString", "said.deep"])
      .concat(["database.toString", "own.call", "other.query", "database."]);
    for (const name of names) {
      assertEquals(await it.ask(request(1, name)), [
        failure(1, -32601, "Method not found"),
      ]);
    }
    assertEquals(await it.ask(request(1, "own")), [result(1, 3)]);
    assertEquals(it.thrown.map((error) => (error as Error).message), [
      'Cannot call "query": an instance inherits it, and only own functions can be called. List it: { query: (...params) => instance.query(...params) }',
      'Cannot call "said": an instance inherits it, and only own functions can be called. List it: { said: (...params) => instance.said(...params) }',
    ]);
  },
);
