/**
 * Messages that share a frame: how they are gathered, how they are read, and how
 * two ends agree to it.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect } from "../client.ts";
import { Peer, type PeerOptions } from "../mod.ts";
import { serve } from "../server.ts";
import {
  failure,
  openScripted,
  request,
  result,
  type Scripted,
  scripted,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";
import { bothTest, handshake, quiet, until, upgradeLines } from "./servers.ts";
import { once } from "node:events";
import { type WebSocket as NodeWebSocket, WebSocketServer } from "ws";

/** The subprotocol by which two ends agree to share frames. */
const subprotocol = "jsonrpcws.v1";

/** A server's peer that shares frames, and has said so. */
async function share(
  options: PeerOptions = {},
  frameLength?: number,
): Promise<Scripted> {
  const socket = new ScriptedSocket();
  socket.frameLength = frameLength;
  const it = await openScripted({ sharedFrames: true, ...options }, socket);
  assertEquals(it.socket.take(), [[]]);
  return it;
}

/** Lets messages arrive in company, which means that there will be more to say. */
function makeBusy({ socket }: Scripted): void {
  const event = { jsonrpc: "2.0", method: "unknown" };
  socket.receive([event, event]);
}

/** Takes the frames that were sent: the params of the messages in each. */
function takeFrames({ socket }: Scripted): unknown[] {
  const texts = (message: unknown): unknown =>
    Array.isArray(message)
      ? message.map(texts)
      : (message as { params: unknown[] }).params[0];
  return socket.take().map(texts);
}

/** How many messages each of the frames has that were sent. */
function countMembers(it: Scripted): number[] {
  return takeFrames(it).map((frame) => [frame].flat().length);
}

Deno.test("Peer sends the first message of a turn at once, the others together at its end", async () => {
  await using it = await share();
  for (const n of [1, 2, 3]) it.peer.notify("m", [n]);
  assertEquals(takeFrames(it), [1]);
  await settle();
  assertEquals(takeFrames(it), [[2, 3]]);
  it.peer.notify("m", [4]);
  assertEquals(takeFrames(it), [4]);
  await settle();
  assertEquals(takeFrames(it), []);
});

Deno.test("Peer gathers all of a turn while what arrives has company", async () => {
  await using it = await share();
  makeBusy(it);
  it.peer.notify("m", [1]);
  it.peer.notify("m", [2]);
  assertEquals(takeFrames(it), []);
  await settle();
  it.peer.notify("m", [3]);
  assertEquals(takeFrames(it), [[1, 2]]);
  await settle();
  assertEquals(takeFrames(it), [3]);
  // What arrives alone ends it.
  it.socket.receive({ jsonrpc: "2.0", method: "unknown" });
  it.peer.notify("m", [4]);
  assertEquals(takeFrames(it), [4]);
  await settle();
});

Deno.test("Peer keeps a batch apart from the messages of a frame", async () => {
  await using it = await share();
  const { peer } = it;
  const batch = (...all: number[]): void =>
    peer.batch(() => {
      for (const n of all) peer.notify("m", [n]);
    });
  batch(1, 2);
  batch(3, 4);
  await settle();
  assertEquals(takeFrames(it), [[[1, 2]], [[3, 4]]]);
  makeBusy(it);
  batch(5);
  peer.notify("m", [6]);
  await settle();
  assertEquals(takeFrames(it), [[[5], 6]]);
});

Deno.test("Peer keeps frames within their length and their members", async () => {
  for (const text of ["x".repeat(97), "é".repeat(32), "\u20ac".repeat(32)]) {
    await using it = await share({}, 1_500);
    makeBusy(it);
    for (let n = 0; n < 100; n++) it.peer.notify("m", [text]);
    await settle();
    const { sent } = it.socket;
    assertEquals(sent.flatMap((frame) => JSON.parse(frame)).length, 100);
    const encoder = new TextEncoder();
    for (const frame of sent) {
      const { length } = encoder.encode(frame);
      assert(length <= 1_500, `${length}`);
    }
    // Ten of them fit, and some frames were halved.
    assert(sent.length <= 16, `${sent.length}`);
  }
  await using it = await share();
  makeBusy(it);
  for (let n = 0; n < 737; n++) it.peer.notify("m", [n]);
  await settle();
  assertEquals(countMembers(it), [32, 64, 128, 256, 256, 1]);
});

Deno.test("Peer begins each turn with a short frame, before it ends", async () => {
  await using it = await share();
  makeBusy(it);
  for (let turn = 0; turn < 2; turn++) {
    for (let n = 0; n < 33; n++) it.peer.notify("m", [n]);
    assertEquals(countMembers(it), [32]);
    await settle();
    assertEquals(countMembers(it), [1]);
  }
});

Deno.test("Peer fills frames as long as a socket says they may be", async () => {
  const text = "x".repeat(140);
  for (
    const [length, members] of [
      [undefined, [32, 64, 88, 88, 28]],
      [40_000, [32, 64, 128, 76]],
    ] as [length: number | undefined, members: number[]][]
  ) {
    await using it = await share({}, length);
    makeBusy(it);
    for (let n = 0; n < 300; n++) it.peer.notify("m", [text]);
    assertEquals(JSON.parse(it.socket.sent[0]!).length, 32);
    await settle();
    assertEquals(countMembers(it), members);
  }
});

Deno.test("Peer fills frames to the last byte, and halves what has more bytes than characters", async () => {
  const empty = '{"jsonrpc":"2.0","method":"m","params":[""]}'.length;
  // Two messages of a thousand bytes, a comma, two brackets.
  const length = 2_003;
  // Those that there are for a digit and a text.
  const bytes = 1_000 - empty;
  for (
    const [text, members] of [
      ["x".repeat(bytes - 1), [2, 2, 1]],
      ["x".repeat(bytes), [1, 1, 1, 1, 1]],
      ["é".repeat(bytes / 2 - 1) + "x", [1, 2, 2]],
      ["é".repeat(bytes / 2 - 1) + "xx", [1, 1, 1, 1, 1]],
      ["\u20ac".repeat(315) + "x".repeat(bytes - 946), [2, 1, 2]],
      ["\u20ac".repeat(315) + "x".repeat(bytes - 945), [1, 1, 1, 1, 1]],
    ] as [text: string, members: number[]][]
  ) {
    await using it = await share({}, length);
    makeBusy(it);
    const texts = Array.from({ length: 5 }, (_, n) => `${n}${text}`);
    for (const text of texts) it.peer.notify("m", [text]);
    await settle();
    const frames = takeFrames(it).map((frame) => [frame].flat());
    assertEquals(frames.map(({ length }) => length), members);
    assertEquals(frames.flat(), texts);
  }
});

Deno.test("Peers of a process end their turn by one task", async () => {
  const { setImmediate } = globalThis;
  let tasks = 0;
  globalThis.setImmediate = ((task: () => void) => {
    tasks++;
    return setImmediate(task);
  }) as typeof setImmediate;
  try {
    const all = await Promise.all(Array.from({ length: 200 }, () => share()));
    for (const n of [1, 2, 3]) {
      for (const { peer } of all) peer.notify("m", [n]);
    }
    for (const it of all) assertEquals(takeFrames(it), [1]);
    await settle();
    for (const it of all) assertEquals(takeFrames(it), [[2, 3]]);
    assertEquals(tasks, 1);
    all[0]!.peer.notify("m", [4]);
    assertEquals(tasks, 2);
    await settle();
    for (const it of all) await it[Symbol.asyncDispose]();
  } finally {
    globalThis.setImmediate = setImmediate;
  }
});

Deno.test("Peer sends what is too long for company alone, in its place", async () => {
  await using it = await share({}, 200);
  makeBusy(it);
  const long = "x".repeat(200);
  for (const text of ["1", "2", long, "3", "4"]) it.peer.notify("m", [text]);
  await settle();
  assertEquals(takeFrames(it), [["1", "2"], long, ["3", "4"]]);
});

Deno.test("Peer forgets what was gathered for a connection that is gone", async () => {
  const it = await share();
  for (const n of [1, 2]) it.peer.notify("m", [n]);
  it.socket.end(1006, "", false);
  await settle();
  assertEquals(takeFrames(it), [1]);
});

Deno.test("Peer answers each message of a frame by itself, when it is ready", async () => {
  const later = Promise.withResolvers<string>();
  await using it = await share({
    local: { now: () => "now", later: () => later.promise },
  });
  it.socket.receive([request(1, "later"), request(2, "now"), request(3, "no")]);
  await settle();
  assertEquals(it.socket.take(), [[
    result(2, "now"),
    failure(3, -32601, "Method not found"),
  ]]);
  later.resolve("later");
  await settle();
  assertEquals(it.socket.take(), [result(1, "later")]);
});

Deno.test("Peer reads a batch that shares a frame as a batch", async () => {
  await using it = await share({
    local: { add: (a: number, b: number) => a + b },
  });
  const batch = [request(1, "add", [1, 2]), request(2, "add", [3, 4])];
  it.socket.receive([batch, request(3, "add", [5, 6])]);
  await settle();
  assertEquals(it.socket.take(), [
    [[result(1, 3), result(2, 7)], result(3, 11)],
  ]);
  it.socket.receive([[]]);
  await settle();
  assertEquals(it.socket.take(), [
    failure(null, -32600, "Invalid Request"),
  ]);
});

Deno.test("Peer takes an empty frame of messages for nothing", async () => {
  await using it = await share();
  it.socket.receive([]);
  await settle();
  assertEquals(it.socket.take(), []);
});

Deno.test("Peer counts an empty frame of messages as one", async () => {
  const errors: unknown[] = [];
  await using it = await share({
    limits: { messageRate: 1, messageBurst: 2 },
    onerror: (error) => void errors.push(error),
  });
  for (let n = 0; n < 2 + 2 + 1_024; n++) it.socket.receive([]);
  assertEquals(it.peer.state, "open");
  it.socket.receive([]);
  assertEquals(it.socket.closes[0]?.code, 4429);
  assertEquals(errors, []);
});

Deno.test("Peer lets a bad message of a frame harm none of the others", async () => {
  const errors: unknown[] = [];
  await using it = await share({
    local: { echo: (value: unknown) => value },
    onerror: (error) => void errors.push(error),
    oninvalid() {
      throw new Error("hook");
    },
  });
  it.socket.receive([1, request(1, "echo", [7]), null, request([], "echo")]);
  await settle();
  assertEquals(it.socket.take(), [[
    failure(null, -32600, "Invalid Request"),
    result(1, 7),
    failure(null, -32600, "Invalid Request"),
    failure(
      null,
      -32600,
      "Invalid Request: id must be a string, a number or null",
    ),
  ]]);
  assertEquals(errors.length, 3);
  it.socket.receive("[1,");
  await settle();
  assertEquals(it.socket.take(), [failure(null, -32700, "Parse error")]);
});

for (const [more, answers] of [[-1, 9], [0, 10], [1, 1]] as const) {
  Deno.test(`Peer takes 10 messages a frame at most, given ${10 + more}`, async () => {
    let executed = 0;
    await using it = await share({
      local: { count: () => ++executed },
      limits: { frameMembers: 10 },
    });
    const frame = Array.from(
      { length: 10 + more },
      (_, index) => request(index, "count"),
    );
    it.socket.receive(frame);
    await settle();
    const sent = it.socket.take().flat();
    assertEquals(sent.length, answers);
    assertEquals(executed, more === 1 ? 0 : answers);
    if (more === 1) {
      assertEquals(sent, [
        failure(null, -32010, "Frame has 11 of at most 10 messages"),
      ]);
    }
  });
}

Deno.test("A byte order mark is none of a frame, however long or deep that is", async () => {
  const local = { size: (value: unknown) => JSON.stringify(value).length };
  const limits = { messageLength: 100, depth: 3 };
  await using it = await share({ local, limits });
  const one = JSON.stringify(request(1, "size", ["x".repeat(30)]));
  const other = JSON.stringify(request(2, "size", [[1]]));
  const deep = JSON.stringify(request(3, "size", [[[1]]]));
  it.socket.receive(`\ufeff[${one},${other}]`);
  await settle();
  assertEquals(it.socket.take().flat(), [result(1, 32), result(2, 3)]);
  it.socket.receive(`\ufeff[${other},${deep}]`);
  await settle();
  const why =
    "Invalid Request: it is nested deeper than 3 levels, see limits.depth";
  assertEquals(it.socket.take().flat(), [
    result(2, 3),
    failure(3, -32600, why),
  ]);
});

Deno.test("Peer takes short messages that share a frame, and the longest batch", async () => {
  const local = { echo: (value: unknown) => value };
  const limits = { messageLength: 200 };
  const long = (id: number, length: number): string => {
    const empty = JSON.stringify(request(id, "echo", [""])).length;
    return JSON.stringify(request(id, "echo", ["x".repeat(length - empty)]));
  };
  const frames: [frame: string, isTaken: boolean][] = [
    [`[${[1, 2, 3].map((id) => long(id, 200)).join()}]`, true],
    [`[[${long(1, 198)}]]`, true],
    [`[${long(1, 16_382)}]`, true],
    [`[${long(1, 16_383)}]`, false],
    [long(1, 200), true],
    [long(1, 201), false],
  ];
  for (const [frame, isTaken] of frames) {
    for (const data of [frame, new TextEncoder().encode(frame).buffer]) {
      await using it = await share({ local, limits });
      it.socket.receive(data);
      assertEquals(it.peer.state, isTaken ? "open" : "closed");
      if (!isTaken) assertEquals(it.socket.closes[0]?.code, 1009);
    }
  }
  const length = 1_000_000;
  for (const [more, state] of [[2, "open"], [3, "closed"]] as const) {
    await using it = await share({ local, limits: { messageLength: length } });
    it.socket.receive(`[[${long(1, length - 4 + more)}]]`);
    assertEquals(it.peer.state, state);
  }
});

bothTest(
  "a small messageLength leaves room for messages that share a frame",
  async (platform) => {
    const limits = { messageLength: 200 };
    await using server = await platform.serve(Echo, { limits });
    await using client = connect(server.url, { sharedFrames: true });
    const words = Array.from(
      { length: 40 },
      (_, n) => `${n}${"x".repeat(100)}`,
    );
    const calls = words.map((word) => client.request("echo", [word]));
    assertEquals(await Promise.all(calls), words);
  },
);

Deno.test("Peer reads the ids of a frame exactly, or refuses them", async () => {
  await using it = await share({ local: { m: () => 1 } });
  const messages = ["9007199254740993", "1.5", "2.50"].map((id) =>
    `{"jsonrpc":"2.0","method":"m","id":${id}}`
  );
  it.socket.receive(`[${messages.join()},[${messages[0]}]]`);
  await settle();
  const error =
    "Invalid Request: id must be a number that comes back as it was written";
  assertEquals(it.socket.take(), [[
    failure(null, -32600, error),
    result(1.5, 1),
    failure(null, -32600, error),
    [failure(null, -32600, error)],
  ]]);
});

Deno.test("Peer sends what was gathered before it closes", async () => {
  await using it = await share();
  for (const word of ["one", "two", "three"]) it.peer.notify(word);
  it.peer.close();
  const names = it.socket.take().flat().map((message) =>
    (message as { method: string }).method
  );
  assertEquals(names, ["one", "two", "three"]);
  await settle();
  assertEquals(it.socket.sent, []);
});

Deno.test("Peer survives a socket that fails at the end of a turn", async () => {
  await using it = await share({ timeout: Infinity });
  const calls = [it.peer.request("a"), it.peer.request("b")];
  it.socket.sendError = new Error("broken");
  await settle();
  it.socket.end(1006);
  for (const call of calls) await assertRejects(() => call, Error);
});

/** What is called over frames that are shared. */
class Echo extends Peer {
  override local = {
    add: (a: number, b: number) => a + b,
    echo: (value: unknown) => value,
    async *count(to: number) {
      for (let n = 0; n < to; n++) yield n;
    },
  };
}

/** Counts the frames that a client's socket is sent. */
function countFrames(client: Peer): { count: number } {
  const frames = { count: 0 };
  client.ws!.addEventListener("message", () => frames.count++);
  return frames;
}

bothTest(
  "connect shares frames with a server that wants to",
  async (platform) => {
    await using server = await platform.serve(Echo, { protocols: ["chat"] });
    await using client = connect(server.url, {
      sharedFrames: true,
      protocols: ["chat"],
    });
    await client.opened;
    assertEquals(client.ws!.protocol, subprotocol);
    const frames = countFrames(client);
    const sums = await Promise.all(
      Array.from({ length: 100 }, (_, n) => client.request("add", [n, 1])),
    );
    assertEquals(sums, Array.from({ length: 100 }, (_, n) => n + 1));
    assert(frames.count < 50, `${frames.count}`);
    let last = -1;
    const numbers = client.remote["count"]!(1_000) as unknown as AsyncIterable<
      number
    >;
    for await (const n of numbers) assertEquals(n, ++last);
    assertEquals(last, 999);
  },
);

Deno.test("connect shares no frames unless both want to", async () => {
  const local = { echo: (value: unknown) => value };
  for (const [ours, theirs] of [[true, false], [false, true]] as const) {
    await using server = serve({ local, ...quiet, sharedFrames: theirs });
    await using client = connect(server.url, { sharedFrames: ours });
    await client.opened;
    const frames = countFrames(client);
    await Promise.all([1, 2, 3].map((n) => client.request("echo", [n])));
    assertEquals(frames.count, 3);
  }
});

/** A client that offers to share, to a server that selects whatever it is offered. */
async function connectToEcho(
  options: PeerOptions = {},
): Promise<Scripted> {
  const socket = new ScriptedSocket();
  const peer = new Peer(() => socket, { sharedFrames: true, ...options });
  Object.assign(socket, { protocol: subprotocol });
  await peer.opened;
  return scripted(socket, peer);
}

Deno.test("A client shares no frames before its server has shown that it does", async () => {
  await using it = await connectToEcho({ local: { echo: (n: number) => n } });
  const { socket, peer } = it;
  for (const n of [1, 2, 3]) peer.notify("m", [n]);
  peer.batch(() => {
    for (const n of [4, 5]) peer.notify("m", [n]);
  });
  await settle();
  assertEquals(takeFrames(it), [1, 2, 3, [4, 5]]);
  // Until then an array is a batch, and its answers are one.
  socket.receive([request(1, "echo", [1]), request(2, "echo", [2])]);
  assertEquals(socket.take(), [[result(1, 1), result(2, 2)]]);
  socket.receive([]);
  assertEquals(socket.take(), []);
  for (const n of [1, 2, 3]) peer.notify("m", [n]);
  await settle();
  assertEquals(takeFrames(it), [1, [2, 3]]);
  socket.receive([request(3, "echo", [1]), request(4, "none", [2])]);
  await settle();
  assertEquals(socket.take(), [[
    result(3, 1),
    failure(4, -32601, "Method not found"),
  ]]);
});

Deno.test("An empty array shows nothing to who has not offered to share, nor in 1.0", async () => {
  await using plain = await connectToEcho({ sharedFrames: false });
  plain.socket.receive([]);

  await using other = await connectToEcho({ sharedFrames: true });
  Object.assign(other.socket, { protocol: "chat" });
  other.socket.receive([]);
  for (const { socket, peer } of [plain, other]) {
    for (const n of [1, 2]) peer.notify("m", [n]);
    await settle();
    assertEquals(
      socket.take(),
      [1, 2].map((n) => ({ jsonrpc: "2.0", method: "m", params: [n] })),
    );
  }

  // Its server speaks 1.0, or it is told that it does.
  await using adopting = await connectToEcho({ oninvalid: () => true });
  adopting.socket.receive({ method: "m", params: [], id: null });
  await using told = await connectToEcho({
    version: "1.0",
    oninvalid: () => true,
  });
  for (const { socket, peer } of [adopting, told]) {
    socket.receive([]);
    for (const n of [1, 2, 3]) peer.notify("m", [n]);
    await settle();
    assertEquals(
      socket.take(),
      [1, 2, 3].map((n) => ({
        method: "m",
        params: [n],
        id: null,
      })),
    );
  }
});

bothTest(
  "no frames are shared where either side was told to speak 1.0",
  async (platform) => {
    for (const [ours, theirs] of [["1.0", "2.0"], ["2.0", "1.0"]] as const) {
      await using server = await platform.serve(Echo, { version: theirs });
      await using client = connect(server.url, {
        sharedFrames: true,
        version: ours,
      });
      await client.opened;
      // In Cloudflare's runtime none is null.
      assertEquals(client.ws!.protocol || "", "");
      const frames = countFrames(client);
      await Promise.all([1, 2, 3].map((n) => client.request("echo", [n])));
      assertEquals(frames.count, 3);
    }
  },
);

Deno.test("A client is heard by servers of ws that select whatever they are offered", async () => {
  const seen: string[] = [];
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (ws: NodeWebSocket) => {
    assertEquals(ws.protocol, subprotocol);
    ws.on("message", (data: Uint8Array) => {
      seen.push(String(data));
      const { method, id } = JSON.parse(String(data));
      ws.send(JSON.stringify(result(id, method)));
    });
  });
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const client = connect(`ws://127.0.0.1:${port}`, { sharedFrames: true });
  await client.opened;
  const names = ["a", "b", "c"];
  assertEquals(
    await Promise.all(names.map((it) => client.request(it))),
    names,
  );
  assertEquals(seen.map((text) => JSON.parse(text).method), names);
  await client[Symbol.asyncDispose]();
  server.close();
  await once(server, "close");
});

Deno.test("connect tries without the offer where a server fails because of it", async () => {
  const offers: string[][] = [];
  const states: string[] = [];
  let current = new ScriptedSocket();
  const client = connect("ws://localhost", {
    onopen: () => void states.push("open"),
    onclose: () => void states.push("close"),
    sharedFrames: true,
    protocols: ["chat"],
    createSocket(_url, protocols) {
      offers.push(protocols);
      const socket = current = new ScriptedSocket(0);
      queueMicrotask(() => {
        if (protocols.includes(subprotocol)) socket.end(1006, "", false);
        else {
          socket.onsend = (text): void => {
            const { id } = JSON.parse(text);
            socket.receive(result(id, "plain"));
          };
          socket.open();
        }
      });
      return socket;
    },
  });
  assertEquals(await client.request("m"), "plain");
  assertEquals(offers, [[subprotocol, "chat"], ["chat"]]);
  assertEquals(states, ["open"]);
  client.close();
  current.end();
});

bothTest(
  "serve selects the subprotocol of shared frames before its own",
  async (platform) => {
    const protocols = ["chat"];
    await using server = await platform.serve(Echo, { protocols });
    for (
      const [offer, selected] of [
        [`chat, ${subprotocol}`, subprotocol],
        ["chat", "chat"],
        ["other", undefined],
      ] as const
    ) {
      const { head, conn } = await handshake(server, [
        ...upgradeLines,
        `Sec-WebSocket-Protocol: ${offer}`,
      ]);
      const [, said] = /^sec-websocket-protocol: *(.*)\r$/im.exec(head) ?? [];
      assertEquals([head.split(" ")[1], said], ["101", selected]);
      conn.close();
    }
    await until(() => server.peers.size === 0);
  },
);
