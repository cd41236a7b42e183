import { assert, assertEquals, assertThrows } from "@std/assert";
import { connect } from "../client.ts";
import { broadcast, Peer, type PeerOptions } from "../mod.ts";
import {
  openScripted,
  type Scripted,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";
import { bothTest } from "./servers.ts";

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

/** Server's peers that share frames, and have said so. */
async function share(...all: PeerOptions[]): Promise<
  Awaited<ReturnType<typeof open>> & {
    /** The methods of the messages in each frame that one was sent. */
    take(index: number): unknown[];
  }
> {
  const it = await open(
    ...all.map((options) => ({ sharedFrames: true, ...options })),
  );
  for (const socket of it.sockets) socket.take();
  return {
    ...it,
    take: (index) =>
      it.sockets[index]!.take().map((frame) => {
        const methods = [frame].flat().map((message) =>
          (message as { method: string }).method
        );
        return Array.isArray(frame) ? methods : methods[0];
      }),
  };
}

Deno.test("broadcast puts what it says in one turn into one frame, the first message, too", async () => {
  await using it = await share({}, {});
  for (const word of ["one", "two", "three"]) broadcast(it.peers, word);
  assertEquals([it.take(0), it.take(1)], [[], []]);
  await settle();
  assertEquals(it.take(0), [["one", "two", "three"]]);
  assertEquals(it.take(1), [["one", "two", "three"]]);
  broadcast(it.peers, "four");
  await settle();
  assertEquals([it.take(0), it.take(1)], [["four"], ["four"]]);
});

Deno.test("broadcast keeps the order of all that one peer is told in a turn", async () => {
  await using it = await share({}, {}, {}, {});
  const [first, second] = it.peers;
  first!.notify("hello");
  broadcast(it.peers, "one");
  second!.notify("only you");
  broadcast(it.peers, "two");
  broadcast(it.peers.slice(0, 3), "some");
  second!.notify("only you");
  broadcast(it.peers, "three");
  await settle();
  assertEquals(it.sockets.map((_, index) => it.take(index)), [
    ["hello", ["one", "two", "some", "three"]],
    [["one", "only you", "two", "some", "only you", "three"]],
    [["one", "two", "some", "three"]],
    [["one", "two", "three"]],
  ]);
});

Deno.test("broadcast writes the frame of a turn once for all who are told the same", async () => {
  await using it = await share({}, {}, {}, {});
  const { join } = Array.prototype;
  let joined = 0;
  // What a frame is made of; nothing else says nothing of how to join it.
  Array.prototype.join = function (separator) {
    if (separator === undefined) joined++;
    return join.call(this, separator);
  };
  try {
    broadcast(it.peers, "one");
    it.peers[2]!.notify("only you");
    broadcast(it.peers, "two");
    await settle();
  } finally {
    Array.prototype.join = join;
  }
  assertEquals(it.take(2), [["one", "only you", "two"]]);
  for (const index of [0, 1, 3]) assertEquals(it.take(index), [["one", "two"]]);
  assertEquals(joined, 2);
});

Deno.test("broadcast keeps to the limits of each peer's frames", async () => {
  await using it = await share({}, {}, {});
  await using other = await openShort(1_000);
  const peers = [...it.peers, other.peer];
  it.peers[2]!.notify("hello");
  for (let n = 0; n < 300; n++) broadcast(peers, `${n}`);
  await settle();
  const counts = (index: number) =>
    it.take(index).map((frame) => [frame].flat().length);
  assertEquals(counts(0), [32, 64, 128, 76]);
  assertEquals(counts(2), [1, 32, 64, 128, 76]);
  const { sent } = other.socket;
  assert(sent.every(({ length }) => length <= 1_000));
  const all = sent.flatMap((frame) => JSON.parse(frame));
  assertEquals(
    all.map(({ method }) => method),
    Array.from({ length: 300 }, (_, n) => `${n}`),
  );
});

/** A peer that shares frames which have so many bytes at most. */
async function openShort(frameLength: number): Promise<Scripted> {
  const socket = new ScriptedSocket();
  socket.frameLength = frameLength;
  const it = await openScripted({ sharedFrames: true }, socket);
  socket.take();
  return it;
}

Deno.test("broadcast lets a slow reader wait, and nobody else", async () => {
  const limits = { buffered: 0 };
  await using it = await share({}, { limits }, {});
  const slow = it.sockets[1]!;
  slow.bufferedAmount = 1;
  broadcast(it.peers, "one");
  await settle();
  for (const word of ["two", "three"]) broadcast(it.peers, word);
  await settle();
  assertEquals(it.take(0), ["one", ["two", "three"]]);
  assertEquals(it.take(2), ["one", ["two", "three"]]);
  assertEquals(it.take(1), ["one"]);
  slow.bufferedAmount = 0;
  slow.receive({ jsonrpc: "2.0", method: "reads on" });
  broadcast(it.peers, "four");
  await settle();
  assertEquals(it.take(0), ["four"]);
  assertEquals(it.take(1).flat(), ["two", "three", "four"]);
});

Deno.test("broadcast counts what it says once for each peer", async () => {
  await using it = await share({}, {});
  const looks = it.sockets.map((socket) => {
    let count = 0;
    Object.defineProperty(socket, "bufferedAmount", {
      get: () => (count++, 0),
    });
    return () => count;
  });
  const text = "x".repeat(900);
  for (let n = 0; n < 100; n++) broadcast(it.peers, "news", [text]);
  it.peers[0]!.notify("bye");
  await settle();
  for (const { sent } of it.sockets) {
    const { length } = sent.join("");
    assert(length > 65_536 && length < 131_072);
  }
  assertEquals(looks.map((look) => look()), [1, 1]);
});

Deno.test("broadcast has said to a peer that closes in the turn what came before", async () => {
  await using it = await share({}, {});
  broadcast(it.peers, "one");
  broadcast(it.peers, "two");
  it.peers[0]!.close();
  assertEquals([it.take(0), it.take(1)], [[["one", "two"]], []]);
  assertEquals(broadcast(it.peers, "three"), 1);
  await settle();
  assertEquals([it.take(0), it.take(1)], [[], [["one", "two", "three"]]]);
  broadcast(it.peers, "four");
  // This one is gone before the turn has ended.
  it.sockets[1]!.end(1006, "", false);
  await settle();
  assertEquals(it.take(1), []);
});

/** Somebody who is told something. */
class Listener extends Peer<{ hear(what: number | string): void }> {
  static all: Listener[] = [];
  override local = { stay: () => void Listener.all.push(this) };
}

for (const sharedFrames of [false, true]) {
  const how = sharedFrames ? "in shared frames" : "frame by frame";
  bothTest(
    `what many are told reaches each in order, whole and before the end, ${how}`,
    async (platform) => {
      await using server = await platform.serve(Listener);
      await using open = new AsyncDisposableStack();
      const heard: unknown[][] = [[], [], [], []];
      const clients = heard.map((all) =>
        open.use(connect<Listener["local"]>(server.url, {
          sharedFrames,
          reconnect: false,
          local: { hear: (what: unknown) => void all.push(what) },
        }))
      );
      const peers: Listener[] = Listener.all = [];
      for (const client of clients) await client.remote.stay();
      const numbers = Array.from({ length: 300 }, (_, n) => n);
      // Long ones leave before the turn is over.
      const told = (n: number) => n % 50 === 7 ? `${n}${"é".repeat(9_000)}` : n;
      for (const n of numbers) {
        broadcast(peers, "hear", [told(n)]);
        if (n === 100) peers[1]!.notify("hear", ["only you"]);
        if (n === 200) peers[2]!.close(4000, "enough");
      }
      assertEquals((await clients[2]!.closed).code, 4000);
      await Promise.all(
        [0, 1, 3].map((index) => peers[index]!.request("rpc.ping")),
      );
      const all = numbers.map(told);
      assertEquals(heard, [
        all,
        [...all.slice(0, 101), "only you", ...all.slice(101)],
        all.slice(0, 201),
        all,
      ]);
    },
  );
}
