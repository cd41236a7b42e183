import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectionClosedError, marshal } from "../mod.ts";
import { ReadyState } from "../src/line/socket.ts";
import { eachPeer, wholePeer } from "./faces.ts";
import { FakeTime } from "./fake_time.ts";
import { request, result, ScriptedSocket, settle } from "./scripted_socket.ts";
import { codes, methods, notification, open, pair, stream } from "./stage.ts";

wholePeer("The calls of a peer are bounded, either way", async (face) => {
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  await using it = await open(face, {
    local: { wait: () => (begun++, gate.promise) },
  });
  const { peer, socket } = it;
  for (let id = 0; id < 1_024; id++) socket.receive(request(id, "wait"));
  assertEquals(socket.sent, []);
  // One more waits, in order; what is the protocol's own does not.
  socket.receive(request("more", "wait"));
  socket.receive({ jsonrpc: "2.0", method: "wait" });
  socket.receive(request("given up", "wait"));
  assertEquals([begun, socket.sent], [1_024, []]);
  socket.receive(request("ping", "rpc.ping"));
  socket.receive({
    jsonrpc: "2.0",
    method: "$/cancelRequest",
    params: { id: "given up" },
  });
  const taken = socket.take() as { error?: { code: number } }[];
  assertEquals(taken[0], result("ping", null));
  assertEquals([taken.length, taken[1]?.error?.code], [2, -32800]);
  gate.resolve();
  await settle();
  assertEquals([socket.take().length, begun], [1_025, 1_026]);

  const options = { timeout: Infinity };
  const call = (n: number): Promise<unknown> =>
    peer.request("m", [n], options).catch(() => {});
  const calls = Array.from({ length: 1_024 }, (_, n) => call(n));
  assertEquals(socket.take().length, 1_024);
  calls.push(call(1_024));
  assertEquals(socket.sent, []);
  peer.close();
  await Promise.all(calls);
});

wholePeer(
  "A burst of 5,000 notifications to an async method runs whole, 1,024 at a time",
  async (face) => {
    let running = 0;
    let most = 0;
    const ran: number[] = [];
    await using it = await open(face, {
      local: {
        async run(n: number) {
          most = Math.max(most, ++running);
          await Promise.resolve();
          running--;
          ran.push(n);
        },
      },
    });
    for (let n = 0; n < 5_000; n++) {
      it.socket.receive({ jsonrpc: "2.0", method: "run", params: [n] });
    }
    while (ran.length < 5_000) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assertEquals([most, it.thrown], [1_024, []]);
    assertEquals(ran, Array.from({ length: 5_000 }, (_, n) => n));
  },
);

wholePeer(
  "Calls that wait for a method to end are bounded: one more request is busy, one more notification dropped and told once",
  async (face) => {
    let begun = 0;
    await using it = await open(face, {
      local: { wait: () => (begun++, new Promise(() => {})) },
    });
    const { socket, thrown } = it;
    const notification = {
      jsonrpc: "2.0",
      method: "wait",
      params: ["x".repeat(1_000_000)],
    };
    const text = JSON.stringify(notification);
    for (let id = 0; id < 1_024; id++) socket.receive(request(id, "wait"));
    for (let n = 0; n < 18; n++) socket.receive(text);
    assertEquals([begun, socket.sent, thrown.map(String)], [1_024, [], [
      'RangeError: Cannot take notification "wait": more than 16777216 characters wait, see limits.held; nor can those that follow',
    ]]);
    socket.receive(request("more", "wait", ["x".repeat(1_000_000)]));
    assertEquals(codes(socket), [-32009]);
  },
);

wholePeer(
  "Notifications that wait when their connection ends are told to the owner once, with how many",
  async (face) => {
    for (const isOurs of [true, false]) {
      await using it = await open(face, {
        local: { wait: () => new Promise(() => {}) },
      });
      const { peer, socket, thrown } = it;
      for (let id = 0; id < 1_024; id++) socket.receive(request(id, "wait"));
      socket.receive(request("more", "wait"));
      for (let n = 0; n < 3; n++) {
        socket.receive({ jsonrpc: "2.0", method: "wait" });
      }
      assertEquals(thrown, []);
      if (isOurs) peer.close();
      else socket.end();
      assertEquals(thrown.map(String), [
        "ConnectionClosedError: Cannot take 3 notifications: the connection is closed (code 1000)",
      ]);
    }
  },
);

eachPeer(
  "Calls beyond those in flight wait for their turn, in their order",
  async (face) => {
    await using it = await open(face);
    const { peer, socket } = it;
    const controller = new AbortController();
    const { signal } = controller;
    const calls = Array.from({ length: 1_024 }, () => peer.request("first"));
    assertEquals(socket.take().length, 1_024);
    const a = peer.request("a");
    const given = assertRejects(
      () => peer.request("given up", [], { signal }),
      DOMException,
    );
    // Made after a call, it doesn't overtake it.
    assertEquals(peer.notify("b"), true);
    const c = peer.request("c");
    assertEquals(socket.sent, []);
    controller.abort();
    await given;
    // A stream's questions, and calls to what was lent, wait for nobody.
    const question = peer.request("$/enumerator/next", { token: 1 });
    const back = peer.request("$/invokeProxy/1/invoke");
    assertEquals(methods(socket), [
      "$/enumerator/next",
      "$/invokeProxy/1/invoke",
    ]);
    socket.receive(result(1_028, 1));
    socket.receive(result(1_029, 2));
    assertEquals(await Promise.all([question, back]), [1, 2]);
    // Nor do they leave a place to others.
    assertEquals(socket.sent, []);
    socket.receive(result(7, "seventh"));
    assertEquals(methods(socket), ["a", "b"]);
    socket.receive(result(8, "eighth"));
    assertEquals(methods(socket), ["c"]);
    for (let id = 1; id <= 1_027; id++) socket.receive(result(id, id));
    assertEquals(await Promise.all([a, c]), [1_025, 1_027]);
    assertEquals((await Promise.all(calls))[6], "seventh");
    assert(peer.notify("d"));
    assertEquals(methods(socket), ["d"]);
  },
);

eachPeer("Peer carries 5,000 calls at once by its defaults", async (face) => {
  let most = 0;
  let running = 0;
  const [one, other] = pair(face, {
    local: {
      async square(n: number) {
        most = Math.max(most, ++running);
        await settle();
        running--;
        return n * n;
      },
    },
  });
  const numbers = Array.from({ length: 5_000 }, (_, n) => n);
  // Most of them before there is a connection.
  const calls = numbers.map((n) => other.request("square", [n]));
  await other.opened;
  const more = numbers.map((n) => other.request("square", [n]));
  const squares = numbers.map((n) => n * n);
  assertEquals(await Promise.all(calls), squares);
  assertEquals(await Promise.all(more), squares);
  assertEquals(most, 1_024);
  one.close();
  await other.closed;
});

eachPeer(
  "A socket that answers from within send is answered call by call",
  async (face) => {
    await using it = await open(face);
    const { peer, socket } = it;
    const calls = Array.from(
      { length: 20_000 },
      (_, n) => peer.request("m", [n]),
    );
    socket.onsend = (text) => {
      const { id } = JSON.parse(text);
      socket.receive(result(id, id));
    };
    socket.receive(result(1, 1));
    for (let id = 2; id <= 1_024; id++) socket.receive(result(id, id));
    assertEquals(await Promise.all(calls), calls.map((_, n) => n + 1));
  },
);

eachPeer("A call that waits for its turn takes its time", async (face) => {
  using time = new FakeTime();
  await using it = await open(face);
  const { peer, socket } = it;
  const options = { timeout: Infinity };
  const calls = Array.from(
    { length: 1_024 },
    () => peer.request("m", [], options),
  );
  const waits = assertRejects(
    () => peer.request("waits", [], { timeout: 5_000 }),
    DOMException,
    'Cannot send request "waits" within 5000 ms: it waits for one of 1024 in flight to be answered',
  );
  const next = peer.request("next", [], options);
  await time.flow(5_500);
  await waits;
  socket.take();
  socket.receive(result(3, "third"));
  assertEquals(methods(socket), ["next"]);
  const lost = assertRejects(
    () => peer.request("lost"),
    ConnectionClosedError,
  );
  peer.close();
  const error = await lost;
  assertEquals(error.sent, false);
  for (const call of [next, ...calls]) await call.catch(() => {});
});

eachPeer("What waits for its turn is bounded", async (face) => {
  await using it = await open(face);
  const { peer } = it;
  for (let n = 0; n <= 1_024; n++) peer.request("m").catch(() => {});
  const controller = new AbortController();
  const { signal } = controller;
  const given = assertRejects(
    () => peer.request("m", [], { signal }),
    DOMException,
  );
  for (let n = 2; n < 65_536; n++) assert(peer.notify("n"));
  assertEquals(peer.notify("n"), false);
  await assertRejects(
    () => peer.request("m"),
    RangeError,
    'Cannot send request "m": 65536 of at most 65536 messages wait for one of 1024 in flight to be answered, see limits.queued',
  );
  controller.abort();
  await given;
  assert(peer.notify("n"));
  assertEquals(peer.notify("n"), false);
});

eachPeer("What waits for a connection of a peer is bounded", async (face) => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = face.peer(socket);
  const controller = new AbortController();
  const { signal } = controller;
  const given = assertRejects(
    () => peer.request("m", [], { signal }),
    DOMException,
  );
  for (let n = 1; n < 65_536; n++) assert(peer.notify("m"));
  assertEquals(peer.notify("m"), false);
  await assertRejects(
    () => peer.request("m"),
    RangeError,
    'Cannot send request "m": 65536 of at most 65536 messages wait for the handshake, see limits.queued',
  );
  controller.abort();
  await given;
  assert(peer.notify("last")); // In the place of the one that was given up.
  socket.open();
  assertEquals(socket.take().length, 65_536);
  peer.close();
  socket.end();
  await peer.closed;

  const other = new ScriptedSocket(ReadyState.Connecting);
  const long = face.peer(other);
  const text = "x".repeat(1_000_000);
  for (let n = 0; n < 16; n++) assert(long.notify("m", [text]));
  assertEquals(long.notify("m", [text]), false);
  long.close();
  other.end();
  await long.closed;
});

async function* counted(to: number): AsyncGenerator<number> {
  for (let n = 1; n <= to; n++) yield n;
}

eachPeer(
  "Peer holds 1,000 streams, and 1,000 functions of the other side",
  async (face) => {
    const [one, other] = pair(face, {
      local: { count: () => counted(3), get: (n: number) => () => n },
    });
    const numbers = Array.from({ length: 1_000 }, (_, n) => n);
    const streams = numbers.map(() =>
      stream(other.remote["count"]!())[Symbol.asyncIterator]()
    );
    const first = await Promise.all(streams.map((stream) => stream.next()));
    assert(first.every(({ value }) => value === 1));
    const functions = await Promise.all(
      numbers.map((n) => other.request("get", [n])),
    ) as (() => Promise<number>)[];
    assertEquals(await Promise.all(functions.map((fn) => fn())), numbers);
    one.close();
    await other.closed;
  },
);

eachPeer(
  "Calls that lend much wait until what others were lent is let go of",
  async (face) => {
    await using it = await open(face);
    const { peer, socket } = it;
    const lend = (n: number): Promise<unknown> =>
      peer.request("m", Array.from({ length: n }, () => () => {}));
    const calls = [lend(1_000), lend(25), lend(24), lend(1_024)];
    // Who lends nothing passes by those that wait for that.
    const plain = peer.request("plain");
    assert(peer.notify("noted"));
    assertEquals(methods(socket), ["m", "plain", "noted"]);
    using kept = marshal(() => {}, { lifetime: "explicit" });
    const keeper = peer.request("keep", [kept]);
    socket.receive(result(1, 1));
    assertEquals(methods(socket), ["m", "m"]);
    socket.receive(result(2, 2));
    assertEquals(socket.sent, []);
    socket.receive(result(3, 3));
    assertEquals(methods(socket), ["m"]);
    socket.receive(result(4, 4));
    assertEquals(methods(socket), ["keep"]);
    socket.receive(result(5, 5));
    socket.receive(result(6, 6));
    assertEquals(await Promise.all([...calls, plain, keeper]), [
      1,
      2,
      3,
      4,
      5,
      6,
    ]);
    // Its place is free when it is let go of, by either side.
    const last = lend(1_024);
    assertEquals(socket.sent, []);
    socket.receive(notification("$/releaseMarshaledObject", {
      handle: 2_074,
      ownedBySender: false,
    }));
    assertEquals(methods(socket), ["m"]);
    socket.receive(result(7, 7));
    assertEquals(await last, 7);
  },
);

eachPeer(
  "Peer carries 3,000 calls of a function at once, beside as many of its own",
  async (face) => {
    const gate = Promise.withResolvers<void>();
    let most = 0;
    let running = 0;
    const [one, other] = pair(face, {
      local: {
        wait: () => gate.promise,
        each: (visit: (n: number) => Promise<number>) =>
          Promise.all(Array.from({ length: 3_000 }, (_, n) => visit(n))),
      },
    });
    // They take all places but one.
    const waiting = Array.from({ length: 1_023 }, () => other.request("wait"));
    const visit = async (n: number): Promise<number> => {
      most = Math.max(most, ++running);
      await settle();
      running--;
      return n;
    };
    const visited = await other.request("each", [visit]) as number[];
    assertEquals(visited, visited.map((_, n) => n));
    assertEquals([visited.length, most], [3_000, 1_024]);
    gate.resolve();
    await Promise.all(waiting);
    one.close();
    await other.closed;
  },
);

wholePeer(
  "What was lent is called though as many methods run as may",
  async (face) => {
    const incoming = face.most("incoming", 2);
    const gate = Promise.withResolvers<string>();
    await using it = await open(face, {
      limits: { incoming },
      local: { wait: () => gate.promise },
    });
    const { socket, peer } = it;
    peer.request("m", [() => gate.promise]).catch(() => {});
    for (let id = 1; id <= incoming; id++) socket.receive(request(id, "wait"));
    const call = (id: string): void =>
      socket.receive(request(id, "$/invokeProxy/1/invoke"));
    for (let id = 1; id <= incoming; id++) call(`${id}`);
    assertEquals(methods(socket), ["m"]);
    call("busy");
    socket.receive(request("waits", "wait"));
    assertEquals(codes(socket), [-32009]);
    gate.resolve("done");
    await settle();
    assertEquals(socket.take().length, 2 * incoming + 1);
    call("again");
    await settle();
    assertEquals(socket.take(), [result("again", "done")]);
    socket.receive(request("and again", "wait"));
    await settle();
    assertEquals(socket.take(), [result("and again", "done")]);
  },
);

eachPeer(
  "Calls of what was lent that wait for their turn are over with the connection",
  async (face) => {
    const outgoing = face.most("outgoing", 2);
    await using it = await open(face, {
      limits: { outgoing },
      local: {
        take: (fn: () => Promise<unknown>) =>
          void Array.from({ length: outgoing + 3 }, () => calls.push(fn())),
      },
    });
    const calls: Promise<unknown>[] = [];
    it.socket.receive(
      request(1, "take", [{ __jsonrpc_marshaled: 1, handle: 1 }]),
    );
    assertEquals(it.socket.take().length, outgoing + 1);
    it.peer.close();
    for (const call of calls) {
      const error = await assertRejects(() => call, ConnectionClosedError);
      assertEquals(error.sent, calls.indexOf(call) < outgoing);
    }
  },
);

eachPeer(
  "Calls that wait to lend keep no place from others, nor their order from each other",
  async (face) => {
    using time = new FakeTime();
    await using it = await open(face);
    const { peer, socket } = it;
    const lend = (method: string, n: number): Promise<unknown> =>
      peer.request(method, Array.from({ length: n }, () => () => {}));
    const first = lend("first", 1_000);
    const waits = [lend("a", 100), lend("b", 1), lend("c", 1)];
    const [given, ...others] = waits.map((call) =>
      call.catch((error: Error) => error.message)
    );
    const plain = Array.from({ length: 1_100 }, () => peer.request("plain"));
    const behind = peer.request("behind");
    assertEquals(socket.take().length, 1_024);
    for (let id = 5; id <= 1_105; id++) socket.receive(result(id, "plain"));
    assertEquals(methods(socket).length, 78);
    await Promise.all(plain);
    // What the peer keeps asking for is alive; what waits for it is not.
    for (let n = 0; n < 2; n++) {
      await time.flow(35_000);
      socket.receive(notification("$/progress", { token: 1, value: n }));
    }
    assertEquals(
      await given,
      'Cannot send request "a" within 60000 ms: it waits for what was lent to be let go of',
    );
    await Promise.all(others);
    const last = [lend("d", 20), lend("e", 24), lend("f", 4)];
    assertEquals(methods(socket), ["d"]);
    socket.receive(result(1, "first"));
    assertEquals(methods(socket), ["e", "f"]);
    for (const id of [1_106, 1_107, 1_108]) socket.receive(result(id, id));
    await Promise.all([first, behind, ...last]);
  },
);
