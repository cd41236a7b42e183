import { assertEquals, assertThrows } from "@std/assert";
import { connect } from "../client.ts";
import {
  type BasePeer,
  type FailedAttempt,
  Peer,
  type Socket,
} from "../mod.ts";
import { serve } from "../server.ts";
import { ReadyState } from "../src/line/socket.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { eachPeer } from "./faces.ts";
import { request, result, ScriptedSocket, settle } from "./scripted_socket.ts";
import { quiet } from "./servers.ts";
import { address, echo, lab } from "./stage.ts";

eachPeer("connect makes no socket when its options are refused", (face) => {
  let made = 0;
  const createSocket = (): Socket => {
    made++;
    return new ScriptedSocket();
  };
  for (const options of [{ timeout: -1 }, { handshakeTimeout: NaN }]) {
    assertThrows(
      () => face.connect(address, { ...options, createSocket }),
      RangeError,
    );
  }
  assertEquals(made, 0);
});

Deno.test("connect closes its socket when the class's constructor throws", async () => {
  const socket = new ScriptedSocket(ReadyState.Connecting);
  class Broken extends Peer {
    override local = broken();
  }
  function broken(): object {
    throw new Error("mine");
  }
  assertThrows(
    () => connect(address, Broken, { createSocket: () => socket }),
    Error,
    "mine",
  );
  await settle();
  assertEquals(socket.closes.length, 1);
  socket.end();
});

eachPeer(
  "connect asks for the address and the protocols before each attempt",
  async (face) => {
    let tickets = 0;
    await using it = lab(face, {
      url: () => Promise.resolve(`http://localhost/${tickets}`),
      protocols: () => ["chat", `ticket.${++tickets}`],
    });
    await it.time.pass(0);
    it.socket.open();
    it.socket.end(1006);
    await it.time.pass(250);
    assertEquals(it.opened, [
      "ws://localhost/0 chat ticket.1",
      "ws://localhost/1 chat ticket.2",
    ]);
  },
);

eachPeer(
  "connect outlives an address that can't be told, and attempts that hang",
  async (face) => {
    let asked = 0;
    let answer: (url: string) => void = () => {};
    await using it = lab(face, {
      url: () => {
        asked++;
        if (asked === 1) throw new Error("offline");
        return asked === 2
          ? new Promise<string>((resolve) => answer = resolve)
          : address;
      },
      handshakeTimeout: 1_000,
    });
    const call = it.client.request("m", [], { timeout: Infinity });
    await it.time.pass(0);
    await it.time.pass(250);
    assertEquals([asked, it.sockets.length], [2, 0]);
    await it.time.pass(1_000); // No address within the time for an attempt.
    await it.time.pass(500);
    assertEquals([asked, it.sockets.length], [3, 1]);
    answer(address); // Too late: its socket is nobody's.
    await it.time.pass(0);
    assertEquals(it.sockets.length, 2);
    assertEquals(it.sockets[1]!.closes.length, 1);
    it.sockets[1]!.end();

    await it.time.pass(1_000); // No handshake.
    assertEquals(it.sockets[0]!.closes.length, 1);
    it.sockets[0]!.end();
    await it.time.pass(1_000);
    it.socket.open();
    it.socket.receive(result(1, "at last"));
    assertEquals(await call, "at last");
  },
);

eachPeer(
  "connect takes a socket that is open already, and has something to say",
  async (face) => {
    const [left, right] = socketPair({ open: true });
    const heard: unknown[] = [];
    left.addEventListener("message", ({ data }) => {
      heard.push(JSON.parse(data as string));
      if (heard.length === 2) left.send(JSON.stringify(result(1, "theirs")));
    });
    left.send(JSON.stringify(request("a", "m")));
    await using client = face.connect(address, {
      local: { m: () => "ours" },
      createSocket: () => right,
    });
    assertEquals(await client.request("m"), "theirs");
    assertEquals(heard, [
      { jsonrpc: "2.0", method: "m", id: 1 },
      result("a", "ours"),
    ]);
  },
);

eachPeer(
  "connect waits for ever for a handshake whose time is Infinity",
  async (face) => {
    await using it = lab(face, { handshakeTimeout: Infinity });
    await it.time.pass(1_000_000);
    assertEquals([it.sockets.length, it.log], [1, []]);
  },
);

eachPeer(
  "connect throws at once what its first socket throws",
  (face) => {
    assertThrows(
      () =>
        face.connect(address, {
          createSocket() {
            throw new SyntaxError("no such protocol");
          },
        }),
      SyntaxError,
      "no such protocol",
    );
    assertThrows(() => face.connect("http://["), TypeError);
  },
);

eachPeer(
  "connect takes http addresses, URL objects and fragments",
  async (face) => {
    await using server = serve({ ...quiet, local: { echo } });
    const addresses = [
      server.url,
      server.url.replace("ws", "http"),
      `${server.url}path?query#fragment`,
      new URL(server.url),
    ];
    for (const address of addresses) {
      await using client = face.connect(address);
      assertEquals(await client.request("echo", [1]), 1);
    }
    assertThrows(() => face.connect("not an address"), TypeError);
    assertThrows(() => face.connect("ws://["), TypeError);
    const urls: string[] = [];
    const createSocket = (url: string): Socket => {
      urls.push(url);
      return socketPair()[0];
    };
    face.connect("https://example.com/rpc#top", { createSocket }).close();
    face.connect("http://example.com", { createSocket }).close();
    assertEquals(urls, ["wss://example.com/rpc", "ws://example.com/"]);
    for (const address of ["ws://", "ws://a b/", "ws://localhost:99999/"]) {
      assertThrows(() => face.connect(address, { createSocket }), TypeError);
    }
    assertEquals(urls.length, 2);
  },
);

eachPeer(
  "connect keeps its protocols from who makes a socket of them",
  (face) => {
    const protocols = ["chat"];
    face.connect("ws://localhost", {
      protocols,
      createSocket(_url, offered) {
        offered.push("mine");
        return socketPair()[0];
      },
    }).close();
    assertEquals(protocols, ["chat"]);
  },
);

eachPeer(
  "Peer tells onattempt of each attempt that fails, with its cause",
  async (face) => {
    const told: FailedAttempt[] = [];
    let asked = 0;
    await using it = lab(face, {
      url: () => {
        if (++asked === 1) throw new Error("no ticket");
        return address;
      },
      handshakeTimeout: 1_000,
      onattempt: (failed) =>
        void told.push({ ...failed, cause: `${failed.cause}` }),
    });
    await it.time.pass(0);
    await it.time.pass(250);
    const refused = new Error("connection refused");
    it.socket.dispatch({ type: "error", error: refused });
    it.socket.end(1006, "", false);
    await it.time.pass(500);
    await it.time.pass(1_000);
    const gone = { code: 1006, reason: "", wasClean: false };
    assertEquals(told, [
      { ...gone, attempt: 1, cause: "Error: no ticket", retryIn: 250 },
      { ...gone, attempt: 2, cause: `${refused}`, retryIn: 500 },
      {
        ...gone,
        attempt: 3,
        cause: "Error: No handshake within 1000 ms",
        retryIn: 1_000,
      },
    ]);
    it.sockets[1]!.end();

    await it.time.pass(1_000);
    it.socket.open();
    it.socket.end(1006); // A connection that is lost is no attempt.
    assertEquals(told.length, 3);
    await it.time.pass(2_000);
    it.socket.end(4403, "Not you");
    const { attempt, code, reason, retryIn } = told[3]!;
    assertEquals([attempt, code, reason, retryIn], [
      1,
      4403,
      "Not you",
      undefined,
    ]);
    const last = { code: 4403, reason: "Not you", wasClean: true };
    assertEquals(it.log.at(-1), last);
  },
);

eachPeer("onattempt of a peer may close it, or throw", async (face) => {
  for (const reconnect of [true, false]) {
    await using it = lab(face, {
      reconnect,
      onattempt(this: BasePeer) {
        this.close(4000, "enough");
      },
    });
    it.socket.end(1006);
    assertEquals(it.client.state, "closed");
    await it.time.pass(100_000);
    assertEquals(it.sockets.length, 1);
    assertEquals(it.log, [{ code: 4000, reason: "enough", wasClean: true }]);
  }
  const thrown: unknown[] = [];
  await using it = lab(face, {
    onattempt: () => Promise.reject(new Error("mine")),
    onerror: (error) => void thrown.push(error),
  });
  it.socket.end(1006);
  await it.time.pass(250);
  assertEquals([it.sockets.length, thrown.map(String)], [2, ["Error: mine"]]);
});

eachPeer(
  "Peer without onattempt warns of the first attempt in a row that fails",
  async (face) => {
    const { warn } = console;
    const lines: unknown[][] = [];
    console.warn = (...args) => void lines.push(args);
    try {
      await using it = lab(face, { onattempt: undefined as never });
      Object.assign(it.socket, { url: "wss://me@example.com:81/x?ticket=1" });
      const forged = "\nall is well".padEnd(1_000, "x");
      it.socket.dispatch({ type: "error", error: new Error(forged) });
      it.socket.end(1006);
      await it.time.pass(250);
      it.socket.end(1006);
      await it.time.pass(500);
      it.socket.open();
      it.socket.end(1006);
      await it.time.pass(1_000);
      it.socket.end(4403, "Not you");
    } finally {
      console.warn = warn;
    }
    const said = JSON.stringify("\nall is well".padEnd(200, "x"));
    assertEquals(lines, [
      [
        `Cannot connect to "example.com:81": ${said}, trying again; set onattempt to hear of each attempt`,
      ],
      [
        'Cannot connect: "Not you", no other attempt; set onattempt to hear of each attempt',
      ],
    ]);
  },
);

eachPeer(
  "A peer of one given socket makes no attempts, and tells of none",
  async (face) => {
    const socket = new ScriptedSocket(ReadyState.Connecting);
    let told = 0;
    const peer = face.peer(socket, { onattempt: () => void told++ });
    socket.end(1006);
    await peer.closed;
    assertEquals(told, 0);
  },
);
