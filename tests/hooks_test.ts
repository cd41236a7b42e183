import { assert, assertEquals, assertRejects } from "@std/assert";
import { type BasePeer, ConnectionClosedError } from "../mod.ts";
import { ReadyState } from "../src/line/socket.ts";
import { eachPeer, whole } from "./faces.ts";
import { FakeTime } from "./fake_time.ts";
import { failure, request, ScriptedSocket, settle } from "./scripted_socket.ts";
import { address, lab, methods } from "./stage.ts";

eachPeer("Hooks of a peer may throw, now or later", async (face) => {
  for (
    const fail of [() => Promise.reject(new Error("late")), () => {
      throw new Error("now");
    }]
  ) {
    const socket = new ScriptedSocket();
    let errors = 0;
    const peer = face.peer(socket, {
      local: { m: fail },
      onclose: fail,
      onerror() {
        errors++;
        return fail();
      },
    });
    await peer.opened;
    socket.receive(request(1, "m"));
    await settle();
    assertEquals(socket.take(), [failure(1, -32603, "Internal error")]);
    peer.close();
    socket.end();
    await peer.closed;
    await settle();
    assertEquals(errors, 2);
  }
});

eachPeer("A peer that its onopen closes takes no message", async (face) => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  let calls = 0;
  const peer = face.peer(socket, {
    local: { m: () => void calls++ },
    onopen(this: BasePeer) {
      this.close();
    },
  });
  socket.readyState = ReadyState.Open;
  const { opened } = peer;
  socket.receive({ jsonrpc: "2.0", method: "m" });
  await opened;
  assertEquals([calls, peer.state], [0, "closed"]);
  socket.end();
  await peer.closed;
});

eachPeer("onerror of a peer is not told what onclose is", async (face) => {
  const socket = new ScriptedSocket();
  const told: unknown[] = [];
  const peer = face.peer(socket, {
    async onopen(this: BasePeer) {
      await this.request("m");
    },
    onerror: (error) => void told.push(error),
  });
  await settle();
  assertEquals(methods(socket), ["m"]);
  socket.end(4000);
  await peer.closed;
  await settle();
  assertEquals(told, []);
});

eachPeer(
  "Peer says that nothing was sent of what waited when onopen closes the socket itself",
  async (face) => {
    const socket = new ScriptedSocket(ReadyState.Connecting);
    const peer = face.peer(socket, {
      onopen(this: BasePeer) {
        this.ws?.close();
      },
    });
    const call = assertRejects(() => peer.request("m"), ConnectionClosedError);
    socket.open();
    socket.end();
    assertEquals([socket.sent, (await call).sent], [[], false]);
  },
);

eachPeer(
  "Peer lets onopen speak before the calls that waited",
  async (face) => {
    using time = new FakeTime();
    const sockets: ScriptedSocket[] = [];
    const client = face.connect(address, {
      onopen() {
        this.notify("hello");
      },
      createSocket() {
        sockets.push(new ScriptedSocket(ReadyState.Connecting));
        return sockets.at(-1)!;
      },
    });
    for (const round of [0, 1, 2]) {
      client.notify("waited", [round]);
      sockets.at(-1)!.open();
      const names = sockets.at(-1)!.take().map((it) =>
        (it as { method: string }).method
      );
      assertEquals(names, ["hello", "waited"]);
      sockets.at(-1)!.end(1006);
      await time.pass(30_000);
    }
    client.close();
    sockets.at(-1)!.end();
    await client.closed;
  },
);

eachPeer(
  "opened resolves though onopen closes",
  async (face) => {
    const socket = new ScriptedSocket();
    const peer = face.peer(socket, {
      onopen(this: BasePeer) {
        this.close();
      },
    });
    await peer.opened;
    assertEquals(peer.state, "closed");
    socket.end();
    await peer.closed;
  },
);

Deno.test("opened resolves though what waited loses the connection", async () => {
  await using it = lab(whole);
  const { opened } = it.client;
  assert(it.client.notify("m"));
  it.socket.onsend = (): void => it.socket.end(1006);
  it.socket.open();
  await opened;
  assertEquals(it.client.state, "connecting");
});
