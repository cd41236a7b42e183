import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConnectionClosedError, Peer, RpcError } from "../mod.ts";
import { ReadyState } from "../src/line/socket.ts";
import { whole } from "./faces.ts";
import { request, result, ScriptedSocket, settle } from "./scripted_socket.ts";
import { Endless, type Frame, lab, open, pair, take } from "./stage.ts";

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

  await using it = await open<Peer>(whole);
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
  await using it = await open<Peer>(whole);
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

Deno.test("Peer rejects the calls of a batch that send throws on", async () => {
  const broken = new Error("broken");
  await using it = await open<Peer>(whole);
  it.socket.sendError = broken;
  const member = it.peer.batch(() => it.peer.request("m"));
  const batched = await assertRejects(() => member, ConnectionClosedError);
  assertEquals([batched.sent, batched.cause], [false, broken]);
});

Deno.test("A batch that waited for the handshake carries references and streams", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket);
  const values = new Endless();
  const [call] = peer.batch(() => [peer.request("m", [() => 1, values])]);
  socket.open();
  assertEquals(socket.take(), [[
    request(1, "m", [
      { __jsonrpc_marshaled: 1, handle: 1, lifetime: "explicit" },
      { token: 1 },
    ]),
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

Deno.test("connect goes on after a batch that says too much in one go", async () => {
  const limits = { messageRate: 1, messageBurst: 2, batchMembers: 2_000 };
  let count = 0;
  await using it = lab<Peer>(whole, {
    limits,
    local: { count: () => ++count },
  });
  it.socket.open();
  it.socket.receive(
    Array.from({ length: 1_100 }, (_, id) => request(id, "count")),
  );
  assertEquals([count, it.client.state, it.log.length], [2, "connecting", 2]);
  assertEquals(it.socket.closes.map(({ code }) => code), [4429]);
  await it.time.pass(250);
  assertEquals(it.sockets.length, 2);
});

Deno.test("A batch is rejected with its connection, and told whether it was sent", async () => {
  await using it = lab<Peer>(whole);
  it.socket.open();
  const sent = assertRejects(
    () => it.client.request("sent"),
    ConnectionClosedError,
  );
  const batched = it.client.batch(() => [it.client.request("batched")]);
  const rejected = assertRejects(() => batched[0]!, ConnectionClosedError);
  it.socket.end(1006, "", false);
  for (const error of [await sent, await rejected]) {
    assertEquals([error.sent, error.idempotent], [true, false]);
    assertEquals(error.retryIn, 250);
  }
});

Deno.test("Peer executes nothing more of a batch whose connection was lost", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  let runs = 0;
  const limits = { messageRate: 1, messageBurst: 2, batchMembers: 2_000 };
  await using it = lab<Peer>(whole, {
    limits,
    local: { slow: () => (runs++, promise) },
  });
  it.socket.open();
  it.socket.receive(
    Array.from({ length: 1_100 }, (_, id) => request(id, "slow")),
  );
  assertEquals([it.client.state, runs], ["connecting", 2]);
  await it.time.pass(2_000);
  it.socket.open();
  resolve("nobody's");
  await it.time.pass(0);
  assertEquals(it.socket.sent, []);
  it.socket.receive(request(3, "slow"));
  await it.time.pass(0);
  assertEquals(it.socket.take(), [result(3, "nobody's")]);
});

Deno.test("batch waits with the calls that are made meanwhile, in their order", async () => {
  await using it = lab<Peer>(whole);
  it.socket.open();
  it.socket.end(1006);
  const first = it.client.request("a");
  it.client.batch(() => {
    it.client.request("b").catch(() => {});
    it.client.notify("c");
  });
  it.client.notify("d");
  await it.time.pass(250);
  it.socket.open();
  const [a, batched, d] = it.socket.take() as [Frame, [Frame, Frame], Frame];
  const names = [a, ...batched, d].map(({ method }) => method);
  assertEquals(names, ["a", "b", "c", "d"]);
  it.socket.receive(result(1, 7));
  assertEquals(await first, 7);
});

Deno.test("batch waits while a connection is closing that will be replaced", async () => {
  await using it = lab<Peer>(whole);
  it.socket.open();
  it.socket.readyState = ReadyState.Closing;
  const [batched] = it.client.batch(() => [it.client.request("c")]);
  it.socket.end(1012);
  await it.time.pass(250);
  it.socket.open();
  assertEquals([it.sockets[0]!.sent, it.socket.take().length], [[], 1]);
  it.socket.receive([result(1, 2)]);
  assertEquals(await batched, 2);
});

Deno.test("batch leaves in several frames where it is too much for one", async () => {
  await using it = await open<Peer>(whole, { limits: { sentLength: 200 } });
  const { socket, peer } = it;
  const lengths = (): [number, number][] =>
    socket.sent.splice(0).map((
      text,
    ) => [text.length, [JSON.parse(text)].flat().length]);
  const note = '{"jsonrpc":"2.0","method":"n","params":[""]}'.length;
  const send = (...lengths: number[]): void =>
    peer.batch(() => {
      for (const length of lengths) {
        peer.notify("n", ["x".repeat(length - note)]);
      }
    });
  send(98, 99);
  assertEquals(lengths(), [[200, 2]]);
  send(99, 99);
  assertEquals(lengths(), [[101, 1], [101, 1]]);
  // As long as a message may be, it has no room for brackets.
  send(198, 199, 200, 50);
  assertEquals(lengths(), [[200, 1], [199, 1], [200, 1], [52, 1]]);
  peer.batch(() => {
    for (let n = 0; n < 500; n++) peer.notify("n");
  });
  assertEquals(lengths().length > 5, true);

  await using none = await open<Peer>(whole, { limits: { batchMembers: 0 } });
  assertThrows(
    () => none.peer.batch(() => void none.peer.notify("n")),
    RangeError,
    "Cannot send batch: it has 1 of at most 0 members, see limits.batchMembers",
  );
});

Deno.test("batch waits for the places of all its calls, and others behind it", async () => {
  await using it = await open<Peer>(whole);
  const { socket, peer } = it;
  const calls = peer.batch(() =>
    Array.from({ length: 1_100 }, (_, n) => peer.request("m", [n]))
  );
  const last = peer.request("last");
  const frames = socket.take() as Frame[][];
  assertEquals(frames.map(({ length }) => length), Array(10).fill(100));
  for (let id = 1; id <= 75; id++) socket.receive(result(id, id));
  assertEquals(socket.sent, []);
  socket.receive(result(76, 76));
  const [more] = socket.take() as Frame[][];
  assertEquals(more!.length, 100);
  socket.receive(result(77, 77));
  assertEquals(take(socket).map(({ method }) => method), ["last"]);
  for (let id = 78; id <= 1_101; id++) socket.receive(result(id, id));
  assertEquals(await Promise.all(calls), calls.map((_, n) => n + 1));
  assertEquals(await last, 1_101);
});

Deno.test("batch that waits for its turn goes without what was given up", async () => {
  await using it = await open<Peer>(whole, { limits: { outgoing: 2 } });
  const { socket, peer } = it;
  const controller = new AbortController();
  const { signal } = controller;
  const first = [peer.request("a"), peer.request("b")];
  const batched = peer.batch(() => [
    peer.request("c"),
    peer.request("d", [], { signal }).catch((error: Error) => error.name),
    peer.request("e"),
  ]);
  assertEquals(take(socket).map(({ method }) => method), ["a", "b"]);
  controller.abort();
  assertEquals(await batched[1], "AbortError");
  assertEquals(socket.sent, []);
  socket.receive(result(1, 1));
  const names = (socket.take() as Frame[][]).map((frame) =>
    frame.map(({ method }) => method)
  );
  assertEquals(names, [["c"]]);
  socket.receive(result(2, 2));
  assertEquals(socket.take(), [[{ jsonrpc: "2.0", method: "e", id: 5 }]]);
  socket.receive(result(3, 3));
  socket.receive(result(5, 5));
  assertEquals(await Promise.all([...first, batched[0], batched[2]]), [
    1,
    2,
    3,
    5,
  ]);
});

Deno.test("An error without an id is about what was sent, not about what waits", async () => {
  await using it = await open<Peer>(whole, { limits: { outgoing: 2 } });
  const { socket, peer } = it;
  const unreadable = { jsonrpc: "2.0", error: { code: -32600, message: "No" } };
  const sent = assertRejects(() => peer.request("sent"), RpcError, "No");
  const [a, b] = peer.batch(() => [peer.request("a"), peer.request("b")]);
  const last = peer.request("last");
  assertEquals(take(socket).map(({ method }) => method), ["sent"]);
  socket.receive({ ...unreadable, id: null });
  await sent;
  assertEquals((socket.take() as Frame[][])[0]!.length, 2);
  socket.receive([result(2, 2), result(3, 3)]);
  socket.receive(result(4, 4));
  assertEquals(await Promise.all([a, b, last]), [2, 3, 4]);
});

Deno.test("batch carries 5,000 calls by the defaults of both sides", async () => {
  let running = 0;
  let most = 0;
  const [one, other] = pair(whole, {
    local: {
      async square(n: number) {
        most = Math.max(most, ++running);
        await settle();
        running--;
        return n * n;
      },
    },
  });
  const client = other as Peer;
  const numbers = Array.from({ length: 5_000 }, (_, n) => n);
  const squares = client.batch(() =>
    numbers.map((n) => client.request("square", [n]))
  );
  assertEquals(await Promise.all(squares), numbers.map((n) => n * n));
  // Ten batches of a hundred, and no eleventh.
  assertEquals(most, 1_000);
  one.close();
  await other.closed;
});
