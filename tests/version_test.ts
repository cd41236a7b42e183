/**
 * The versions of JSON-RPC on one connection: 2.0, 1.0 and bare, and the frames
 * of the original jsonrpcws as they were on its wire.
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Peer, RpcError } from "../mod.ts";
import {
  openScripted as open,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";

const local = {
  echo: (value: unknown) => value,
  refuse: () => {
    throw new RpcError(1, "No", { why: "because" });
  },
};

Deno.test("Peer answers each message in its own version", async () => {
  await using it = await open({ local });
  const { socket, peer } = it;
  socket.receive('{"jsonrpc":"2.0","method":"echo","params":[1],"id":1}');
  socket.receive('{"id":2,"method":"echo","params":[2]}');
  socket.receive('{"jsonrpc":"2.0","method":"refuse","id":3}');
  socket.receive('{"id":4,"method":"refuse","params":[]}');
  socket.receive('{"id":5,"method":"unknown","params":[]}');
  socket.receive('{"id":null,"method":"echo","params":[6]}');
  assertEquals(socket.sent.splice(0), [
    '{"jsonrpc":"2.0","result":1,"id":1}',
    '{"id":2,"result":2,"error":null}',
    '{"jsonrpc":"2.0","error":{"code":1,"message":"No","data":{"why":"because"}},"id":3}',
    '{"id":4,"result":null,"error":{"code":1,"message":"No","data":{"why":"because"}}}',
    '{"id":5,"result":null,"error":{"code":-32601,"message":"Method not found"}}',
  ]);
  // The first message decided what it sends of itself.
  assertEquals(peer.version, "2.0");
});

Deno.test("Peer in 1.0 takes an error with id null for its only call's, though it gave another up", async () => {
  await using it = await open({ local, version: "1.0" });
  const { socket, peer } = it;
  const controller = new AbortController();
  const { signal } = controller;
  const given = peer.request("slow", [], { signal });
  controller.abort();
  await assertRejects(() => given, DOMException);
  const call = peer.request("echo", [1]);
  socket.receive(
    '{"id":null,"result":null,"error":{"code":-32600,"message":"No"}}',
  );
  await assertRejects(() => call, RpcError, "No");
});

Deno.test("Peer adopts 1.0 when the first message is one of 1.0, unless it was told", async () => {
  await using it = await open({ local });
  const { socket, peer } = it;
  peer.notify("before");
  socket.receive('{"id":null,"method":"echo","params":[]}');
  assertEquals(peer.version, "1.0");
  peer.notify("joinpart");
  peer.notify("message", ["ann", "hello"]);
  const call = peer.request("clients");
  assertEquals(socket.sent.splice(0), [
    '{"jsonrpc":"2.0","method":"before"}',
    '{"id":null,"method":"joinpart","params":[]}',
    '{"id":null,"method":"message","params":["ann","hello"]}',
    '{"id":1,"method":"clients","params":[]}',
  ]);
  socket.receive('{"id": 1, "result": ["ann"], "error": null}');
  assertEquals(await call, ["ann"]);
  await assertRejects(
    () => peer.request("m", { by: "name" }),
    TypeError,
    "JSON-RPC 1.0 has no params by name",
  );

  await using told = await open({ local, version: "2.0" });
  told.socket.receive('{"id":1,"method":"echo","params":[1]}');
  told.peer.notify("n");
  assertEquals(told.socket.sent, [
    '{"id":1,"result":1,"error":null}',
    '{"jsonrpc":"2.0","method":"n"}',
  ]);
});

Deno.test("Peer of version bare writes nothing but what 2.0 does without jsonrpc", async () => {
  await using it = await open({ local, version: "bare" });
  const { socket, peer } = it;
  const call = peer.request("Runtime.evaluate", { expression: "1" });
  peer.notify("n");
  socket.receive('{"id":1,"result":{"value":1}}');
  socket.receive('{"method":"echo","params":{"a":1}}');
  socket.receive('{"method":"echo","params":{"a":1},"id":7}');
  socket.receive('{"method":"refuse","id":8}');
  socket.receive("nonsense");
  assertEquals(await call, { value: 1 });
  assertEquals(socket.sent, [
    '{"method":"Runtime.evaluate","params":{"expression":"1"},"id":1}',
    '{"method":"n"}',
    '{"result":{"a":1},"id":7}',
    '{"error":{"code":1,"message":"No","data":{"why":"because"}},"id":8}',
    '{"error":{"code":-32700,"message":"Parse error"},"id":null}',
  ]);
});

Deno.test("Peer of version 1.0 closes on what is no message", async () => {
  for (
    const text of ["nonsense", "{}", '{"id":1,"method":5,"params":[]}', "[]"]
  ) {
    const socket = new ScriptedSocket();
    const peer = new Peer(socket, { local, version: "1.0" });
    await settle();
    socket.receive(text);
    assertEquals(socket.sent, []);
    assertEquals(socket.closes[0]?.code, 4400, text);
    socket.end();
    assertEquals((await peer.closed).code, 4400);
  }
  await using it = await open({ local, version: "1.0" });
  it.socket.receive("");
  assertEquals(it.socket.closes, []);
});

Deno.test("Peer of version bare sends the calls of a batch one by one", async () => {
  await using it = await open({ version: "bare" });
  const { socket, peer } = it;
  const calls = peer.batch(() => [peer.request("a"), peer.request("b")]);
  assertEquals(socket.sent, ['{"method":"a","id":1}', '{"method":"b","id":2}']);
  socket.receive('{"id":2,"result":"b"}');
  socket.receive('{"id":1,"result":"a"}');
  assertEquals(await Promise.all(calls), ["a", "b"]);
});

Deno.test("Peer of version 1.0 sends the calls of a batch one by one", async () => {
  await using it = await open({ version: "1.0" });
  const { socket, peer } = it;
  const calls = peer.batch(() => [peer.request("a"), peer.request("b", [1])]);
  assertEquals(socket.sent, [
    '{"id":1,"method":"a","params":[]}',
    '{"id":2,"method":"b","params":[1]}',
  ]);
  socket.receive('{"id":2,"result":"b","error":null}');
  socket.receive('{"id":1,"result":"a","error":null}');
  assertEquals(await Promise.all(calls), ["a", "b"]);
});

Deno.test("Peer of version 1.0 queues the calls of a batch all or none", async () => {
  const socket = new ScriptedSocket(0);
  const peer = new Peer(socket, { version: "1.0", limits: { queued: 3 } });
  peer.notify("first");
  const send = (count: number): void =>
    peer.batch(() => {
      for (let n = 0; n < count; n++) peer.notify("batch");
    });
  assertThrows(() => send(3), RangeError, "1 of at most 3 messages wait");
  send(2);
  socket.open();
  assertEquals(
    socket.take().map((frame) => (frame as { method: string }).method),
    ["first", "batch", "batch"],
  );
  peer.close();
  socket.end();
  await peer.closed;
});

Deno.test("Peer writes 1.0 errors as strings where it is asked to", async () => {
  await using it = await open({ local, stringErrors: true });
  it.socket.receive('{"id":1,"method":"refuse","params":[]}');
  it.socket.receive('{"jsonrpc":"2.0","method":"unknown","id":2}');
  assertEquals(it.socket.sent, [
    '{"id":1,"result":null,"error":"No"}',
    '{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":2}',
  ]);
});

Deno.test("Peer reads 1.0 errors in any shape", async () => {
  await using it = await open({ version: "1.0" });
  const { socket, peer } = it;
  const calls = Promise.allSettled([1, 2, 3].map(() => peer.request("m")));
  socket.receive('{"id":1,"result":null,"error":"No"}');
  socket.receive('{"id":2,"result":null,"error":{"code":5,"message":"No"}}');
  socket.receive('{"id":3,"result":0,"error":null}');
  const [text, object, success] = await calls;
  assertEquals(
    String(text?.status === "rejected" && text.reason),
    "RpcError: No",
  );
  assertEquals(
    object?.status === "rejected" && (object.reason as RpcError).code,
    5,
  );
  assertEquals(success, { status: "fulfilled", value: 0 });
});
