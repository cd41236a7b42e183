/**
 * Each limit one below, at, and one above. Some are tested where the concept is:
 * lengths and batches in hostile_test.ts and peer_test.ts, what waits to be sent in
 * slow_readers_test.ts.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { connect } from "../client.ts";
import {
  clientLimits,
  type CloseInfo,
  defaultLimits,
  type Limits,
  Peer,
  RpcError,
  serverLimits,
} from "../mod.ts";
import { serve } from "../server.ts";
import { completeLimits } from "../src/wire/limits.ts";
import { ReadyState } from "../src/line/socket.ts";
import { eachPeer } from "./faces.ts";
import { FakeTime } from "./fake_time.ts";
import {
  failure,
  openScripted as open,
  request,
  result,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";
import { quiet } from "./servers.ts";
import { socketPair } from "../testing.ts";

const notification = { jsonrpc: "2.0", method: "count" };

Deno.test("completeLimits takes 0 for zero and Infinity for no limit, and makes one object for many peers", () => {
  assertEquals(completeLimits(undefined), defaultLimits);
  assertEquals(completeLimits(undefined, serverLimits), serverLimits);
  const lifted = { depth: Infinity, incoming: 0, messageRate: 5 };
  const limits = completeLimits(lifted, serverLimits);
  assertEquals(limits, { ...serverLimits, ...lifted });
  assert(completeLimits(limits) === limits);
  const text = "64" as unknown as number;
  const wrong: [depth: number, got: string][] = [
    [-1, "-1"],
    [1.5, "1.5"],
    [NaN, "NaN"],
    [text, "string"],
  ];
  for (const [depth, got] of wrong) {
    assertThrows(
      () => completeLimits({ depth }),
      RangeError,
      `Cannot set limit depth: it must be a whole number of 0 or more, got ${got}`,
    );
  }
});

Deno.test("Limits follow those that they depend on, unless they are told otherwise", () => {
  const lengthsOf = (limits: Partial<Limits>): number[] => {
    const { sentLength, queuedLength, bufferedMost } = completeLimits(limits);
    return [sentLength, queuedLength, bufferedMost];
  };
  const usual = [1_048_576, 16_777_216, 67_108_864];
  assertEquals(lengthsOf({ messageLength: 5 }), usual);
  const messageLength = 100_000_000;
  assertEquals(lengthsOf({ messageLength }), [1e8, 1e8, 2e8]);
  assertEquals(lengthsOf({ sentLength: 1e8 }), [1e8, 1e8, 2e8]);
  assertEquals(lengthsOf({ messageLength: Infinity }), [
    Infinity,
    Infinity,
    Infinity,
  ]);
  const own = { sentLength: 5, queuedLength: 6, bufferedMost: 7 };
  assertEquals(lengthsOf({ messageLength, ...own }), [5, 6, 7]);
  // Those of a client and of a server, too.
  for (const limits of [defaultLimits, clientLimits, serverLimits]) {
    const { sentLength, queuedLength, bufferedMost } = limits;
    assert(queuedLength >= sentLength && bufferedMost >= 2 * sentLength);
  }
});

Deno.test("serve takes the limits of a server unless it is told otherwise", async () => {
  const rows: [Partial<Limits>, string][] = [
    [{}, "More than 20 invalid messages in 10000 ms"],
    [{ invalidMessages: 2 }, "More than 2 invalid messages in 10000 ms"],
    [
      { invalidMessages: Infinity, messageRate: 10, messageBurst: 3 },
      "More than 10 messages a second",
    ],
  ];
  for (const [limits, reason] of rows) {
    const { promise: closed, resolve: onclose } = Promise.withResolvers<
      CloseInfo
    >();
    await using server = serve({ onclose, ...quiet, limits });
    // The client may lose the reason: what it sent too much cuts the connection.
    await using client = connect(server.url, { onerror() {} });
    await client.opened;
    for (let n = 0; n < 1_200; n++) client.ws!.send("?");
    assertEquals((await closed).reason, reason);
  }
  assertThrows(
    () => serve({ ...quiet, limits: { depth: -1 } }),
    RangeError,
    "Cannot set limit depth",
  );
});

Deno.test("Peer refuses a message nested deeper than its limit, and answers it under its id where that can be told", async () => {
  const invalid: string[] = [];
  await using it = await open({
    local: { echo: (value: unknown) => value },
    oninvalid: (_, error) => void invalid.push(error.message),
  });
  const { socket } = it;
  // The message and its params are two levels.
  const call = (depth: number): string =>
    `{"jsonrpc":"2.0","method":"echo","params":[${"[".repeat(depth - 2)}${
      "]".repeat(depth - 2)
    }],"id":1}`;
  for (const depth of [63, 64]) {
    socket.receive(call(depth));
    assertEquals("result" in (socket.take()[0] as object), true);
  }
  const refusal =
    "Invalid Request: it is nested deeper than 64 levels, see limits.depth";
  const rows: [text: string, id: number | null][] = [
    [call(65), 1],
    [call(500_000), 1],
    [`[${call(64)}]`, null],
  ];
  for (const [text, id] of rows) {
    socket.receive(text);
    assertEquals(socket.take(), [failure(id, -32600, refusal)]);
  }
  assertEquals(invalid, [refusal, refusal, refusal]);
});

Deno.test("Peer lets a peer send its burst and then its rate, drops what is more, and closes with 4429 who goes on", async () => {
  using time = new FakeTime();
  let count = 0;
  const thrown: unknown[] = [];
  const limits = { messageRate: 10, messageBurst: 20 };
  const local = { count: () => void count++ };
  const onerror = (error: unknown): void => void thrown.push(error);
  await using it = await open({ local, limits, onerror });
  const { socket } = it;
  const send = (messages: number): void => {
    for (let n = 0; n < messages; n++) socket.receive(notification);
  };
  send(20);
  await time.pass(500);
  send(5);
  // More than the burst is never saved up.
  await time.pass(60_000);
  send(20);
  assertEquals([count, thrown, socket.closes], [45, [], []]);
  await time.pass(99);
  // As many as may be sent at once, and on their way before anybody knew.
  send(20 + 1_024);
  assertEquals([count, socket.closes], [45, []]);
  assertEquals(thrown.map(String), [
    'RangeError: Cannot take notification "count": More than 10 messages a second, see limits.messageRate; nor can those that follow',
  ]);
  send(1);
  assertEquals(count, 45);
  assertEquals(socket.closes, [{
    code: 4429,
    reason: "More than 10 messages a second",
  }]);
});

Deno.test("Peer answers a request beyond the rate -32005, when to come back, and does not execute it", async () => {
  using time = new FakeTime();
  let count = 0;
  const limits = { messageRate: 10, messageBurst: 1 };
  const local = { count: () => ++count };
  await using it = await open({ local, limits });
  const { socket } = it;
  for (let id = 1; id <= 4; id++) socket.receive(request(id, "count"));
  const message = "More than 10 messages a second, not executed";
  const refusal = (id: number, retryAfterMs: number): unknown => ({
    jsonrpc: "2.0",
    error: { code: -32005, message, data: { retryAfterMs, executed: false } },
    id,
  });
  // Each has a place of its own in the row.
  assertEquals(socket.take(), [
    result(1, 1),
    refusal(2, 100),
    refusal(3, 200),
    refusal(4, 300),
  ]);
  // What is the protocol's own is heard.
  socket.receive(request(5, "rpc.ping"));
  assertEquals(socket.take(), [result(5, null)]);
  await time.pass(100);
  socket.receive(request(2, "count"));
  assertEquals([socket.take(), count], [[result(2, 2)], 2]);
});

eachPeer(
  "Peer sends again, when it may, what its peer wants later",
  async (face) => {
    using time = new FakeTime();
    const [left, right] = socketPair({ open: true });
    const ran: number[] = [];
    const server = new Peer(left, {
      local: { run: (n: number) => (ran.push(n), n) },
      limits: { messageRate: 100, messageBurst: 10 },
    });
    const client = new face.Peer(right);
    const calls = Array.from(
      { length: 200 },
      (_, n) => client.request("run", [n]),
    );
    for (let n = 0; n < 400; n++) await time.pass(10);
    const all = Array.from({ length: 200 }, (_, n) => n);
    assertEquals(await Promise.all(calls), all);
    // Each once.
    assertEquals(ran.toSorted((a, b) => a - b), all);
    assertEquals([server.state, client.state], ["open", "open"]);
    client.close();
    await server.closed;
  },
);

eachPeer(
  "Peer rejects with -32005 what its peer wants too late, and what an application says",
  async (face) => {
    using time = new FakeTime();
    const socket = new ScriptedSocket();
    const client = new face.Peer(socket);
    await client.opened;
    const later = { retryAfterMs: 1_000 };
    const answers = [
      { timeout: 500, data: { ...later, executed: false } },
      { timeout: 60_000, data: later },
      { timeout: 60_000, data: undefined },
    ];
    for (const { timeout, data } of answers) {
      const call = client.request("m", [], { timeout });
      const [{ id }] = socket.take() as [{ id: number }];
      const error = { code: -32005, message: "Later", data };
      socket.receive({ jsonrpc: "2.0", error, id });
      assertEquals((await assertRejects(() => call, RpcError)).code, -32005);
    }
    // One that waits is given up in its own time, or with its connection.
    const data = { ...later, executed: false };
    for (const end of ["close", "abort"] as const) {
      const controller = new AbortController();
      const { signal } = controller;
      const call = client.request("m", [], { signal });
      call.catch(() => {});
      const [{ id }] = socket.take() as [{ id: number }];
      socket.receive({
        jsonrpc: "2.0",
        error: { code: -32005, message: "Later", data },
        id,
      });
      // Those that follow wait for the same time.
      const next = client.request("next");
      next.catch(() => {});
      assertEquals(socket.take(), []);
      if (end === "abort") controller.abort();
      else break;
      await assertRejects(() => call, DOMException);
      await time.pass(1_000);
      assertEquals(socket.take().length, 1);
    }
    client.close();
    socket.end();
    await client.closed;
  },
);

Deno.test("Peer counts each member of a batch, and refuses the one too many", async () => {
  let count = 0;
  const limits = { messageRate: 1, messageBurst: 5 };
  const local = { count: () => ++count };
  await using it = await open({ local, limits });
  it.socket.receive([1, 2, 3, 4, 5, 6].map((id) => request(id, "count")));
  const [answers] = it.socket.take() as [{ error?: { code: number } }[]];
  assertEquals([count, answers.length, it.socket.closes], [5, 6, []]);
  assertEquals(answers[5]!.error!.code, -32005);
});

Deno.test("Peer counts whatever arrives that nobody asked for", async () => {
  const limits = { messageRate: 1, messageBurst: 4 };
  const unasked: { [name: string]: unknown } = {
    "a request": request("x", "unknown"),
    "a notification": notification,
    "a notification of the protocol's own": {
      jsonrpc: "2.0",
      method: "$/cancelRequest",
      params: { id: 1 },
    },
    "a response that nobody waits for": result(77, 1),
    "an error without an id": failure(null, -32601, "Method not found"),
    "what is no JSON-RPC": "hello",
    "an empty frame": "",
    "a question for values of an unknown stream": request(
      "x",
      "$/enumerator/next",
      { token: 5 },
    ),
  };
  for (const [name, message] of Object.entries(unasked)) {
    await using it = await open({
      limits,
      onerror() {},
      oninvalid: () => true,
    });
    for (let n = 0; n < 4 + 4 + 1_024; n++) it.socket.receive(message);
    assertEquals(it.socket.closes, [], name);
    it.socket.receive(message);
    assertEquals(it.socket.closes[0]?.code, 4429, name);
  }
});

Deno.test("Peer doesn't count responses to its own requests", async () => {
  const limits = { messageRate: 1, messageBurst: 1 };
  await using it = await open({ limits, onerror() {} });
  const { socket, peer } = it;
  const requests = Array.from({ length: 100 }, () => peer.request("m"));
  for (let id = 1; id <= 99; id++) socket.receive(result(id, id));
  socket.receive(failure(null, -32600, "Invalid Request"));
  await Promise.all(requests.slice(0, 99));
  await assertRejects(() => requests[99]!, Error, "Invalid Request");
  for (let n = 0; n < 1 + 1 + 1_024; n++) socket.receive(notification);
  assertEquals(socket.closes, []);
  socket.receive(notification);
  assertEquals(socket.closes[0]?.code, 4429);
});

Deno.test("Peer doesn't count questions for the values of a stream that has some", async () => {
  const limits = { messageRate: 1, messageBurst: 2 };
  async function* values(): AsyncGenerator<number> {
    for (let n = 0;; n++) yield n;
  }
  await using it = await open({ limits, local: { values } });
  const { socket } = it;
  socket.receive(request(0, "values"));
  for (let id = 1; id <= 50; id++) {
    socket.receive(request(id, "$/enumerator/next", { token: 1 }));
    await settle();
  }
  assertEquals([socket.sent.length, socket.closes], [51, []]);
});

Deno.test("Peer closes with 4400 at one invalid message more than its limit in a while", async () => {
  using time = new FakeTime();
  const limits = { invalidMessages: 3, invalidWindow: 1_000 };
  await using it = await open({
    limits,
    oninvalid: (text) => text === "taken",
  });
  const { socket } = it;
  // Neither what the hook takes counts, nor what is empty.
  for (let n = 0; n < 10; n++) socket.receive("taken");
  for (let n = 0; n < 10; n++) socket.receive(" \n");
  // Three within any second.
  for (let n = 0; n < 30; n++) {
    socket.receive(["?", "[]", { method: 5 }, [1]][n % 4]);
    await time.pass(334);
  }
  assertEquals([socket.take().length, socket.closes], [30, []]);
  // Refused in silence: a notification.
  for (const params of [5, "x"]) {
    socket.receive({ jsonrpc: "2.0", method: "m", params });
  }
  assertEquals(socket.closes, [{
    code: 4400,
    reason: "More than 3 invalid messages in 1000 ms",
  }]);
  assertEquals(socket.take(), []);
});

Deno.test("Peer that was connected takes any number of messages, valid or not", async () => {
  let count = 0;
  await using it = await open({ local: { count: () => void count++ } });
  const { socket } = it;
  for (let n = 0; n < 3_000; n++) {
    socket.receive(notification);
    socket.receive("?");
  }
  assertEquals([count, socket.closes], [3_000, []]);
});

Deno.test("Peer whose limit is 0 takes none", async () => {
  const local = { one: () => 1, count: async function* () {} };
  const incoming: [name: string, message: unknown, code: number][] = [
    ["incoming", request(1, "one"), -32009],
    ["depth", request(1, "one"), -32600],
    ["batchMembers", [request(1, "one")], -32010],
    ["idLength", request("x", "one"), -32600],
    ["methodLength", request(1, "one"), -32600],
    ["streams", request(1, "count"), -32006],
  ];
  for (const [name, message, code] of incoming) {
    await using it = await open({ local, limits: { [name]: 0 } });
    it.socket.receive(message);
    await settle();
    const [answer] = it.socket.take() as [{ error: { code: number } }];
    assertEquals(answer.error.code, code, name);
  }
  const closing: [name: string, message: unknown, code: number][] = [
    ["messageLength", request(1, "one"), 1009],
    ["invalidMessages", "?", 4400],
  ];
  for (const [name, message, code] of closing) {
    await using it = await open({ local, limits: { [name]: 0 } });
    it.socket.receive(message);
    assertEquals(it.socket.closes[0]?.code, code, name);
  }
  await using silent = await open({
    local,
    limits: { messageRate: 0, messageBurst: 0 },
  });
  for (let id = 0; id <= 1_024; id++) silent.socket.receive(request(id, "one"));
  assertEquals(silent.socket.closes[0]?.code, 4429);
  await using mute = await open({ limits: { outgoing: 0 } });
  await assertRejects(
    () => mute.peer.request("m"),
    RangeError,
    "at most 0 may be in flight, see limits.outgoing",
  );
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const connecting = new Peer(socket, { limits: { queued: 0 } });
  assertEquals(connecting.notify("m"), false);
  socket.end();
});

Deno.test("Peer measures a binary frame in bytes, and a text in characters", async () => {
  const message = request(1, "echo", ["é".repeat(100)]);
  const text = JSON.stringify(message);
  const bytes = new TextEncoder().encode(text);
  assertEquals(bytes.length, text.length + 100);
  for (
    const [data, messageLength, isTaken] of [
      [text, text.length, true],
      [text, text.length - 1, false],
      [bytes.buffer, bytes.length, true],
      [bytes.buffer, bytes.length - 1, false],
    ] as const
  ) {
    await using it = await open({
      local: { echo: () => 1 },
      limits: { messageLength },
    });
    it.socket.receive(data);
    assertEquals(it.socket.take(), isTaken ? [result(1, 1)] : []);
    assertEquals(it.socket.closes[0]?.code, isTaken ? undefined : 1009);
  }
});

Deno.test("Peer keeps a number of characters until it has opened, and no more", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket, { limits: { queuedLength: 200 } });
  const text = '{"jsonrpc":"2.0","method":"","params":[""]}';
  const notify = (length: number): boolean =>
    peer.notify("", ["x".repeat(length - text.length)]);
  assertEquals(notify(201), false);
  assertEquals(notify(100), true);
  assertEquals(notify(101), false);
  assertEquals(notify(100), true);
  await assertRejects(
    () => peer.request("sum"),
    RangeError,
    'Cannot send request "sum": 200 of at most 200 characters wait for the handshake',
  );
  assertThrows(
    () => peer.batch(() => void peer.notify("m")),
    RangeError,
    'Cannot send "batch": 200 of at most 200 characters wait for the handshake',
  );
  // What is open keeps nothing.
  socket.open();
  assertEquals(notify(500), true);
  assertEquals(socket.sent.map(({ length }) => length), [100, 100, 500]);
  peer.close();
  socket.end();
});

Deno.test("A stream of 100,000 values is read from a server within its message rate", async () => {
  const local = {
    async *count(to: number) {
      for (let n = 1; n <= to; n++) yield n;
    },
  };
  // It takes about 400 questions.
  const limits = { messageRate: 1, messageBurst: 100 };
  await using server = serve({ local, ...quiet, limits });
  await using client = connect<typeof local>(server.url);
  let sum = 0;
  for await (const n of client.remote.count(100_000)) sum += n;
  assertEquals(sum, 5_000_050_000);
});

Deno.test("Peer keeps the answer to a batch within sentLength, whatever is in it", async () => {
  const limits = { sentLength: 700 };
  await using it = await open({
    limits,
    local: { repeat: (n: number) => "x".repeat(n) },
  });
  const { socket } = it;
  for (const size of [100, 200, 300, 400, 500, 600]) {
    socket.receive([
      request(1, "repeat", [size]),
      request(2, "repeat", [size]),
      request(3, "nothing"),
      { jsonrpc: "2.0", method: 4, id: 4 },
    ]);
    const [answer = ""] = socket.sent.splice(0);
    assert(answer.length <= 700, `${size}: ${answer.length}`);
    assertEquals(JSON.parse(answer).length, 4);
  }
});
