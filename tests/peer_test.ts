/**
 * How a peer behaves, four times over: through an in-memory socket pair, and
 * through a real `Deno.serve` on port 0, each with and without shared frames.
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { connect } from "../client.ts";
import {
  type CloseInfo,
  ConnectionClosedError,
  Peer,
  type PeerOptions,
  RpcError,
  type Socket,
  type SocketMaker,
} from "../mod.ts";
import { serve } from "../server.ts";
import { socketPair } from "../src/line/socket_pair.ts";

/** Two peers, connected; disposing ends both and whatever is behind them. */
interface Connected extends AsyncDisposable {
  server: Peer;
  client: Peer;
}

/** Connects two peers, the options' hooks included. */
type Connect = (
  server: PeerOptions,
  client?: PeerOptions,
) => Promise<Connected>;

async function connectInMemory(
  serverOptions: PeerOptions,
  clientOptions: PeerOptions = {},
): Promise<Connected> {
  const [left, right] = socketPair();
  const server = new Peer(left, serverOptions);
  const client = new Peer(right, clientOptions);
  await Promise.all([server.opened, client.opened]);
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server.closed;
    },
  };
}

async function connectForReal(
  serverOptions: PeerOptions,
  clientOptions: PeerOptions = {},
): Promise<Connected> {
  const { promise, resolve } = Promise.withResolvers<Peer>();
  class Service extends Peer {
    constructor(ws: Socket | SocketMaker, options: PeerOptions) {
      super(ws, { ...options, ...serverOptions });
      resolve(this);
    }
  }
  const listening = serve(Service, {
    port: 0,
    hostname: "127.0.0.1",
    onListen() {},
  });
  const client = connect(listening.url, clientOptions);
  const server = await promise;
  await Promise.all([server.opened, client.opened]);
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server.closed;
      await listening.shutdown();
    },
  };
}

/** The same, with messages that share frames. */
function sharing(connect: Connect): Connect {
  return (server, client = {}) =>
    connect(
      { ...server, sharedFrames: true },
      { ...client, sharedFrames: true },
    );
}

const connections: [name: string, connect: Connect][] = [
  ["in memory", connectInMemory],
  ["in memory, sharing frames", sharing(connectInMemory)],
  ["over Deno.serve", connectForReal],
  ["over Deno.serve, sharing frames", sharing(connectForReal)],
];

/** Defines a test for each kind of connection. */
function test(name: string, run: (connect: Connect) => Promise<void>): void {
  for (const [kind, connect] of connections) {
    Deno.test(`${name}, ${kind}`, () => run(connect));
  }
}

test("Peer calls and is called, in both directions", async (connect) => {
  await using connected = await connect(
    { local: { add: (a: number, b: number) => a + b } },
    { local: { greet: (name: string) => `hi, ${name}` } },
  );
  const { server, client } = connected;
  assertEquals(await client.remote["add"]!(1, 2), 3);
  assertEquals(await client.request("add", [1, 2]), 3);
  assertEquals(await server.remote["greet"]!("ann"), "hi, ann");
});

test("Peer is called back while its own call runs", async (connect) => {
  await using connected = await connect(
    {
      local: {
        async ask(this: Peer, question: string) {
          const answer = await this.request<string>("answer", [question]);
          return `${question} ${answer}`;
        },
      },
    },
    { local: { answer: (question: string) => `${question.length}` } },
  );
  assertEquals(
    await connected.client.request("ask", ["how long?"]),
    "how long? 9",
  );
});

test("Peer takes every result for a success, undefined for null", async (connect) => {
  const results = [0, false, "", null, [], {}, -1, "text", [null], 1.5];
  await using connected = await connect({
    local: {
      sync: (index: number) => results[index],
      later: (index: number) => Promise.resolve(results[index]),
      nothing: () => undefined,
      nothingLater: async () => {},
    },
  });
  const { client } = connected;
  for (const [index, result] of results.entries()) {
    assertEquals(await client.request("sync", [index]), result);
    assertEquals(await client.request("later", [index]), result);
  }
  for (const method of ["nothing", "nothingLater"]) {
    assertEquals(await client.request(method), null);
  }
});

test("Peer passes params by position and by name", async (connect) => {
  await using connected = await connect({
    local: { params: (...params: unknown[]) => params },
  });
  const { client } = connected;
  assertEquals(await client.request("params"), []);
  assertEquals(await client.request("params", []), []);
  assertEquals(await client.request("params", [1, [2]]), [1, [2]]);
  assertEquals(await client.request("params", { a: 1 }), [{ a: 1 }]);
  assertEquals(await client.request("params", {}), [{}]);
});

test("Peer carries any JSON through, names that look dangerous too", async (connect) => {
  await using connected = await connect({
    local: {
      echo: (value: object) => value,
      isPlain: (value: object) =>
        Object.getPrototypeOf(value) === Object.prototype &&
        ({} as Record<string, unknown>)["polluted"] === undefined,
    },
  });
  const { client } = connected;
  const text =
    '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toJSON":1,"then":2,"é\\ud800\\u0000":"\\u2028😀"}';
  const value = JSON.parse(text) as object;
  assertEquals(
    JSON.stringify(await client.request("echo", [value])),
    JSON.stringify(value),
  );
  assertEquals(await client.request("isPlain", [value]), true);
  const long = "x".repeat(300_000);
  assertEquals(await client.request("echo", [long]), long);
});

test("Peer gives the caller an RpcError as it is and hides anything else", async (connect) => {
  const thrown: unknown[] = [];
  const secrets: unknown[] = [
    new Error("secret"),
    "secret",
    0,
    null,
    undefined,
    { code: 1, message: "secret" },
  ];
  await using connected = await connect({
    local: {
      refuse: () => {
        throw new RpcError(409, "Taken", { name: "ann" });
      },
      refuseLater: () => Promise.reject(new RpcError(410, "Gone")),
      fail: (index: number) => {
        throw secrets[index];
      },
      failLater: (index: number) => Promise.reject(secrets[index]),
    },
    onerror: (error) => void thrown.push(error),
  });
  const { client } = connected;
  const taken = await assertRejects(() => client.request("refuse"), RpcError);
  assertEquals(
    [taken.code, taken.message, taken.data],
    [409, "Taken", { name: "ann" }],
  );
  const gone = await assertRejects(
    () => client.request("refuseLater"),
    RpcError,
  );
  assertEquals([gone.code, gone.message, gone.data], [410, "Gone", undefined]);
  assertEquals(thrown, []);
  for (const [index, secret] of secrets.entries()) {
    for (const method of ["fail", "failLater"]) {
      const error = await assertRejects(
        () => client.request(method, [index]),
        RpcError,
      );
      assertEquals(
        JSON.stringify(error),
        '{"code":-32603,"message":"Internal error"}',
      );
      assertEquals(thrown.pop(), secret);
    }
  }
  assertEquals(
    await client.request("fail", [99]).catch(String),
    "RpcError: Internal error",
  );
});

test("Peer whose onerror is not set prints its own errors and their methods, and the code alone of others'", async (connect) => {
  const { error } = console;
  const printed: unknown[][] = [];
  console.error = (...words): void => void printed.push(words);
  try {
    const own = new Error("mine");
    await using connected = await connect({
      local: {
        fail: () => {
          throw own;
        },
        tell: () => {
          throw new RpcError(7, "for the caller");
        },
        "%s\n": () => 5n,
      },
    });
    const { client } = connected;
    await assertRejects(() => client.request("fail"), RpcError);
    await assertRejects(() => client.request("%s\n"), RpcError);
    await assertRejects(() => client.request("tell"), RpcError);
    client.ws!.send(
      '{"jsonrpc":"2.0","error":{"code":-32603,"message":"in the log?"}}',
    );
    await client.request("rpc.ping");
    // Nobody listens: what was called is this side's own word.
    void client.request("tell");
    while (printed.length < 4) await new Promise((go) => setTimeout(go, 1));
    const unwritable = printed[1]?.pop();
    assert(unwritable instanceof TypeError);
    assertEquals(printed, [
      ["In method", '"fail":', own],
      ["In method", String.raw`"%s\n":`],
      ["RpcError -32603, message withheld: set onerror to see it"],
      ['RpcError 7 of call "tell", message withheld: set onerror to see it'],
    ]);
  } finally {
    console.error = error;
  }
});

test("Peer answers with an error if a result can't be written", async (connect) => {
  const thrown: unknown[] = [];
  const cycle: unknown[] = [];
  cycle.push(cycle);
  await using connected = await connect({
    local: {
      bigint: () => 1n,
      cycle: () => cycle,
      toJSON: () => ({
        toJSON() {
          throw new Error("no");
        },
      }),
      data: () => {
        throw new RpcError(1, "No", 1n);
      },
      later: () => Promise.resolve(1n),
      fine: () => "fine",
    },
    onerror: (error) => void thrown.push(error),
  });
  const { client } = connected;
  for (const method of ["bigint", "cycle", "toJSON", "data", "later"]) {
    const error = await assertRejects(() => client.request(method), RpcError);
    assertEquals(error.code, -32603);
  }
  assertEquals(thrown.length, 5);
  assertEquals(await client.request("fine"), "fine");
});

test("Peer rejects the caller if params can't be written, and sends nothing", async (connect) => {
  const calls: unknown[] = [];
  await using connected = await connect({
    local: { record: (...params: unknown[]) => void calls.push(params) },
  });
  const { client } = connected;
  await assertRejects(
    () => client.request("record", [1n]),
    TypeError,
    'Cannot send request "record": ',
  );
  await assertRejects(
    () => client.request("record", "text" as unknown as object),
    TypeError,
    "params must be an array or an object, got string",
  );
  await assertRejects(
    () => client.request(5 as unknown as string),
    TypeError,
    "method must be a string",
  );
  assertThrows(() => client.notify("record", [1n]), TypeError, "notification");
  await client.request("record", [2]);
  assertEquals(calls, [[2]]);
});

test("Peer tells a running method its call", async (connect) => {
  const seen: unknown[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  await using connected = await connect({
    local: {
      request(this: Peer) {
        seen.push([this.call.method, typeof this.call.id]);
      },
      notification(this: Peer) {
        seen.push([this.call.method, this.call.id]);
        resolve();
      },
    },
  });
  const { server, client } = connected;
  await client.request("request");
  client.notify("notification");
  await promise;
  assertEquals(seen, [["request", "number"], ["notification", undefined]]);
  assertThrows(() => server.call, TypeError, "no method is running");
});

test("Peer answers explicitly with respond, and the return value is ignored", async (connect) => {
  const again: boolean[] = [];
  await using connected = await connect({
    local: {
      early(this: Peer) {
        this.respond(this.call.id!, "explicit");
        again.push(this.respond(this.call.id!, "twice"));
        return "returned";
      },
      async late(this: Peer) {
        const { id } = this.call;
        await Promise.resolve();
        this.respond(id!, "explicit", null);
        again.push(this.respond(id!, "twice"));
        return "returned";
      },
      error(this: Peer) {
        this.respond(this.call.id!, null, new RpcError(7, "No"));
      },
      throwing(this: Peer) {
        this.respond(this.call.id!, "explicit");
        throw new RpcError(8, "Too late");
      },
    },
  });
  const { server, client } = connected;
  assertEquals(await client.request("early"), "explicit");
  assertEquals(await client.request("late"), "explicit");
  assertEquals(await client.request("throwing"), "explicit");
  const error = await assertRejects(() => client.request("error"), RpcError);
  assertEquals(error.code, 7);
  assertEquals(again, [false, false]);
  assertEquals(server.respond(12345, "nobody asked"), false);
  assertEquals(client.unmatched, 0);
});

test("Peer starts methods in order and keeps the order of what it sends", async (connect) => {
  const started: number[] = [];
  const received: unknown[] = [];
  await using connected = await connect(
    {
      local: {
        async start(this: Peer, index: number) {
          started.push(index);
          this.notify("started", [index]);
          // The first to start is the last to finish.
          for (let turn = 0; turn < 10 - index; turn++) await Promise.resolve();
          return index;
        },
        sync(this: Peer) {
          this.notify("started", ["before"]);
          return "after";
        },
      },
    },
    { local: { started: (index: unknown) => void received.push(index) } },
  );
  const { client } = connected;
  const indexes = Array.from({ length: 10 }, (_, index) => index);
  const results = indexes.map((index) => client.request("start", [index]));
  assertEquals(await Promise.all(results), indexes);
  assertEquals(started, indexes);
  assertEquals(received, indexes);
  received.push(await client.request("sync"));
  assertEquals(received.slice(-2), ["before", "after"]);
});

test("Peer never answers a notification", async (connect) => {
  const thrown: unknown[] = [];
  await using connected = await connect({
    local: {
      fail: () => {
        throw new Error("no");
      },
      failLater: () => Promise.reject(new Error("no")),
      refuse: () => {
        throw new RpcError(1, "no");
      },
      unwritable: () => 1n,
      sync: () => "done",
    },
    onerror: (error) => void thrown.push(error),
  });
  const { client } = connected;
  const methods = ["fail", "failLater", "refuse", "unwritable", "unknown"];
  for (const method of methods) assert(client.notify(method));
  assertEquals(await client.request("sync"), "done");
  assertEquals(client.unmatched, 0);
  assertEquals(thrown.length, 2);
});

test("Peer sends a batch as one frame, each member with its own promise", async (connect) => {
  const notified: unknown[] = [];
  await using connected = await connect({
    local: {
      add: (a: number, b: number) => a + b,
      later: async (value: unknown) => {
        await Promise.resolve();
        return value;
      },
      note: (value: unknown) => void notified.push(value),
    },
  });
  const { client } = connected;
  const frames: unknown[] = [];
  client.ws!.addEventListener("message", (event) => {
    frames.push(JSON.parse(event.data as string));
  });
  const [sum, unknown, later] = client.batch(() => {
    client.notify("note", ["first"]);
    const calls = [
      client.request("add", [1, 2]),
      client.request("unknown"),
      client.batch(() => client.remote["later"]!("x")),
    ];
    client.notify("note", ["last"]);
    return calls;
  });
  const error = await assertRejects(() => unknown!, RpcError);
  assertEquals([await sum, error.code, await later], [3, -32601, "x"]);
  assertEquals(notified, ["first", "last"]);
  assertEquals(frames.length, 1);
  // Where frames are shared, the batch is one of the messages in it.
  const [answers] = frames as unknown[][];
  assertEquals(
    answers!.length === 1 ? answers![0] : answers,
    [
      {
        jsonrpc: "2.0",
        error: { code: -32601, message: "Method not found" },
        id: 2,
      },
      { jsonrpc: "2.0", result: 3, id: 1 },
      { jsonrpc: "2.0", result: "x", id: 3 },
    ].sort((left, right) => left.id - right.id),
  );
  assertEquals(client.batch(() => 5), 5);
  assertEquals(await client.request("add", [1, 1]), 2);
});

test("Peer sends nothing of a batch whose collecting throws", async (connect) => {
  const notified: unknown[] = [];
  await using connected = await connect({
    local: { note: (value: unknown) => void notified.push(value) },
  });
  const { client } = connected;
  let promise: Promise<unknown> | undefined;
  assertThrows(
    () =>
      client.batch(() => {
        client.notify("note", [1]);
        promise = client.request("note", [2]);
        throw new Error("changed my mind");
      }),
    Error,
    "changed my mind",
  );
  await assertRejects(() => promise!, Error, "changed my mind");
  await client.request("note", [3]);
  assertEquals(notified, [3]);
});

test("Peer sends a batch in as many frames as the other side takes", async (connect) => {
  const notified: unknown[] = [];
  await using connected = await connect({
    local: {
      note: (value: unknown) => void notified.push(value),
      echo: (value: unknown) => value,
    },
  });
  const { client } = connected;
  const numbers = Array.from({ length: 500 }, (_, n) => n);
  const results = client.batch(() =>
    numbers.map((n) => {
      if (n % 2 === 1) client.notify("note", [n]);
      return client.request("echo", [n]);
    })
  );
  assertEquals(await Promise.all(results), numbers);
  assertEquals(notified, numbers.filter((n) => n % 2 === 1));
});

test("Peer answers a batch of notifications with silence", async (connect) => {
  const notified: unknown[] = [];
  await using connected = await connect({
    local: { note: (value: unknown) => void notified.push(value) },
  });
  const { client } = connected;
  let frames = 0;
  client.ws!.addEventListener("message", () => frames++);
  client.batch(() => {
    client.notify("note", [1]);
    client.notify("note", [2]);
  });
  await client.request("note", [3]);
  assertEquals([notified, frames], [[1, 2, 3], 1]);
});

test("Peer closes once, at once, and rejects what waits", async (connect) => {
  const closes: [string, CloseInfo][] = [];
  await using connected = await connect(
    {
      local: { never: () => new Promise(() => {}) },
      onclose: (event) => void closes.push(["server", event]),
    },
    { onclose: (event) => void closes.push(["client", event]) },
  );
  const { server, client } = connected;
  const never = client.request("never");
  await client.request("sync").catch(() => {});
  client.close(4001, "bye");
  assertEquals(closes, [
    ["client", { code: 4001, reason: "bye", wasClean: true }],
  ]);
  client.close(4002, "again");
  const error = await assertRejects(() => never, ConnectionClosedError);
  assertEquals(
    [error.code, error.reason, error.sent, error.message],
    [
      4001,
      "bye",
      true,
      'No response to request "never": the connection is closed (code 4001, bye)',
    ],
  );
  assertEquals(await client.closed, {
    code: 4001,
    reason: "bye",
    wasClean: true,
  });
  assertEquals(await server.closed, {
    code: 4001,
    reason: "bye",
    wasClean: true,
  });
  assertEquals(closes.map(([side]) => side), ["client", "server"]);

  assertEquals(client.notify("never"), false);
  const late = await assertRejects(
    () => client.request("never"),
    ConnectionClosedError,
    'Cannot send request "never": ',
  );
  assertEquals(late.sent, false);
});

test("request rejects for the first of several reasons: closed, no name, too many", async (connect) => {
  await using connected = await connect(
    { local: { never: () => new Promise(() => {}) } },
    { limits: { outgoing: 1, queued: 0 } },
  );
  const { client } = connected;
  const nameless = (): Promise<unknown> =>
    client.request(5 as unknown as string);
  const never = client.request("never");
  await assertRejects(
    nameless,
    TypeError,
    "method must be a string, got number",
  );
  await assertRejects(
    () => client.request("never"),
    RangeError,
    "0 of at most 0 messages wait for one of 1 in flight",
  );
  client.close();
  await assertRejects(nameless, ConnectionClosedError);
  await assertRejects(() => never, ConnectionClosedError);
});

test("Peer drops the results of methods that outlive the connection", async (connect) => {
  const thrown: unknown[] = [];
  const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  await using connected = await connect({
    local: {
      async slow() {
        start();
        await gate;
        return "too late";
      },
      async failing() {
        await gate;
        throw new Error("too late");
      },
    },
    onerror: (error) => void thrown.push(error),
  });
  const { server, client } = connected;
  const calls = Promise.allSettled([
    client.request("failing"),
    client.request("slow"),
  ]);
  await started;
  client.close();
  await server.closed;
  openGate();
  const results = await calls;
  assertEquals(results.map(({ status }) => status), ["rejected", "rejected"]);
  await Promise.resolve();
  assertEquals(thrown, []);
});

test("Peer survives hooks that throw, now and later", async (connect) => {
  const thrown: unknown[] = [];
  const connected = await connect({
    local: {
      echo: (value: unknown) => value,
      fail: () => Promise.reject(new Error("fail")),
    },
    onclose() {
      throw new Error("onclose");
    },
    onerror(error) {
      thrown.push((error as Error).message);
      throw new Error("onerror");
    },
  });
  await assertRejects(() => connected.client.request("fail"), RpcError);
  assertEquals(await connected.client.request("echo", [1]), 1);
  await connected[Symbol.asyncDispose]();
  assertEquals(thrown, ["fail", "onclose"]);
});

test("Peer calls onopen before any message, and onclose after all", async (connect) => {
  const events: string[] = [];
  const connected = await connect(
    {
      local: { message: (text: string) => void events.push(text) },
      onopen: () => void events.push("open"),
      onclose: () => void events.push("close"),
    },
    {
      onopen(this: Peer) {
        this.notify("message", ["from onopen"]);
      },
    } as PeerOptions,
  );
  await connected.client.request("message", ["request"]);
  await connected[Symbol.asyncDispose]();
  assertEquals(events, ["open", "from onopen", "request", "close"]);
});

test("Peer refuses one request more than its limits, and executes none of it", async (connect) => {
  let executed = 0;
  const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
  await using connected = await connect(
    {
      local: {
        async hold() {
          executed++;
          await gate;
          return "held";
        },
        sync: () => "sync",
        async ask(this: Peer) {
          executed++;
          return await this.request("answer");
        },
      },
      limits: { incoming: 2, held: 0 },
    },
    { local: { answer: () => 42 }, limits: { outgoing: 4, queued: 0 } },
  );
  const { client } = connected;
  const held = [client.request("hold"), client.request("ask")];
  assertEquals(await held[1], 42);
  held.push(client.request("hold"));
  const busy = await assertRejects(() => client.request("hold"), RpcError);
  assertEquals(
    [busy.code, busy.message],
    [-32009, "Busy: 2 of at most 2 methods are running, not executed"],
  );
  assertEquals(executed, 3);
  const waiting = [1, 2].map(() =>
    assertRejects(() => client.request("hold"), RpcError)
  );
  assertEquals(client.notify("sync"), true);
  await assertRejects(
    () => client.request("sync"),
    RangeError,
    'Cannot send request "sync": 0 of at most 0 messages wait for one of 4 in flight to be answered, see limits.queued',
  );
  await Promise.all(waiting);
  openGate();
  assertEquals(await Promise.all(held), ["held", 42, "held"]);
  assertEquals(await client.request("sync"), "sync");
});

test("Peer lets its own calls be answered while it is too busy for others", async (connect) => {
  await using connected = await connect(
    {
      local: {
        async ask(this: Peer) {
          return await this.request("answer");
        },
      },
      limits: { incoming: 1 },
    },
    { local: { answer: () => Promise.resolve(42) }, limits: { incoming: 1 } },
  );
  assertEquals(await connected.client.request("ask"), 42);
});

test("Peer keeps messages within their limit, either way", async (connect) => {
  const closes: CloseInfo[] = [];
  const frame = (length: number): string => {
    const empty = '{"jsonrpc":"2.0","method":"echo","params":[""],"id":1}';
    return "x".repeat(length - empty.length);
  };
  await using connected = await connect(
    {
      local: {
        echo: (text: string) => text.length,
        repeat: (length: number) => "x".repeat(length),
      },
      limits: { messageLength: 1_000, sentLength: 1_000 },
      onclose: (event) => void closes.push(event),
    },
  );
  const { server, client } = connected;
  assertEquals(await client.request("echo", [frame(999)]), 945);
  assertEquals(await client.request("echo", [frame(1000)]), 946);
  const envelope = '{"jsonrpc":"2.0","result":"","id":3}'.length;
  const longest = await client.request<string>("repeat", [1_000 - envelope]);
  assertEquals(longest.length, 1_000 - envelope);
  const tooLong = await assertRejects(
    () => client.request("repeat", [1_001 - envelope]),
    RpcError,
  );
  assertEquals(
    [tooLong.code, tooLong.message],
    [
      -32008,
      "Response has 1001 of at most 1000 characters, see limits.sentLength",
    ],
  );
  await assertRejects(
    () => server.request("any", [frame(1100)]),
    RangeError,
    "of at most 1000 characters, see limits.sentLength",
  );
  assertThrows(() => server.notify("any", [frame(1100)]), RangeError);
  const error = await assertRejects(
    () => client.request("echo", [frame(1001)]),
    ConnectionClosedError,
  );
  assertEquals(error.sent, true);
  assertEquals(closes[0]?.code, 1009);
});

test("Peer carries thousands of calls at once, each to its caller", async (connect) => {
  await using connected = await connect({
    local: {
      square: (n: number) => n * n,
      squareLater: async (n: number) => {
        await Promise.resolve();
        return n * n;
      },
    },
  });
  const { client } = connected;
  const calls = Array.from(
    { length: 5_000 },
    (_, n) => client.request(n % 2 === 0 ? "square" : "squareLater", [n]),
  );
  const results = await Promise.all(calls);
  assert(results.every((result, n) => result === n * n));
});

test("Peer as a subclass is its own state, its methods called on local", async (connect) => {
  await using connected = await connect({
    local: {
      whoAmI(this: unknown) {
        return this instanceof Peer;
      },
      group: {
        whoAmI(this: unknown) {
          return this instanceof Peer;
        },
      },
    },
  });
  const { client } = connected;
  assertEquals(await client.request("whoAmI"), true);
  assertEquals(await client.request("group.whoAmI"), true);

  class Service extends Peer {
    #secret = 7;
    override local = {
      double: (n: number) => n * this.#secret,
      twice(n: number): number {
        return this.double(n) * 2;
      },
      group: {
        base: 1,
        base2(): number {
          return this.base + 1;
        },
      },
    };
  }
  const [left, right] = socketPair();
  await using service = new Service(left);
  await using caller = new Peer<Service["local"]>(right);
  assertInstanceOf(service, Service);
  assertEquals(await caller.remote.twice(2), 28);
  assertEquals(await caller.remote.group.base2(), 2);
});
