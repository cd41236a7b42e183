import { assert, assertEquals, assertRejects } from "@std/assert";
import { type BasePeer, type Call, ConnectionClosedError } from "../mod.ts";
import { eachPeer, whole } from "./faces.ts";
import { FakeTime } from "./fake_time.ts";
import { countListeners, request, result } from "./scripted_socket.ts";
import { countTimers, never, notification, open, pair, take } from "./stage.ts";

eachPeer(
  "A time-out or a signal cancels a call of a peer, and a late answer is dropped",
  async (face) => {
    using time = new FakeTime();
    await using it = await open(face);
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
      'No sign of life from request "m" within 50 ms',
    );
    const patient = peer.request("m", [], { timeout: Infinity });
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
  },
);

eachPeer("One timer serves all calls of a peer", async (face) => {
  using time = new FakeTime();
  await using it = await open(face);
  using timers = countTimers();
  const ended: number[] = [];
  const call = (timeout: number): void => {
    it.peer.request("m", [], { timeout }).catch(() => ended.push(timeout));
  };
  for (const timeout of [300, 100, 200, 100]) call(timeout);
  for (let n = 0; n < 1_000; n++) call(300);
  assertEquals(timers.running, 1);
  await time.pass(99);
  assertEquals(ended, []);
  await time.pass(1);
  assertEquals(ended.splice(0), [100, 100]);
  await time.pass(100);
  assertEquals(ended.splice(0), [200]);
  await time.pass(100);
  assertEquals(ended.splice(0), Array(1_001).fill(300));
  call(50);
  assertEquals(timers.running, 1);
  await time.pass(50);
  assertEquals(ended, [50]);
  assert(timers.started < 10, `${timers.started}`);
});

eachPeer("A call may take any time of 0 or more", async (face) => {
  using time = new FakeTime();
  await using it = await open(face);
  const ended: unknown[] = [];
  const times = [90.5, 30.25, 0, 60, 0.5, 2 ** 40, Infinity];
  const calls = times.map((timeout) =>
    it.peer.request("m", [], { timeout }).catch(() => ended.push(timeout))
  );
  for (let n = 0; n < 10; n++) await time.pass(0.75);
  assertEquals(ended.splice(0), [0, 0.5]);
  for (let n = 0; n < 120; n++) await time.pass(0.75);
  assertEquals(ended, [30.25, 60, 90.5]);
  it.peer.close();
  await Promise.all(calls);
});

eachPeer(
  "A peer that has ended has no timer, whatever waited",
  async (face) => {
    using time = new FakeTime();
    using timers = countTimers();
    const peer = face.peer(() => new Promise(() => {}), {
      handshakeTimeout: 500,
      reconnect: false,
    });
    const call = assertRejects(() => peer.request("m"), ConnectionClosedError);
    assertEquals(timers.running, 1);
    await time.pass(500);
    await call;
    await peer.closed;
    assertEquals(timers.running, 0);
  },
);

Deno.test("Peer keeps no timer when a method that takes too long closes it", async () => {
  const calls: Call[] = [];
  using time = new FakeTime();
  const { socket, peer } = await open(whole, {
    limits: { handlerTimeout: 1_000 },
    local: {
      first(this: BasePeer) {
        this.call.signal.addEventListener("abort", () => this.close());
        return never();
      },
      second(this: BasePeer) {
        calls.push(this.call);
        return never();
      },
    },
  });
  using timers = countTimers();
  socket.receive(request(1, "first"));
  await time.pass(600);
  socket.receive(request(2, "second"));
  assertEquals(timers.running, 1);
  await time.pass(500);
  assertEquals(socket.closes.length, 1);
  socket.end();
  await peer.closed;
  assertEquals([timers.running, calls[0]!.signal.aborted], [0, true]);
});

Deno.test("request rejects after its time-out though the trace hook throws", async () => {
  let isBroken = false;
  const thrown: unknown[] = [];
  await using it = await open(whole, {
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

eachPeer(
  "A call is alive as long as its method tells of its progress",
  async (face) => {
    using time = new FakeTime();
    await using it = await open(face);
    const { socket, peer } = it;
    const tell = (...ids: number[]): void => {
      for (const token of ids) {
        socket.receive(notification("$/progress", { token, value: "so far" }));
      }
    };
    const job = peer.request("job");
    const left = assertRejects(
      () => peer.request("left"),
      DOMException,
      'No sign of life from request "left" within 60000 ms',
    );
    // Who wants a total says so.
    const signal = AbortSignal.timeout(150_000);
    const total = assertRejects(
      () => peer.request("total", [], { signal }),
      DOMException,
    );
    await time.flow(50_000);
    tell(1, 2, 3);
    for (let minute = 0; minute < 5; minute++) {
      await time.flow(59_000);
      tell(1, 3);
    }
    await Promise.all([left, total]);
    socket.receive(result(1, "done"));
    assertEquals(await job, "done");
    // A token of nobody's is no sign of anybody's.
    tell(1, 2, 3, 4, "1" as unknown as number);
  },
);

eachPeer(
  "A call is alive as long as a stream among its params is read",
  async (face) => {
    using time = new FakeTime();
    await using it = await open(face);
    const { socket, peer } = it;
    let push: (value: number) => void = () => {};
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () =>
          new Promise<IteratorResult<number>>((resolve) => {
            push = (value) => resolve({ value, done: false });
          }),
      }),
    };
    const upload = peer.request("upload", [source]);
    let isOver = false;
    const over = upload.catch((error: Error) => {
      isOver = true;
      return error.message;
    });
    const ask = (): void =>
      socket.receive(request("next", "$/enumerator/next", { token: 1 }));
    for (let n = 0; n < 3; n++) {
      await time.flow(59_000);
      ask();
      push(n);
      await time.pass(0);
    }
    assertEquals(take(socket).length, 4);
    // It is this side that takes its time.
    ask();
    await time.flow(200_000);
    assertEquals(isOver, false);
    push(4);
    await time.flow(59_000);
    assertEquals(isOver, false);
    await time.flow(5_000);
    assertEquals(
      await over,
      'No sign of life from request "upload" within 60000 ms',
    );
  },
);

eachPeer(
  "A call is alive as long as what it lent is called",
  async (face) => {
    using time = new FakeTime();
    await using it = await open(face);
    const { socket, peer } = it;
    const gate = Promise.withResolvers<string>();
    const call = peer.request("m", [() => "called", () => gate.promise]);
    let isOver = false;
    const over = call.catch((error: Error) => {
      isOver = true;
      return error.message;
    });
    for (let n = 0; n < 3; n++) {
      await time.flow(59_000);
      socket.receive(request(n, "$/invokeProxy/1/invoke"));
    }
    // Somebody is asked, and thinks about it.
    socket.receive(request(3, "$/invokeProxy/2/invoke"));
    await time.flow(200_000);
    gate.resolve("at last");
    await time.flow(59_000);
    assertEquals(isOver, false);
    await time.flow(5_000);
    assertEquals(
      await over,
      'No sign of life from request "m" within 60000 ms',
    );
    assertEquals(take(socket).map(({ method, result }) => method ?? result), [
      "m",
      "called",
      "called",
      "called",
      "at last",
      "$/cancelRequest",
    ]);
  },
);

eachPeer(
  "A callback without a sign for a minute is given up by who called it; its progress is one",
  async (face) => {
    using time = new FakeTime();
    const [server, client] = pair(face, {
      local: {
        ask: (callback: () => Promise<unknown>) =>
          callback().catch(({ message }) => message),
      },
    });
    await time.pass(0);
    const gate = Promise.withResolvers<string>();
    const silent = client.request<unknown>("ask", [() => gate.promise]);
    await time.flow(70_000);
    assertEquals(
      await silent,
      'No sign of life from request "$/invokeProxy/1/invoke" within 60000 ms',
    );
    const lively = client.request<unknown>("ask", [async () => {
      const { call } = client;
      for (let n = 0; n < 4; n++) {
        await new Promise((resolve) => setTimeout(resolve, 50_000));
        call.progress(n);
      }
      return "done";
    }]);
    await time.flow(250_000);
    assertEquals(await lively, "done");
    client.close();
    await time.pass(0);
    await server.closed;
  },
);

Deno.test("A method's time counts from its last sign of life", async () => {
  using time = new FakeTime();
  const tick = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, milliseconds));
  await using it = await open(whole, {
    limits: { handlerTimeout: 10_000 },
    local: {
      async tell(this: BasePeer) {
        const { call } = this;
        for (let n = 0; n < 3; n++) {
          await tick(9_000);
          call.progress(n);
        }
        return await tick(9_000);
      },
      async read(values: AsyncIterable<number>) {
        for await (const value of values) if (value === 3) break;
        await tick(9_000);
      },
      async ask(fn: () => Promise<void>) {
        for (let n = 0; n < 3; n++) {
          await fn();
          await tick(9_000);
        }
      },
      silent: () => tick(20_000),
    },
  });
  const { socket } = it;
  socket.receive(request("tell", "tell"));
  socket.receive(request("read", "read", [{ token: 1 }]));
  socket.receive(
    request("ask", "ask", [{
      __jsonrpc_marshaled: 1,
      handle: 1,
      lifetime: "call",
    }]),
  );
  socket.receive(request("silent", "silent"));
  const done: unknown[] = [];
  let count = 0;
  for (let second = 1; second <= 70; second++) {
    await time.flow(1_000);
    for (const { id, method, error } of take(socket)) {
      if (id !== undefined && method === undefined) {
        done.push([id, error?.code]);
      }
      if (method === "$/enumerator/next") {
        setTimeout(() => {
          socket.receive(result(id, { values: [++count], finished: false }));
        }, 9_000);
      }
      if (method?.startsWith("$/invokeProxy/") === true) {
        setTimeout(() => socket.receive(result(id, null)), 9_000);
      }
    }
  }
  assertEquals(done, [
    ["silent", -32052],
    ["tell", undefined],
    ["read", undefined],
    ["ask", undefined],
  ]);
});

Deno.test("A method takes as long as it takes, unless its owner says otherwise", async () => {
  using time = new FakeTime();
  const gate = Promise.withResolvers<string>();
  await using it = await open(whole, { local: { report: () => gate.promise } });
  it.socket.receive(request(1, "report"));
  await time.flow(300_000);
  gate.resolve("here it is");
  await time.pass(0);
  assertEquals(it.socket.take(), [result(1, "here it is")]);
});

Deno.test("Of methods whose time is over as many run on as may run, and the rest keep their places", async () => {
  using time = new FakeTime();
  let begun = 0;
  const ends: (() => void)[] = [];
  await using it = await open(whole, {
    limits: { handlerTimeout: 1_000, incoming: 4 },
    local: {
      hang: () => {
        begun++;
        return new Promise<void>((resolve) => ends.push(resolve));
      },
    },
  });
  const { socket } = it;
  for (let id = 1; id <= 30; id++) socket.receive(request(id, "hang"));
  assertEquals(begun, 4);
  await time.pass(1_100);
  assertEquals(begun, 8);
  for (let turn = 0; turn < 10; turn++) await time.pass(1_100);
  assertEquals(begun, 8);
  assertEquals(take(socket).length, 8);
  // Each that ends makes room for one that waits.
  ends[0]!();
  ends[4]!();
  await time.pass(10);
  assertEquals(begun, 9);
});

Deno.test("A stream among the arguments of a method whose time is over ends", async () => {
  using time = new FakeTime();
  const seen: unknown[] = [];
  await using it = await open(whole, {
    limits: { handlerTimeout: 1_000 },
    local: {
      async read(values: AsyncIterable<unknown>) {
        try {
          for await (const value of values) seen.push(value);
        } catch (error) {
          seen.push((error as Error).name);
        }
      },
    },
  });
  const { socket } = it;
  socket.receive(request(1, "read", [{ token: 7, values: ["first"] }]));
  await time.pass(10);
  const [{ id, method }] = take(socket) as [{ id: number; method: string }];
  assertEquals(method, "$/enumerator/next");
  await time.pass(1_100);
  assertEquals(seen, ["first", "TimeoutError"]);
  const methods = take(socket).map((message) =>
    (message as { method?: string }).method
  );
  assertEquals(methods.toSorted(), [
    "$/cancelRequest",
    "$/enumerator/abort",
    undefined,
  ]);
  // What comes all the same is read by nobody.
  socket.receive(result(id, { values: ["late"], finished: false }));
  await time.pass(10);
  assertEquals([seen.length, take(socket)], [2, []]);
});
