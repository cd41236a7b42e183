/**
 * What is too long or too deep: who chose his server is told of his own call and goes
 * on, a stranger is refused.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect as connectByWs } from "../node.ts";
import { type CloseInfo, marshal, Peer, type RpcError } from "../mod.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { eachPeer, type Face, faces, whole, wholePeer } from "./faces.ts";
import { openScripted as open, request, result } from "./scripted_socket.ts";
import { bothTest, platforms, quiet } from "./servers.ts";
import { lab } from "./stage.ts";

/** A tree so many levels deep. */
function treeOf(levels: number): unknown[] {
  let tree: unknown[] = [];
  for (let level = 1; level < levels; level++) tree = [tree];
  return tree;
}

function levelsOf(tree: unknown): number {
  let levels = 0;
  for (; Array.isArray(tree); tree = tree[0]) levels++;
  return levels;
}

/** What a client takes in a test: of the small one nothing can be set. */
function mostOf(face: Face): number {
  return face === whole ? 2_000 : 67_108_864;
}

/** The option that sets it. */
function limitsOf(face: Face): object {
  return face === whole
    ? { limits: { messageLength: mostOf(face), sentLength: 1_048_576 } }
    : {};
}

wholePeer(
  "A call whose answer is too long rejects at once, its client sends nothing and goes on",
  async (face) => {
    const most = mostOf(face);
    await using it = lab(face, limitsOf(face));
    const { socket, client } = it;
    socket.open();
    const calls = ["first", "second", "third"].map((name) =>
      client.request(name)
    );
    const [first, second, third] = socket.take() as { id: number }[];
    const envelope = JSON.stringify(result(second!.id, "")).length;
    socket.receive(result(first!.id, "x".repeat(most - envelope)));
    assertEquals((await calls[0] as string).length, most - envelope);
    socket.receive(result(second!.id, "x".repeat(most - envelope + 1)));
    await assertRejects(
      () => calls[1]!,
      RangeError,
      `Cannot read response to request "second": it has ${
        most + 1
      } of at most ${most} characters, see limits.messageLength`,
    );
    socket.receive(result(third!.id, 3));
    assertEquals(await calls[2], 3);
    assertEquals([socket.sent, client.state], [[], "open"]);
  },
);

wholePeer(
  "A client answers a call that is too long, and drops what else is",
  async (face) => {
    const most = mostOf(face);
    const text = "x".repeat(most);
    const told: string[] = [];
    await using it = lab(face, {
      ...limitsOf(face),
      oninvalid: (_text, { message }) => void told.push(message),
    });
    const { socket, client } = it;
    socket.open();
    const call = client.request("m");
    call.catch(() => {});
    const [{ id }] = socket.take() as [{ id: number }];
    // Under the id of a call of ours.
    socket.receive(request(id, "echo", [text]));
    const [{ error, id: answered }] = socket.take() as [
      { error: { code: number; message: string }; id: number },
    ];
    assertEquals([error.code, answered], [-32007, id]);
    assert(error.message.endsWith(", see limits.messageLength"));
    for (
      const frame of [
        { jsonrpc: "2.0", method: "note", params: [text] },
        result(99, text),
        `["${text}"]`,
        `${text}x`,
      ]
    ) socket.receive(frame);
    assertEquals([socket.sent, told.length], [[], 5]);
    socket.receive(result(id, "here"));
    assertEquals(await call, "here");
  },
);

Deno.test("A client measures a binary frame in bytes, and finds the call that it answers", async () => {
  await using it = lab(whole, limitsOf(whole));
  it.socket.open();
  const call = it.client.request("m");
  const text = JSON.stringify(result(1, "\u{20ac}".repeat(700)));
  it.socket.receive(new TextEncoder().encode(text).buffer);
  await assertRejects(
    () => call,
    RangeError,
    "it has 2136 of at most 2000 bytes",
  );
  assertEquals(it.client.state, "open");
});

Deno.test("A batch whose answer is too long rejects", async () => {
  await using it = lab<Peer>(whole, limitsOf(whole));
  it.socket.open();
  const calls = it.client.batch(() => [
    it.client.request("a"),
    it.client.request("b"),
  ]);
  it.socket.take();
  it.socket.receive([result(1, "x".repeat(2_000)), result(2, 2)]);
  for (const call of calls) {
    await assertRejects(
      () => call,
      RangeError,
      "Cannot read response to batch",
    );
  }
  assertEquals(it.client.state, "open");
});

Deno.test("A call whose answer is too deep rejects at once, whoever made it", async () => {
  await using it = lab<Peer>(whole);
  it.socket.open();
  const client = { socket: it.socket, peer: it.client, most: 1_000 };
  await using accepted = await open();
  for (const { socket, peer, most } of [client, { ...accepted, most: 64 }]) {
    const calls = ["first", "second"].map((name) => peer.request(name));
    const [first, second] = socket.take() as { id: number }[];
    socket.receive(result(first!.id, treeOf(most - 1)));
    assertEquals(levelsOf(await calls[0]), most - 1);
    socket.receive(result(second!.id, treeOf(most)));
    await assertRejects(
      () => calls[1]!,
      RangeError,
      `Cannot read response to request "second": it is nested deeper than ${most} levels, see limits.depth`,
    );
    // One that nobody waits for any more is answered no more than any other.
    socket.receive(result(second!.id, treeOf(most)));
    assertEquals([socket.sent, peer.state], [[], "open"]);
  }
});

Deno.test("A peer that was given a socket rejects its own call for a long answer, and closes for all else", async () => {
  const text = "x".repeat(1_048_576);
  for (
    const frame of [
      request(1, "echo", [text]),
      { jsonrpc: "2.0", method: "echo", params: [text] },
      result(99, text),
      `${text}x`,
    ]
  ) {
    await using it = await open();
    const call = it.peer.request("m");
    it.socket.receive(result(1, text));
    await assertRejects(() => call, RangeError, "see limits.messageLength");
    assertEquals(it.peer.state, "open");
    it.socket.receive(frame);
    assertEquals(it.socket.closes.map(({ code }) => code), [1009]);
  }
});

eachPeer(
  "A picture of 8 MiB and a tree of 500 levels arrive with the defaults",
  async (face) => {
    for (const platform of platforms) {
      const closes: CloseInfo[] = [];
      await using server = await platform.define({
        local: {
          picture: () => "A".repeat(8_388_608),
          tree: (levels: number) => treeOf(levels),
          lend: () => [treeOf(100), () => 5],
        },
        onclose: (info) => void closes.push(info),
      });
      await using client = face.connect(server.url);
      const picture = await client.request<string>("picture");
      assertEquals(picture.length, 8_388_608);
      for (const levels of [100, 500, 990]) {
        const tree = await client.request("tree", [levels]);
        assertEquals(levelsOf(tree), levels);
      }
      assertEquals(closes, []);
    }
  },
);

bothTest(
  "Params that are too deep for a server reject their own call at once, whatever shares their frame",
  async (platform) => {
    await using server = await platform.define({
      local: { echo: (value: unknown) => value },
    });
    for (const face of faces) {
      for (const sharedFrames of [false, true]) {
        await using client = face.connect(server.url, { sharedFrames });
        await client.opened;
        // In one turn: where frames are shared, all of them are in two.
        const calls = [1, treeOf(100), 2, treeOf(62), treeOf(63)].map((value) =>
          client.request("echo", [value]).then(
            (value) => levelsOf(value),
            (error: RpcError) => [error.code, error.message],
          )
        );
        const refusal = [
          -32600,
          "Invalid Request: it is nested deeper than 64 levels, see limits.depth",
        ];
        assertEquals(await Promise.all(calls), [0, refusal, 0, 62, refusal]);
      }
    }
  },
);

bothTest(
  "A server takes 1 MiB from strangers, who are told so before they send more",
  async (platform) => {
    await using server = await platform.define({
      local: { length: (text: string) => text.length },
    });
    for (const face of faces) {
      await using client = face.connect(server.url);
      const error = await assertRejects(
        () => client.request("length", ["x".repeat(1_048_576)]),
        RangeError,
        "of at most 1048576 characters, see limits.sentLength",
      );
      assert(/it has 10486\d\d of/.test(error.message), error.message);
      assertEquals(await client.request("length", ["x"]), 1);
    }
  },
);

Deno.test("A client over sockets of ws goes on after an answer that is too long", async () => {
  const server = await platforms[1]!.define({
    ...quiet,
    local: { repeat: (length: number) => "x".repeat(length) },
  });
  await using _server = server;
  const limits = { messageLength: 20_000 };
  await using client = connectByWs(server.url, { limits });
  for (const length of [20_000, 59_000]) {
    await assertRejects(
      () => client.request("repeat", [length]),
      RangeError,
      "of at most 20000 characters, see limits.messageLength",
    );
  }
  assertEquals((await client.request<string>("repeat", [9])).length, 9);
});

Deno.test("A result with a function at its 900th level is read with it", async () => {
  const [left, right] = socketPair();
  await using _server = new Peer(left, {
    local: {
      lend() {
        let tree: unknown = marshal(() => 5);
        for (let level = 0; level < 900; level++) tree = [tree];
        return tree;
      },
    },
  });
  await using client = new Peer(() => right, { reconnect: false });
  let value = await client.request("lend");
  while (Array.isArray(value)) value = value[0];
  assertEquals(await (value as () => Promise<number>)(), 5);
});
