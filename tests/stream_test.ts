/**
 * Streams, both roles: frame by frame as StreamJsonRpc documents them, and end to
 * end over memory and real sockets.
 *
 * @see {@link https://github.com/microsoft/vs-streamjsonrpc/blob/main/docfx/exotic_types/asyncenumerable.md#protocol}
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type BasePeer,
  ConnectionClosedError,
  marshal,
  Peer,
  RpcError,
} from "../mod.ts";
import type { Limits } from "../mod.ts";
import { serve } from "../server.ts";
import { ReadyState } from "../src/line/socket.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { eachPeer, small, whole } from "./faces.ts";
import { request, result, settle } from "./scripted_socket.ts";
import { FakeTime } from "./fake_time.ts";
import { quiet } from "./servers.ts";
import {
  codes,
  collect,
  countTimers,
  echo,
  Endless,
  type Frame,
  lab,
  never,
  notification,
  open,
  pair,
  stream,
  take,
} from "./stage.ts";

/** A generator of numbers that tells when it is left. */
function counter(): {
  count(to: number): AsyncGenerator<number>;
  produced: number[];
  left: number;
} {
  const state = {
    produced: [] as number[],
    left: 0,
    async *count(to: number) {
      try {
        for (let n = 1; n <= to; n++) {
          state.produced.push(n);
          yield n;
        }
      } finally {
        state.left++;
      }
    },
  };
  return state;
}

eachPeer(
  "A stream is a token, its values what $/enumerator/next answers",
  async (face) => {
    const { count, produced } = counter();
    await using it = await open(face, { local: { count } });
    const { socket } = it;
    socket.receive(request(1, "count", [3]));
    await settle();
    assertEquals(socket.take(), [result(1, { token: 1 })]);
    assertEquals(produced, []);

    socket.receive(request(2, "$/enumerator/next", { token: 1 }));
    await settle();
    assertEquals(socket.take(), [result(2, { values: [1], finished: false })]);
    socket.receive(request(3, "$/enumerator/next", [1]));
    await settle();
    assertEquals(socket.take(), [
      result(3, { values: [2, 3], finished: true }),
    ]);
    socket.receive(request(4, "$/enumerator/next", { token: 1 }));
    await settle();
    const [{ error }] = socket.take() as [{ error: { code: number } }];
    assertEquals(error.code, -32001);
  },
);

eachPeer(
  "A stream's reader asks, and reads what the documentation's examples say",
  async (face) => {
    await using it = await open(face);
    const { socket, peer } = it;
    const values: unknown[] = [];
    const read = (async () => {
      for await (
        const value of peer.remote["m"]!() as unknown as AsyncIterable<unknown>
      ) {
        values.push(value);
      }
    })();
    assertEquals(socket.take(), [{ jsonrpc: "2.0", method: "m", id: 1 }]);
    socket.receive(result(1, { token: "enum-handle", values: [1, 2, 3] }));
    await settle();
    assertEquals(socket.take(), [
      request(2, "$/enumerator/next", { token: "enum-handle" }),
    ]);
    assertEquals(values, [1, 2, 3]);
    socket.receive(result(2, { values: [4, 5, 6], finished: false }));
    await settle();
    assertEquals(socket.take(), [
      request(3, "$/enumerator/next", { token: "enum-handle" }),
    ]);
    socket.receive(result(3, { values: [], finished: true }));
    await read;
    assertEquals(values, [1, 2, 3, 4, 5, 6]);
    assertEquals(socket.take(), []);
  },
);

eachPeer(
  "A stream may be whole in its first message, or empty",
  async (face) => {
    await using it = await open(face);
    const rows: [unknown, unknown[]][] = [
      [{ values: [1, 2] }, [1, 2]],
      [{ token: null, values: [1] }, [1]],
      [{}, []],
      [[1, 2], [1, 2]],
    ];
    for (const [index, [answer, values]] of rows.entries()) {
      const read = collect(it.peer.remote["m"]!());
      it.socket.receive(result(index + 1, answer));
      assertEquals(await read, values);
    }
    const read = collect(it.peer.remote["m"]!());
    it.socket.receive(result(5, 7));
    await assertRejects(() => read, TypeError, "it is no stream");
  },
);

eachPeer(
  "A stream that is left is told with $/enumerator/abort",
  async (face) => {
    await using it = await open(face);
    const { socket, peer } = it;
    const leave = (async () => {
      for await (
        const value of peer.remote["m"]!() as unknown as AsyncIterable<unknown>
      ) {
        if (value === 2) break;
      }
    })();
    socket.receive(result(1, { token: 7, values: [1, 2, 3] }));
    await leave;
    assertEquals(socket.take().slice(-2), [
      { jsonrpc: "2.0", method: "$/enumerator/abort", params: { token: 7 } },
      // Its next values had been asked for already.
      { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 2 } },
    ]);
    // Left before its call was answered.
    const stream = peer.remote["m"]!() as unknown as AsyncIterable<unknown>;
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.return!();
    socket.take();
    socket.receive(result(3, { token: 8 }));
    await settle();
    assertEquals(socket.take(), [
      { jsonrpc: "2.0", method: "$/enumerator/abort", params: { token: 8 } },
    ]);
    assertEquals((await iterator.next()).done, true);
  },
);

eachPeer(
  "A method returns a generator, an iterable, a ReadableStream, now or later",
  async (face) => {
    const { count } = counter();
    const [server, client] = pair(face, {
      local: {
        generator: count,
        iterable: (to: number) => ({
          [Symbol.asyncIterator]: () => count(to),
        }),
        later: async (to: number) => await Promise.resolve(count(to)),
        readable: (to: number) => ReadableStream.from(count(to)),
        objects: async function* () {
          yield { a: 1 };
          yield undefined;
          yield [null];
        },
      },
    });
    for (const method of ["generator", "iterable", "later", "readable"]) {
      const remote = client.remote[method]!;
      assertEquals(await collect(remote(5)), [1, 2, 3, 4, 5]);
      assertEquals(await collect(remote(0)), []);
      // Awaited first.
      assertEquals(await collect(await remote(2)), [1, 2]);
      assertEquals(await collect(await client.request(method, [2])), [1, 2]);
    }
    assertEquals(await collect(client.remote["objects"]!()), [{ a: 1 }, null, [
      null,
    ]]);
    const long = await collect<number>(client.remote["generator"]!(10_000));
    assertEquals([long.length, long.at(-1)], [10_000, 10_000]);
    client.close();
    await server.closed;
  },
);

eachPeer(
  "An argument may be a stream, and is let go of when the call is settled",
  async (face) => {
    const { count, produced } = counter();
    const state = counter();
    const [server, client] = pair(face, {
      local: {
        sum: async (name: string, values: AsyncIterable<number>) => {
          let sum = 0;
          for await (const value of values) sum += value;
          return `${name} ${sum}`;
        },
        byName: async (it: { values: AsyncIterable<number> }) =>
          await collect(it.values),
        first: async (values: AsyncIterable<number>) => {
          for await (const value of values) return value;
        },
        ignore: () => "ignored",
        data: (it: object) => JSON.stringify(it),
      },
    });
    assertEquals(await client.request("sum", ["ann", count(4)]), "ann 10");
    assertEquals(await client.request("byName", { values: count(2) }), [1, 2]);
    produced.length = 0;
    assertEquals(await client.request("first", [state.count(1_000_000)]), 1);
    assert(state.produced.length < 1_000);
    assertEquals(await client.request("ignore", [state.count(1)]), "ignored");
    await assertRejects(
      () => client.request("nobody", [state.count(1)]),
      RpcError,
    );
    await settle();
    // One of the three had begun.
    assertEquals(state.left, 1);
    // Something with a token is data as before.
    assertEquals(
      await client.request("data", [{ token: "secret" }]),
      '{"token":"secret"}',
    );
    client.close();
    await server.closed;
  },
);

eachPeer(
  "A stream is produced as it is asked for, a bounded bit ahead",
  async (face) => {
    const { count, produced } = counter();
    const [server, client] = pair(face, { local: { count } });
    const stream = await client.request("count", [1_000_000]) as AsyncIterable<
      number
    >;
    await settle();
    assertEquals(produced.length, 0);
    const iterator = stream[Symbol.asyncIterator]();
    assertEquals((await iterator.next()).value, 1);
    await settle();
    assert(produced.length < 1_000, `${produced.length}`);
    await iterator.return!();
    client.close();
    await server.closed;
  },
);

eachPeer(
  "A stream's generator runs its finally when it is left, cancelled or cut",
  async (face) => {
    for (const end of ["break", "throw", "cancel", "close", "cut"]) {
      const state = counter();
      let signal: AbortSignal | undefined;
      const [left, right] = socketPair();
      const server = face.peer(left, {
        local: {
          async *count(this: BasePeer) {
            ({ signal } = this.call);
            yield* state.count(1_000_000);
          },
        },
      });
      const client = face.peer(right, {});
      const controller = new AbortController();
      const remote = client.with({ signal: controller.signal });
      const stream = remote["count"]!() as unknown as AsyncIterable<number>;
      try {
        for await (const value of stream) {
          if (value < 3) continue;
          if (end === "break") break;
          if (end === "throw") throw new Error("mine");
          if (end === "cancel") controller.abort(new Error("cancelled"));
          if (end === "close") client.close();
          if (end === "cut") right.terminate();
        }
        assertEquals(end, "break");
      } catch (error) {
        if (end === "throw") assertEquals((error as Error).message, "mine");
        else if (end === "cancel") {
          assertEquals((error as Error).message, "cancelled");
        } else assert(error instanceof ConnectionClosedError, String(error));
      }
      await settle();
      assertEquals([end, state.left, signal?.aborted], [end, 1, true]);
      client.close();
      await Promise.all([client.closed, server.closed]);
    }
  },
);

eachPeer(
  "An error in a generator reaches the reader after the values before it",
  async (face) => {
    const thrown: unknown[] = [];
    const [server, client] = pair(face, {
      local: {
        async *refuse() {
          yield 1;
          yield 2;
          throw new RpcError(7, "No more");
        },
        async *fail() {
          yield 1;
          throw new Error("secret");
        },
        async *unwritable() {
          yield 1;
          yield 2n;
        },
      },
      onerror: (error) => void thrown.push(error),
    });
    const rows: [string, number[], number][] = [
      ["refuse", [1, 2], 7],
      ["fail", [1], -32603],
      ["unwritable", [1], -32603],
    ];
    for (const [method, expected, code] of rows) {
      const values: unknown[] = [];
      const error = await assertRejects(async () => {
        const stream = client.remote[method]!() as unknown as AsyncIterable<
          unknown
        >;
        for await (const value of stream) values.push(value);
      }, RpcError);
      assertEquals([values, error.code], [expected, code]);
    }
    assertEquals(thrown.length, 2);
    client.close();
    await server.closed;
  },
);

eachPeer(
  "Streams are bounded, and their places free again once they are over",
  async (face) => {
    const { count } = counter();
    const most = face.most("streams", 2);
    const limits = { streams: most };
    const [server, client] = pair(
      face,
      { local: { count }, limits },
      { limits },
    );
    const open: unknown[] = [];
    while (open.length < most) open.push(await client.request("count", [9]));
    let isOpen = false;
    const more = client.request("count", [4]).then((stream) => {
      isOpen = true;
      return stream;
    });
    await settle();
    assertEquals(isOpen, false);
    assertEquals((await collect(open[0])).length, 9);
    assertEquals((await collect(await more)).length, 4);
    for await (const _ of stream(open[1])) break;
    await settle();
    for (let n = 0; n < 5; n++) {
      assertEquals((await collect(client.remote["count"]!(3))).length, 3);
    }
    const tooMany = Array.from({ length: most + 1 }, () => count(1));
    await assertRejects(
      () => client.request("count", tooMany),
      RpcError,
      `${most} of at most ${most} streams go with one call, see limits.streams`,
    );
    // Those that had their places before one was refused gave them back.
    await assertRejects(
      () => client.request("nobody", tooMany.map(() => count(1)).slice(1)),
      RpcError,
      "Method not found",
    );
    await assertRejects(
      () => client.request("nobody", tooMany.map(() => count(1)).slice(1)),
      RpcError,
      "Method not found",
    );
    client.close();
    await server.closed;
  },
);

eachPeer(
  "A stream that is one too many is refused where none ends for 10 seconds",
  async (face) => {
    const most = face.most("streams", 2);
    const values: Endless[] = [];
    await using it = await open(face, {
      limits: { streams: most },
      local: { endless: () => values[values.push(new Endless()) - 1] },
    });
    using time = new FakeTime();
    const { socket } = it;
    const ask = (id: number | string): void =>
      socket.receive(request(id, "endless"));
    for (let id = 0; id < most; id++) ask(id);
    assertEquals(socket.take().length, most);
    ask("waits");
    ask("cancelled");
    socket.receive(notification("$/cancelRequest", { id: "cancelled" }));
    await time.flow(9_000);
    assertEquals(codes(socket), [-32800]);
    assertEquals([values[most]!.left, values[most + 1]!.left], [0, 1]);
    const leave = (token: number): void =>
      socket.receive(notification("$/enumerator/abort", { token }));
    leave(1);
    await time.pass(0);
    assertEquals(socket.take(), [result("waits", { token: most + 1 })]);
    // Another one has ended of late, so the next wait for as long again.
    for (const id of ["a", "b", "c"]) ask(id);
    await time.flow(9_000);
    leave(2);
    await time.pass(0);
    assertEquals(take(socket).map(({ id }) => id), ["a"]);
    await time.flow(9_000);
    assertEquals(socket.sent, []);
    await time.flow(12_000);
    const refused = take(socket);
    assertEquals(refused.map(({ id, error }) => [id, error?.code]), [
      ["b", -32006],
      ["c", -32006],
    ]);
    assertEquals(
      refused[0]!.error!.message,
      `Cannot open stream: ${most} of at most ${most} streams are open, see limits.streams`,
    );
    assertEquals(values.slice(-2).map(({ left }) => left), [1, 1]);
    // As is who comes then, until one ends.
    ask("late");
    assertEquals(codes(socket), [-32006]);
    leave(3);
    ask("taken");
    ask("waits again");
    assertEquals(take(socket).map(({ id }) => id), ["taken"]);
  },
);

eachPeer(
  "Streams that wait for their turn are over with their connection",
  async (face) => {
    const most = face.most("streams", 1);
    const values: Endless[] = [];
    using time = new FakeTime();
    using timers = countTimers();
    {
      await using it = await open(face, {
        limits: { streams: most },
        local: { endless: () => values[values.push(new Endless()) - 1] },
      });
      for (let id = 0; id < most + 2; id++) {
        it.socket.receive(request(id, "endless"));
      }
      assertEquals(it.socket.take().length, most);
    }
    await time.pass(0);
    assertEquals(values.filter(({ left }) => left === 1).length, most + 2);
    assertEquals(timers.running, 0);
  },
);

eachPeer("A stream in a notification is refused", async (face) => {
  await using it = await open(face);
  assertThrows(
    () => it.peer.notify("m", [counter().count(1)]),
    TypeError,
    "send a request",
  );
  assertEquals(it.socket.sent, []);
});

eachPeer("A value that is too long ends a stream", async (face) => {
  const sentLength = face.most("sentLength", 4_000);
  const [server, client] = pair(face, {
    local: {
      async *long() {
        yield 1;
        yield "x".repeat(sentLength);
      },
    },
    limits: { sentLength },
  });
  const values: unknown[] = [];
  const error = await assertRejects(async () => {
    for await (const value of stream(client.remote["long"]!())) {
      values.push(value);
    }
  }, RpcError);
  assertEquals([values, error.code], [[1], -32008]);
  client.close();
  await server.closed;
});

eachPeer(
  "Hostile questions about streams are answered, and harm no other stream",
  async (face) => {
    const { count } = counter();
    await using it = await open(face, {
      local: {
        count,
        never: async function* () {
          await new Promise(() => {});
          yield 1;
        },
      },
    });
    const { socket } = it;
    socket.receive(request(1, "count", [2]));
    socket.receive(request(2, "never"));
    await settle();
    assertEquals(socket.take(), [
      result(1, { token: 1 }),
      result(2, { token: 2 }),
    ]);
    const codes = (): (number | undefined)[] =>
      (socket.take() as { error?: { code: number } }[]).map(({ error }) =>
        error?.code
      );
    for (const token of ["1", 3, null, {}, [], "__proto__"]) {
      socket.receive(request(3, "$/enumerator/next", { token }));
      socket.receive(request(3, "$/enumerator/abort", { token }));
    }
    socket.receive(request(3, "$/enumerator/next"));
    socket.receive(request(3, "$/enumerator/other", [1]));
    socket.receive({
      jsonrpc: "2.0",
      method: "$/enumerator/abort",
      params: [9],
    });
    await settle();
    assertEquals(codes(), [...Array(13).fill(-32001), -32601]);
    // A question without an answer takes no values with it.
    socket.receive({
      jsonrpc: "2.0",
      method: "$/enumerator/next",
      params: { token: 1 },
    });
    await settle();
    assertEquals(socket.take(), []);
    // Two questions at a time for one stream.
    socket.receive(request(4, "$/enumerator/next", [2]));
    socket.receive(request(5, "$/enumerator/next", [2]));
    await settle();
    assertEquals(codes(), [-32600]);
    socket.receive({
      jsonrpc: "2.0",
      method: "$/enumerator/abort",
      params: [2],
    });
    await settle();
    assertEquals(codes(), [-32001]);
    socket.receive(request(6, "$/enumerator/next", [1]));
    await settle();
    assertEquals(socket.take(), [result(6, { values: [1], finished: false })]);
  },
);

Deno.test("The small peer without streams answers with what is no stream", async () => {
  const { count } = counter();
  await using it = await open(small, { use: [], local: { count } });
  it.socket.receive(request(1, "count", [3]));
  it.socket.receive(request(2, "$/enumerator/next", [1]));
  await settle();
  assertEquals(it.socket.take(), [
    result(1, {}),
    {
      jsonrpc: "2.0",
      error: { code: -32601, message: "Method not found" },
      id: 2,
    },
  ]);
});

eachPeer("A server and its client pass streams both ways", async (face) => {
  const { count } = counter();
  const local = {
    count,
    sum: async (values: AsyncIterable<number>) =>
      (await collect<number>(values)).reduce((a, b) => a + b, 0),
  };
  await using server = serve({ ...quiet, local });
  await using client = face.connect<typeof local>(server.url);
  const values: number[] = [];
  for await (const value of client.remote.count(1_000)) values.push(value);
  assertEquals(values.length, 1_000);
  assertEquals(await client.remote.sum(count(100)), 5_050);
  assertEquals(await client.remote.sum(ReadableStream.from(count(3))), 6);
});

eachPeer(
  "What looks like a stream goes back as the data that it may be",
  async (face) => {
    const kept: unknown[] = [];
    const [left, right] = pair(face, {
      local: {
        echo: (value: unknown) => value,
        keep: (value: unknown) => void kept.push(value),
        kept: () => kept[0],
      },
    });
    for (
      const data of [{ token: "secret" }, { values: [1, 2] }, { token: 0 }]
    ) {
      assertEquals(await right.request("echo", [data]), data);
    }
    await right.request("keep", [{ token: "secret" }]);
    assertEquals(await right.request("kept"), { token: "secret" });
    right.local = { mirror: (value: unknown) => value };
    assertEquals(await left.request("mirror", [kept[0]]), { token: "secret" });
    right.close();
    await left.closed;
  },
);

Deno.test("What looks like a stream is none in a version without streams", async () => {
  await using it = await open(whole, { version: "bare", local: { echo } });
  const { socket } = it;
  socket.receive({ id: 1, method: "echo", params: [{ values: [1] }] });
  assertEquals(socket.take(), [{ id: 1, result: { values: [1] } }]);
});

eachPeer(
  "A stream leaves nothing behind for each of its batches",
  async (face) => {
    const [left, right] = socketPair();
    const local = {
      async *ticks() {
        for (let n = 0; n < 100; n++) {
          // One value a batch: the next takes longer than to ask for it.
          for (let turn = 0; turn < 50; turn++) await null;
          yield n;
        }
      },
    };
    await using _server = face.peer(left, { local });
    await using client = face.peer<typeof local>(right, {});
    const { race } = Promise;
    let races = 0;
    Promise.race = ((values: []) => {
      races++;
      return race.call(Promise, values);
    }) as typeof race;
    let sum = 0;
    try {
      for await (const n of client.remote.ticks()) sum += n;
    } finally {
      Promise.race = race;
    }
    assertEquals(sum, 4_950);
    assertEquals(races, 1);
  },
);

eachPeer("A stream that a peer returns too late is left", async (face) => {
  const gate = Promise.withResolvers<void>();
  let left = 0;
  await using it = await open(face, {
    local: {
      async late() {
        await gate.promise;
        return {
          [Symbol.asyncIterator]: () => ({
            next: () => Promise.resolve({ value: 1, done: false }),
            return: () => (left++, Promise.resolve({ done: true })),
          }),
        };
      },
    },
  });
  it.socket.receive(request(1, "late"));
  it.socket.receive({
    jsonrpc: "2.0",
    method: "$/cancelRequest",
    params: { id: 1 },
  });
  it.socket.take();
  gate.resolve();
  await settle();
  assertEquals([left, it.socket.sent], [1, []]);
});

eachPeer(
  "A client and its server lend each other streams, functions and objects",
  async (face) => {
    const ended: string[] = [];
    const local = {
      async *count(to: number) {
        try {
          for (let n = 1; n <= to; n++) yield n;
        } finally {
          ended.push("count");
        }
      },
      async sum(numbers: AsyncIterable<number>) {
        let sum = 0;
        for await (const n of numbers) sum += n;
        return sum;
      },
      applied: async (fn: (n: number) => Promise<number>) => await fn(20),
      account() {
        let balance = 0;
        return marshal({ add: (n: number) => balance += n });
      },
    };
    let instance: Peer<typeof local> | undefined;
    class Server extends Peer<typeof local> {
      override local = local;
      override onopen(): void {
        instance = this;
      }
    }
    await using server = serve(Server, quiet);
    await using client = face.connect<typeof local>(server.url, { local });
    await client.opened;
    for (const remote of [client.remote, instance!.remote]) {
      const counted: number[] = [];
      for await (const n of remote.count(3)) counted.push(n);
      assertEquals(counted, [1, 2, 3]);
      for await (const _ of remote.count(1e6)) break;
      assertEquals(await remote.sum(local.count(4)), 10);
      // More of them than may be lent at a time.
      for (let n = 0; n < 130; n++) {
        assertEquals(await remote.applied((m) => m + n), 20 + n);
      }
      using account = await remote.account();
      await account.add(5);
      assertEquals(await account.add(2), 7);
    }
    await settle();
    assertEquals(ended.length, 6);
    assertThrows(
      () => client.notify("applied", [() => 1]),
      TypeError,
      "send a request",
    );
  },
);

eachPeer(
  "Peer leaves a stream that a method returns once the connection is closed",
  async (face) => {
    const later = new Endless();
    const { promise, resolve } = Promise.withResolvers<Endless>();
    const it = await open(face, { local: { later: () => promise } });
    it.socket.receive(request(1, "later"));
    it.socket.end();
    resolve(later);
    await settle();
    assertEquals([later.left, it.socket.sent], [1, []]);

    const own = new Endless();
    const closing = await open(face, {
      local: {
        bye(this: BasePeer) {
          this.close();
          return own;
        },
      },
    });
    closing.socket.receive(request(1, "bye"));
    closing.socket.end();
    await settle();
    assertEquals([own.left, closing.socket.sent], [1, []]);
  },
);

eachPeer(
  "A stream's slow reader bounds what is produced ahead",
  async (face) => {
    let produced = 0;
    const [server, client] = pair(face, {
      local: {
        async *count() {
          for (;;) yield ++produced;
        },
      },
    });
    let read = 0;
    for await (const _ of stream(client.remote["count"]!())) {
      await settle();
      if (++read === 50) break;
    }
    assert(produced < 1_500, `${produced}`);
    client.close();
    await server.closed;
  },
);

eachPeer(
  "A stream's generator runs its finally when its value can't be written",
  async (face) => {
    let left = 0;
    const [server, client] = pair(face, {
      onerror() {},
      local: {
        async *unwritable() {
          try {
            yield 1n;
          } finally {
            left++;
          }
        },
      },
    });
    await assertRejects(
      () => collect(client.remote["unwritable"]!()),
      RpcError,
    );
    await settle();
    assertEquals(left, 1);
    client.close();
    await server.closed;
  },
);

eachPeer(
  "A stream's values arrive if each fits, however many are produced ahead",
  async (face) => {
    const shorts = Array<string>(100).fill("x".repeat(300));
    const big = "y".repeat(1_040_000);
    const rows: [Partial<Limits>, string[]][] = [
      [{ sentLength: 10_000 }, shorts],
      [{}, ["first", ...shorts, big]],
    ];
    for (const [limits, values] of rows) {
      const local = {
        async *values() {
          yield* values;
        },
      };
      const [server, client] = pair(face, { limits, local });
      assertEquals(await collect(client.remote["values"]!()), values);
      client.close();
      await server.closed;

      await using it = await open(face, { limits, local });
      const { socket } = it;
      socket.receive(request(1, "values"));
      await settle();
      const read: unknown[] = [];
      for (let id = 2, isFinished = false; !isFinished; id++) {
        socket.take();
        socket.receive(request(id, "$/enumerator/next", { token: 1 }));
        await settle();
        const [answer] = take(socket) as [Frame];
        assertEquals(answer.error, undefined);
        const batch = answer.result as { values: unknown[]; finished: boolean };
        read.push(...batch.values);
        isFinished = batch.finished;
      }
      assertEquals(read, values);
    }
  },
);

eachPeer(
  "A stream whose call is aborted after its answer gives nothing",
  async (face) => {
    const [server, client] = pair(face, {
      local: {
        async *count() {
          yield 1;
        },
      },
    });
    const controller = new AbortController();
    const call = client.with({ signal: controller.signal })["count"]!();
    await call;
    controller.abort(new Error("changed my mind"));
    const values: unknown[] = [];
    await assertRejects(
      async () => {
        for await (const value of stream(call)) values.push(value);
      },
      Error,
      "changed my mind",
    );
    assertEquals(values, []);
    client.close();
    await server.closed;
  },
);

eachPeer(
  "A stream's waiting reader is let go though the peer is silent",
  async (face) => {
    const outgoing = face.most("outgoing", 1);
    await using it = await open(face, { limits: { outgoing } });
    const { socket, peer } = it;
    const controller = new AbortController();
    const aborted = stream(
      peer.with({ signal: controller.signal })["m"]!(),
    )[Symbol.asyncIterator]();
    const waiting = assertRejects(() => aborted.next(), Error, "mine");
    socket.receive(result(1, { token: 1 }));
    await settle();
    controller.abort(new Error("mine"));
    await waiting;

    const left = stream(peer.remote["m"]!())[Symbol.asyncIterator]();
    const next = left.next();
    const [{ id }] = take(socket).slice(-1) as [Frame];
    socket.receive(result(id, { token: 2 }));
    await settle();
    await left.return!();
    assertEquals((await next).done, true);

    // Nor does either keep a place among the calls that wait.
    for (let n = 1; n < outgoing; n++) peer.request("m").catch(() => {});
    const call = peer.request("echo");
    const [{ id: last }] = take(socket).slice(-1) as [Frame];
    socket.receive(result(last, "echoed"));
    assertEquals(await call, "echoed");
  },
);

eachPeer(
  "A stream's questions need no place among the calls that wait",
  async (face) => {
    const outgoing = face.most("outgoing", 1);
    const queued = face.most("queued", 0);
    await using it = await open(face, { limits: { outgoing, queued } });
    const { socket, peer } = it;
    const call = peer.remote["m"]!();
    socket.receive(result(1, { token: 1 }));
    await call;
    const slow = peer.request("slow");
    for (let n = 1; n < outgoing + Math.min(queued, 1); n++) {
      peer.request("m").catch(() => {});
    }
    // Behind a call that waits they wait, too, and cost less than calls.
    for (let n = 1; n < queued; n++) peer.notify("m");
    await assertRejects(() => peer.request("m"), RangeError);
    socket.take();
    const next = stream(call)[Symbol.asyncIterator]().next();
    await settle();
    const [question] = take(socket) as [Frame];
    assertEquals(question.method, "$/enumerator/next");
    socket.receive(result(question.id, { values: ["a"], finished: true }));
    assertEquals((await next).value, "a");
    socket.receive(result(2, "done"));
    assertEquals(await slow, "done");
  },
);

eachPeer(
  "A stream's question can be cancelled, and its id is in flight",
  async (face) => {
    await using it = await open(face, {
      local: {
        async *silent() {
          await never();
          yield 1;
        },
        echo: () => 1,
      },
    });
    const { socket } = it;
    socket.receive(request(1, "silent"));
    socket.receive(request(2, "$/enumerator/next", { token: 1 }));
    await settle();
    socket.take();
    socket.receive(request(2, "echo"));
    assertEquals(codes(socket), [-32600]);
    socket.receive(notification("$/cancelRequest", { id: 2 }));
    await settle();
    const [{ id, error }] = take(socket) as [Frame];
    assertEquals([id, error?.code], [2, -32800]);
  },
);

eachPeer(
  "A stream's question that never gets values is not asked for ever",
  async (face) => {
    await using it = await open(face);
    const { socket, peer } = it;
    let asked = 0;
    socket.onsend = (text) => {
      const { id, method } = JSON.parse(text) as Frame;
      // The bound lets the test fail rather than hang.
      if (method !== "$/enumerator/next" || asked++ === 1_000) return;
      queueMicrotask(() => socket.receive(result(id, null)));
    };
    const next = stream(peer.remote["m"]!())[Symbol.asyncIterator]().next()
      .then(() => {}, () => {});
    socket.receive(result(1, { token: 1 }));
    await settle();
    assert(asked < 10, `${asked}`);
    peer.close();
    await next;
  },
);

Deno.test("Nothing of streams is sent to peers that would not know it", async () => {
  for (const version of ["1.0", "bare"] as const) {
    await using it = await open<Peer>(whole, { version, onerror() {} });
    const iterator = stream(it.peer.remote["m"]!())[Symbol.asyncIterator]();
    const next = iterator.next().then(() => {}, () => {});
    it.socket.receive({
      id: 1,
      result: { token: 1, values: [1] },
      error: null,
    });
    await next;
    await iterator.return!();
    assertEquals(take(it.socket).map(({ method }) => method), ["m"]);
  }
});

eachPeer(
  "A generator's error that no reader hears is told to onerror",
  async (face) => {
    const thrown: unknown[] = [];
    const [server, client] = pair(face, {
      onerror: (error) => void thrown.push(error),
      local: {
        async *fail() {
          yield 1;
          throw new Error("mine");
        },
      },
    });
    for await (const _ of stream(client.remote["fail"]!())) {
      await settle();
      break;
    }
    await settle();
    assertEquals(thrown.map(String), ["Error: mine"]);
    client.close();
    await server.closed;
  },
);

eachPeer(
  "A stream that was refused is left, also if its return answers no promise",
  async (face) => {
    const thrown: unknown[] = [];
    let left = 0;
    const careless = {
      [Symbol.asyncIterator]: () => ({
        next: () => ({ value: 1, done: false }),
        return: () => {
          left++;
          return { value: undefined, done: true };
        },
      }),
    };
    const streams = face.most("streams", 1);
    const [server, client] = pair(face, {
      limits: { streams },
      local: { careless: () => careless },
      onerror: (error) => void thrown.push(error),
    });
    for (let n = 0; n < streams; n++) await client.request("careless");
    {
      using time = new FakeTime();
      const refused = assertRejects(
        () => client.request("careless"),
        RpcError,
      );
      await time.flow(11_000);
      assertEquals([(await refused).code, left], [-32006, 1]);
    }
    client.close();
    await server.closed;
    await settle();
    assertEquals([thrown, left], [[], streams + 1]);
  },
);

eachPeer(
  "Peer sends no stream on another connection than it was lent to",
  async (face) => {
    await using it = lab(face);
    async function* upload(): AsyncGenerator<number> {
      yield 1;
    }
    it.socket.open();
    // It is going to tell of its close soon.
    it.socket.readyState = ReadyState.Closing;
    const call = assertRejects(
      () => it.client.request("m", [upload()]),
      ConnectionClosedError,
    );
    const plain = it.client.request("m", [1]);
    it.socket.end(1006);
    const error = await call;
    assertEquals([error.sent, error.retryIn], [false, 250]);
    await it.time.pass(250);
    it.socket.open();
    assertEquals(it.socket.take(), [request(2, "m", [1])]);
    it.socket.receive(result(2, null));
    assertEquals(await plain, null);
  },
);
