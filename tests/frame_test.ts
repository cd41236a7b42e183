import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect } from "../client.ts";
import { Peer, type PeerOptions } from "../mod.ts";
import { serve } from "../server.ts";
import { SharedFrames, sharedFrames } from "../src/parts/shared_frames.ts";
import { streams } from "../src/parts/streams.ts";
import {
  failure,
  openScripted,
  request,
  result,
  type Scripted,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";
import { bothTest, quiet } from "./servers.ts";

function share(options: PeerOptions = {}): Promise<Scripted> {
  return openScripted({ sharedFrames: true, ...options });
}

/** Frames, and how many messages each of them has. */
function recordFrames(): [frames: string[], push: (frame: string) => void] {
  const frames: string[] = [];
  return [frames, (frame): void => void frames.push(frame)];
}

Deno.test("SharedFrames sends the first message of a turn at once, the others together at its end", async () => {
  const [frames, send] = recordFrames();
  const shared = new SharedFrames(send);
  for (const text of ["1", "2", "3"]) shared.push(text);
  assertEquals(frames, ["1"]);
  await settle();
  assertEquals(frames.splice(0), ["1", "[2,3]"]);
  shared.push("4");
  assertEquals(frames.splice(0), ["4"]);
  await settle();
  assertEquals(frames, []);
});

Deno.test("SharedFrames gathers all of a turn while what arrives has company", async () => {
  const [frames, send] = recordFrames();
  const shared = new SharedFrames(send);
  shared.isBusy = true;
  shared.push("1");
  shared.push("2");
  assertEquals(frames, []);
  await settle();
  shared.push("3");
  await settle();
  assertEquals(frames, ["[1,2]", "3"]);
});

Deno.test("SharedFrames keeps a batch apart from the messages of a frame", async () => {
  const [frames, send] = recordFrames();
  const shared = new SharedFrames(send);
  shared.push("[1,2]");
  shared.push("[3,4]");
  await settle();
  shared.isBusy = true;
  shared.push("[5]");
  shared.push("6");
  await settle();
  assertEquals(frames, ["[[1,2]]", "[[3,4]]", "[[5],6]"]);
});

Deno.test("SharedFrames keeps frames within their length and their members", async () => {
  for (const text of ["x".repeat(97), "é".repeat(32), "\u20ac".repeat(32)]) {
    const [frames, send] = recordFrames();
    const shared = new SharedFrames(send, 1_000);
    shared.isBusy = true;
    for (let n = 0; n < 100; n++) shared.push(`"${text}"`);
    await settle();
    assertEquals(frames.flatMap((frame) => JSON.parse(frame)).length, 100);
    const encoder = new TextEncoder();
    for (const frame of frames) {
      const { length } = encoder.encode(frame);
      assert(length <= 1_000, `${length}`);
    }
    assert(frames.length <= 14, `${frames.length}`);
  }
  const [frames, send] = recordFrames();
  const shared = new SharedFrames(send);
  shared.isBusy = true;
  for (let n = 0; n < 737; n++) shared.push("1");
  await settle();
  assertEquals(frames.map((frame) => [JSON.parse(frame)].flat().length), [
    32,
    64,
    128,
    256,
    256,
    1,
  ]);
});

Deno.test("SharedFrames begins each turn with a short frame, before it ends", async () => {
  const [frames, send] = recordFrames();
  const shared = new SharedFrames(send);
  shared.isBusy = true;
  for (let turn = 0; turn < 2; turn++) {
    for (let n = 0; n < 33; n++) shared.push("1");
    assertEquals(frames.map((frame) => JSON.parse(frame).length), [32]);
    await settle();
    assertEquals(frames.splice(0).length, 2);
  }
});

Deno.test("SharedFrames fills frames as long as a socket says they may be", async () => {
  const [frames, send] = recordFrames();
  const shared = new SharedFrames(send, 40_000);
  shared.isBusy = true;
  for (let n = 0; n < 300; n++) shared.push(`"${"x".repeat(180)}"`);
  await settle();
  assertEquals(frames.map((frame) => JSON.parse(frame).length), [
    32,
    64,
    128,
    76,
  ]);
});

Deno.test("SharedFrames fills frames to the last byte, and halves what has more bytes than characters", async () => {
  for (
    const [text, members] of [
      ["x".repeat(9), [2, 2, 1]],
      ["x".repeat(10), [1, 1, 1, 1, 1]],
      ["é".repeat(4) + "x", [1, 2, 2]],
      ["é".repeat(6), [1, 1, 1, 1, 1]],
      ["\u20ac".repeat(3), [2, 2, 1]],
    ] as [text: string, members: number[]][]
  ) {
    const [frames, send] = recordFrames();
    const shared = new SharedFrames(send, 25);
    shared.isBusy = true;
    const texts = Array.from({ length: 5 }, (_, n) => [`${n}`, text]);
    for (const [n, text] of texts) shared.push(`"${n}${text!.slice(1)}"`);
    await settle();
    const received = frames.map((frame) => [JSON.parse(frame)].flat());
    assertEquals(received.map(({ length }) => length), members);
    assertEquals(
      received.flat(),
      texts.map(([n, text]) => n + text!.slice(1)),
    );
  }
});

// A process of its own, since it is about the first turns of one.
Deno.test("SharedFrames loads no timers for the first turns of a process", async () => {
  const module = JSON.stringify(
    new URL("../src/parts/shared_frames.ts", import.meta.url),
  );
  const program = `
    import { SharedFrames } from ${module};
    const shared = new SharedFrames((frame) => console.log(frame));
    for (const turn of ["1", "2"]) {
      for (const n of [1, 2, 3]) shared.push(turn + n);
      await Promise.resolve();
    }
    for (const name of ["setTimeout", "setImmediate"]) {
      const { get } = Object.getOwnPropertyDescriptor(globalThis, name);
      console.log(get === undefined ? "loaded" : "not loaded");
    }
  `;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
  }).output();
  assertEquals(
    new TextDecoder().decode(stdout).split("\n"),
    ["11", "[12,13]", "21", "[22,23]", "not loaded", "not loaded", ""],
  );
});

Deno.test("SharedFrames of all connections end their turn by one task", async () => {
  const { setImmediate, setTimeout } = globalThis;
  globalThis.setTimeout = setTimeout; // It is loaded, as in an older process.
  let tasks = 0;
  globalThis.setImmediate = ((task: () => void) => {
    tasks++;
    return setImmediate(task);
  }) as typeof setImmediate;
  try {
    const [frames, send] = recordFrames();
    const all = Array.from({ length: 200 }, () => new SharedFrames(send));
    for (const text of ["1", "2", "3"]) {
      for (const shared of all) shared.push(text);
    }
    assertEquals(frames.splice(0), Array(200).fill("1"));
    await settle();
    assertEquals(frames, Array(200).fill("[2,3]"));
    assertEquals(tasks, 1);
    all[0]!.push("4");
    assertEquals(tasks, 2);
    await settle();
  } finally {
    globalThis.setImmediate = setImmediate;
  }
});

Deno.test("SharedFrames sends what is too long for company alone, in its place", async () => {
  const [frames, send] = recordFrames();
  const shared = new SharedFrames(send, 10);
  shared.isBusy = true;
  for (const text of ["1", "2", "12345678901", "3", "4"]) shared.push(text);
  await settle();
  assertEquals(frames, ["[1,2]", "12345678901", "[3,4]"]);
});

Deno.test("SharedFrames forgets what was gathered for a connection that is gone", async () => {
  const [frames, send] = recordFrames();
  const shared = new SharedFrames(send);
  for (const text of ["1", "2"]) shared.push(text);
  shared.discard();
  await settle();
  assertEquals(frames, ["1"]);
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
  await using it = await share({ limits: { messageRate: 1, messageBurst: 2 } });
  it.socket.receive([]);
  it.socket.receive([]);
  assertEquals(it.peer.state, "open");
  it.socket.receive([]);
  assertEquals(it.socket.closes[0]?.code, 4429);
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
    await using client = connect(server.url, {}, { sharedFrames: true });
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
  await using it = await share({ timeout: 0 });
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
  client.ws.addEventListener("message", () => frames.count++);
  return frames;
}

bothTest(
  "connect shares frames with a server that wants to",
  async (platform) => {
    await using server = await platform.serve(Echo, { protocols: ["chat"] });
    await using client = connect(server.url, {}, {
      sharedFrames: true,
      protocols: ["chat"],
      use: [streams],
    });
    await client.opened;
    assertEquals(client.ws.protocol, sharedFrames);
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
    await using server = serve({ local }, { ...quiet, sharedFrames: theirs });
    await using client = connect(server.url, {}, { sharedFrames: ours });
    await client.opened;
    const frames = countFrames(client);
    await Promise.all([1, 2, 3].map((n) => client.request("echo", [n])));
    assertEquals(frames.count, 3);
  }
});

Deno.test("connect tries without the offer where a server fails because of it", async () => {
  const offers: string[][] = [];
  const states: string[] = [];
  let current = new ScriptedSocket();
  const client = connect("ws://localhost", {
    onopen: () => void states.push("open"),
    onclose: () => void states.push("close"),
  }, {
    sharedFrames: true,
    protocols: ["chat"],
    createSocket(_url, protocols) {
      offers.push(protocols);
      const socket = current = new ScriptedSocket(0);
      queueMicrotask(() => {
        if (protocols.includes(sharedFrames)) socket.end(1006, "", false);
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
  assertEquals(offers, [[sharedFrames, "chat"], ["chat"]]);
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
        [["chat", sharedFrames], sharedFrames],
        [["chat"], "chat"],
        [["other"], ""],
      ] as const
    ) {
      const client = connect(server.url, {}, { protocols: [...offer] });
      const opened = client.opened.then(() => true, () => false);
      if (selected === "") client.close();
      else {
        await opened;
        assertEquals(client.ws.protocol, selected);
      }
      await client[Symbol.asyncDispose]();
    }
  },
);
