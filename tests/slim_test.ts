import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import * as z from "zod";
import { Peer } from "../mod.ts";
import { serve } from "../server.ts";
import {
  type CloseInfo,
  connect,
  ConnectionClosedError,
  RpcError,
  type SlimOptions,
  SlimPeer,
} from "../slim.ts";
import { guard } from "../src/methods/guard.ts";
import { marshal, references } from "../src/parts/references.ts";
import { resume } from "../src/parts/resume.ts";
import { method } from "../src/methods/schema.ts";
import { ReadyState } from "../src/line/socket.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { streams } from "../src/parts/streams.ts";
import { notifications, subscribe } from "../src/parts/subscriptions.ts";
import { FakeTime } from "./fake_time.ts";
import {
  countListeners,
  failure,
  request,
  result,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";
import { quiet, until } from "./servers.ts";

interface Scripted extends AsyncDisposable {
  readonly socket: ScriptedSocket;
  readonly peer: SlimPeer;
  /** What reached `onerror`. */
  readonly thrown: unknown[];
  /** Lets a frame arrive, and takes what is answered in this turn and the next. */
  ask(frame: unknown): Promise<unknown[]>;
}

/** A slim peer over a scripted socket that is open. */
async function open(options: SlimOptions = {}): Promise<Scripted> {
  const socket = new ScriptedSocket();
  const thrown: unknown[] = [];
  const peer = new SlimPeer(socket, {
    onerror: (error) => void thrown.push(error),
    ...options,
  });
  await peer.opened;
  return {
    socket,
    peer,
    thrown,
    async ask(frame) {
      socket.receive(frame);
      await settle();
      return socket.take();
    },
    async [Symbol.asyncDispose]() {
      peer.close();
      socket.end();
      await peer.closed;
      assertEquals(socket.listenerCount, 0);
    },
  };
}

const invalid = (id: unknown = null): object =>
  failure(id, -32600, "Invalid Request");

Deno.test("SlimPeer and a server call each other", async () => {
  class Server extends Peer<{ ask(question: string): string }> {
    override local = {
      hello: async (name: string) =>
        `${name} is ${await this.remote.ask("How are you?")}`,
      math: { add: (a: number, b: number) => a + b },
    };
  }
  await using server = serve(Server, quiet);
  const asked: unknown[] = [];
  await using client = connect<Server["local"]>(server.url, {
    local: {
      ask(question: string) {
        asked.push(question, this.state, this.call.method);
        return "fine";
      },
    },
  });
  assertEquals(client.state, "connecting");
  assertEquals(await client.remote.hello("ann"), "ann is fine");
  assertEquals(asked, ["How are you?", "open", "ask"]);
  assertEquals(await client.remote.math.add(1, 2), 3);
  assertEquals(await client.request("math.add", [3, 4]), 7);
  assertEquals(client.ws?.readyState, 1);

  class Page extends SlimPeer<Server["local"], string> {
    override local = { ask: () => this.context };
  }
  await using page = connect(server.url, Page, { context: "well" });
  assertInstanceOf(page, Page);
  assertEquals(await page.remote.hello("bob"), "bob is well");
});

Deno.test("SlimPeer runs over sockets of any kind, at both ends", async () => {
  const [left, right] = socketPair();
  const heard: unknown[] = [];
  await using one = new SlimPeer(left, {
    local: { note: (value: unknown) => void heard.push(value), echo },
  });
  await using other = new SlimPeer<{ echo: typeof echo }>(right);
  other.notify("note", ["first"]);
  assertEquals(await other.remote.echo(5), 5);
  assertEquals(heard, ["first"]);
  one.close(4000, "enough");
  const { code, reason, wasClean } = await other.closed;
  assertEquals([code, reason, wasClean], [4000, "enough", true]);

  const dead = new SlimPeer(new ScriptedSocket(ReadyState.Closed));
  await assertRejects(() => dead.opened, ConnectionClosedError, "Cannot open");
  assertEquals((await dead.closed).code, 1006);
});

function echo(value: unknown): unknown {
  return value;
}

// In the order of the traps that peers fall into.

for (const value of [0, false, "", null, []]) {
  Deno.test(`SlimPeer takes ${JSON.stringify(value)} for a result, and gives it`, async () => {
    await using it = await open({ local: { echo: () => value } });
    const call = it.peer.request("m");
    it.socket.receive(result(1, value));
    assertEquals(await call, value);
    it.socket.take();
    assertEquals(await it.ask(request(5, "echo")), [result(5, value)]);
  });
}

Deno.test("SlimPeer writes undefined as null, and reads a response without a result", async () => {
  await using it = await open({
    local: { now: () => {}, later: async () => {}, fn: () => () => 1 },
  });
  for (const name of ["now", "later", "fn"]) {
    assertEquals(await it.ask(request(5, name)), [result(5, null)]);
  }
  const call = it.peer.request("m");
  it.socket.receive({ id: 1 });
  assertEquals(await call, undefined);
  const beside = it.peer.request("m");
  it.socket.receive({ id: 2, result: 7, error: null });
  assertEquals(await beside, 7);
});

Deno.test("SlimPeer gives ids back as they came, or refuses them", async () => {
  await using it = await open({ local: { echo } });
  for (const id of ["0", "-1", "1.5", '""', '"1"', "null", "-0.0025"]) {
    it.socket.receive(`{"jsonrpc":"2.0", "method":"echo", "id" : ${id}}`);
    assertEquals(it.socket.take(), [result(JSON.parse(id), null)]);
  }
  const lost = [
    "9007199254740993",
    "0.1000000000000000055",
    "1e400",
  ];
  const long = JSON.stringify("x".repeat(129));
  for (const id of [...lost, long, "{}", "[]", "true"]) {
    it.socket.receive(`{"jsonrpc":"2.0","method":"echo","id":${id}}`);
    assertEquals(it.socket.take(), [invalid()]);
  }
});

Deno.test("SlimPeer refuses an id that is in flight, and leaves the first alone", async () => {
  const gate = Promise.withResolvers<string>();
  await using it = await open({ local: { wait: () => gate.promise } });
  assertEquals(await it.ask(request(5, "wait")), []);
  assertEquals(await it.ask(request(5, "wait")), [invalid()]);
  assertEquals(await it.ask({ jsonrpc: "2.0", id: 5, method: 1 }), [invalid()]);
  assertEquals(await it.ask(request("5", "none")), [
    failure("5", -32601, "Method not found"),
  ]);
  gate.resolve("done");
  await settle();
  assertEquals(it.socket.take(), [result(5, "done")]);
  assertEquals(await it.ask(request(5, "wait")), [result(5, "done")]);
});

Deno.test("SlimPeer never answers a notification, nor a response", async () => {
  const calls: unknown[] = [];
  await using it = await open({
    local: {
      note: (...params: unknown[]) => (calls.push(params), calls.length),
      fail: () => {
        throw new RpcError(1, "no");
      },
    },
  });
  const silent = [
    { jsonrpc: "2.0", method: "note", params: [1] },
    { method: "note", params: [2], id: null }, // As 1.0 has them.
    { jsonrpc: "2.0", method: "none" },
    { jsonrpc: "2.0", method: "fail" },
    { jsonrpc: "2.0", method: "note", params: 5 },
    { jsonrpc: "2.0", method: "x".repeat(257) },
    { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 1 } },
    { jsonrpc: "2.0", method: "$/progress", params: { token: 1, value: 1 } },
    { jsonrpc: "2.0", method: "rpc.ping" },
    result(99, "late"),
    failure(99, 1, "late"),
    failure(null, -32700, "Parse error"),
    "",
    " \n",
  ];
  for (const frame of silent) assertEquals(await it.ask(frame), []);
  assertEquals(calls, [[1], [2]]);
  // Its owner hears of the one that nobody sent a request for.
  assertEquals(it.thrown.map((error) => (error as RpcError).code), [-32700]);
});

Deno.test("SlimPeer answers what is no message", async () => {
  await using it = await open({ local: { echo } });
  assertEquals(await it.ask("{"), [failure(null, -32700, "Parse error")]);
  assertEquals(await it.ask(new Uint8Array([0xff]).buffer), [
    failure(null, -32700, "Parse error"),
  ]);
  for (const frame of [5, null, '"text"', {}, [], [request(1, "echo")]]) {
    assertEquals(await it.ask(frame), [invalid()]);
  }
  for (
    const message of [
      { jsonrpc: "2.0", method: 1, id: 7 },
      { jsonrpc: "3.0", method: "echo", id: 7 },
      { jsonrpc: "2.0", method: "echo", params: "text", id: 7 },
      { jsonrpc: "2.0", method: "x".repeat(257), id: 7 },
    ]
  ) assertEquals(await it.ask(message), [invalid(7)]);
  // What is read is less strict than what is written.
  const bytes = new TextEncoder().encode(
    '{"method":"echo","id":8,"params":null}',
  );
  assertEquals(await it.ask(bytes.buffer), [result(8, null)]);
  assertEquals(await it.ask({ method: "echo", id: 9, params: [1] }), [
    result(9, 1),
  ]);
});

Deno.test("SlimPeer finds own functions alone", async () => {
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
  await using it = await open({ local });
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

Deno.test("The remote of a SlimPeer can be awaited and printed", async () => {
  await using it = await open();
  const { remote } = it.peer;
  assertEquals(await Promise.resolve(remote), remote);
  assertEquals(JSON.stringify({ remote }), `{"remote":{}}`);
  assertEquals(it.socket.sent, []);
});

Deno.test("SlimPeer hides what a method throws, unless it is an RpcError", async () => {
  const thrown: unknown[] = [new Error("secret"), "secret", 0, null, undefined];
  for (const value of thrown) {
    await using it = await open({
      local: {
        now: () => {
          throw value;
        },
        later: () => Promise.reject(value),
      },
    });
    for (const name of ["now", "later"]) {
      assertEquals(await it.ask(request(1, name)), [
        failure(1, -32603, "Internal error"),
      ]);
    }
    assertEquals(it.thrown, [value, value]);
  }
  await using it = await open({
    local: {
      told: () => {
        throw new RpcError(409, "Taken", { name: "ann" });
      },
      unwritable: () => {
        throw new RpcError(1, "no", 5n);
      },
      long: () => {
        throw new RpcError(1, "x".repeat(1_048_576));
      },
    },
  });
  assertEquals(await it.ask(request(1, "told")), [{
    jsonrpc: "2.0",
    error: { code: 409, message: "Taken", data: { name: "ann" } },
    id: 1,
  }]);
  assertEquals(await it.ask(request(1, "unwritable")), [
    failure(1, -32603, "Internal error"),
  ]);
  const [tooLong] = await it.ask(request(1, "long")) as [
    { error: { code: number } },
  ];
  assertEquals(tooLong.error.code, -32008);
});

Deno.test("SlimPeer answers a result that can't be written with an error", async () => {
  const cycle: { self?: object } = {};
  cycle.self = cycle;
  const results = [5n, cycle, {
    toJSON() {
      throw new Error("no");
    },
  }];
  await using it = await open({
    local: { give: (index: number) => results[index] },
  });
  for (const index of results.keys()) {
    assertEquals(await it.ask(request(1, "give", [index])), [
      failure(1, -32603, "Internal error"),
    ]);
  }
  assertEquals(it.thrown.length, 3);
});

Deno.test("SlimPeer rejects the caller whose params can't be written, and sends nothing", async () => {
  await using it = await open();
  const { peer } = it;
  const bad: unknown[] = [5, "text", null, () => {}, new Date(0), [5n]];
  for (const params of bad) {
    const given = params as object;
    await assertRejects(
      () => peer.request("m", given),
      TypeError,
      'Cannot send request "m": ',
    );
    assertThrows(() => peer.notify("m", given), TypeError);
  }
  const long = ["x".repeat(1_048_576)];
  await assertRejects(() => peer.request("m", long), RangeError, "at most");
  assertThrows(() => peer.notify("m", long), RangeError, "at most 1048576");
  assertEquals(it.socket.sent, []);
  peer.close(); // Nothing is pending that would be rejected unheard.
});

Deno.test("A request of a SlimPeer is undone if it can't be sent", async () => {
  await using it = await open();
  it.socket.sendError = new Error("broken");
  const error = await assertRejects(
    () => it.peer.request("m"),
    ConnectionClosedError,
    'Cannot send request "m"',
  );
  assertEquals([error.sent, String(error.cause)], [false, "Error: broken"]);
  it.socket.sendError = new Error("broken");
  assertEquals(it.peer.notify("m"), false);
  // A socket may answer from within send().
  it.socket.onsend = () => it.socket.receive(result(2, "at once"));
  assertEquals(await it.peer.request("m"), "at once");
});

Deno.test("A time-out or a signal cancels a call of a SlimPeer, and a late answer is dropped", async () => {
  using time = new FakeTime();
  await using it = await open();
  const { socket, peer } = it;
  const controller = new AbortController();
  const listeners = countListeners(controller.signal);
  const { signal } = controller;
  const cancelled = assertRejects(
    () => peer.with({ signal }).m!(),
    DOMException,
    "aborted",
  );
  const late = assertRejects(
    () => peer.request("m", [], { timeout: 50 }),
    DOMException,
    'No response to request "m" within 50 ms',
  );
  const patient = peer.request("m", [], { timeout: 0 });
  const settled = peer.request("m", [], { signal });
  const usual = assertRejects(() => peer.request("m"), DOMException, "60000");
  socket.receive(result(4, "in time"));
  assertEquals(await settled, "in time");
  controller.abort();
  await cancelled;
  assertEquals(listeners.count, 0);
  socket.take();
  await time.pass(50);
  await late;
  assertEquals(socket.take(), [
    { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 2 } },
  ]);
  for (const id of [1, 2]) socket.receive(result(id, "late"));
  await time.pass(60_000);
  await usual;
  socket.receive(result(3, "at last"));
  assertEquals(await patient, "at last");
  await assertRejects(() => peer.request("m", [], { signal }), DOMException);
  assertEquals(it.thrown, []);
  socket.end();
});

Deno.test("One timer serves the calls of a SlimPeer", async () => {
  using time = new FakeTime();
  await using it = await open();
  const timers: number[] = [];
  const { timeout: fake } = AbortSignal;
  AbortSignal.timeout = (milliseconds): AbortSignal => {
    timers.push(milliseconds);
    return fake(milliseconds);
  };
  const ended: number[] = [];
  const call = (timeout: number): void => {
    it.peer.request("m", [], { timeout }).catch(() => ended.push(timeout));
  };
  for (const timeout of [300, 100, 200, 100, 300]) call(timeout);
  for (let n = 0; n < 1_000; n++) call(300);
  assertEquals(timers.splice(0), [300, 100]);
  await time.pass(99);
  assertEquals(ended, []);
  await time.pass(1);
  assertEquals(ended.splice(0), [100, 100]);
  await time.pass(100);
  assertEquals(ended.splice(0), [200]);
  await time.pass(100);
  assertEquals(ended, Array(1_002).fill(300));
  assertEquals(timers, [100, 100]);
  call(50);
  await time.pass(50);
  assertEquals(ended.at(-1), 50);
});

Deno.test("A SlimPeer takes any number for a time-out", async () => {
  using time = new FakeTime();
  await using it = await open();
  const ended: unknown[] = [];
  for (const timeout of [90.5, 30.25, -1, 60, 0.5, NaN, 2 ** 40]) {
    it.peer.request("m", [], { timeout }).catch(() => ended.push(timeout));
  }
  for (let n = 0; n < 10; n++) await time.pass(0.75);
  assertEquals(ended.splice(0), [-1, 0.5]);
  for (let n = 0; n < 120; n++) await time.pass(0.75);
  assertEquals(ended, [30.25, 60, 90.5]);
});

Deno.test("A process ends once its SlimPeers are closed", async () => {
  const url = (path: string): string =>
    JSON.stringify(new URL(path, import.meta.url));
  const program = `
    import { SlimPeer } from ${url("../slim.ts")};
    import { socketPair } from ${url("../src/line/socket_pair.ts")};
    const [left, right] = socketPair();
    const one = new SlimPeer(left);
    const other = new SlimPeer(right, { local: { m: () => "done" } });
    console.log(await one.request("m"));
    await one[Symbol.asyncDispose]();
    await other.closed;
  `;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    signal: AbortSignal.timeout(20_000),
  });
  const { success, stdout } = await process.output();
  assertEquals([success, new TextDecoder().decode(stdout)], [true, "done\n"]);
});

Deno.test("A SlimPeer that has ended has no timer, whatever waited", async () => {
  using time = new FakeTime();
  const timers: number[] = [];
  const { timeout: fake } = AbortSignal;
  AbortSignal.timeout = (milliseconds): AbortSignal => {
    timers.push(milliseconds);
    return fake(milliseconds);
  };
  const peer = new SlimPeer(() => new Promise(() => {}), {
    handshakeTimeout: 500,
    reconnect: false,
  });
  const call = assertRejects(() => peer.request("m"), ConnectionClosedError);
  await time.pass(500);
  await call;
  await peer.closed;
  assertEquals(timers, [500]);
});

Deno.test("A SlimPeer lets the other side close as it wants to", async () => {
  const [left, right] = socketPair();
  await using peer = new SlimPeer(right);
  await peer.opened;
  const events: unknown[] = [];
  const ended = new Promise<void>((resolve) => {
    for (const type of ["error", "close"]) {
      left.addEventListener(type, ({ type, code, reason }) => {
        events.push([type, code, reason]);
        if (type === "close") resolve();
      });
    }
  });
  left.close(3000, "bye");
  await ended;
  assertEquals(events, [["close", 3000, "bye"]]);
  assertEquals((await peer.closed).code, 3000);
});

Deno.test("A SlimPeer that is closed rejects, aborts, and does nothing more", async () => {
  const signals: AbortSignal[] = [];
  const gate = Promise.withResolvers<string>();
  const ends: CloseInfo[] = [];
  const { socket, peer, ...it } = await open({
    local: {
      wait(this: SlimPeer) {
        signals.push(this.call.signal);
        return gate.promise;
      },
    },
    onclose: (end) => void ends.push(end),
  });
  const call = assertRejects(() => peer.request("m"), ConnectionClosedError);
  socket.receive(request(1, "wait"));
  socket.receive({ jsonrpc: "2.0", method: "wait" });
  socket.take();
  peer.close(4001, "é".repeat(100));
  peer.close();
  const error = await call;
  assertEquals([error.code, error.sent], [4001, true]);
  assertEquals(signals.map(({ aborted }) => aborted), [true, true]);
  assertInstanceOf(signals[0]!.reason, ConnectionClosedError);
  assertEquals(ends, [{ code: 4001, reason: "é".repeat(61), wasClean: true }]);
  assertEquals([peer.state, peer.notify("m")], ["closed", false]);
  const after = await assertRejects(
    () => peer.request("m"),
    ConnectionClosedError,
  );
  assertEquals([after.code, after.sent], [4001, false]);
  gate.resolve("late");
  socket.receive(request(2, "wait"));
  socket.end();
  assertEquals((await peer.closed).code, 4001);
  assertEquals([socket.sent, ends.length, it.thrown], [[], 1, []]);
  assertThrows(() => peer.close(1005), RangeError, "Cannot close with code");
});

Deno.test("A SlimPeer doesn't wait for ever for a close handshake", async () => {
  using time = new FakeTime();
  const { peer, socket } = await open();
  socket.refusedCodes = [1012];
  peer.close(1012);
  assertEquals(socket.closes, [{ code: undefined, reason: undefined }]);
  let isClosed = false;
  peer.closed.then(() => isClosed = true);
  const terminated: boolean[] = [];
  Object.assign(socket, { terminate: () => terminated.push(isClosed) });
  await time.pass(4_999);
  assertEquals([isClosed, terminated], [false, []]);
  await time.pass(1);
  assertEquals([isClosed, terminated], [true, [false]]);
  socket.end();
});

Deno.test("SlimPeer takes a message that arrives before the event open, after onopen", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const log: string[] = [];
  const peer = new SlimPeer(socket, {
    local: { m: () => void log.push("m") },
    onopen: () => void log.push("open"),
  });
  peer.notify("waited");
  socket.readyState = ReadyState.Open;
  socket.receive(request(1, "m"));
  socket.open();
  assertEquals(log, ["open", "m"]);
  assertEquals(socket.take(), [
    { jsonrpc: "2.0", method: "waited" },
    result(1, null),
  ]);
  peer.close();
  socket.end();
  await peer.closed;
});

Deno.test("SlimPeer begins methods in order, and keeps the order of what it sends", async () => {
  await using it = await open({
    local: {
      async slow(this: SlimPeer) {
        this.notify("before");
        await null;
        this.notify("after");
        return "slow";
      },
      fast(this: SlimPeer) {
        this.notify("fast");
        return "fast";
      },
    },
  });
  it.socket.receive(request(1, "slow"));
  it.socket.receive(request(2, "fast"));
  await settle();
  const told = it.socket.take() as { method?: string; id?: number }[];
  assertEquals(told.map(({ method, id }) => method ?? id), [
    "before",
    "fast",
    2,
    "after",
    1,
  ]);
});

Deno.test("Params with the names of prototypes are data to a SlimPeer", async () => {
  await using it = await open({ local: { echo }, use: [streams, references] });
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
});

Deno.test("SlimPeer hears of a cancel, and tells of its progress", async () => {
  const gate = Promise.withResolvers<void>();
  const reasons: unknown[] = [];
  const said: boolean[] = [];
  await using it = await open({
    local: {
      async work(this: SlimPeer) {
        const { call } = this;
        said.push(call.progress(0.5));
        call.signal.addEventListener(
          "abort",
          () => reasons.push(call.signal.reason),
        );
        await gate.promise;
        said.push(call.progress(1));
      },
    },
  });
  assertThrows(() => it.peer.call, TypeError, "No method is running");
  assertEquals(await it.ask(request("a", "work")), [{
    jsonrpc: "2.0",
    method: "$/progress",
    params: { token: "a", value: 0.5 },
  }]);
  const cancel = { jsonrpc: "2.0", method: "$/cancelRequest" };
  assertEquals(await it.ask({ ...cancel, params: ["a"] }), [
    failure("a", -32800, "Request was cancelled"),
  ]);
  assertEquals(await it.ask({ ...cancel, params: { id: "a" } }), []);
  assertEquals((reasons[0] as DOMException).name, "AbortError");
  gate.resolve();
  await settle();
  assertEquals([said, it.socket.sent], [[true, false], []]);

  const seen: unknown[] = [];
  const onprogress = (value: unknown): void => {
    seen.push(value);
    if (value === 2) throw new Error("mine");
  };
  const call = it.peer.request("m", [], { onprogress });
  for (const value of [1, 2]) {
    it.socket.receive({
      jsonrpc: "2.0",
      method: "$/progress",
      params: { token: 1, value },
    });
  }
  it.socket.receive(result(1, "done"));
  assertEquals([await call, seen], ["done", [1, 2]]);
  assertEquals(it.thrown.map(String), ["Error: mine"]);
});

Deno.test("respond of a SlimPeer answers before the method returns", async () => {
  const gate = Promise.withResolvers<string>();
  await using it = await open({
    local: {
      early(this: SlimPeer, isOk: boolean) {
        const { id } = this.call;
        this.respond(id!, "early", isOk ? undefined : new RpcError(5, "no"));
        return gate.promise;
      },
    },
  });
  assertEquals(await it.ask(request(1, "early", [true])), [result(1, "early")]);
  assertEquals(await it.ask(request(1, "early", [false])), [
    failure(1, 5, "no"),
  ]);
  assertEquals(it.peer.respond(1, "again"), false);
  gate.resolve("late");
  await settle();
  assertEquals(it.socket.sent, []);
});

Deno.test("An error without an id is about the one call that waits, or reaches onerror", async () => {
  await using it = await open();
  const { peer, socket, thrown } = it;
  const refused = assertRejects(() => peer.request("m"), RpcError, "Too large");
  socket.receive(failure(null, -32007, "Too large"));
  await refused;
  assertEquals(thrown, []);

  // A notification may be to blame, until a later request is answered.
  peer.notify("n");
  const call = peer.request("m");
  socket.receive({ error: "what?" });
  assertEquals((thrown.pop() as RpcError).message, "what?");
  socket.receive(result(2, 1));
  assertEquals(await call, 1);
  const bare = assertRejects(() => peer.request("m"), RpcError, "what?");
  socket.receive({ error: "what?" });
  await bare;

  // About something else, or about one of two.
  const calls = [peer.request("m"), peer.request("m")];
  socket.receive(failure(null, -32600, "Which?"));
  socket.receive(result(4, 1));
  socket.receive(failure(null, -32601, "Method not found"));
  socket.receive(result(5, 2));
  assertEquals(await Promise.all(calls), [1, 2]);
  assertEquals(thrown.length, 2);
});

for (const error of ["text", { message: "text" }, 0, false, ""]) {
  Deno.test(`SlimPeer reads the error ${JSON.stringify(error)}`, async () => {
    await using it = await open();
    const call = assertRejects(() => it.peer.request("m"), RpcError);
    it.socket.receive({ id: 1, error });
    assertEquals((await call).code, 0);
  });
}

Deno.test("SlimPeer is closed by a message that is too long", async () => {
  const { peer, socket } = await open({
    local: { length: (it: string) => it.length },
  });
  const frame = (length: number): string => {
    const text = JSON.stringify(request(1, "length", [""]));
    return text.replace('""', `"${"x".repeat(length - text.length)}"`);
  };
  socket.receive(frame(1_048_576));
  assertEquals(socket.take().length, 1);
  socket.receive(frame(1_048_577));
  assertEquals(socket.closes.map(({ code }) => code), [1009]);
  assertEquals([peer.state, socket.sent], ["closed", []]);
  socket.end();
  await peer.closed;
});

Deno.test("The calls of a SlimPeer are bounded, either way", async () => {
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  await using it = await open({
    local: { wait: () => (begun++, gate.promise) },
  });
  const { peer, socket } = it;
  for (let id = 0; id < 1_024; id++) socket.receive(request(id, "wait"));
  assertEquals(socket.sent, []);
  socket.receive(request("more", "wait"));
  const [busy] = socket.take() as [
    { error: { code: number; message: string } },
  ];
  assertEquals([busy.error.code, begun], [-32009, 1_024]);
  assertEquals(
    busy.error.message,
    "Busy: 1024 of at most 1024 are running, not executed",
  );
  // A notification could not be told, and runs; what is the protocol's own, too.
  socket.receive({ jsonrpc: "2.0", method: "wait" });
  assertEquals([begun, socket.sent], [1_025, []]);
  socket.receive(request("ping", "rpc.ping"));
  assertEquals(socket.take(), [result("ping", null)]);
  gate.resolve();
  await settle();
  assertEquals(socket.take().length, 1_024);

  const options = { timeout: 0 };
  const calls = Array.from(
    { length: 1_024 },
    () => peer.request("m", [], options).catch(() => {}),
  );
  await assertRejects(
    () => peer.request("m"),
    RangeError,
    'Cannot send request "m": 1024 of at most 1024 are pending',
  );
  peer.close();
  await Promise.all(calls);
});

Deno.test("What waits for a connection of a SlimPeer is bounded", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new SlimPeer(socket);
  const controller = new AbortController();
  const { signal } = controller;
  const given = assertRejects(
    () => peer.request("m", [], { signal }),
    DOMException,
  );
  for (let n = 1; n < 1_024; n++) assert(peer.notify("m"));
  assertEquals(peer.notify("m"), false);
  await assertRejects(
    () => peer.request("m"),
    RangeError,
    "too many messages wait",
  );
  controller.abort();
  await given;
  assert(peer.notify("last")); // In the place of the one that was given up.
  socket.open();
  assertEquals(socket.take().length, 1_024);
  peer.close();
  socket.end();
  await peer.closed;

  const other = new ScriptedSocket(ReadyState.Connecting);
  const long = new SlimPeer(other);
  assert(long.notify("m", ["x".repeat(600_000)]));
  assertEquals(long.notify("m", ["x".repeat(600_000)]), false);
  long.close();
  other.end();
  await long.closed;
});

Deno.test("Hooks of a SlimPeer may throw, now or later", async () => {
  for (
    const fail of [() => Promise.reject(new Error("late")), () => {
      throw new Error("now");
    }]
  ) {
    const socket = new ScriptedSocket();
    let errors = 0;
    const peer = new SlimPeer(socket, {
      local: { m: fail },
      onopen: fail,
      onclose: fail,
      onerror() {
        errors++;
        return fail();
      },
    });
    await peer.opened;
    socket.receive(request(1, "m"));
    await settle();
    assertEquals(socket.take(), [failure(1, -32603, "Internal error")]);
    peer.close();
    socket.end();
    await peer.closed;
    await settle();
    assertEquals(errors, 3);
  }
});

Deno.test("SlimPeer tells each caller the truth when a connection is lost", async () => {
  using time = new FakeTime();
  const sockets: ScriptedSocket[] = [];
  const ends: CloseInfo[] = [];
  const client = connect("ws://localhost", {
    onclose: (info) => void ends.push(info),
  }, {
    reconnect: { delay: 1, maxDelay: 1 },
    createSocket() {
      sockets.push(new ScriptedSocket(ReadyState.Connecting));
      return sockets.at(-1)!;
    },
  });
  sockets[0]!.open();
  const sent = assertRejects(() => client.request("a"), ConnectionClosedError);
  const again = client.request("b", [], { idempotent: true });
  sockets[0]!.readyState = ReadyState.Closing;
  const waits = client.request("c");
  assert(client.notify("d"));
  sockets[0]!.end(1006);
  const error = await sent;
  assertEquals([error.sent, error.idempotent, error.retryIn], [
    true,
    false,
    100,
  ]);
  assertEquals(ends[0]!.retryIn, 100);
  await time.pass(100);
  sockets[1]!.open();
  assertEquals(sockets[1]!.take(), [
    request(2, "b"),
    { jsonrpc: "2.0", method: "c", id: 3 },
    { jsonrpc: "2.0", method: "d" },
  ]);
  sockets[1]!.receive(result(2, "b"));
  sockets[1]!.receive(result(3, "c"));
  assertEquals(await Promise.all([again, waits]), ["b", "c"]);
  // What goes wrong now is not that connection's.
  sockets[1]!.sendError = new Error("broken");
  const broken = await assertRejects(
    () => client.request("e"),
    ConnectionClosedError,
  );
  assertEquals([broken.sent, broken.retryIn], [false, undefined]);
  client.close();
  for (const socket of sockets) socket.end();
  await client.closed;
  assertEquals(sockets.map(({ listenerCount }) => listenerCount), [0, 0]);
});

Deno.test("A SlimPeer that its onopen closes takes no message", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  let calls = 0;
  const peer = new SlimPeer(socket, {
    local: { m: () => void calls++ },
    onopen(this: SlimPeer) {
      this.close();
    },
  } as SlimOptions);
  socket.readyState = ReadyState.Open;
  socket.receive({ jsonrpc: "2.0", method: "m" });
  await peer.opened;
  assertEquals([calls, peer.state], [0, "closed"]);
  socket.end();
  await peer.closed;
});

Deno.test("onerror of a SlimPeer is not told what onclose is", async () => {
  const socket = new ScriptedSocket();
  const told: unknown[] = [];
  const peer = new SlimPeer(socket, {
    async onopen(this: SlimPeer) {
      await this.request("m");
    },
    onerror: (error) => void told.push(error),
  } as SlimOptions);
  await peer.opened;
  socket.end(4000);
  await peer.closed;
  await settle();
  assertEquals(told, []);
});

// What is imported beside it.

Deno.test("A stream that a SlimPeer returns too late is left", async () => {
  const gate = Promise.withResolvers<void>();
  let left = 0;
  await using it = await open({
    use: [streams],
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

Deno.test("SlimPeer uses streams and references, both ways", async () => {
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
    apply: async (fn: (n: number) => Promise<number>) => await fn(20),
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
  await using client = connect<typeof local>(server.url, { local }, {
    use: [streams, references],
  });
  await client.opened;
  for (const remote of [client.remote, instance!.remote]) {
    const counted: number[] = [];
    for await (const n of remote.count(3)) counted.push(n);
    assertEquals(counted, [1, 2, 3]);
    for await (const _ of remote.count(1e6)) break;
    assertEquals(await remote.sum(local.count(4)), 10);
    // More of them than may be lent at a time.
    for (let n = 0; n < 130; n++) {
      assertEquals(await remote.apply((m) => m + n), 20 + n);
    }
    using account = await remote.account();
    await account.add(5);
    assertEquals(await account.add(2), 7);
  }
  await settle();
  assertEquals(ended.length, 6);
  assertThrows(
    () => client.notify("apply", [() => 1]),
    TypeError,
    "send a request",
  );
});

Deno.test("A stream of a SlimPeer ends with its connection, and resume opens it again", async () => {
  const instances: Peer[] = [];
  let over = 0;
  class Server extends Peer {
    override local = {
      count: async function* (from: number) {
        try {
          for (;; from++) yield from;
        } finally {
          over++;
        }
      },
    };
    override onopen(): void {
      instances.push(this);
    }
  }
  await using server = serve(Server, quiet);
  await using client = connect<Server["local"]>(server.url, {}, {
    use: [streams],
    reconnect: { delay: 1 },
  });
  const numbers: number[] = [];
  const from = (last = 0): AsyncIterable<number> =>
    client.remote.count(last + 1);
  for await (const n of resume(client, from)) {
    numbers.push(n);
    if (n === 2) instances[0]!.close(1012);
    if (instances.length === 2 && numbers.length > 1_000) break;
  }
  assertEquals(numbers, Array.from(numbers, (_, index) => index + 1));
  await until(() => over >= 2);
  assertEquals(over, 2);
});

Deno.test("SlimPeer reads notifications and subscriptions", async () => {
  await using it = await open();
  const { peer, socket } = it;
  const ticks = notifications<[number]>(peer, "tick");
  const methods = {
    subscribe: "subscribe",
    unsubscribe: "unsubscribe",
    notification: "event",
  };
  const events = subscribe<string>(peer, methods, ["all"]);
  const event = (subscription: number, result: string): object => ({
    jsonrpc: "2.0",
    method: "event",
    params: { subscription, result },
  });
  socket.receive(event(7, "early"));
  socket.receive(event(8, "not ours"));
  socket.receive(result(1, 7));
  socket.receive({ jsonrpc: "2.0", method: "tick", params: [1] });
  socket.receive(request(1, "tick", [2])); // A call is no event.
  assertEquals((await events.next()).value, "early");
  assertEquals((await ticks.next()).value, [1]);
  await events.return();
  await ticks.return();
  assertEquals(
    socket.take().map((it) => (it as { method?: string }).method),
    ["subscribe", undefined, "unsubscribe"],
  );

  const last = notifications(peer, "tick");
  peer.close(4000);
  await assertRejects(
    () => last.next(),
    ConnectionClosedError,
    'No more of "tick": the connection is closed (code 4000)',
  );
  await assertRejects(
    () => notifications(peer, "tick").next(),
    ConnectionClosedError,
    'No more of "tick"',
  );
});

Deno.test("SlimPeer calls methods with schemas and guards", async () => {
  await using it = await open({
    context: "ann",
    local: {
      subtract: method(
        { params: { minuend: z.number(), subtrahend: z.number() } },
        (minuend, subtrahend) => minuend - subtrahend,
      ),
      secret: guard(
        function (this: SlimPeer, name: string) {
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
