/**
 * Streams, both roles: frame by frame as StreamJsonRpc documents them, and end to
 * end over memory and real sockets.
 *
 * @see {@link https://github.com/microsoft/vs-streamjsonrpc/blob/main/docfx/exotic_types/asyncenumerable.md#protocol}
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { connect } from "../client.ts";
import {
  ConnectionClosedError,
  Peer,
  type PeerOptions,
  RpcError,
} from "../mod.ts";
import { serve } from "../server.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { streams } from "../src/parts/streams.ts";
import {
  openScripted,
  request,
  result,
  type Scripted,
  settle,
} from "./scripted_socket.ts";

const use = [streams];

/** Two peers in memory, both with streams. */
function pair(
  left: PeerOptions,
  right: PeerOptions = {},
): [Peer, Peer] {
  const [a, b] = socketPair();
  return [new Peer(a, { use, ...left }), new Peer(b, { use, ...right })];
}

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

async function collect<T>(stream: unknown): Promise<T[]> {
  const values: T[] = [];
  for await (const value of stream as AsyncIterable<T>) values.push(value);
  return values;
}

/** A peer with streams over a scripted socket. */
function open(options: PeerOptions = {}): Promise<Scripted> {
  return openScripted({ use, ...options });
}

Deno.test("A stream is a token, its values what $/enumerator/next answers", async () => {
  const { count, produced } = counter();
  await using it = await open({ local: { count } });
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
  assertEquals(socket.take(), [result(3, { values: [2, 3], finished: true })]);
  socket.receive(request(4, "$/enumerator/next", { token: 1 }));
  await settle();
  const [{ error }] = socket.take() as [{ error: { code: number } }];
  assertEquals(error.code, -32001);
});

Deno.test("A stream's reader asks, and reads what the documentation's examples say", async () => {
  await using it = await open();
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
});

Deno.test("A stream may be whole in its first message, or empty", async () => {
  await using it = await open();
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
});

Deno.test("A stream that is left is told with $/enumerator/abort", async () => {
  await using it = await open();
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
});

Deno.test("A method returns a generator, an iterable, a ReadableStream, now or later", async () => {
  const { count } = counter();
  const [server, client] = pair({
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
});

Deno.test("An argument may be a stream, and is let go of when the call is settled", async () => {
  const { count, produced } = counter();
  const state = counter();
  const [server, client] = pair({
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
});

Deno.test("A stream is produced as it is asked for, a bounded bit ahead", async () => {
  const { count, produced } = counter();
  const [server, client] = pair({ local: { count } });
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
});

Deno.test("A stream's generator runs its finally when it is left, cancelled or cut", async () => {
  for (const end of ["break", "throw", "cancel", "close", "cut"]) {
    const state = counter();
    let signal: AbortSignal | undefined;
    const [left, right] = socketPair();
    const server = new Peer(left, {
      use,
      local: {
        async *count(this: Peer) {
          ({ signal } = this.call);
          yield* state.count(1_000_000);
        },
      },
    });
    const client = new Peer(right, { use });
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
});

Deno.test("An error in a generator reaches the reader after the values before it", async () => {
  const thrown: unknown[] = [];
  const [server, client] = pair({
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
});

Deno.test("Streams are bounded, and their places free again once they are over", async () => {
  const { count } = counter();
  const [server, client] = pair(
    { local: { count }, limits: { streams: 2 } },
    { limits: { streams: 1 } },
  );
  const open = [
    await client.request("count", [9]),
    await client.request("count", [9]),
  ];
  const error = await assertRejects(
    () => client.request("count", [9]),
    RpcError,
  );
  assertEquals(
    [error.code, error.message],
    [-32006, "Cannot open stream: 2 of at most 2 are open"],
  );
  assertEquals((await collect(open[0])).length, 9);
  for await (const _ of open[1] as AsyncIterable<number>) break;
  await settle();
  for (let n = 0; n < 5; n++) {
    assertEquals((await collect(client.remote["count"]!(3))).length, 3);
  }
  await assertRejects(
    () => client.request("count", [count(1), count(1)]),
    RpcError,
    "1 of at most 1",
  );
  // The one that had its place before the other was refused gave it back.
  assertEquals(await collect(await client.request("count", [1])), [1]);
  await assertRejects(
    () => client.request("nobody", [count(1)]),
    RpcError,
    "Method not found",
  );
  client.close();
  await server.closed;
});

Deno.test("A stream in a notification is refused, and a value too long ends a stream", async () => {
  const state = counter();
  const [server, client] = pair(
    {
      local: {
        long: async function* () {
          yield 1;
          yield "x".repeat(5_000);
        },
      },
    },
  );
  assertThrows(
    () => client.notify("m", [state.count(1)]),
    TypeError,
    "send a request",
  );
  client.close();
  await server.closed;

  const [bounded, reader] = pair({
    local: {
      long: async function* () {
        yield 1;
        yield "x".repeat(5_000);
      },
    },
    limits: { messageLength: 4_000 },
  });
  const values: unknown[] = [];
  const error = await assertRejects(async () => {
    const stream = reader.remote["long"]!() as unknown as AsyncIterable<
      unknown
    >;
    for await (const value of stream) values.push(value);
  }, RpcError);
  assertEquals([values, error.code], [[1], -32008]);
  reader.close();
  await bounded.closed;
});

Deno.test("Hostile questions about streams are answered, and harm no other stream", async () => {
  const { count } = counter();
  await using it = await open({
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
  socket.receive({ jsonrpc: "2.0", method: "$/enumerator/abort", params: [9] });
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
  socket.receive({ jsonrpc: "2.0", method: "$/enumerator/abort", params: [2] });
  await settle();
  assertEquals(codes(), [-32001]);
  socket.receive(request(6, "$/enumerator/next", [1]));
  await settle();
  assertEquals(socket.take(), [result(6, { values: [1], finished: false })]);
});

Deno.test("A peer without streams answers as before", async () => {
  const { count } = counter();
  await using it = await open({ use: [], local: { count } });
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

Deno.test("serve has streams by itself, connect is given them with use", async () => {
  const { count } = counter();
  await using server = serve(
    {
      local: {
        count,
        sum: async (values: AsyncIterable<number>) =>
          (await collect<number>(values)).reduce((a, b) => a + b, 0),
      },
    },
    { port: 0, hostname: "127.0.0.1", onListen() {} },
  );
  await using client = connect<{
    count(to: number): AsyncGenerator<number>;
    sum(values: AsyncIterable<number>): Promise<number>;
  }>(server.url, {}, { use });
  const values: number[] = [];
  for await (const value of client.remote.count(1_000)) values.push(value);
  assertEquals(values.length, 1_000);
  assertEquals(await client.remote.sum(count(100)), 5_050);
  assertEquals(await client.remote.sum(ReadableStream.from(count(3))), 6);
});

Deno.test("What looks like a stream goes back as the data that it may be", async () => {
  const kept: unknown[] = [];
  const [left, right] = pair({
    local: {
      echo: (value: unknown) => value,
      keep: (value: unknown) => void kept.push(value),
      kept: () => kept[0],
    },
  });
  for (const data of [{ token: "secret" }, { values: [1, 2] }, { token: 0 }]) {
    assertEquals(await right.request("echo", [data]), data);
  }
  await right.request("keep", [{ token: "secret" }]);
  assertEquals(await right.request("kept"), { token: "secret" });
  right.local = { mirror: (value: unknown) => value };
  assertEquals(await left.request("mirror", [kept[0]]), { token: "secret" });
  right.close();
  await left.closed;

  // In versions without streams nothing is one.
  await using it = await openScripted({
    use,
    version: "bare",
    local: { echo: (value: unknown) => value },
  });
  const { socket } = it;
  socket.receive({ id: 1, method: "echo", params: [{ values: [1] }] });
  assertEquals(socket.take(), [{ id: 1, result: { values: [1] } }]);
});

Deno.test("A stream leaves nothing behind for each of its batches", async () => {
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
  await using _server = new Peer(left, { local, use: [streams] });
  await using client = new Peer<typeof local>(right, { use: [streams] });
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
});

// A process of its own, since only such a one has gc().
Deno.test("A connection keeps no call that is over, the first neither", async () => {
  const moduleOf = (name: string): string =>
    JSON.stringify(new URL(`../${name}`, import.meta.url));
  const program = `
    import { Peer } from ${moduleOf("mod.ts")};
    import { socketPair } from ${moduleOf("src/line/socket_pair.ts")};
    import { streams } from ${moduleOf("src/parts/streams.ts")};
    const [left, right] = socketPair();
    const use = [streams];
    const server = new Peer(left, { local: { echo: (x) => x }, use });
    const client = new Peer(right, { use });
    const calls = [];
    async function call() {
      const promise = client.remote.echo("x");
      calls.push(new WeakRef(promise));
      await promise;
    }
    await call();
    await call();
    await new Promise((resolve) => setTimeout(resolve, 0));
    gc();
    console.log(calls.map((call) => call.deref()), client.state, server.state);
    Deno.exit();
  `;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--v8-flags=--expose-gc", program],
  }).output();
  assertEquals(
    new TextDecoder().decode(stdout),
    "[ undefined, undefined ] open open\n",
  );
});
