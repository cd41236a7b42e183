import { assertEquals, assertRejects } from "@std/assert";
import { RpcError } from "../mod.ts";
import { eachPeer } from "./faces.ts";
import { failure, request, result, settle } from "./scripted_socket.ts";
import { echo, invalid, lab, open, take } from "./stage.ts";

eachPeer("Peer gives ids back as they came, or refuses them", async (face) => {
  await using it = await open(face, { local: { echo } });
  for (const id of ["0", "-1", "1.5", '""', '"1"', "null", "-0.0025"]) {
    it.socket.receive(`{"jsonrpc":"2.0", "method":"echo", "id" : ${id}}`);
    assertEquals(it.socket.take(), [result(JSON.parse(id), null)]);
  }
  const inexact = "id must be a number that comes back as it was written";
  const noId = "id must be a string, a number or null";
  const rows = [
    ["9007199254740993", inexact],
    ["0.1000000000000000055", inexact],
    ["1e400", inexact],
    [`"${"x".repeat(129)}"`, "id has 129 of at most 128 characters"],
    ["{}", noId],
    ["[]", noId],
    ["true", noId],
  ];
  for (const [id, why] of rows) {
    it.socket.receive(`{"jsonrpc":"2.0","method":"echo","id":${id}}`);
    assertEquals(it.socket.take(), [invalid(null, why)]);
  }
});

eachPeer(
  "Peer refuses an id that is in flight, and leaves the first alone",
  async (face) => {
    const gate = Promise.withResolvers<string>();
    await using it = await open(face, { local: { wait: () => gate.promise } });
    assertEquals(await it.ask(request(5, "wait")), []);
    assertEquals(await it.ask(request(5, "wait")), [
      invalid(null, "id 5 is in flight"),
    ]);
    assertEquals(await it.ask({ jsonrpc: "2.0", id: 5, method: 1 }), [
      invalid(null, "method must be a string"),
    ]);
    assertEquals(await it.ask(request("5", "none")), [
      failure("5", -32601, "Method not found"),
    ]);
    gate.resolve("done");
    await settle();
    assertEquals(it.socket.take(), [result(5, "done")]);
    assertEquals(await it.ask(request(5, "wait")), [result(5, "done")]);
  },
);

eachPeer(
  "An error without an id is about the one call that waits, or reaches onerror",
  async (face) => {
    await using it = await open(face);
    const { peer, socket, thrown } = it;
    const refused = assertRejects(
      () => peer.request("m"),
      RpcError,
      "Too large",
    );
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
  },
);

eachPeer(
  "An error without an id is about an answer of this side's, not about the one call that waits",
  async (face) => {
    await using it = await open(face, { local: { echo } });
    const { peer, socket, thrown } = it;
    const call = peer.request("m");
    socket.receive(request(7, "echo", ["hello"]));
    socket.receive(failure(null, -32600, "No request"));
    assertEquals((thrown.pop() as RpcError).message, "No request");
    socket.receive(result(1, "it succeeded"));
    assertEquals(await call, "it succeeded");

    // The refusal of what was no message is an answer, too.
    const another = peer.request("m");
    socket.receive({ jsonrpc: "2.0", event: "playing" });
    socket.receive(failure(null, -32600, "No request"));
    assertEquals((thrown.pop() as RpcError).message, "No request");
    socket.receive(result(2, "it succeeded"));
    assertEquals(await another, "it succeeded");
  },
);

eachPeer('A response whose id is "1" is that of call 1', async (face) => {
  await using it = await open(face);
  const { peer, socket } = it;
  const calls = [peer.request("a"), peer.request("b"), peer.request("c")];
  for (const id of ["01", "1.0", "", " 1", "9"]) {
    socket.receive(result(id, "nobody's"));
  }
  socket.receive(result("1", "a"));
  socket.receive(failure("2", 5, "No"));
  socket.receive(result(3, "c"));
  assertEquals(await calls[0], "a");
  await assertRejects(() => calls[1]!, RpcError, "No");
  assertEquals(await calls[2], "c");
});

const noMethod = "method must be a string";
const nothing = "it has no method, and no result or error";

eachPeer(
  "A message with an id and no method, result or error is refused, not swallowed",
  async (face) => {
    await using it = await open(face);
    const rows: [message: object, answer: object][] = [
      [{ id: 7, params: [1] }, invalid(7, noMethod)],
      [{ id: "a", params: {} }, invalid("a", noMethod)],
      [{ id: null, params: {} }, invalid(null, noMethod)],
      [{ id: 7 }, invalid(7, nothing)],
      [{ id: "a" }, invalid("a", nothing)],
      [{ id: 7, event: "playing" }, invalid(7, nothing)],
      [{ id: [7] }, invalid(null, nothing)],
      [{ id: 1.5 }, invalid(null, nothing)],
      [{ id: "x".repeat(129) }, invalid(null, nothing)],
    ];
    for (const [message, answer] of rows) {
      const frame = { jsonrpc: "2.0", ...message };
      assertEquals(await it.ask(frame), [answer], JSON.stringify(message));
    }
  },
);

eachPeer(
  "A message with nothing but the id of a call is its response, however late",
  async (face) => {
    await using it = await open(face);
    const { peer, socket } = it;
    const controller = new AbortController();
    const { signal } = controller;
    const call = peer.request("a");
    const gone = peer.request("b", [], { signal });
    controller.abort();
    await assertRejects(() => gone, DOMException);
    socket.take();
    socket.receive({ jsonrpc: "2.0", id: 1 });
    assertEquals(await call, undefined);
    assertEquals(await it.ask({ jsonrpc: "2.0", id: 2 }), []);
    assertEquals(await it.ask({ jsonrpc: "2.0", id: "2" }), []);
    // With params it is none.
    assertEquals(await it.ask({ jsonrpc: "2.0", id: 2, params: [] }), [
      invalid(2, noMethod),
    ]);
  },
);

eachPeer("A client is silent about what is no call", async (face) => {
  const invalid: string[] = [];
  await using it = lab(face, {
    local: { echo },
    oninvalid: (text) => void invalid.push(text),
  });
  it.socket.open();
  const call = it.client.request("m");
  it.socket.take();
  const frames = [
    "no JSON",
    "[]",
    "5",
    '{"event":"track_playback_started","tl_track":{}}',
    '{"notification":"price","params":[7]}',
    '{"id":7,"event":"playing"}',
    '{"jsonrpc":"2.0","id":7,"params":{}}',
    '{"jsonrpc":"2.0"}',
    '{"jsonrpc":"2.0","method":5,"id":8}',
  ];
  for (let round = 0; round < 10; round++) {
    for (const frame of frames) it.socket.receive(frame);
  }
  assertEquals(it.socket.take(), []);
  assertEquals(it.client.state, "open");
  assertEquals(invalid, Array.from({ length: 10 }, () => frames).flat());

  // What is one is answered.
  it.socket.receive({ jsonrpc: "2.0", method: "echo", params: 5, id: 9 });
  it.socket.receive(request(10, "echo", ["hello"]));
  it.socket.receive(request(11, "none"));
  assertEquals(
    take(it.socket).map(({ id, result, error }) => [
      id,
      result ?? error?.code,
    ]),
    [[9, -32600], [10, "hello"], [11, -32601]],
  );
  it.socket.receive(result(1, "still mine"));
  assertEquals(await call, "still mine");
});

eachPeer("A byte order mark is none of a message", async (face) => {
  await using it = await open(face, { local: { echo } });
  const text = `\ufeff${JSON.stringify(request(1, "echo", ["\ufeffé"]))}`;
  const bytes = new TextEncoder().encode(text);
  assertEquals(await it.ask(text), [result(1, "\ufeffé")]);
  assertEquals(await it.ask(bytes.buffer), [result(1, "\ufeffé")]);
});
