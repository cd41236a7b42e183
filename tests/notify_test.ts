import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { type BasePeer, ConnectionClosedError, RpcError } from "../mod.ts";
import { serve } from "../server.ts";
import { eachPeer } from "./faces.ts";
import { failure, result } from "./scripted_socket.ts";
import { quiet, until } from "./servers.ts";
import { lab, methods, open } from "./stage.ts";

eachPeer("Peer never answers a notification, nor a response", async (face) => {
  const calls: unknown[] = [];
  await using it = await open(face, {
    local: {
      note: (...params: unknown[]) => (calls.push(params), calls.length),
      fail: () => {
        throw new RpcError(1, "no");
      },
    },
  });
  const silent = [
    { jsonrpc: "2.0", method: "note", params: [1] },
    { method: "note", params: [2], id: null }, // As 1.0 has them.
    { jsonrpc: "2.0", method: "none" },
    { jsonrpc: "2.0", method: "fail" },
    { jsonrpc: "2.0", method: "note", params: 5 },
    { jsonrpc: "2.0", method: "x".repeat(257) },
    { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 1 } },
    { jsonrpc: "2.0", method: "$/progress", params: { token: 1, value: 1 } },
    { jsonrpc: "2.0", method: "rpc.ping" },
    result(99, "late"),
    failure(99, 1, "late"),
    failure(null, -32700, "Parse error"),
    "",
    " \n",
  ];
  for (const frame of silent) assertEquals(await it.ask(frame), []);
  assertEquals(calls, [[1], [2]]);
  // Its owner hears of the one that nobody sent a request for.
  assertEquals(it.thrown.map((error) => (error as RpcError).code), [-32700]);
});

eachPeer(
  "What notify took before the handshake is sent, though the peer is closed",
  async (face) => {
    await using it = lab(face);
    const call = assertRejects(
      () => it.client.request("call"),
      ConnectionClosedError,
    );
    assert(it.client.notify("a"));
    assert(it.client.notify("b"));
    it.client.close(4000, "enough");
    it.client.close(4001);
    const error = await call;
    assertEquals([error.sent, error.code], [false, 4000]);
    assertEquals([it.client.state, it.client.notify("c")], ["closed", false]);
    const late = await assertRejects(
      () => it.client.request("late"),
      ConnectionClosedError,
    );
    assertEquals([late.sent, late.code], [false, 4000]);
    assertEquals(it.log, []);
    it.socket.open();
    assertEquals(methods(it.socket), ["a", "b"]);
    assertEquals(it.socket.closes, [{ code: 4000, reason: "enough" }]);
    const end = { code: 4000, reason: "enough", wasClean: true };
    assertEquals(it.log, ["open", end]);
    it.socket.end(4000);
    assertEquals(await it.client.closed, end);
    await it.time.pass(100_000);
    assertEquals([it.sockets.length, it.log.length], [1, 2]);
  },
);

eachPeer(
  "What notify took is sent by the next attempt, and after what onopen says",
  async (face) => {
    await using it = lab(face, {
      async onopen(this: BasePeer) {
        await this.request("signIn");
      },
    });
    it.client.notify("a");
    it.client.close();
    it.socket.end(1006);
    await it.time.pass(250);
    it.socket.open();
    assertEquals(methods(it.socket), ["signIn"]);
    it.socket.receive(result(1, null));
    await it.time.pass(0);
    assertEquals(methods(it.socket), ["a"]);
    assertEquals(it.socket.closes.length, 1);
  },
);

eachPeer(
  "What notify took and is not sent within 5 s is told, and the peer is gone",
  async (face) => {
    const told: unknown[] = [];
    await using it = lab(face, {
      onerror: (error) => void told.push(error),
    });
    it.client.notify("a");
    it.client.close(4000);
    await it.time.flow(4_900);
    assertEquals([it.log, told], [[], []]);
    await it.time.flow(100);
    assertEquals(it.log, [{ code: 4000, reason: "", wasClean: true }]);
    assertEquals((await it.client.closed).code, 4000);
    const [error] = told as ConnectionClosedError[];
    assertInstanceOf(error, ConnectionClosedError);
    assertEquals([told.length, error.code, error.sent], [1, 4000, false]);
    it.socket.end();
    await it.time.pass(100_000);
    assertEquals(it.sockets.length, 1);
  },
);

eachPeer(
  "What notify took ends with an attempt that is the last one",
  async (face) => {
    await using it = lab(face, { reconnect: false });
    it.client.notify("a");
    it.client.close(4000);
    it.socket.end(1006, "", false);
    const end = { code: 4000, reason: "", wasClean: true };
    assertEquals(it.log, [end]);
    assertEquals(await it.client.closed, end);
  },
);

eachPeer(
  "A block that ends sends what it has notified, over a real connection",
  async (face) => {
    const heard: string[] = [];
    const local = { hear: (word: string) => void heard.push(word) };
    await using server = serve({ ...quiet, local });
    {
      await using client = face.connect<typeof local>(server.url);
      assert(client.notify("hear", ["hello"]));
    }
    await until(() => heard.length === 1 && server.peers.size === 0);
    assertEquals(heard, ["hello"]);
  },
);
