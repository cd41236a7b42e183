import { assertEquals, assertThrows } from "@std/assert";
import { broadcast, Peer, type PeerOptions } from "../mod.ts";
import { ScriptedSocket } from "./scripted_socket.ts";

/** Peers that are open, and whose sockets note what they are sent. */
async function open(
  ...all: PeerOptions[]
): Promise<{ peers: Peer[]; sockets: ScriptedSocket[] } & AsyncDisposable> {
  const sockets = all.map(() => new ScriptedSocket());
  const peers = all.map((options, index) => new Peer(sockets[index]!, options));
  await Promise.all(peers.map((peer) => peer.opened));
  return {
    peers,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const peer of peers) peer.close();
      for (const socket of sockets) socket.end();
      await Promise.all(peers.map((peer) => peer.closed));
    },
  };
}

Deno.test("broadcast writes a notification once, each version of it", async () => {
  await using it = await open({}, {}, { version: "1.0" }, {}, {
    version: "1.0",
  });
  let written = 0;
  const value = { toJSON: () => ++written };
  assertEquals(broadcast(it.peers, "news", [value]), 5);
  const modern = '{"jsonrpc":"2.0","method":"news","params":[1]}';
  const old = '{"id":null,"method":"news","params":[2]}';
  assertEquals(it.sockets.map(({ sent }) => sent), [
    [modern],
    [modern],
    [old],
    [modern],
    [old],
  ]);
});

Deno.test("broadcast passes over who is closed", async () => {
  await using it = await open({}, {}, {});
  it.peers[0]!.close();
  assertEquals(broadcast(it.peers, "news"), 2);
  assertEquals(it.sockets.map(({ sent }) => sent.length), [0, 1, 1]);
  assertEquals(broadcast([], "news"), 0);
});

Deno.test("broadcast goes on when a hook closes one of the peers", async () => {
  const members = new Set<Peer>();
  await using it = await open({}, {
    limits: { buffered: 0, bufferedMost: 0 },
    onclose: () => void members.delete(it.peers[1]!),
  }, {});
  for (const peer of it.peers) members.add(peer);
  it.sockets[1]!.bufferedAmount = 2;
  broadcast(members, "news");
  broadcast(members, "more of it");
  assertEquals(members.size, 2);
  assertEquals(it.sockets[2]!.sent.length, 2);
});

Deno.test("broadcast tells each peer its own place in a trace", async () => {
  const traceOf = (digit: string) => ({
    send: () => ({
      traceparent: `00-${digit.repeat(32)}-${digit.repeat(16)}-01`,
    }),
    receive: <T>(_context: unknown, run: () => T): T => run(),
  });
  await using it = await open({ trace: traceOf("1") }, { trace: traceOf("2") });
  broadcast(it.peers, "news", [1]);
  const told = it.sockets.map((socket) =>
    (socket.take()[0] as { traceparent: string }).traceparent.at(4)
  );
  assertEquals(told, ["1", "2"]);
});

Deno.test("broadcast sends what is too long for one to the others", async () => {
  await using it = await open({}, { limits: { sentLength: 20 } }, {});
  assertThrows(
    () => broadcast(it.peers, "news", ["x".repeat(20)]),
    RangeError,
    'Cannot send notification "news"',
  );
  assertEquals(it.sockets.map(({ sent }) => sent.length), [1, 0, 1]);
});

Deno.test("broadcast sends nobody what can't be written", async () => {
  await using it = await open({}, {});
  for (const value of [1n, () => {}, (async function* () {})()]) {
    assertThrows(() => broadcast(it.peers, "news", [value]), TypeError);
  }
  assertEquals(it.sockets.map(({ sent }) => sent.length), [0, 0]);
});

Deno.test("broadcast waits with those who have no connection yet", async () => {
  const socket = new ScriptedSocket(0);
  const peer = new Peer(socket);
  assertEquals(broadcast([peer], "news"), 1);
  assertEquals(socket.sent.length, 0);
  socket.open();
  assertEquals(socket.sent.length, 1);
  peer.close();
  socket.end();
  await peer.closed;
});
