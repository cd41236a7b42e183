/** Members beside the envelope of a message, and ids that are strings. */

import { assertEquals, assertRejects } from "@std/assert";
import { connect } from "../client.ts";
import { type BasePeer, notifications, Peer, RpcError } from "../mod.ts";
import { eachPeer } from "./faces.ts";
import {
  openScripted,
  request as written,
  result,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";
import { open, take } from "./stage.ts";

eachPeer(
  "A call has the members beside its envelope that it is given",
  async (face) => {
    await using it = await open(face);
    const { peer, socket } = it;
    const members = {
      sessionId: "A1",
      depth: 0,
      none: undefined,
      list: [{ __proto__: null, a: 'é"' }],
      ["__proto__"]: "own",
    };
    const call = peer.request("m", [1], { members });
    socket.receive(result(1, "one"));
    assertEquals(await call, "one");
    const remote = peer.with({ members: { sessionId: "A1" } }) as unknown as {
      m(): Promise<unknown>;
    };
    const another = remote.m();
    socket.receive(result(2, "two"));
    assertEquals(await another, "two");
    assertEquals(socket.sent, [
      '{"jsonrpc":"2.0","method":"m","params":[1],"id":1,"sessionId":"A1","depth":0,"list":[{"a":"é\\""}],"__proto__":"own"}',
      '{"jsonrpc":"2.0","method":"m","id":2,"sessionId":"A1"}',
    ]);
  },
);

eachPeer(
  "A member that the message has by itself is refused, and nothing is sent",
  async (face) => {
    await using it = await open(face);
    const { peer, socket } = it;
    for (
      const name of ["jsonrpc", "id", "method", "params", "result", "error"]
    ) {
      await assertRejects(
        () => peer.request("m", [], { members: { [name]: 1 } }),
        TypeError,
        `Cannot send request "m": members must not have "${name}"`,
      );
    }
    await assertRejects(
      () => peer.request("m", [], { members: { big: 1n } }),
      TypeError,
      'Cannot send request "m": ',
    );
    assertEquals(socket.sent, []);
  },
);

eachPeer(
  "A method reads the members that its message has beside the envelope",
  async (face) => {
    const seen: unknown[] = [];
    await using it = await open(face, {
      local: {
        see(this: BasePeer) {
          const { members, id, method } = this.call;
          seen.push([members, id, method]);
        },
      },
    });
    await it.ask({ ...written(1, "see", ["a"]), sessionId: "A1" });
    await it.ask({ jsonrpc: "2.0", method: "see", sessionId: "A2", more: [1] });
    await it.ask(written(2, "see"));
    await it.ask('{"jsonrpc":"2.0","method":"see","__proto__":{"id":7}}');
    assertEquals(seen, [
      [{ sessionId: "A1" }, 1, "see"],
      [{ sessionId: "A2", more: [1] }, undefined, "see"],
      [{}, 2, "see"],
      [{ ["__proto__"]: { id: 7 } }, undefined, "see"],
    ]);
  },
);

Deno.test("notifications are those that have the members which are asked for", async () => {
  await using it = await openScripted({ version: "bare" });
  const { socket, peer } = it;
  const all = notifications(peer, "loaded");
  const ours = notifications(peer, "loaded", { members: { sessionId: "A2" } });
  for (const sessionId of ["A1", "A2", undefined]) {
    socket.receive({ method: "loaded", params: { of: sessionId }, sessionId });
  }
  assertEquals((await ours.next()).value, { of: "A2" });
  assertEquals((await all.next()).value, { of: "A1" });
  await ours.return();
  await all.return();
});

eachPeer("Ids are strings where the server wants that", async (face) => {
  await using it = await open(face, { stringIds: true });
  const { peer, socket } = it;
  const controller = new AbortController();
  const calls = [
    peer.request("a"),
    peer.request("b"),
    peer.request("c", [], { signal: controller.signal }),
  ];
  controller.abort();
  await assertRejects(() => calls[2]!, DOMException);
  assertEquals(take(socket).map(({ id, params }) => id ?? params), [
    "1",
    "2",
    "3",
    { id: "3" },
  ]);
  socket.receive(result("1", "a"));
  socket.receive(result(2, "b"));
  assertEquals(await Promise.all(calls.slice(0, 2)), ["a", "b"]);
});

Deno.test("Ids are strings in every version, and in batches", async () => {
  for (const version of ["1.0", "bare", "2.0"] as const) {
    const socket = new ScriptedSocket();
    const peer = new Peer(socket, { version, stringIds: true });
    await peer.opened;
    const calls = peer.batch(() => [peer.request("a"), peer.request("b", [1])]);
    assertEquals(
      socket.take().flat().map((call) => (call as { id: unknown }).id),
      ["1", "2"],
    );
    for (const id of ["1", "2"]) {
      socket.receive({ id, result: id, error: null });
    }
    assertEquals(await Promise.all(calls), ["1", "2"]);
    peer.close();
    socket.end();
    await peer.closed;
  }
});

Deno.test("A call that is made again has its members again", async () => {
  const sockets: ScriptedSocket[] = [];
  const client = connect("ws://localhost/", {
    reconnect: { delay: 0 },
    createSocket: () => {
      const socket = new ScriptedSocket(0);
      sockets.push(socket);
      return socket;
    },
  });
  sockets[0]!.open();
  const options = { members: { sessionId: "A1" }, idempotent: true };
  const call = client.request("m", [], options);
  sockets[0]!.end(1006);
  while (sockets.length < 2) await new Promise((go) => setTimeout(go, 10));
  sockets[1]!.open();
  await settle();
  assertEquals(sockets[1]!.take(), [
    { ...written(1, "m", []), sessionId: "A1" },
  ]);
  sockets[1]!.receive({
    jsonrpc: "2.0",
    id: "1",
    error: { code: 5, message: "No" },
  });
  await assertRejects(() => call, RpcError, "No");
  client.close();
  sockets[1]!.end();
  await client.closed;
});
