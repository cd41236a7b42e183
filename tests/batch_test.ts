import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConnectionClosedError, Peer } from "../mod.ts";
import { ReadyState } from "../src/line/socket.ts";
import { whole } from "./faces.ts";
import { request, result, ScriptedSocket, settle } from "./scripted_socket.ts";
import { Endless, type Frame, lab, open, take } from "./stage.ts";

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
      { __jsonrpc_marshaled: 1, handle: 1, lifetime: "call" },
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
  const limits = { messageRate: 1, messageBurst: 2 };
  let count = 0;
  await using it = lab<Peer>(whole, {
    limits,
    local: { count: () => ++count },
  });
  it.socket.open();
  it.socket.receive([1, 2, 3, 4, 5].map((id) => request(id, "count")));
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
  const limits = { messageRate: 1, messageBurst: 2 };
  await using it = lab<Peer>(whole, {
    limits,
    local: { slow: () => (runs++, promise) },
  });
  it.socket.open();
  it.socket.receive([1, 2, 3, 4].map((id) => request(id, "slow")));
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
