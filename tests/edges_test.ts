/**
 * The edges where calls, streams and references meet closing, batches, limits and
 * other peers.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
// @ts-types="@types/ws"
import { WebSocket as NodeWebSocket, WebSocketServer } from "ws";
import { connect } from "../client.ts";
import {
  type Call,
  ConnectionClosedError,
  Peer,
  type PeerOptions,
  RpcError,
} from "../mod.ts";
import { serve } from "../server.ts";
import { marshal, references } from "../src/parts/references.ts";
import { method } from "../src/methods/schema.ts";
import { ReadyState } from "../src/line/socket.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { streams } from "../src/parts/streams.ts";
import { ethereum, subscribe } from "../src/parts/subscriptions.ts";
import { FakeTime } from "./fake_time.ts";
import {
  countListeners,
  openScripted,
  request,
  result,
  type Scripted,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";

const use = [streams, references];
const quiet = { port: 0, hostname: "127.0.0.1", onListen() {} } as const;

/** What a proxy of an untyped remote can do. */
type Proxy =
  & { (...params: unknown[]): Promise<unknown> }
  & { [name: string]: (...params: unknown[]) => Promise<unknown> }
  & Disposable;

/** What of a sent frame is looked at here. */
interface Frame {
  readonly id?: unknown;
  readonly method?: string;
  readonly result?: unknown;
  readonly error?: { readonly code: number };
}

/** A peer with everything to use over a scripted socket. */
function open(options: PeerOptions = {}): Promise<Scripted> {
  return openScripted({ use, ...options });
}

/** Two peers in memory, both with everything to use. */
function pair(left: PeerOptions, right: PeerOptions = {}): [Peer, Peer] {
  const [a, b] = socketPair();
  return [new Peer(a, { use, ...left }), new Peer(b, { use, ...right })];
}

function take(socket: ScriptedSocket): Frame[] {
  return socket.take() as Frame[];
}

function codes(socket: ScriptedSocket): (number | undefined)[] {
  return take(socket).map(({ error }) => error?.code);
}

function notification(method: string, params?: unknown): object {
  return {
    jsonrpc: "2.0",
    method,
    ...(params === undefined ? {} : { params }),
  };
}

function reference(kind: 0 | 1, handle: number): object {
  return { __jsonrpc_marshaled: kind, handle };
}

function never(): Promise<never> {
  return new Promise(() => {});
}

/** A stream without end that tells how often it was left. */
class Endless implements AsyncIterable<number> {
  left = 0;

  [Symbol.asyncIterator](): AsyncIterator<number> {
    return {
      next: () => Promise.resolve({ value: 1, done: false }),
      return: () => {
        this.left++;
        return Promise.resolve({ value: undefined, done: true });
      },
    };
  }
}

/** What a method of an untyped remote returns, as the stream that it is. */
function stream(call: unknown): AsyncIterable<unknown> {
  return call as AsyncIterable<unknown>;
}

/** Asks for a WebSocket by hand. */
async function askForUpgrade(conn: Deno.Conn): Promise<void> {
  const head = [
    "GET / HTTP/1.1",
    "Host: 127.0.0.1",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "",
    "",
  ];
  await conn.write(new TextEncoder().encode(head.join("\r\n")));
}

async function collect(call: unknown): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const value of stream(call)) values.push(value);
  return values;
}

Deno.test("Peer aborts the call of a method that closes it and goes on, and keeps no timer", async () => {
  const calls: Call[] = [];
  const it = await open({
    local: {
      bye(this: Peer) {
        calls.push(this.call);
        this.close();
        return never();
      },
    },
  });
  it.socket.receive(request(1, "bye"));
  it.socket.end();
  await it.peer.closed;
  assertEquals(calls.map(({ signal }) => signal.aborted), [true]);
  assertEquals(it.socket.sent, []);
});

Deno.test("Peer keeps no timer when a method that takes too long closes it", async () => {
  const calls: Call[] = [];
  using time = new FakeTime();
  const it = await open({
    limits: { handlerTimeout: 1_000 },
    local: {
      first(this: Peer) {
        this.call.signal.addEventListener("abort", () => this.close());
        return never();
      },
      second(this: Peer) {
        calls.push(this.call);
        return never();
      },
    },
  });
  const { socket, peer } = it;
  const { setTimeout, clearTimeout } = globalThis;
  const timers = new Set<unknown>();
  globalThis.setTimeout = ((run: () => void, ms?: number) => {
    const id = setTimeout(() => {
      timers.delete(id);
      run();
    }, ms);
    timers.add(id);
    return id;
  }) as typeof setTimeout;
  globalThis.clearTimeout = (id): void => {
    timers.delete(id);
    clearTimeout(id);
  };
  try {
    socket.receive(request(1, "first"));
    await time.pass(600);
    socket.receive(request(2, "second"));
    assertEquals(timers.size, 1);
    await time.pass(500);
    assertEquals(socket.closes.length, 1);
    socket.end();
    await peer.closed;
    assertEquals([timers.size, calls[0]!.signal.aborted], [0, true]);
  } finally {
    globalThis.setTimeout = setTimeout;
    globalThis.clearTimeout = clearTimeout;
  }
});

Deno.test("Peer leaves a stream that a method returns once the connection is closed", async () => {
  const later = new Endless();
  const { promise, resolve } = Promise.withResolvers<Endless>();
  const it = await open({ local: { later: () => promise } });
  it.socket.receive(request(1, "later"));
  it.socket.end();
  resolve(later);
  await settle();
  assertEquals([later.left, it.socket.sent], [1, []]);

  const own = new Endless();
  const closing = await open({
    local: {
      bye(this: Peer) {
        this.close();
        return own;
      },
    },
  });
  closing.socket.receive(request(1, "bye"));
  closing.socket.end();
  await settle();
  assertEquals([own.left, closing.socket.sent], [1, []]);
});

Deno.test("batch sends no member that was cancelled before it could be sent", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket);
  const controller = new AbortController();
  const { signal } = controller;
  const [cancelled, kept] = peer.batch(() => [
    assertRejects(
      () => peer.request("cancelled", [], { signal }),
      DOMException,
    ),
    peer.request("kept"),
  ]);
  controller.abort();
  await cancelled;
  socket.open();
  const text = socket.sent.join();
  assert(text.includes("kept") && !text.includes("cancelled"), text);
  const [frame] = socket.take() as [Frame | [Frame]];
  const [{ id }] = [frame].flat() as [Frame];
  socket.receive([result(id, 1)]);
  assertEquals(await kept, 1);
  peer.close();
  socket.end();

  await using it = await open();
  const collecting = new AbortController();
  await it.peer.batch(() => {
    const call = assertRejects(
      () => it.peer.request("m", [], { signal: collecting.signal }),
      DOMException,
    );
    collecting.abort();
    return call;
  });
  assertEquals(it.socket.sent, []);
});

Deno.test("batch that throws still cancels a call from before it", async () => {
  await using it = await open();
  const { socket, peer } = it;
  const controller = new AbortController();
  const { signal } = controller;
  const call = assertRejects(
    () => peer.request("slow", [], { signal }),
    DOMException,
  );
  assertThrows(
    () =>
      peer.batch(() => {
        controller.abort();
        throw new Error("mine");
      }),
    Error,
    "mine",
  );
  await call;
  assertEquals(take(socket).map(({ method }) => method), [
    "slow",
    "$/cancelRequest",
  ]);
});

Deno.test("Peer rejects the calls of a batch, or of the queue, that send throws on", async () => {
  const broken = new Error("broken");
  await using it = await open();
  it.socket.sendError = broken;
  const member = it.peer.batch(() => it.peer.request("m"));
  const batched = await assertRejects(() => member, ConnectionClosedError);
  assertEquals([batched.sent, batched.cause], [false, broken]);

  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket);
  const call = assertRejects(() => peer.request("m"), ConnectionClosedError);
  socket.sendError = broken;
  socket.open();
  const queued = await call;
  assertEquals([queued.sent, queued.cause], [false, broken]);
  peer.close();
  socket.end();
});

Deno.test("Peer says that nothing was sent of what waited when onopen closes the socket itself", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket, {
    onopen(this: Peer) {
      this.ws.close();
    },
  } as PeerOptions);
  const call = assertRejects(() => peer.request("m"), ConnectionClosedError);
  socket.open();
  socket.end();
  assertEquals([socket.sent, (await call).sent], [[], false]);
});

Deno.test("Peer is told how a connection ended, though its first message was its last", async () => {
  const socket = new ScriptedSocket();
  const log: unknown[] = [];
  const peer = new Peer(socket, {
    local: { hi: () => void log.push("hi") },
    onopen: () => void log.push("open"),
    onclose: ({ code, reason }) => void log.push([code, reason]),
  });
  // All of it came with the handshake.
  socket.receive({ jsonrpc: "2.0", method: "hi" });
  socket.readyState = ReadyState.Closing;
  await settle();
  socket.end(4000, "bye");
  assertEquals(log, ["open", "hi", [4000, "bye"]]);
  assertEquals((await peer.closed).code, 4000);
});

Deno.test("Peer lets go of a signal when it is closed before it is open", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket, { use });
  const { signal } = new AbortController();
  const listeners = countListeners(signal);
  const call = assertRejects(
    () => peer.request("m", [], { signal }),
    ConnectionClosedError,
  );
  assertEquals(listeners.count, 1);
  peer.close();
  socket.end();
  await call;
  assertEquals(listeners.count, 0);
});

Deno.test("Peer replaces an error that is too long to be sent, and stays open", async () => {
  const limits = { messageLength: 2_000 };
  const [server, client] = pair({
    limits,
    local: {
      refuse: () => {
        throw new RpcError(1, "No", "x".repeat(5_000));
      },
      echo: (value: unknown) => value,
    },
  }, { limits });
  const error = await assertRejects(() => client.request("refuse"), RpcError);
  assertEquals(error.code, -32008);
  assertEquals(await client.request("echo", [1]), 1);
  client.close();
  await server.closed;
});

Deno.test("method answers an unknown name as long as a message within the limit", async () => {
  const local = { m: method({ params: ["a"] }, (a: unknown) => a) };
  await using it = await open({ local });
  it.socket.receive(request(1, "m", { ["x".repeat(1_048_400)]: 1 }));
  const [text] = it.socket.sent as [string];
  assert(text.length <= 1_048_576, `${text.length}`);
  assertEquals(codes(it.socket), [-32602]);

  const [server, client] = pair({ local });
  const error = await assertRejects(
    () => client.request("m", { ["x".repeat(1_048_500)]: 1 }),
    RpcError,
  );
  assertEquals(error.code, -32602);
  client.close();
  await server.closed;
});

Deno.test("Peer calls nothing of a group that was deleted or replaced", async () => {
  const local: { [name: string]: object } = { math: { add: () => "old" } };
  await using it = await open({ local });
  const { socket } = it;
  socket.receive(request(1, "math.add"));
  local["math"] = { add: () => "new" };
  socket.receive(request(2, "math.add"));
  delete local["math"];
  socket.receive(request(3, "math.add"));
  const frames = take(socket);
  assertEquals(frames.slice(0, 2), [result(1, "old"), result(2, "new")]);
  assertEquals(frames[2]!.error?.code, -32601);
});

Deno.test("request writes params alike, with streams and references or without", async () => {
  class Point {
    readonly #x = 1;
    toJSON(): object {
      return { x: this.#x };
    }
  }
  for (const extensions of [[], use]) {
    await using it = await open({ use: extensions });
    const { socket, peer } = it;
    const call = assertRejects(() => peer.request("m", new Point()), RpcError);
    assertEquals(socket.take(), [request(1, "m", { x: 1 })]);
    socket.receive({ jsonrpc: "2.0", error: "no", id: 1 });
    await call;
    await assertRejects(() => peer.request("m", new Date(0)), TypeError);
    assertEquals(socket.sent, []);
  }
});

Deno.test("onprogress that rejects is told to onerror", async () => {
  const thrown: unknown[] = [];
  await using it = await open({ onerror: (error) => void thrown.push(error) });
  const { socket, peer } = it;
  const onprogress = (): Promise<never> => Promise.reject(new Error("mine"));
  const call = peer.request("m", [], { onprogress });
  socket.receive(notification("$/progress", { token: 1, value: 1 }));
  await settle();
  assertEquals(thrown.map(String), ["Error: mine"]);
  socket.receive(result(1, "done"));
  assertEquals(await call, "done");
});

Deno.test("request rejects after its time-out though the trace hook throws", async () => {
  let isBroken = false;
  const thrown: unknown[] = [];
  await using it = await open({
    onerror: (error) => void thrown.push(error),
    trace: {
      send() {
        if (isBroken) throw new Error("tracer");
        return undefined;
      },
      receive: (_context, run) => run(),
    },
  });
  using time = new FakeTime();
  const call = it.peer.request("m", [], { timeout: 1_000 })
    .catch((error: unknown) => error);
  isBroken = true;
  await time.pass(1_100);
  assertEquals((await call as Error).name, "TimeoutError");
  // What cancels is no call of its own, and isn't traced.
  assertEquals(thrown, []);
  assertEquals(take(it.socket).map(({ method }) => method), [
    "m",
    "$/cancelRequest",
  ]);
});

Deno.test("connect closes its socket when its options are refused", () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  assertThrows(
    () =>
      connect("ws://localhost", {}, {
        timeout: -1,
        createSocket: () => socket,
      }),
    RangeError,
  );
  assertEquals(socket.closes.length, 1);
  socket.end();
  assertEquals(socket.listenerCount, 0);
});

Deno.test("Peer answers a wrong use of its own methods once, and no notification of them", async () => {
  const thrown: unknown[] = [];
  await using it = await open({ onerror: (error) => void thrown.push(error) });
  const { socket } = it;
  const methods = [
    "$/cancelRequest",
    "$/progress",
    "$/enumerator/next",
    "$/enumerator/abort",
    "$/enumerator/constructor",
    "$/releaseMarshaledObject",
    "$/invokeProxy/1/invoke",
    "$/invokeProxy/99999999999999999/invoke",
    "$/invokeProxy//invoke",
    "rpc.discover",
  ];
  const rows = [
    undefined,
    null,
    [],
    {},
    [null],
    [{}],
    [[]],
    ["__proto__"],
    { id: {} },
    { id: "__proto__" },
    { token: [] },
    { token: "__proto__" },
    { handle: {} },
    { handle: -1, ownedBySender: "x" },
  ];
  const ids: number[] = [];
  for (const method of methods) {
    for (const params of rows) {
      ids.push(ids.length + 1);
      socket.receive({ ...notification(method, params), id: ids.length });
      socket.receive(notification(method, params));
    }
  }
  await settle();
  const answered = take(socket).map(({ id }) => id as number);
  assertEquals(answered.sort((a, b) => a - b), ids);
  assertEquals(thrown, []);
});

Deno.test("A stream's slow reader bounds what is produced ahead", async () => {
  let produced = 0;
  const [server, client] = pair({
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
});

Deno.test("A stream's generator runs its finally when its value can't be written", async () => {
  let left = 0;
  const [server, client] = pair({
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
  await assertRejects(() => collect(client.remote["unwritable"]!()), RpcError);
  await settle();
  assertEquals(left, 1);
  client.close();
  await server.closed;
});

Deno.test("A stream's values arrive if each fits, however many are produced ahead", async () => {
  const small = Array<string>(100).fill("x".repeat(300));
  const big = "y".repeat(1_040_000);
  const rows: [PeerOptions["limits"] & object, string[]][] = [
    [{ messageLength: 10_000 }, small],
    [{}, ["first", ...small, big]],
  ];
  for (const [limits, values] of rows) {
    const local = {
      async *values() {
        yield* values;
      },
    };
    const [server, client] = pair({ limits, local });
    assertEquals(await collect(client.remote["values"]!()), values);
    client.close();
    await server.closed;

    await using it = await open({ limits, local });
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
});

Deno.test("A stream whose call is aborted after its answer gives nothing", async () => {
  const [server, client] = pair({
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
});

Deno.test("A stream's waiting reader is let go though the peer is silent", async () => {
  await using it = await open({ limits: { outgoing: 1 } });
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
  const call = peer.request("echo");
  const [{ id: last }] = take(socket).slice(-1) as [Frame];
  socket.receive(result(last, "echoed"));
  assertEquals(await call, "echoed");
});

Deno.test("A stream's questions need no place among the calls that wait", async () => {
  await using it = await open({ limits: { outgoing: 1 } });
  const { socket, peer } = it;
  const call = peer.remote["m"]!();
  socket.receive(result(1, { token: 1 }));
  await call;
  const slow = peer.request("slow");
  socket.take();
  const next = stream(call)[Symbol.asyncIterator]().next();
  await settle();
  const [question] = take(socket) as [Frame];
  assertEquals(question.method, "$/enumerator/next");
  socket.receive(result(question.id, { values: ["a"], finished: true }));
  assertEquals((await next).value, "a");
  socket.receive(result(2, "done"));
  assertEquals(await slow, "done");
});

Deno.test("A stream's question can be cancelled, and its id is in flight", async () => {
  await using it = await open({
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
});

Deno.test("A stream's question that never gets values is not asked for ever", async () => {
  await using it = await open();
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
});

Deno.test("Nothing of streams is sent to peers that would not know it", async () => {
  for (const version of ["1.0", "bare"] as const) {
    await using it = await open({ version, onerror() {} });
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

Deno.test("A borrowed object can be disposed of though its peer would not know it", async () => {
  await using it = await open({ version: "1.0" });
  const { socket, peer } = it;
  const call = peer.request("open", []);
  socket.receive({ id: 1, result: reference(1, 3), error: null });
  const proxy = await call as Proxy;
  socket.take();
  proxy[Symbol.dispose]();
  assertEquals(socket.take(), []);
});

Deno.test("A late answer disturbs nothing that came with it", async () => {
  const rows: [PeerOptions, object, object, string[]][] = [
    [
      { version: "1.0" },
      { id: 99, result: { token: 1 }, error: null },
      { id: 7, method: "echo", params: [] },
      [],
    ],
    [{}, result(99, reference(0, 1)), request(7, "echo"), []],
    [
      {},
      result(99, [reference(1, 5), reference(0, 1)]),
      request(7, "echo"),
      ["$/releaseMarshaledObject"],
    ],
  ];
  for (const [options, late, call, told] of rows) {
    const thrown: unknown[] = [];
    await using it = await open({
      ...options,
      local: { echo: () => 5 },
      onerror: (error) => void thrown.push(error),
    });
    it.socket.receive([late, call]);
    const frames = take(it.socket).flat();
    assertEquals(
      frames.flatMap(({ method }) => method ?? []),
      told,
    );
    assertEquals(
      frames.flatMap(({ result }) => result ?? []),
      [5],
    );
    assertEquals(thrown, []);
  }
});

Deno.test("A generator's error that no reader hears is told to onerror", async () => {
  const thrown: unknown[] = [];
  const [server, client] = pair({
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
});

Deno.test("A marked object in a stream's value is refused in words that are true", async () => {
  const thrown: unknown[] = [];
  const [server, client] = pair({
    onerror: (error) => void thrown.push(error),
    local: {
      async *objects() {
        yield marshal({ a: () => 1 });
      },
    },
  });
  await assertRejects(() => collect(client.remote["objects"]!()), RpcError);
  const [error] = thrown as [Error];
  assert(error.message.includes("only arguments and results"), error.message);
  assertEquals(thrown.length, 1);
  client.close();
  await server.closed;
});

Deno.test("A stream that was refused is left, also if its return answers no promise", async () => {
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
  const [server, client] = pair({
    limits: { streams: 1 },
    local: { careless: () => careless },
    onerror: (error) => void thrown.push(error),
  });
  await client.request("careless");
  const error = await assertRejects(() => client.request("careless"), RpcError);
  assertEquals([error.code, left], [-32006, 1]);
  client.close();
  await server.closed;
  await settle();
  assertEquals([thrown, left], [[], 2]);
});

Deno.test("A batch that waited for the handshake carries references and streams", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket, { use });
  const values = new Endless();
  const [call] = peer.batch(() => [peer.request("m", [() => 1, values])]);
  socket.open();
  assertEquals(socket.take(), [[
    request(1, "m", [{ ...reference(1, 1), lifetime: "call" }, { token: 1 }]),
  ]]);
  socket.receive(request(9, "$/invokeProxy/1/invoke"));
  assertEquals(socket.take(), [result(9, 1)]);
  socket.receive([result(1, "done")]);
  assertEquals(await call, "done");
  await settle();
  assertEquals(values.left, 1);
  peer.close();
  socket.end();
});

Deno.test("What one peer lent can't be passed on to another", async () => {
  await using lender = await open();
  const call = lender.peer.request("open");
  lender.socket.receive(result(1, reference(1, 1)));
  const borrowed = await call as Proxy;
  lender.socket.take();

  const thrown: unknown[] = [];
  await using other = await open({
    limits: { handles: 1 },
    local: {
      own: () => marshal({ who: () => "the other's own" }),
      itself: () => borrowed,
      nested: () => ({ deep: [borrowed] }),
    },
    onerror: (error) => void thrown.push(error),
  });
  const { socket, peer } = other;
  const words = "Cannot pass on what another peer lent";
  const rows = [
    [borrowed],
    [{ deep: [borrowed] }],
    { name: borrowed },
    [() => 1, borrowed],
  ];
  for (const params of rows) {
    const refused = assertRejects(
      () => peer.request("m", params),
      TypeError,
      words,
    );
    assertEquals(socket.sent, []);
    await refused;
  }
  assertThrows(() => peer.notify("m", [borrowed]), TypeError, words);
  assertEquals(socket.sent, []);

  socket.receive(request(1, "itself"));
  socket.receive(request(2, "nested"));
  assertEquals(codes(socket), [-32603, -32603]);
  assertEquals(thrown.length, 2);
  for (const error of thrown) {
    assert(error instanceof TypeError && error.message.includes(words));
  }

  // What was refused has taken no place, and what was borrowed works as before.
  socket.receive(request(3, "own"));
  assertEquals(codes(socket), [undefined]);
  const answer = borrowed("x");
  const [{ id }] = take(lender.socket) as [Frame];
  lender.socket.receive(result(id, "called"));
  assertEquals(await answer, "called");
});

Deno.test("A proxy that was disposed of can be passed to nobody", async () => {
  const [server, client] = pair({
    local: { get: () => () => 1, take: (fn: () => unknown) => fn() },
  });
  const proxy = await client.request("get") as Proxy;
  assertEquals(await client.request("take", [proxy]), 1);
  proxy[Symbol.dispose]();
  const error = await assertRejects(
    () => client.request("take", [proxy]),
    RpcError,
  );
  assertEquals(error.code, -32001);
  client.close();
  await server.closed;
});

Deno.test("marshal keeps nothing of connections that closed or handles that came back", async () => {
  const shared = marshal({ x: () => 1 });
  // A leak would show nowhere else.
  const { releases } = shared as unknown as { releases: Set<unknown> };
  const local = { get: () => shared };
  for (let turn = 0; turn < 3; turn++) {
    const [server, client] = pair({ local });
    await client.request("get");
    assertEquals(releases.size, 1);
    client.close();
    await server.closed;
    assertEquals(releases.size, 0);
  }
  const [server, client] = pair({ local });
  for (let turn = 0; turn < 3; turn++) {
    using _ = await client.request("get") as Proxy;
    assertEquals(releases.size, 1);
  }
  await settle();
  assertEquals(releases.size, 0);
  client.close();
  await server.closed;
});

Deno.test("A lent function has no method but itself", async () => {
  await using it = await open();
  const { socket, peer } = it;
  const call = peer.request("m", [function () {
    return "called";
  }]);
  socket.take();
  for (const name of ["prototype.constructor", "constructor", "call", "bind"]) {
    socket.receive(request(5, `$/invokeProxy/1/${name}`));
  }
  assertEquals(codes(socket), [-32601, -32601, -32601, -32601]);
  socket.receive(result(1, null));
  await call;
});

Deno.test("subscribe overflows by its own events alone, and keeps the newest", async () => {
  const event = (subscription: string, result: unknown): object =>
    notification("eth_subscription", { subscription, result });

  await using few = await open();
  const oldest = subscribe(few.peer, ethereum, [], {
    limit: 2,
    overflow: "drop-oldest",
  });
  for (let n = 0; n < 5; n++) few.socket.receive(event("other", n));
  few.socket.receive(result(1, "mine"));
  await settle();
  few.socket.receive(event("mine", "hello"));
  assertEquals((await oldest.next()).value, "hello");
  await oldest.return();

  await using many = await open();
  const latest = subscribe(many.peer, ethereum, [], { overflow: "latest" });
  for (let n = 0; n < 1_100; n++) many.socket.receive(event("mine", n));
  many.socket.receive(result(1, "mine"));
  await settle();
  assertEquals((await latest.next()).value, 1_099);
  await latest.return();
});

Deno.test("Peer over a socket of npm:ws can be closed before the handshake is answered", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const accepted = listener.accept();
  const client = connect(`ws://127.0.0.1:${listener.addr.port}`, {}, {
    createSocket: (url, protocols) => new NodeWebSocket(url, protocols),
  });
  const opened = assertRejects(() => client.opened, ConnectionClosedError);
  const conn = await accepted;
  client.close();
  await opened;
  await client.closed;
  // The socket tells its error later.
  await settle();
  conn.close();
  listener.close();
});

Deno.test("Peer over a socket of npm:ws outlives an error of the socket while it closes", async () => {
  const listening = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => listening.once("listening", resolve));
  const { port } = listening.address() as { port: number };
  const { promise, resolve } = Promise.withResolvers<Peer>();
  listening.on(
    "connection",
    (ws) => resolve(new Peer(ws, { version: "1.0" })),
  );
  const conn = await Deno.connect({ port, hostname: "127.0.0.1" });
  await askForUpgrade(conn);
  const buffer = new Uint8Array(4_096);
  await conn.read(buffer);
  const peer = await promise;

  // A final frame, masked with zeros.
  const frame = (opcode: number, text: string): Uint8Array =>
    new Uint8Array([
      0x80 | opcode,
      0x80 | text.length,
      ...[0, 0, 0, 0],
      ...new TextEncoder().encode(text),
    ]);
  await conn.write(frame(0x1, "no JSON"));
  await conn.read(buffer);
  assertEquals(buffer[0], 0x88);
  await conn.write(frame(0x3, "reserved"));
  while (await conn.read(buffer) !== null) { /* until the server ends it */ }
  conn.close();
  assertEquals((await peer.closed).code, 4400);
  await new Promise((resolve) => listening.close(resolve));
});

Deno.test("shutdown lets a fetch in flight be answered", async () => {
  const entered = Promise.withResolvers<void>();
  const { promise, resolve } = Promise.withResolvers<Response>();
  const server = serve({}, {
    ...quiet,
    fetch() {
      entered.resolve();
      return promise;
    },
  });
  const page = fetch(server.url.replace("ws", "http"));
  await entered.promise;
  const shutdown = server.shutdown();
  await settle();
  resolve(new Response("page"));
  assertEquals(await (await page).text(), "page");
  await shutdown;
});

Deno.test("shutdown lets an authorize in flight be answered", async () => {
  const entered = Promise.withResolvers<void>();
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const server = serve({}, {
    ...quiet,
    authorize() {
      entered.resolve();
      return promise;
    },
  });
  const { port } = server.addr as Deno.NetAddr;
  const conn = await Deno.connect({ port, hostname: "127.0.0.1" });
  await askForUpgrade(conn);
  await entered.promise;
  const shutdown = server.shutdown();
  await settle();
  resolve(undefined);
  const buffer = new Uint8Array(4_096);
  const length = await conn.read(buffer) ?? 0;
  const answer = new TextDecoder().decode(buffer.subarray(0, length));
  assert(answer.startsWith("HTTP/1.1 503 "), answer);
  conn.close();
  await shutdown;
  assertEquals(server.peers.size, 0);
});
