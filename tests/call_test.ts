/**
 * Calls that are cancelled, take too long, or tell of their progress: both
 * roles, frame by frame.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Call, ConnectionClosedError, Peer, RpcError } from "../mod.ts";
import { Deadlines } from "../src/line/deadlines.ts";
import { ReadyState } from "../src/line/socket.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { FakeTime } from "./fake_time.ts";
import {
  countListeners,
  openScripted as open,
  request,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";

/** A call that a method keeps for the test to look at. */
function keeper(): {
  local: object;
  calls: Call[];
  answers: ((value: unknown) => void)[];
} {
  const calls: Call[] = [];
  const answers: ((value: unknown) => void)[] = [];
  return {
    calls,
    answers,
    local: {
      keep(this: Peer) {
        calls.push(this.call);
        return new Promise((resolve) => answers.push(resolve));
      },
    },
  };
}

Deno.test("request with a signal rejects at once and cancels, a late answer is dropped", async () => {
  await using it = await open();
  const { socket, peer } = it;
  const controller = new AbortController();
  const call = peer.request("slow", [1], { signal: controller.signal });
  const reason = new Error("changed my mind");
  controller.abort(reason);
  assertEquals(await call.catch((error: unknown) => error), reason);
  assertEquals(socket.take(), [
    { jsonrpc: "2.0", method: "slow", params: [1], id: 1 },
    { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 1 } },
  ]);
  socket.receive({
    jsonrpc: "2.0",
    error: { code: -32800, message: "" },
    id: 1,
  });
  socket.receive({ jsonrpc: "2.0", result: "late", id: 1 });
  assertEquals(peer.unmatched, 2);
});

Deno.test("request with a signal that is aborted already sends nothing", async () => {
  await using it = await open();
  const signal = AbortSignal.abort("no");
  const reason = await it.peer.request("m", [], { signal }).catch((
    e: unknown,
  ) => e);
  assertEquals([reason, it.socket.sent], ["no", []]);
});

Deno.test("request lets go of its signal once it is settled", async () => {
  await using it = await open();
  const { socket, peer } = it;
  const { signal } = new AbortController();
  const listeners = countListeners(signal);
  const answered = peer.request("m", [], { signal });
  const failed = assertRejects(
    () => peer.request("m", [], { signal }),
    RpcError,
  );
  const cut = assertRejects(
    () => peer.request("m", [], { signal }),
    ConnectionClosedError,
  );
  socket.sendError = new Error("broken");
  await assertRejects(
    () => peer.request("m", [], { signal }),
    ConnectionClosedError,
  );
  assertEquals(listeners.count, 3);
  socket.receive({ jsonrpc: "2.0", result: 1, id: 1 });
  socket.receive({ jsonrpc: "2.0", error: { code: 1, message: "" }, id: 2 });
  await Promise.all([answered, failed]);
  assertEquals(listeners.count, 1);
  peer.close();
  await cut;
  assertEquals(listeners.count, 0);
});

Deno.test("request that is cancelled before the handshake is never sent", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket);
  const controller = new AbortController();
  const cancelled = assertRejects(
    () => peer.request("cancelled", [], { signal: controller.signal }),
    DOMException,
  );
  const kept = peer.request("kept");
  controller.abort();
  await cancelled;
  socket.open();
  assertEquals(
    socket.take().map((frame) => (frame as { method: string }).method),
    ["kept"],
  );
  socket.receive({ jsonrpc: "2.0", result: 1, id: 2 });
  assertEquals(await kept, 1);
  peer.close();
  socket.end();
});

Deno.test("request sends no cancel to peers that would not know it", async () => {
  for (const version of ["1.0", "bare"] as const) {
    await using it = await open({ version });
    const controller = new AbortController();
    const { signal } = controller;
    const call = assertRejects(
      () => it.peer.request("m", [], { signal }),
      DOMException,
    );
    controller.abort();
    await call;
    assertEquals(it.socket.sent.length, 1);
  }
});

Deno.test("with makes every call of a remote with the same options", async () => {
  await using it = await open();
  const { socket, peer } = it;
  const controller = new AbortController();
  const remote = peer.with({ signal: controller.signal });
  const calls = [remote["a"]!(1), remote["b"]!["c"]!()].map((call) =>
    assertRejects(() => call, DOMException)
  );
  const other = peer.remote["d"]!();
  controller.abort();
  await Promise.all(calls);
  socket.receive({ jsonrpc: "2.0", result: 4, id: 3 });
  assertEquals(await other, 4);
  assertEquals(
    socket.take().map((frame) => (frame as { method: string }).method),
    ["a", "b.c", "d", "$/cancelRequest", "$/cancelRequest"],
  );
});

Deno.test("A request of a batch can be cancelled by itself", async () => {
  await using it = await open();
  const { socket, peer } = it;
  const controller = new AbortController();
  const [first, second] = peer.batch(() => [
    peer.request("a", [], { signal: controller.signal }),
    peer.request("b"),
  ]);
  const cancelled = assertRejects(() => first!, DOMException);
  controller.abort();
  await cancelled;
  socket.receive([
    { jsonrpc: "2.0", result: "late", id: 1 },
    { jsonrpc: "2.0", result: "b", id: 2 },
  ]);
  assertEquals(await second, "b");
});

Deno.test("A call's signal aborts when the caller cancels, and the call is answered for", async () => {
  const { local, calls, answers } = keeper();
  await using it = await open({ local });
  const { socket } = it;
  socket.receive({ jsonrpc: "2.0", method: "keep", id: "x" });
  const { signal } = calls[0]!;
  assertEquals(signal.aborted, false);
  socket.receive({
    jsonrpc: "2.0",
    method: "$/cancelRequest",
    params: { id: "x" },
  });
  await settle();
  assert(signal.aborted);
  assertEquals((signal.reason as Error).name, "AbortError");
  const cancelled = {
    jsonrpc: "2.0",
    error: { code: -32800, message: "Request was cancelled" },
    id: "x",
  };
  assertEquals(socket.take(), [cancelled]);
  // It ignored its signal; nobody waits any more.
  answers[0]!("too late");
  await settle();
  assertEquals(socket.take(), []);

  // By position, and for a method that never looked at its signal.
  socket.receive({ jsonrpc: "2.0", method: "keep", id: "x" });
  socket.receive({ jsonrpc: "2.0", method: "$/cancelRequest", params: ["x"] });
  assertEquals(socket.take(), [cancelled]);
});

Deno.test("A call's signal is aborted for who looks at it after the cancel", async () => {
  const { local, calls } = keeper();
  await using it = await open({ local });
  it.socket.receive({ jsonrpc: "2.0", method: "keep", id: 1 });
  it.socket.receive({
    jsonrpc: "2.0",
    method: "$/cancelRequest",
    params: { id: 1 },
  });
  const { signal } = calls[0]!;
  assertEquals(
    [signal.aborted, (signal.reason as Error).name],
    [true, "AbortError"],
  );
});

Deno.test("A cancel for nothing that runs is silence", async () => {
  await using it = await open({ local: { sync: () => 1 } });
  const { socket } = it;
  const cancel = (params: unknown): void =>
    socket.receive({ jsonrpc: "2.0", method: "$/cancelRequest", params });
  cancel({ id: 1 });
  cancel([]);
  cancel({});
  cancel(undefined);
  cancel({ id: { a: 1 } });
  assertEquals(socket.take(), []);
  // Not a notification, but a question: it is answered.
  socket.receive({
    jsonrpc: "2.0",
    method: "$/cancelRequest",
    params: [1],
    id: 5,
  });
  socket.receive({ jsonrpc: "2.0", method: "$/unknown", id: 6 });
  socket.receive({ jsonrpc: "2.0", method: "$/unknown" });
  assertEquals(socket.take(), [
    { jsonrpc: "2.0", result: null, id: 5 },
    {
      jsonrpc: "2.0",
      error: { code: -32601, message: "Method not found" },
      id: 6,
    },
  ]);
});

Deno.test("A cancel for id null hits nobody, by that id nobody can be told from others", async () => {
  const { local, calls, answers } = keeper();
  await using it = await open({ local });
  const { socket } = it;
  socket.receive({ jsonrpc: "2.0", method: "keep", id: null });
  socket.receive({ jsonrpc: "2.0", method: "keep", id: null });
  for (const params of [{ id: null }, [null], {}, []]) {
    socket.receive({ jsonrpc: "2.0", method: "$/cancelRequest", params });
  }
  assertEquals(calls.map(({ signal }) => signal.aborted), [false, false]);
  for (const answer of answers) answer("kept");
  await settle();
  assertEquals(socket.take(), [
    { jsonrpc: "2.0", result: "kept", id: null },
    { jsonrpc: "2.0", result: "kept", id: null },
  ]);
});

Deno.test("A cancelled method counts as running until it stops", async () => {
  const { local, answers } = keeper();
  await using it = await open({ local, limits: { incoming: 1, held: 0 } });
  const { socket } = it;
  socket.receive({ jsonrpc: "2.0", method: "keep", id: 1 });
  socket.receive({
    jsonrpc: "2.0",
    method: "$/cancelRequest",
    params: { id: 1 },
  });
  socket.receive({ jsonrpc: "2.0", method: "keep", id: 2 });
  const codes = socket.take().map((frame) =>
    (frame as { error: { code: number } }).error.code
  );
  assertEquals(codes, [-32800, -32009]);
  answers[0]!(null);
  await settle();
  socket.receive({ jsonrpc: "2.0", method: "keep", id: 3 });
  assertEquals([socket.take(), answers.length], [[], 2]);
});

Deno.test("A method that throws because it was cancelled is no failure of its owner's", async () => {
  const thrown: unknown[] = [];
  await using it = await open({
    local: {
      async wait(this: Peer) {
        const { signal } = this.call;
        await new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason))
        );
      },
    },
    onerror: (error) => void thrown.push(error),
  });
  it.socket.receive({ jsonrpc: "2.0", method: "wait", id: 1 });
  it.socket.receive({
    jsonrpc: "2.0",
    method: "$/cancelRequest",
    params: { id: 1 },
  });
  await settle();
  assertEquals(thrown, []);
  assertEquals(it.socket.take().length, 1);
});

Deno.test("Every running call's signal aborts when the connection closes", async () => {
  const { local, calls } = keeper();
  const it = await open({ local });
  it.socket.receive({ jsonrpc: "2.0", method: "keep", id: 1 });
  it.socket.receive({ jsonrpc: "2.0", method: "keep" });
  const signals = calls.map(({ signal }) => signal);
  it.socket.end(1006, "", false);
  await settle();
  for (const { aborted, reason } of signals) {
    assert(aborted);
    assertEquals((reason as Error).name, "ConnectionClosedError");
  }
  assertEquals(calls[0]!.progress(1), false);
});

Deno.test("A method that can't call back because its caller leaves is no failure of its owner's", async () => {
  const thrown: unknown[] = [];
  const gate = Promise.withResolvers<void>();
  await using it = await open({
    local: {
      async ask(this: Peer) {
        await gate.promise;
        await this.request("name");
      },
      async fail() {
        await gate.promise;
        throw new Error("in fail");
      },
    },
    onerror: (error) => void thrown.push(error),
  });
  it.socket.receive(request(1, "ask"));
  it.socket.receive(request(2, "fail"));
  // It is going to tell of its close soon.
  it.socket.readyState = ReadyState.Closing;
  gate.resolve();
  await settle();
  assertEquals(thrown.map(String), ["Error: in fail"]);
});

Deno.test("A hook that can't call because the connection is lost is no failure of its owner's", async () => {
  const thrown: unknown[] = [];
  const socket = new ScriptedSocket();
  const peer = new Peer(socket, {
    onopen() {
      return this.request("signIn") as Promise<void>;
    },
    onclose() {
      return this.request("signOut") as Promise<void>;
    },
    onerror: (error) => void thrown.push(error),
  });
  await settle();
  assertEquals(socket.sent.length, 1);
  socket.end(1006, "", false);
  await peer.closed;
  await settle();
  assertEquals(thrown, []);
});

Deno.test("What fails for another reason than the connection's is reported, open or not", async () => {
  const thrown: unknown[] = [];
  const onclose = (): Promise<void> => Promise.reject(new Error("in onclose"));
  const elsewhere = await open();
  elsewhere.peer.close();
  const it = await open({
    // What is closed is another connection.
    local: { ask: () => elsewhere.peer.request("m") },
    onclose,
    onerror: (error) => void thrown.push((error as Error).name),
  });
  it.socket.receive({ jsonrpc: "2.0", method: "ask" });
  await settle();
  assertEquals(thrown.splice(0), ["ConnectionClosedError"]);
  it.socket.end(1006, "", false);
  await settle();
  assertEquals(thrown, ["Error"]);
  await elsewhere[Symbol.asyncDispose]();
});

Deno.test("A call that was marked idempotent says so when it is cut", async () => {
  await using it = await open();
  const { peer } = it;
  const cut = [{ idempotent: true }, {}, undefined].map((options) =>
    assertRejects(() => peer.request("m", [], options), ConnectionClosedError)
  );
  peer.close();
  const errors = await Promise.all(cut);
  assertEquals(
    errors.map(({ sent, idempotent }) => [sent, idempotent]),
    [[true, true], [true, false], [true, false]],
  );
});

Deno.test("request gives up after its time-out, and cancels", async () => {
  await using it = await open();
  const { socket, peer } = it;
  using time = new FakeTime();
  const short = peer.request("short", [], { timeout: 100 }).catch((e: Error) =>
    e
  );
  let usualIsOver = false;
  const usual = peer.request("usual").catch((error: Error) => {
    usualIsOver = true;
    return error;
  });
  const never = peer.request("never", [], { timeout: Infinity });
  await time.pass(99);
  assertEquals(socket.take().length, 3);
  await time.pass(1);
  const error = await short as DOMException;
  assertEquals(
    [error.name, error.message],
    ["TimeoutError", 'No sign of life from request "short" within 100 ms'],
  );
  assertEquals(socket.take(), [
    { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 1 } },
  ]);
  for (let second = 0; second < 59; second++) await time.pass(1_000);
  assertEquals(usualIsOver, false);
  // The usual time-out may take a sixteenth longer.
  for (let second = 0; second < 5; second++) await time.pass(1_000);
  assertEquals((await usual as Error).name, "TimeoutError");
  for (let hour = 0; hour < 3; hour++) await time.pass(3_600_000);
  socket.receive({ jsonrpc: "2.0", result: "at last", id: 3 });
  assertEquals(await never, "at last");
});

Deno.test("request whose time-out is 0 is sent, and given up as soon as can be", async () => {
  for (const usual of [true, false]) {
    using time = new FakeTime();
    await using it = await open(usual ? { timeout: 0 } : {});
    const { socket, peer } = it;
    const call = peer.request("m", [], usual ? {} : { timeout: 0 })
      .catch((error: Error) => error.message);
    await time.pass(1);
    assertEquals(await call, 'No sign of life from request "m" within 0 ms');
    assertEquals(socket.take(), [
      request(1, "m"),
      { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 1 } },
    ]);
  }
});

Deno.test("A peer's own timeout is the usual one of its calls, waiting for the handshake included", async () => {
  using time = new FakeTime();
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket, { timeout: 1_000 });
  const call = peer.request("m").catch((error: Error) => error.name);
  await time.pass(1_000);
  await time.pass(63);
  assertEquals(await call, "TimeoutError");
  socket.open();
  assertEquals(socket.sent, []);
  peer.close();
  socket.end();
});

Deno.test("Time-outs that are none are refused", async () => {
  await using it = await open();
  for (const timeout of [-1, NaN]) {
    await assertRejects(
      () => it.peer.request("m", [], { timeout }),
      RangeError,
      "Cannot set timeout",
    );
    assertThrows(
      () => new Peer(new ScriptedSocket(), { timeout }),
      RangeError,
      `Cannot set timeout: it must be 0 or more milliseconds, got ${timeout}`,
    );
  }
  assertEquals(it.socket.sent, []);
});

Deno.test("A method that gives no sign for too long is answered for, and its signal aborts", async () => {
  const { local, calls, answers } = keeper();
  await using it = await open({
    local,
    limits: { handlerTimeout: 1_000, incoming: 1 },
  });
  const { socket } = it;
  using time = new FakeTime();
  socket.receive({ jsonrpc: "2.0", method: "keep", id: 1 });
  const { signal } = calls[0]!;
  await time.pass(999);
  assertEquals(socket.take(), []);
  await time.pass(64);
  assertEquals(socket.take(), [{
    jsonrpc: "2.0",
    error: {
      code: -32052,
      message: "No sign of life from the method within 1000 ms",
    },
    id: 1,
  }]);
  assertEquals((signal.reason as Error).name, "TimeoutError");
  // Its place is free again, and what it returns in the end is nobody's.
  socket.receive({ jsonrpc: "2.0", method: "keep", id: 2 });
  assertEquals(calls.length, 2);
  answers[0]!("too late");
  answers[1]!("in time");
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  assertEquals(socket.take(), [{ jsonrpc: "2.0", result: "in time", id: 2 }]);
});

Deno.test("A peer keeps one timer for all its calls, and none once it is closed", async () => {
  await using it = await open({ local: { keep: () => new Promise(() => {}) } });
  const { setTimeout, clearTimeout } = globalThis;
  let timers = 0;
  let cleared = 0;
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
    timers++;
    return setTimeout(...args);
  }) as typeof setTimeout;
  globalThis.clearTimeout = (id): void => {
    if (id !== undefined) cleared++;
    clearTimeout(id);
  };
  try {
    for (let n = 0; n < 100; n++) {
      const call = it.peer.request("m");
      it.socket.receive({ jsonrpc: "2.0", result: n, id: n + 1 });
      assertEquals(await call, n);
      it.socket.receive({ jsonrpc: "2.0", method: "keep", id: n });
    }
    assertEquals([timers, cleared], [1, 0]);
    it.socket.end();
    // The heartbeat's, which all peers share, is stopped by who started it.
    assertEquals([timers, cleared], [1, 1]);
  } finally {
    globalThis.setTimeout = setTimeout;
    globalThis.clearTimeout = clearTimeout;
  }
});

Deno.test("Deadlines give a call its time-out at least, and a sixteenth more at most", async () => {
  using time = new FakeTime();
  const due = new Set<number>();
  const deadlines = new Deadlines(1_600, {
    sweep(now) {
      for (const deadline of due) if (deadline <= now) due.delete(deadline);
      return Math.min(...due);
    },
    report() {},
  });
  assertEquals(deadlines.after(Infinity), Infinity);
  for (let n = 0; n < 200; n++) {
    const deadline = deadlines.after(1_600);
    const wait = deadline - performance.now();
    assert(wait >= 1_600 && wait <= 1_700, `${wait}`);
    due.add(deadline);
    const exact = deadlines.after(50);
    assertEquals(exact - performance.now(), 50);
    due.add(exact);
    await time.pass(7);
    assert([...due].every((deadline) => deadline > performance.now() - 7));
  }
  for (let n = 0; n < 20; n++) await time.pass(100);
  assertEquals(due.size, 0);
  deadlines.clear();
});

Deno.test("Deadlines of all peers are looked at by one timer, each when it is due", async () => {
  using time = new FakeTime();
  const { setTimeout } = globalThis;
  let timers = 0;
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
    timers++;
    return setTimeout(...args);
  }) as typeof setTimeout;
  const ended: string[] = [];
  const start = (name: string, timeout: number): Deadlines => {
    let due = Infinity;
    const deadlines = new Deadlines(1_600, {
      sweep(now) {
        if (due > now) return due;
        due = Infinity;
        ended.push(name);
        if (name === "bad") throw new Error(name);
        return due;
      },
      report: (error) => void ended.push(`${error}`),
    });
    due = deadlines.after(timeout);
    return deadlines;
  };
  try {
    const patient = Array.from({ length: 100 }, (_, n) => start(`${n}`, 1_600));
    assertEquals(timers, 1);
    const hasty = start("hasty", 50);
    await time.pass(50);
    assertEquals(ended.splice(0), ["hasty"]);
    start("bad", 10);
    patient[0]!.clear();
    await time.pass(10);
    assertEquals(ended.splice(0), ["bad", "Error: bad"]);
    for (let n = 0; n < 17; n++) await time.pass(100);
    assertEquals(ended.length, 99);
    assert(timers < 100, `${timers}`);
    for (const deadlines of [...patient, hasty]) deadlines.clear();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

Deno.test("Deadlines see what begins while they look", async () => {
  using time = new FakeTime();
  let sweeps = 0;
  const deadlines: Deadlines = new Deadlines(1_600, {
    sweep() {
      if (sweeps++ === 0) deadlines.after(1_600);
      return Infinity;
    },
    report() {},
  });
  deadlines.after(1_600);
  for (let n = 0; n < 3; n++) await time.pass(100);
  assertEquals(sweeps, 2);
  deadlines.clear();
});

Deno.test("progress reaches the caller in order, before the call is settled", async () => {
  const [left, right] = socketPair();
  await using server = new Peer(left, {
    local: {
      async count(this: Peer, to: number) {
        const { call } = this;
        for (let n = 1; n <= to; n++) {
          assert(call.progress(n));
          await Promise.resolve();
        }
        return "done";
      },
    },
  });
  await using client = new Peer(right);
  const seen: unknown[] = [];
  const onprogress = (value: unknown): void => void seen.push(value);
  seen.push(await client.request("count", [3], { onprogress }));
  // Who doesn't listen isn't disturbed.
  seen.push(await client.request("count", [2]));
  assertEquals(seen, [1, 2, 3, "done", "done"]);
  assertEquals(server.unmatched, 0);
});

Deno.test("progress is $/progress with the request's id for a token", async () => {
  const { local, calls, answers } = keeper();
  const thrown: unknown[] = [];
  await using it = await open({
    local,
    onerror: (error) => void thrown.push(error),
  });
  const { socket, peer } = it;
  socket.receive({ jsonrpc: "2.0", method: "keep", id: "x" });
  assertEquals(calls[0]!.progress({ done: 5 }), true);
  assertEquals(socket.take(), [
    {
      jsonrpc: "2.0",
      method: "$/progress",
      params: { token: "x", value: { done: 5 } },
    },
  ]);
  assertThrows(() => calls[0]!.progress(1n), TypeError);
  answers[0]!(1);
  await settle();
  socket.take();
  assertEquals(calls[0]!.progress("late"), false);
  socket.receive({ jsonrpc: "2.0", method: "keep" });
  socket.receive({ method: "keep", params: [], id: 1 });
  assertEquals([calls[1]!.progress(1), calls[2]!.progress(1)], [false, false]);
  assertEquals(socket.take(), []);

  const seen: unknown[] = [];
  const call = peer.request("m", [], {
    onprogress(value) {
      seen.push(value);
      if (value === "bad") throw new Error("in onprogress");
    },
  });
  const progress = (params: unknown): void =>
    socket.receive({ jsonrpc: "2.0", method: "$/progress", params });
  progress({ token: 1, value: "a" });
  progress([1, "b"]);
  progress({ token: 1, value: "bad" });
  progress({ token: 2, value: "nobody's" });
  progress({ token: "1", value: "by the text of its id" });
  progress(undefined);
  socket.receive({ jsonrpc: "2.0", result: "end", id: 1 });
  progress({ token: 1, value: "late" });
  assertEquals(await call, "end");
  assertEquals(seen, ["a", "b", "bad", "by the text of its id"]);
  assertEquals(thrown.map(String), ["Error: in onprogress"]);
});

Deno.test("progress that is longer than a message may be throws, and the call goes on", async () => {
  const { local, calls, answers } = keeper();
  await using it = await open({ local, limits: { sentLength: 200 } });
  const { socket } = it;
  socket.receive(request(1, "keep"));
  const empty = JSON.stringify({
    jsonrpc: "2.0",
    method: "$/progress",
    params: { token: 1, value: "" },
  });
  const progress = (length: number): boolean =>
    calls[0]!.progress("x".repeat(length - empty.length));
  assert(progress(200));
  assertThrows(
    () => progress(201),
    RangeError,
    'Cannot send notification "$/progress": it has 201 of at most 200 characters',
  );
  assertEquals(socket.sent.splice(0).map(({ length }) => length), [200]);
  answers[0]!("done");
  await settle();
  assertEquals(socket.take(), [{ jsonrpc: "2.0", result: "done", id: 1 }]);
});
