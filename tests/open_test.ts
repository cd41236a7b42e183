import { assert, assertEquals, assertRejects } from "@std/assert";
import { type BasePeer, ConnectionClosedError, Peer } from "../mod.ts";
import { ReadyState } from "../src/line/socket.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { eachPeer } from "./faces.ts";
import { request, result, ScriptedSocket, settle } from "./scripted_socket.ts";
import { echo, open } from "./stage.ts";

eachPeer("Peer runs over sockets of any kind, at both ends", async (face) => {
  const [left, right] = socketPair();
  const heard: unknown[] = [];
  await using one = face.peer(left, {
    local: { note: (value: unknown) => void heard.push(value), echo },
  });
  await using other = face.peer<{ echo: typeof echo }>(right);
  other.notify("note", ["first"]);
  assertEquals(await other.remote.echo(5), 5);
  assertEquals(heard, ["first"]);
  one.close(4000, "enough");
  const { code, reason, wasClean } = await other.closed;
  assertEquals([code, reason, wasClean], [4000, "enough", true]);

  const dead = face.peer(new ScriptedSocket(ReadyState.Closed));
  await assertRejects(() => dead.opened, ConnectionClosedError, "Cannot open");
  assertEquals((await dead.closed).code, 1006);
});

eachPeer(
  "Peer takes a message that arrives before the event open, after onopen",
  async (face) => {
    const socket = new ScriptedSocket(ReadyState.Connecting);
    const log: string[] = [];
    const peer = face.peer(socket, {
      local: { m: () => void log.push("m") },
      onopen: () => void log.push("open"),
    });
    peer.notify("waited");
    socket.readyState = ReadyState.Open;
    socket.receive(request(1, "m"));
    socket.open();
    assertEquals(log, ["open", "m"]);
    assertEquals(socket.take(), [
      { jsonrpc: "2.0", method: "waited" },
      result(1, null),
    ]);
    peer.close();
    socket.end();
    await peer.closed;
  },
);

eachPeer(
  "Peer begins methods in order, and keeps the order of what it sends",
  async (face) => {
    await using it = await open(face, {
      local: {
        async slow(this: BasePeer) {
          this.notify("before");
          await null;
          this.notify("after");
          return "slow";
        },
        fast(this: BasePeer) {
          this.notify("fast");
          return "fast";
        },
      },
    });
    it.socket.receive(request(1, "slow"));
    it.socket.receive(request(2, "fast"));
    await settle();
    const told = it.socket.take() as { method?: string; id?: number }[];
    assertEquals(told.map(({ method, id }) => method ?? id), [
      "before",
      "fast",
      2,
      "after",
      1,
    ]);
  },
);

eachPeer(
  "Peer calls onresume, not onopen, over a socket that had a peer before",
  async (face) => {
    const [left, right] = socketPair({ open: true });
    const log: string[] = [];
    await using other = face.peer(right, { local: { echo } });
    await using peer = face.peer<{ echo: typeof echo }>(left, {
      resumed: true,
      onopen: () => void log.push("open"),
      async onresume(first) {
        await first(() => this.request("echo", [1]));
        log.push("resume");
      },
    });
    await Promise.all([peer.opened, other.opened]);
    assertEquals(log, ["resume"]);
  },
);

Deno.test("Peer that resumes says nothing of itself, and has ids of its own", async () => {
  const ids = new Set<unknown>();
  for (let n = 0; n < 3; n++) {
    const socket = new ScriptedSocket(ReadyState.Open);
    const peer = new Peer(socket, { resumed: true, sharedFrames: true });
    await settle();
    assertEquals(socket.sent, []);
    const asked = assertRejects(
      () => peer.request("m"),
      ConnectionClosedError,
    );
    const [{ id }] = socket.take() as [{ id: number }];
    assert(id > 0 && id < 2 ** 31);
    ids.add(id);
    peer.close();
    socket.end();
    await asked;
  }
  // The first one's late answer is not for the second one.
  assertEquals(ids.size, 3);
});
