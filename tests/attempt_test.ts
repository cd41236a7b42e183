import { assertEquals, assertThrows } from "@std/assert";
import { connect } from "../client.ts";
import { Peer, type Socket } from "../mod.ts";
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
