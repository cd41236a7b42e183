import { assert, assertEquals, assertRejects } from "@std/assert";
import { type CloseInfo, ConnectionClosedError, type Peer } from "../mod.ts";
import { ReadyState } from "../src/line/socket.ts";
import { eachPeer, whole } from "./faces.ts";
import { FakeTime } from "./fake_time.ts";
import { request, result, ScriptedSocket } from "./scripted_socket.ts";
import { lab, methods } from "./stage.ts";

eachPeer(
  "Peer tells each caller the truth when a connection is lost",
  async (face) => {
    using time = new FakeTime();
    const sockets: ScriptedSocket[] = [];
    const ends: CloseInfo[] = [];
    const client = face.connect("ws://localhost", {
      onclose: (info) => void ends.push(info),
      reconnect: { delay: 1, maxDelay: 1 },
      createSocket() {
        sockets.push(new ScriptedSocket(ReadyState.Connecting));
        return sockets.at(-1)!;
      },
    });
    sockets[0]!.open();
    const sent = assertRejects(
      () => client.request("a"),
      ConnectionClosedError,
    );
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
  },
);

eachPeer(
  "connect keeps the calls that are made meanwhile, in their order",
  async (face) => {
    await using it = lab(face);
    it.socket.open();
    it.socket.end(1006);
    const first = it.client.request("a");
    assertEquals(it.client.notify("b"), true);
    const last = it.client.request("c");
    await it.time.pass(250);
    it.socket.open();
    assertEquals(methods(it.socket), ["a", "b", "c"]);
    it.socket.receive(result(1, 7));
    it.socket.receive(result(2, 8));
    assertEquals(await Promise.all([first, last]), [7, 8]);
  },
);

eachPeer(
  "connect keeps the calls that are made while a connection is closing",
  async (face) => {
    await using it = lab(face);
    it.socket.open();
    it.socket.readyState = ReadyState.Closing;
    const call = it.client.request("a");
    assertEquals(it.client.notify("b"), true);
    it.socket.end(1012);
    assertEquals(it.sockets[0]!.sent, []);
    await it.time.pass(250);
    it.socket.open();
    assertEquals(methods(it.socket), ["a", "b"]);
    it.socket.receive(result(1, 1));
    assertEquals(await call, 1);
  },
);

eachPeer(
  "Peer sends idempotent calls again, before the calls that waited",
  async (face) => {
    await using it = lab(face);
    it.socket.open();
    const options = { idempotent: true };
    const again = it.client.request("again", [1], options);
    const once = assertRejects(
      () => it.client.request("once"),
      ConnectionClosedError,
    );
    const answered = it.client.request("answered", [], options);
    it.socket.receive(result(3, "ok"));
    assertEquals(await answered, "ok");
    it.socket.end(1006);
    await once;
    it.client.notify("later");

    await it.time.pass(250);
    it.socket.open();
    assertEquals(it.socket.take(), [
      request(1, "again", [1]),
      { jsonrpc: "2.0", method: "later" },
    ]);
    it.socket.end(1006);
    await it.time.pass(500);
    it.socket.open();
    it.socket.receive(result(1, "once more"));
    assertEquals(await again, "once more");
    assertEquals((it.client as Partial<Peer>).unmatched ?? 0, 0);
  },
);

Deno.test("Peer keeps the order of what waits when a connection is lost while it is sent", async () => {
  await using it = lab<Peer>(whole);
  const calls = [["a"], ["b"], ["c"]].map((params) =>
    assertRejects(
      () => it.client.request("m", params, { idempotent: true }),
      ConnectionClosedError,
    )
  );
  const { socket } = it;
  socket.onsend = (): void => socket.end(1006);
  socket.open();
  assertEquals([it.client.state, socket.take().length], ["connecting", 1]);
  await it.time.pass(250);
  it.socket.readyState = ReadyState.Closing;
  it.socket.dispatch({ type: "open" }); // It closes as it opens.
  assertEquals(it.socket.sent, []);
  it.socket.end(1012);
  await it.time.pass(500);
  it.socket.open();
  assertEquals(
    it.socket.take().map((it) => (it as { params: string[] }).params[0]![0]),
    ["a", "b", "c"],
  );
  it.client.close();
  const errors = await Promise.all(calls);
  assertEquals(errors.map(({ sent }) => sent), [true, true, true]);
});

eachPeer(
  "Peer gives an idempotent call up in its time, however often it was sent",
  async (face) => {
    await using it = lab(face, { timeout: 2_000 });
    it.socket.open();
    const call = assertRejects(
      () => it.client.request("m", [], { idempotent: true }),
      DOMException,
      "within 2000 ms",
    );
    it.socket.end(1006);
    await it.time.pass(250);
    it.socket.open();
    assertEquals(it.socket.take(), [request(1, "m")]);
    await it.time.pass(1_000);
    await it.time.pass(1_000);
    await call;
    assertEquals(it.socket.take(), [
      { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 1 } },
    ]);
  },
);

eachPeer("Peer sends no idempotent call again that is final", async (face) => {
  await using it = lab(face);
  it.socket.open();
  const call = assertRejects(
    () => it.client.request("m", [], { idempotent: true }),
    ConnectionClosedError,
  );
  it.socket.end(4403, "not you");
  const error = await call;
  assertEquals([error.sent, error.idempotent], [true, true]);
});

eachPeer(
  "Peer knows of a call that waits to be sent again that it was sent",
  async (face) => {
    await using it = lab(face);
    it.socket.open();
    const calls = [true, false].map((idempotent) => {
      const call = assertRejects(
        () => it.client.request("m", [], { idempotent }),
        ConnectionClosedError,
      );
      if (idempotent) it.socket.end(1006);
      return call;
    });
    it.client.close();
    const [again, waiting] = await Promise.all(calls);
    assertEquals([again!.sent, again!.idempotent], [true, true]);
    assertEquals([waiting!.sent, waiting!.idempotent], [false, false]);
  },
);

eachPeer(
  "Peer knows of a call that could not be sent again that it was sent",
  async (face) => {
    await using it = lab(face);
    it.socket.open();
    const call = assertRejects(
      () => it.client.request("m", [], { idempotent: true }),
      ConnectionClosedError,
    );
    it.socket.end(1006);
    await it.time.pass(250);
    it.socket.sendError = new Error("full");
    it.socket.open();
    const error = await call;
    assertEquals([error.sent, error.idempotent], [true, true]);
  },
);

Deno.test("Peer keeps what waits within its limit, without what was given up", async () => {
  await using it = lab<Peer>(whole, { limits: { queued: 3 } });
  it.socket.open();
  it.socket.end(1006);
  const controller = new AbortController();
  const { signal } = controller;
  const given = [1, 2].map((n) =>
    assertRejects(
      () => it.client.request("m", [n], { signal }),
      DOMException,
    )
  );
  assert(it.client.notify("n"));
  assertEquals(it.client.notify("n"), false);
  await assertRejects(
    () => it.client.request("m"),
    RangeError,
    'Cannot send request "m": 3 of at most 3 messages wait for a connection, the last one is lost (code 1006), see limits.queued',
  );
  controller.abort();
  await Promise.all(given);
  assert(it.client.notify("o"));
  assert(it.client.notify("p"));
  assertEquals(it.client.notify("q"), false);
  await it.time.pass(250);
  it.socket.open();
  assertEquals(it.socket.take().length, 3);
});

eachPeer(
  "A call that is given up while it waits is never sent, nor is its cancel",
  async (face) => {
    await using it = lab(face);
    it.socket.open();
    it.socket.end(1006);
    const waits = assertRejects(
      () => it.client.request("waits", [], { timeout: 100 }),
      DOMException,
      "within 100 ms",
    );
    await it.time.pass(120);
    await waits;
    await it.time.pass(130);
    it.socket.open();
    assertEquals([it.client.state, it.socket.take()], ["open", []]);
  },
);

eachPeer(
  "A call that was never sent says so when its time is over, and why",
  async (face) => {
    await using it = lab(face, { timeout: 2_000 });
    const early = assertRejects(
      () => it.client.request("m", [], { timeout: 100 }),
      DOMException,
      'Cannot send request "m" within 100 ms: it waits for the handshake',
    );
    await it.time.pass(120);
    await early;
    const refused = new Error("connection refused");
    const late = assertRejects(
      () => it.client.request("m"),
      DOMException,
      'Cannot send request "m" within 2000 ms: it waits for a connection, attempt 2 failed (connection refused)',
    );
    for (const wait of [250, 500]) {
      it.socket.dispatch({ type: "error", error: refused });
      it.socket.end(1006);
      await it.time.pass(wait);
    }
    await it.time.pass(2_000);
    const { name, cause } = await late as DOMException & { cause: unknown };
    assertEquals([name, cause], ["TimeoutError", refused]);

    it.socket.open();
    it.socket.end(1001, "Restart");
    const lost = assertRejects(
      () => it.client.request("m", [], { timeout: 100 }),
      DOMException,
      "within 100 ms: it waits for a connection, the last one is lost (Restart)",
    );
    await it.time.pass(120);
    await lost;
  },
);

eachPeer(
  "A call that was never sent has the last attempt's error for its cause",
  async (face) => {
    await using it = lab(face);
    const call = assertRejects(
      () => it.client.request("m"),
      ConnectionClosedError,
      "Cannot send request",
    );
    const refused = new Error("connection refused");
    it.socket.dispatch({ type: "error", error: refused });
    it.socket.end(1006);
    await it.time.pass(250);
    it.client.close();
    const { sent, cause } = await call;
    assertEquals([sent, cause], [false, refused]);
  },
);
