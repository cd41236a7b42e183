import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  type BasePeer,
  type Call,
  type CloseInfo,
  ConnectionClosedError,
} from "../mod.ts";
import { ReadyState } from "../src/line/socket.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { eachPeer } from "./faces.ts";
import { FakeTime } from "./fake_time.ts";
import {
  countListeners,
  request,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";
import { address, lab, never, open } from "./stage.ts";

eachPeer("A peer lets the other side close as it wants to", async (face) => {
  const [left, right] = socketPair();
  await using peer = face.peer(right);
  await peer.opened;
  const events: unknown[] = [];
  const ended = new Promise<void>((resolve) => {
    for (const type of ["error", "close"]) {
      left.addEventListener(type, ({ type, code, reason }) => {
        events.push([type, code, reason]);
        if (type === "close") resolve();
      });
    }
  });
  left.close(3000, "bye");
  await ended;
  assertEquals(events, [["close", 3000, "bye"]]);
  assertEquals((await peer.closed).code, 3000);
});

eachPeer(
  "A peer that is closed rejects, aborts, and does nothing more",
  async (face) => {
    const signals: AbortSignal[] = [];
    const gate = Promise.withResolvers<string>();
    const ends: CloseInfo[] = [];
    const { socket, peer, ...it } = await open(face, {
      local: {
        wait(this: BasePeer) {
          signals.push(this.call.signal);
          return gate.promise;
        },
      },
      onclose: (end) => void ends.push(end),
    });
    const call = assertRejects(() => peer.request("m"), ConnectionClosedError);
    socket.receive(request(1, "wait"));
    socket.receive({ jsonrpc: "2.0", method: "wait" });
    socket.take();
    peer.close(4001, "é".repeat(100));
    peer.close();
    const error = await call;
    assertEquals([error.code, error.sent], [4001, true]);
    assertEquals(signals.map(({ aborted }) => aborted), [true, true]);
    assertInstanceOf(signals[0]!.reason, ConnectionClosedError);
    assertEquals(ends, [{
      code: 4001,
      reason: "é".repeat(61),
      wasClean: true,
    }]);
    assertEquals([peer.state, peer.notify("m")], ["closed", false]);
    const after = await assertRejects(
      () => peer.request("m"),
      ConnectionClosedError,
    );
    assertEquals([after.code, after.sent], [4001, false]);
    gate.resolve("late");
    socket.receive(request(2, "wait"));
    socket.end();
    assertEquals((await peer.closed).code, 4001);
    assertEquals([socket.sent, ends.length, it.thrown], [[], 1, []]);
    assertThrows(() => peer.close(1005), RangeError, "Cannot close with code");
  },
);

eachPeer("A peer doesn't wait for ever for a close handshake", async (face) => {
  using time = new FakeTime();
  const { peer, socket } = await open(face);
  socket.refusedCodes = [1012];
  peer.close(1012);
  assertEquals(socket.closes, [{ code: undefined, reason: undefined }]);
  let isClosed = false;
  peer.closed.then(() => isClosed = true);
  const terminated: boolean[] = [];
  Object.assign(socket, { terminate: () => terminated.push(isClosed) });
  await time.pass(4_999);
  assertEquals([isClosed, terminated], [false, []]);
  await time.pass(1);
  assertEquals([isClosed, terminated], [true, [false]]);
  socket.end();
});

eachPeer("Peer is closed by a message that is too long", async (face) => {
  const { peer, socket } = await open(face, {
    local: { length: (it: string) => it.length },
  });
  const frame = (length: number): string => {
    const text = JSON.stringify(request(1, "length", [""]));
    return text.replace('""', `"${"x".repeat(length - text.length)}"`);
  };
  socket.receive(frame(1_048_576));
  assertEquals(socket.take().length, 1);
  socket.receive(frame(1_048_577));
  assertEquals(socket.closes.map(({ code }) => code), [1009]);
  assertEquals([peer.state, socket.sent], ["closed", []]);
  socket.end();
  await peer.closed;
});

eachPeer(
  "Peer aborts the call of a method that closes it and goes on, and keeps no timer",
  async (face) => {
    const calls: Call[] = [];
    const it = await open(face, {
      local: {
        bye(this: BasePeer) {
          calls.push(this.call);
          this.close();
          return never();
        },
      },
    });
    it.socket.receive(request(1, "bye"));
    it.socket.end();
    await it.peer.closed;
    assertEquals(calls.map(({ signal }) => signal.aborted), [true]);
    assertEquals(it.socket.sent, []);
  },
);

eachPeer(
  "Peer is told how a connection ended, though its first message was its last",
  async (face) => {
    const socket = new ScriptedSocket();
    const log: unknown[] = [];
    const peer = face.peer(socket, {
      local: { hi: () => void log.push("hi") },
      onopen: () => void log.push("open"),
      onclose: ({ code, reason }) => void log.push([code, reason]),
    });
    // All of it came with the handshake.
    socket.receive({ jsonrpc: "2.0", method: "hi" });
    socket.readyState = ReadyState.Closing;
    await settle();
    socket.end(4000, "bye");
    assertEquals(log, ["open", "hi", [4000, "bye"]]);
    assertEquals((await peer.closed).code, 4000);
  },
);

eachPeer(
  "Peer lets go of a signal when it is closed before it is open",
  async (face) => {
    const socket = new ScriptedSocket(ReadyState.Connecting);
    const peer = face.peer(socket);
    const { signal } = new AbortController();
    const listeners = countListeners(signal);
    const call = assertRejects(
      () => peer.request("m", [], { signal }),
      ConnectionClosedError,
    );
    assertEquals(listeners.count, 1);
    peer.close();
    socket.end();
    await call;
    assertEquals(listeners.count, 0);
  },
);

eachPeer("A call whose params close the peer rejects", async (face) => {
  for (const isOpen of [false, true]) {
    await using it = lab(face);
    if (isOpen) it.socket.open();
    const fatal = { toJSON: () => (it.client.close(), 1) };
    await assertRejects(
      () => it.client.request("m", [fatal]),
      ConnectionClosedError,
      'Cannot send request "m"',
    );
    assertEquals(it.socket.sent, []);
  }
});

eachPeer(
  "close is the last word, to a socket that ends within it, too",
  async (face) => {
    class Hasty extends ScriptedSocket {
      override close(): void {
        this.end(1006, "", false);
      }
    }
    const sockets: Hasty[] = [];
    await using it = lab(face, {
      createSocket() {
        sockets.push(new Hasty(ReadyState.Connecting));
        return sockets.at(-1)!;
      },
    });
    sockets[0]!.open();
    it.client.close();
    await it.client.closed;
    await it.time.pass(60_000);
    assertEquals(
      it.log.map((entry) => typeof entry === "string" || entry.code),
      [
        true,
        1000,
      ],
    );
    assertEquals(sockets.length, 1);
  },
);

eachPeer(
  "close ends the waiting, the attempt and the question for an address",
  async (face) => {
    {
      await using it = lab(face);
      it.socket.open();
      it.socket.end(1006);
      const call = assertRejects(
        () => it.client.request("m"),
        ConnectionClosedError,
      );
      it.client.close();
      assertEquals((await call).sent, false);
      await it.client.closed;
      await it.time.pass(100_000);
      assertEquals(it.sockets.length, 1);
      assertEquals(it.log.length, 3);
    }
    {
      await using it = lab(face);
      it.client.close();
      assertEquals(it.socket.closes, [{ code: 1000, reason: "" }]);
      it.socket.end(1006);
      await it.client.closed;
    }
    {
      await using it = lab(face, { url: () => new Promise<string>(() => {}) });
      it.client.close();
      await it.client.closed;
    }
  },
);

eachPeer(
  "close ends an attempt from within the functions that it asks",
  async (face) => {
    {
      let asked = 0;
      await using it = lab(face, {
        url: () => {
          if (++asked === 2) it.client.close();
          return address;
        },
      });
      await it.time.pass(0);
      it.socket.open();
      it.socket.end(1006);
      await it.time.pass(250);
      await it.client.closed;
      assertEquals(it.sockets[1]!.closes.length, 1);
    }
    using time = new FakeTime();
    const sockets: ScriptedSocket[] = [];
    const client = face.connect(address, {
      createSocket() {
        if (sockets.length === 1) client.close();
        sockets.push(new ScriptedSocket(ReadyState.Connecting));
        return sockets.at(-1)!;
      },
    });
    sockets[0]!.end(1006);
    await time.pass(1_000);
    await client.closed;
    assertEquals(sockets[1]!.closes.length, 1);
  },
);

eachPeer(
  "a hook may close the client while its connection is lost",
  async (face) => {
    using time = new FakeTime();
    const sockets: ScriptedSocket[] = [];
    const codes: number[] = [];
    const client = face.connect(address, {
      onclose({ code }) {
        codes.push(code);
        this.close(4001);
      },
      createSocket() {
        sockets.push(new ScriptedSocket(ReadyState.Connecting));
        return sockets.at(-1)!;
      },
    });
    sockets[0]!.open();
    sockets[0]!.end(1006);
    assertEquals(codes, [1006, 4001]);
    await time.pass(100_000);
    assertEquals([sockets.length, client.state], [1, "closed"]);
    await client.closed;
  },
);

eachPeer(
  "onclose is called for good once, though a method that is told to stop closes",
  async (face) => {
    await using it = lab(face, {
      local: {
        wait(this: BasePeer) {
          this.call.signal.addEventListener("abort", () => this.close(4001));
          return never();
        },
      },
    });
    it.socket.open();
    it.socket.receive(request(1, "wait"));
    it.socket.end(1006);
    await it.time.pass(0);
    const lost = { code: 1006, reason: "", wasClean: true, retryIn: 250 };
    const end = { code: 4001, reason: "", wasClean: true };
    assertEquals(it.log, ["open", lost, end]);
    await it.time.pass(100_000);
    assertEquals(it.sockets.length, 1);
  },
);

Deno.test("A close reason with line breaks and escapes is one line of a log, and as it was in reason", () => {
  const reason = "bye\n[error] root logged in\u001b[2J\u2028\u0085é😀";
  const info = { code: 4000, reason, wasClean: true };
  const error = new ConnectionClosedError("Cannot send", info, false);
  assertEquals(
    error.message,
    "Cannot send: the connection is closed (code 4000, bye\\u000a[error] root logged in\\u001b[2J\\u2028\\u0085é😀)",
  );
  assertEquals(error.reason, reason);
  const cause = new Error("x".repeat(1_000));
  const { message } = new ConnectionClosedError(
    "Cannot send",
    { code: 1006, reason: "", wasClean: false },
    false,
    { cause },
  );
  assertEquals(
    message,
    `Cannot send: the connection is closed (code 1006, ${"x".repeat(200)})`,
  );
});
