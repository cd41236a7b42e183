/**
 * A peer opposite a scripted one: frames that no well-behaved peer sends, events
 * that no well-behaved runtime tells, and what must be left undisturbed.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type CloseInfo,
  ConnectionClosedError,
  Peer,
  type PeerOptions,
  RpcError,
} from "../mod.ts";
import { mock } from "node:test";
import { ReadyState } from "../src/line/socket.ts";
import {
  failure,
  openScripted as open,
  request,
  result,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";

Deno.test("Peer refuses a second request with an id in flight, the first undisturbed", async () => {
  const { promise: gate, resolve: openGate } = Promise.withResolvers<string>();
  let executed = 0;
  await using it = await open({
    local: {
      slow: () => (executed++, gate),
      sync: () => "sync",
    },
  });
  const { socket } = it;
  socket.receive(request("a", "slow"));
  socket.receive(request("a", "sync"));
  socket.receive(request(1, "slow"));
  socket.receive(request("1", "slow"));
  socket.receive(request(1, "slow"));
  assertEquals(socket.take(), [
    failure(null, -32600, 'Invalid Request: id "a" is in flight'),
    failure(null, -32600, "Invalid Request: id 1 is in flight"),
  ]);
  openGate("done");
  await settle();
  assertEquals(socket.take(), [
    result("a", "done"),
    result(1, "done"),
    result("1", "done"),
  ]);
  assertEquals(executed, 3);
  socket.receive(request("a", "sync"));
  assertEquals(socket.take(), [result("a", "sync")]);
});

Deno.test("Peer refuses two equal ids in one batch, the first undisturbed", async () => {
  await using it = await open({ local: { echo: (value: unknown) => value } });
  const { socket } = it;
  socket.receive([request(1, "echo", ["a"]), request(1, "echo", ["b"])]);
  assertEquals(socket.take(), [[
    result(1, "a"),
    failure(null, -32600, "Invalid Request: id 1 is in flight"),
  ]]);
});

Deno.test("Peer keeps a batch's ids taken until the batch is answered", async () => {
  const { promise: gate, resolve: openGate } = Promise.withResolvers<string>();
  await using it = await open({
    local: { slow: () => gate, sync: () => "sync" },
  });
  const { socket } = it;
  socket.receive([request(1, "sync"), request(2, "slow"), request(null, "m")]);
  socket.receive(request(1, "sync"));
  socket.receive([request(1, "sync")]);
  const refusal = failure(null, -32600, "Invalid Request: id 1 is in flight");
  assertEquals(socket.take(), [refusal, [refusal]]);
  // Nor does a cancel change what is answered already.
  socket.receive({
    jsonrpc: "2.0",
    method: "$/cancelRequest",
    params: { id: 1 },
  });
  openGate("done");
  await settle();
  assertEquals(socket.take(), [[
    result(1, "sync"),
    failure(null, -32601, "Method not found"),
    result(2, "done"),
  ]]);
  socket.receive([request(1, "sync")]);
  socket.receive(request(2, "sync"));
  assertEquals(socket.take(), [[result(1, "sync")], result(2, "sync")]);
});

Deno.test("Peer refuses what is invalid with id null while its id is in flight", async () => {
  const { promise: gate, resolve: openGate } = Promise.withResolvers<string>();
  await using it = await open({ local: { slow: () => gate } });
  const { socket } = it;
  const invalid = { jsonrpc: "2.0", method: "slow", params: 5, id: 1 };
  socket.receive(invalid);
  socket.receive(request(1, "slow"));
  socket.receive(invalid);
  socket.receive([invalid]);
  const message = "Invalid Request: params must be an array or an object";
  assertEquals(socket.take(), [
    failure(1, -32600, message),
    failure(null, -32600, message),
    [failure(null, -32600, message)],
  ]);
  openGate("done");
  await settle();
  assertEquals(socket.take(), [result(1, "done")]);
});

Deno.test("Peer answers requests with id null, several at a time", async () => {
  const { promise: gate, resolve: openGate } = Promise.withResolvers<string>();
  await using it = await open({ local: { slow: () => gate } });
  const { socket } = it;
  socket.receive(request(null, "slow"));
  socket.receive(request(null, "slow"));
  socket.receive(request(null, "unknown"));
  openGate("done");
  await settle();
  assertEquals(socket.take(), [
    failure(null, -32601, "Method not found"),
    result(null, "done"),
    result(null, "done"),
  ]);
});

Deno.test("Peer answers every wrong id with id null", async () => {
  await using it = await open({ local: { echo: () => 1 } });
  const { socket } = it;
  for (
    const id of ["{}", "[]", "[1]", "true", "9007199254740993", '{"a":[]}']
  ) {
    socket.receive(`{"jsonrpc":"2.0","method":"echo","id":${id}}`);
    const [answer, ...rest] = socket.take() as { id: unknown }[];
    assertEquals([answer?.id, rest], [null, []], id);
  }
  for (const id of [0, -1, 1.5, "", "1", 1]) {
    socket.receive(request(id, "echo"));
    assertEquals(socket.take(), [result(id, 1)]);
  }
});

Deno.test("Peer answers an id that can't be read exactly with id null, wherever its digits stand otherwise", async () => {
  await using it = await open({ local: { echo: () => 1 } });
  const { socket } = it;
  const big = "9007199254740992";
  const rows: [members: string, id: number | null][] = [
    // What is written twice alike is safe, two that are read alike are not.
    [`"id":${big},"params":{"id":${big}}`, 2 ** 53],
    [`"id":9007199254740993,"params":{"id":${big}}`, null],
    [`"id":${big},"params":{"id":9007199254740993}`, null],
    [`"id":2.5,"params":{"id":1.50}`, 2.5],
    [`"id":2.5,"params":{"id":2.50}`, null],
    // A text with a member in it is no member.
    [`"id":2.5,"params":[${JSON.stringify('"id":2.50')}]`, 2.5],
    // What is written as this side would write it.
    [`"id":1.5e+300`, 1.5e300],
    [`"id":1.5e300`, null],
    [`"id" : 2.5`, 2.5],
    // Its key is in disguise.
    [`"\\u0069d":9007199254740993`, null],
    // What is exact is not to blame for others.
    [`"id":7,"params":{"id":2.50}`, 7],
  ];
  for (const [members, id] of rows) {
    socket.receive(`{"jsonrpc":"2.0","method":"echo",${members}}`);
    const [answer] = socket.take() as [{ id: unknown; result?: unknown }];
    assertEquals([answer.id, "result" in answer], [id, id !== null], members);
  }
});

Deno.test("Peer answers neither responses nor errors without an id, two peers would loop", async () => {
  const thrown: unknown[] = [];
  await using it = await open({ onerror: (error) => void thrown.push(error) });
  const { socket, peer } = it;
  const frames = [
    result(1, 1),
    result("x", 1),
    result(null, 1),
    { id: 5, result: null, error: null },
    failure(99, -32600, "no"),
    [result(1, 1), failure(2, 1, "no")],
  ];
  for (const frame of frames) socket.receive(frame);
  assertEquals(thrown, []);
  assertEquals(peer.unmatched, 7);
  socket.receive(failure(null, -32700, "Parse error"));
  socket.receive({ jsonrpc: "2.0", error: "no" });
  await settle();
  assertEquals(socket.take(), []);
  assertEquals(thrown.map(String), ["RpcError: Parse error", "RpcError: no"]);
});

Deno.test("Peer ignores and counts 10,000 responses that nobody waits for", async () => {
  await using it = await open();
  const { socket, peer } = it;
  const waiting = peer.request("m");
  for (let n = 0; n < 10_000; n++) socket.receive(result(n + 2, n));
  socket.receive(result("01", "nobody's"));
  socket.receive(result(1, "first"));
  socket.receive(result(1, "second"));
  assertEquals(await waiting, "first");
  assertEquals(peer.unmatched, 10_002);
});

Deno.test("Peer reads sloppy responses", async () => {
  await using it = await open();
  const { socket, peer } = it;
  const ask = (response: object | string): Promise<unknown> => {
    const promise = peer.request("m");
    const [{ id }] = socket.take() as [{ id: number }];
    const text = typeof response === "string"
      ? response
      : JSON.stringify({ ...response, id });
    socket.receive(text.replace("ID", `${id}`));
    return promise;
  };
  assertEquals(await ask({ jsonrpc: "2.0", result: 0, error: null }), 0);
  assertEquals(await ask({ result: false }), false);
  assertEquals(await ask({ jsonrpc: "2.0", result: "" }), "");
  assertEquals(await ask({ jsonrpc: "2.0" }), undefined);
  assertEquals(await ask('\n{\n  "result": [],\r\n  "id": ID\n}\n\n'), []);
  for (
    const error of ["no", { message: "no" }, {
      code: 1,
      message: "no",
      data: null,
    }]
  ) {
    const rejection = await assertRejects(() => ask({ error }), RpcError);
    assertEquals(rejection.message, "no");
  }
});

Deno.test("Peer reads JSON in binary frames, and answers what is no UTF-8", async () => {
  await using it = await open({ local: { echo: (text: string) => text } });
  const { socket } = it;
  assertEquals(socket.binaryType, "arraybuffer");
  const bytes = new TextEncoder().encode(
    JSON.stringify(request(1, "echo", ["é😀"])),
  );
  socket.receive(bytes.buffer);
  socket.receive(new Uint8Array([0xff, 0xfe, 0x7b]).buffer);
  assertEquals(socket.take(), [
    result(1, "é😀"),
    failure(null, -32700, "Parse error"),
  ]);
});

Deno.test("Peer rejects the only call or the waiting batch on an error without an id", async () => {
  const thrown: unknown[] = [];
  await using it = await open({ onerror: (error) => void thrown.push(error) });
  const { socket, peer } = it;

  const only = peer.request("a");
  socket.receive(failure(null, -32700, "Parse error"));
  await assertRejects(() => only, RpcError, "Parse error");

  // A batch, beside a call that it says nothing about.
  const call = peer.request("b");
  const batch = peer.batch(() => [peer.request("c"), peer.request("d")]);
  socket.receive({ jsonrpc: "2.0", error: { code: -32600, message: "No" } });
  for (const member of batch) await assertRejects(() => member, RpcError, "No");
  socket.receive(result(2, "still mine"));
  assertEquals(await call, "still mine");

  // Of two batches, the one whose other members the same frame answers.
  const first = peer.batch(() => [peer.request("e")]);
  const second = peer.batch(() => [peer.request("f"), peer.request("g")]);
  socket.receive([failure(null, -32600, "No"), result(6, "f")]);
  assertEquals(await second[0], "f");
  await assertRejects(() => second[1]!, RpcError, "No");
  socket.receive([result(5, "e")]);
  assertEquals(await first[0], "e");

  // A peer that answers a notification could read it.
  const innocent = peer.request("not to blame");
  peer.notify("unknown");
  assertEquals(thrown.splice(0), []);
  socket.receive(failure(null, -32601, "Method not found"));
  socket.receive(failure(null, -32602, "Invalid params"));
  // Nor is it clear which of the two one that couldn't means.
  socket.receive(failure(null, -32600, "Invalid Request"));
  assertEquals(thrown.splice(0).length, 3);
  socket.receive(result(8, "innocent"));
  assertEquals(await innocent, "innocent");

  // Once a later call was answered, the notification is accounted for.
  const later = peer.request("later");
  socket.receive(result(9, "later"));
  assertEquals(await later, "later");
  const blamed = peer.request("to blame");
  socket.receive(failure(null, -32600, "No"));
  await assertRejects(() => blamed, RpcError, "No");

  // A batch that is answered has nobody left to reject: it is told, not lost.
  const answered = peer.batch(() => [peer.request("j")]);
  socket.receive([result(11, "j"), failure(null, -32600, "Invalid Request.")]);
  assertEquals(await answered[0], "j");
  assertEquals(thrown.splice(0).length, 1);

  // Among several calls a guess would be a lie to one of them.
  const several = [peer.request("h"), peer.request("i")];
  socket.receive(failure(null, -32600, "Whose?"));
  assertEquals(thrown.map(String), ["RpcError: Whose?"]);
  socket.receive(result(12, "h"));
  socket.receive(result(13, "i"));
  await settle();
  assertEquals(
    await Promise.all(several),
    ["h", "i"].map((_, n) => ["h", "i"][n]),
  );
});

Deno.test("Peer blames no call for an error that came with the answers to a batch", async () => {
  const thrown: unknown[] = [];
  await using it = await open({ onerror: (error) => void thrown.push(error) });
  const { socket, peer } = it;
  const innocent = peer.request("innocent");
  const batch = peer.batch(() => [peer.request("a")]);
  socket.receive([result(2, "a"), failure(null, -32600, "Invalid Request.")]);
  assertEquals(await batch[0], "a");
  assertEquals(thrown.map(String), ["RpcError: Invalid Request."]);
  socket.receive(result(1, "here"));
  assertEquals(await innocent, "here");
});

Deno.test("Peer blames no call for what a peer says of a cancel", async () => {
  const thrown: unknown[] = [];
  await using it = await open({ onerror: (error) => void thrown.push(error) });
  const { socket, peer } = it;
  for (const isBatch of [false, true]) {
    const controller = new AbortController();
    const { signal } = controller;
    const cancelled = assertRejects(
      () => peer.request("slow", [], { signal }),
      DOMException,
    );
    const innocent = isBatch
      ? peer.batch(() => peer.request("innocent"))
      : peer.request("innocent");
    controller.abort();
    await cancelled;
    socket.take();
    socket.receive(failure(null, -32600, "Invalid Request."));
    const id = isBatch ? 5 : 2;
    socket.receive(isBatch ? [result(id, "here")] : result(id, "here"));
    assertEquals(await innocent, "here");
    // A later call is answered: what was sent before it is accounted for.
    const later = peer.request("later");
    socket.receive(result(isBatch ? 6 : 3, "later"));
    await later;
  }
  assertEquals(thrown.map(String), [
    "RpcError: Invalid Request.",
    "RpcError: Invalid Request.",
  ]);
});

Deno.test("Peer answers a batch of requests and responses, each to its own", async () => {
  await using it = await open({
    local: {
      echo: (value: unknown) => value,
      later: async () => await "later",
    },
  });
  const { socket, peer } = it;
  const mine = peer.request("theirs");
  const other = peer.request("theirs");
  socket.take();
  socket.receive([
    request(1, "later"),
    result(1, "for me"),
    { jsonrpc: "2.0", method: "echo", params: ["silence"] },
    request(2, "echo", ["x"]),
    failure(2, 5, "No"),
    7,
    { method: "echo", params: ["1.0"], id: 3 },
  ]);
  assertEquals(await mine, "for me");
  await assertRejects(() => other, RpcError, "No");
  await settle();
  assertEquals(socket.take(), [[
    result(2, "x"),
    failure(null, -32600, "Invalid Request"),
    { id: 3, result: "1.0", error: null },
    result(1, "later"),
  ]]);
});

Deno.test("Peer refuses a batch one above its limit and executes nothing of it", async () => {
  let executed = 0;
  await using it = await open({ local: { count: () => ++executed } });
  const { socket } = it;
  const batch = (length: number): object[] =>
    Array.from({ length }, (_, id) => request(id, "count"));
  socket.receive(batch(99));
  socket.receive(batch(100));
  assertEquals(executed, 199);
  assertEquals(socket.take().map((frame) => (frame as []).length), [99, 100]);
  socket.receive(batch(101));
  assertEquals(executed, 199);
  assertEquals(socket.take(), [
    failure(null, -32010, "Batch has 101 of at most 100 members"),
  ]);
});

Deno.test("Peer keeps a batch's answer within the message limit", async () => {
  await using it = await open({
    local: { repeat: (length: number) => "x".repeat(length) },
    limits: { sentLength: 500 },
  });
  const { socket } = it;
  socket.receive([request(1, "repeat", [300]), request(2, "repeat", [300])]);
  assert(socket.sent[0]!.length <= 500);
  const [[first, second]] = socket.take() as [[
    { result: string },
    { error: { code: number }; id: number },
  ]];
  assertEquals([first.result.length, second.error.code, second.id], [
    300,
    -32008,
    2,
  ]);
});

Deno.test("Peer gives a frame that is no JSON-RPC to its hook, and an empty one no answer", async () => {
  const frames: [string, number][] = [];
  await using it = await open({
    oninvalid(text, error) {
      frames.push([text, error.code]);
      return text.includes("notification");
    },
  });
  const { socket, peer } = it;
  const event = '{"notification":"tick","params":[1]}';
  for (const text of ["", " \n", event, "nonsense"]) socket.receive(text);
  assertEquals(frames, [
    ["", -32700],
    [" \n", -32700],
    [event, -32600],
    ["nonsense", -32700],
  ]);
  assertEquals(socket.take(), [failure(null, -32700, "Parse error")]);
  assertEquals(peer.version, "2.0");
  assertEquals(socket.closes, []);
});

Deno.test("Peer outlives 100,000 open brackets and other garbage", async () => {
  const deep = "[".repeat(100_000);
  const garbage = [
    deep,
    `${deep}${"]".repeat(100_000)}`,
    `{"jsonrpc":"2.0","method":"echo","params":${deep}${"]".repeat(100_000)}}`,
    `{"jsonrpc":"2.0","method":"echo","params":${deep}${
      "]".repeat(100_000)
    },"id":1.5}`,
    '{"a":'.repeat(10_000),
    "\u0000",
    "[,]",
    '{"jsonrpc":"2.0","method":"echo","id":1,}',
    "NaN",
    "[1e999999]",
    '"\ud800"',
  ];
  for (const limits of [{}, { depth: Infinity }]) {
    await using it = await open({
      local: { echo: (value: unknown) => value },
      limits,
    });
    const { socket } = it;
    for (const text of garbage) socket.receive(text);
    assert(socket.take().length > 0);
    socket.receive(request(1, "echo", ["alive"]));
    assertEquals(socket.take(), [result(1, "alive")]);
  }
});

Deno.test("Peer answers a call with more arguments than the stack holds", async () => {
  const thrown: unknown[] = [];
  await using it = await open({
    local: { count: (...params: unknown[]) => params.length },
    onerror: (error) => void thrown.push(error),
  });
  const { socket } = it;
  socket.receive(
    `{"jsonrpc":"2.0","method":"count","params":[${
      Array(400_000).fill(0).join()
    }],"id":1}`,
  );
  const [answer] = socket.take() as [{ id: number }];
  assertEquals(answer.id, 1);
  socket.receive(request(2, "count", [1, 2]));
  assertEquals(socket.take(), [result(2, 2)]);
});

Deno.test("Peer knows a request before it is sent, and forgets it if send throws", async () => {
  await using it = await open();
  const { socket, peer } = it;
  socket.onsend = (text) => {
    const { id } = JSON.parse(text) as { id: number };
    socket.receive(result(id, "answered from within send"));
  };
  assertEquals(await peer.request("m"), "answered from within send");
  socket.onsend = undefined;

  const cause = socket.sendError = new Error("broken pipe");
  const error = await assertRejects(
    () => peer.request("m"),
    ConnectionClosedError,
    'Cannot send request "m"',
  );
  assertEquals([error.sent, error.cause], [false, cause]);
  socket.sendError = cause;
  assertEquals(peer.notify("m"), false);
  socket.receive(result(2, "late"));
  assertEquals(peer.unmatched, 1);
});

Deno.test("Peer says truly whether a request had been sent", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket);
  const queued = assertRejects(() => peer.request("m"), ConnectionClosedError);
  assertEquals(socket.sent, []);
  socket.end(1006, "", false);
  assertEquals((await queued).sent, false);

  await using it = await open();
  const sent = assertRejects(() => it.peer.request("m"), ConnectionClosedError);
  it.socket.readyState = ReadyState.Closing;
  const unsent = await assertRejects(
    () => it.peer.request("m"),
    ConnectionClosedError,
  );
  assertEquals(unsent.sent, false);
  const batch = it.peer.batch(
    () => [it.peer.request("a"), it.peer.request("b")],
  );
  for (const member of batch) {
    const error = await assertRejects(() => member, ConnectionClosedError);
    assertEquals(error.sent, false);
  }
  assertEquals(it.peer.notify("m"), false);
  it.socket.end(1006, "", false);
  assertEquals((await sent).sent, true);
});

Deno.test("Peer sends what waited for the handshake in order, after onopen", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket, {
    onopen(this: Peer) {
      this.notify("first");
    },
    limits: { queued: 5 },
  } as PeerOptions);
  const call = peer.request("second");
  assertEquals(peer.notify("third"), true);
  const batch = peer.batch(
    () => [peer.request("fourth"), peer.request("fifth")],
  );
  assertEquals(peer.notify("sixth"), true);
  assertEquals(peer.notify("too many"), false);
  await assertRejects(
    () => peer.request("too many"),
    RangeError,
    'Cannot send request "too many": 5 of at most 5 messages wait for the handshake',
  );
  assertThrows(
    () => peer.batch(() => void peer.request("too many").catch(() => {})),
    RangeError,
    "wait for the handshake",
  );
  socket.open();
  assertEquals(
    socket.take().map((frame) =>
      Array.isArray(frame)
        ? frame.map(({ method }) => method)
        : (frame as { method: string }).method
    ),
    ["first", "second", "third", ["fourth", "fifth"], "sixth"],
  );
  socket.receive([result(2, 4), result(3, 5)]);
  socket.receive(result(1, 2));
  assertEquals(await Promise.all([call, ...batch]), [2, 4, 5]);
  peer.close();
  socket.end();
});

Deno.test("Peer sends nothing that waited once onopen has closed it", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket, {
    onopen(this: Peer) {
      this.close(4401);
    },
  } as PeerOptions);
  const call = assertRejects(() => peer.request("m"), ConnectionClosedError);
  socket.open();
  assertEquals(socket.sent, []);
  assertEquals((await call).sent, false);
  socket.end();
});

Deno.test("Peer handles a message that comes before the open event", async () => {
  const events: string[] = [];
  const socket = new ScriptedSocket();
  const peer = new Peer(socket, {
    local: { m: () => void events.push("message") },
    onopen: () => void events.push("open"),
  });
  socket.receive(request(1, "m"));
  assertEquals(events, ["open", "message"]);
  await settle();
  socket.open();
  assertEquals(events, ["open", "message"]);
  peer.close();
  socket.end();
});

Deno.test("Peer ends once, whatever the socket still has to tell", async () => {
  const closes: CloseInfo[] = [];
  const socket = new ScriptedSocket();
  const peer = new Peer(socket, {
    local: { m: () => 1 },
    onclose: (event) => void closes.push(event),
  });
  await settle();
  const waiting = assertRejects(() => peer.request("m"), ConnectionClosedError);
  socket.dispatch({ type: "error", message: "Unexpected EOF" });
  // Deno says 0 where the standard says 1006.
  socket.end(0, "", false);
  socket.end(1000);
  socket.dispatch({ type: "error" });
  socket.take();
  socket.receive(request(1, "m"));
  peer.close();
  const error = await waiting;
  assertEquals([error.code, error.cause], [1006, "Unexpected EOF"]);
  assertEquals(closes, [{ code: 1006, reason: "", wasClean: false }]);
  assertEquals(await peer.closed, closes[0]!);
  assertEquals(socket.sent, []);
  assertEquals(socket.closes, []);
  assertEquals(socket.listenerCount, 0);
});

Deno.test("Peer over a socket that is closed already ends in the same words", async () => {
  const closes: CloseInfo[] = [];
  const peer = new Peer(new ScriptedSocket(ReadyState.Closed), {
    onopen: () => assert(false),
    onclose: (event) => void closes.push(event),
  });
  await assertRejects(() => peer.opened, ConnectionClosedError, "Cannot open");
  assertEquals(await peer.closed, { code: 1006, reason: "", wasClean: false });
  assertEquals(closes.length, 1);
  assertEquals(peer.notify("m"), false);
});

Deno.test("Peer gives a peer that ignores its close frame five seconds", async () => {
  const socket = new ScriptedSocket();
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const peer = new Peer(socket);
    await peer.opened;
    let isGone = false;
    peer.close();
    const closed = peer.closed.finally(() => isGone = true);
    mock.timers.tick(4_999);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    assertEquals(isGone, false);
    mock.timers.tick(1);
    assertEquals((await closed).code, 1000);
  } finally {
    mock.timers.reset();
  }
  socket.dispatch({ type: "error" });
  socket.end();
  assertEquals(socket.listenerCount, 0);
});

Deno.test("Peer closes with any code a socket may send, and falls back where it may not", async () => {
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1.5, NaN]) {
    await using it = await open();
    assertThrows(
      () => it.peer.close(code),
      RangeError,
      "Cannot close with code",
    );
    assertEquals(it.socket.closes, []);
  }
  const socket = new ScriptedSocket();
  socket.refusedCodes = [1011];
  const peer = new Peer(socket);
  await settle();
  peer.close(1011, "broken");
  assertEquals(socket.closes, [{ code: undefined, reason: undefined }]);
  socket.end();
  assertEquals((await peer.closed).code, 1011);
});

Deno.test("Peer cuts a close reason to 123 bytes, at a character", async () => {
  await using it = await open();
  it.peer.close(4000, "é".repeat(100));
  assertEquals(it.socket.closes, [{ code: 4000, reason: "é".repeat(61) }]);
});

Deno.test("Peer ends while it handles a batch, and answers nothing of it", async () => {
  const executed: string[] = [];
  await using it = await open({
    local: {
      first: () => void executed.push("first"),
      close(this: Peer) {
        this.close();
      },
      last: () => void executed.push("last"),
    },
  });
  it.socket.receive([
    request(1, "first"),
    request(2, "close"),
    request(3, "last"),
  ]);
  assertEquals(executed, ["first"]);
  assertEquals(it.socket.sent, []);
});

Deno.test("Peer takes a thenable for a promise, also one that misbehaves", async () => {
  const thrown: unknown[] = [];
  await using it = await open({
    local: {
      // deno-lint-ignore no-explicit-any
      twice: (): any => ({
        then(resolve: (value: number) => void) {
          resolve(1);
          resolve(2);
          throw new Error("after all");
        },
      }),
      getter: () => ({
        get then() {
          throw new Error("no");
        },
      }),
    },
    onerror: (error) => void thrown.push(error),
  });
  it.socket.receive(request(1, "twice"));
  it.socket.receive(request(2, "getter"));
  await settle();
  assertEquals(it.socket.take(), [
    failure(2, -32603, "Internal error"),
    result(1, 1),
  ]);
  assertEquals(thrown.length, 1);
});

Deno.test("Peer lets no throw out of a listener, even when there is nobody left to tell", async () => {
  await using it = await open({
    local: {
      fail: () => {
        throw new Error("no");
      },
    },
    oninvalid: () => {
      throw new Error("hook");
    },
    onerror: () => Promise.reject(new Error("onerror")),
  });
  it.socket.receive(request(1, "fail"));
  it.socket.receive("garbage");
  it.socket.dispatch({ type: "message", data: {} });
  it.socket.dispatch({ type: "message", data: 5 });
  await settle();
  const codes = (it.socket.take() as { error: { code: number } }[])
    .map(({ error }) => error.code);
  assertEquals(codes, [-32603, -32700, -32700, -32700]);
});
