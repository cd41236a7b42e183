/** The sockets of `ws` as peers have them: what leaves in one turn leaves together. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { broadcast, Peer } from "../mod.ts";
import { connect, serve, type Server } from "../node.ts";
import { PeerSocket } from "../src/runtime/ws_socket.ts";
import { countedWrites } from "./counted_writes.ts";
import { quiet, until } from "./servers.ts";

/** Takes what it is told, and tells as much as it is asked for, in one turn. */
class Parrot extends Peer<{ tick(n: number, text: string): void }> {
  readonly seen: number[] = [];
  override local = {
    tick: (n: number, _text: string) => void this.seen.push(n),
    echo: <T>(value: T) => value,
    burst: (count: number, length: number) => {
      for (let n = 0; n < count; n++) {
        this.notify("tick", [n, "x".repeat(length)]);
      }
    },
  };
}

type Methods = Parrot["local"];

/** A server that counts what its sockets hand to the system. */
async function counting(): Promise<
  { server: Server<Parrot>; writes: () => number }
> {
  let writes = () => 0;
  const server = await serve(Parrot, {
    ...quiet,
    authorize(_handshake, { incoming }) {
      writes = countedWrites(incoming.socket);
      return undefined;
    },
  });
  return { server, writes: () => writes() };
}

/** A client with a socket of its own, that is open. */
async function dial(
  url: string,
  webSocketOptions: { readonly [option: string]: unknown } = {},
): Promise<{ client: Peer<Methods>; socket: PeerSocket; seen: number[] }> {
  const seen: number[] = [];
  const client = connect<Methods>(url, {
    local: { tick: (n: number) => void seen.push(n) },
    reconnect: false,
    webSocketOptions,
  });
  await client.opened;
  return { client, socket: client.ws as PeerSocket, seen };
}

const hundred = Array.from({ length: 100 }, (_, n) => n);

for (const perMessageDeflate of [false, true]) {
  const how = perMessageDeflate ? "compressed" : "as it is";
  Deno.test(`What leaves in one turn keeps its order, ${how}`, async () => {
    await using server = await serve(Parrot, { ...quiet, perMessageDeflate });
    const { client, seen } = await dial(server.url, { perMessageDeflate });
    const [peer] = server.peers;
    for (const length of [1, 3_000]) {
      for (const n of hundred) {
        client.notify("tick", [n, "x".repeat(n % 7 * length)]);
      }
      await client.remote.burst(100, length);
      // It was told of them before the answer left.
      assertEquals([seen.splice(0), peer!.seen.splice(0)], [hundred, hundred]);
    }
    await client[Symbol.asyncDispose]();
  });
}

Deno.test("What leaves in one turn takes few writes, on either side", async () => {
  const { server, writes } = await counting();
  const { client, socket } = await dial(server.url);
  const sent = countedWrites(socket.stream!);
  await client.remote.echo("first");
  const before = [sent(), writes()];
  const echoes = hundred.slice(0, 64).map((n) => client.remote.echo(n));
  // The first, and then each sixteen.
  assertEquals(sent() - before[0]!, 1 + 3);
  assertEquals(await Promise.all(echoes), hundred.slice(0, 64));
  assertEquals(sent() - before[0]!, 1 + 4);
  const answers = writes() - before[1]!;
  // As many turns as there were chunks.
  assert(answers < 32, `${answers} writes`);
  await client[Symbol.asyncDispose]();
  await server.shutdown();
});

Deno.test("What leaves alone leaves at once, and what is long before the turn is over", async () => {
  await using server = await serve(Parrot, quiet);
  const { client, socket } = await dial(server.url);
  const sent = countedWrites(socket.stream!);
  const text = "x".repeat(10_000);
  for (let turn = 0; turn < 3; turn++) {
    await client.request("rpc.ping");
    const before = sent();
    for (const writes of [1, 1, 2, 2, 3, 3]) {
      client.notify("tick", [turn, text]);
      assertEquals(sent() - before, writes);
    }
    await new Promise((resolve) => setTimeout(resolve));
    assertEquals(sent() - before, 4);
  }
  await client[Symbol.asyncDispose]();
});

Deno.test("What was gathered leaves before a close, and is lost where it is cut", async () => {
  await using server = await serve(Parrot, quiet);
  const { client } = await dial(server.url);
  await client.request("rpc.ping");
  const [peer] = server.peers;
  for (const n of hundred) client.notify("tick", [n, ""]);
  client.close(4000, "enough");
  assertEquals((await peer!.closed).code, 4000);
  assertEquals(peer!.seen, hundred);

  const other = await dial(server.url);
  await until(() => server.peers.size === 1);
  const [served] = server.peers;
  for (const n of hundred) other.client.notify("tick", [n, ""]);
  other.socket.terminate();
  assertEquals(other.client.notify("tick", [100, ""]), false);
  assertEquals((await other.client.closed).code, 1006);
  assertEquals((await served!.closed).code, 1006);
  // The process goes on, and so does whoever else was at it.
  const { client: third } = await dial(server.url);
  assertEquals(await third.remote.echo("alive"), "alive");
  await third[Symbol.asyncDispose]();
});

Deno.test("Many sockets share the end of a turn, and none keeps another's", async () => {
  await using server = await serve(Parrot, quiet);
  const all = await Promise.all(
    hundred.slice(0, 20).map(() => dial(server.url)),
  );
  const sums = all.flatMap(({ client }, n) =>
    [0, 1, 2].map((m) => client.remote.echo(3 * n + m))
  );
  // One of them is gone before the turn is over.
  all[7]!.socket.terminate();
  const settled = await Promise.allSettled(sums);
  assertEquals(
    settled.map((one) => one.status === "fulfilled" ? one.value : "lost"),
    Array.from(sums, (_, n) => n >= 21 && n < 24 ? "lost" : n),
  );
  await Promise.all(all.map(({ client }) => client[Symbol.asyncDispose]()));
});

Deno.test("Who sends by the socket itself is served as ws does it", async () => {
  await using server = await serve(Parrot, quiet);
  const { client, socket } = await dial(server.url);
  const texts: string[] = [];
  socket.addEventListener("message", ({ data }) => texts.push(String(data)));
  const called = Promise.withResolvers<Error | null | undefined>();
  socket.send('{"jsonrpc":"2.0","method":"tick","params":[1,""]}');
  socket.send(
    '{"jsonrpc":"2.0","method":"echo","params":["by hand"],"id":"a"}',
    { compress: false },
    called.resolve,
  );
  assertEquals(await called.promise ?? undefined, undefined);
  await until(() => texts.length > 0);
  assertEquals(JSON.parse(texts[0]!).result, "by hand");
  await client[Symbol.asyncDispose]();
});

Deno.test("connect for Node sends headers, and has a new socket for each connection", async () => {
  const users: unknown[] = [];
  const server = await serve(Parrot, {
    ...quiet,
    authorize: ({ headers }) => void users.push(headers.get("x-user")),
  });
  const client = connect<Methods>(server.url, {
    headers: { "x-user": "ann" },
    reconnect: { delay: 1 },
  });
  assertEquals(await client.remote.echo(1), 1);
  const [first] = server.peers;
  first!.close(1012, "Once more");
  await until(() => client.state === "connecting");
  assertEquals(await client.remote.echo(2), 2);
  assertEquals(users, ["ann", "ann"]);
  await client[Symbol.asyncDispose]();
  await server.shutdown();

  const nowhere = connect(server.url, { reconnect: false });
  const { code, wasClean } = await nowhere.closed;
  assertEquals([code, wasClean], [1006, false]);
  const error = await nowhere.opened.catch((error) => error);
  assertMatch(String(error.cause), /ECONNREFUSED/);
});

Deno.test("connect for Node makes an instance of a class, with settings behind it", async () => {
  class Page extends Peer<Methods, string> {
    readonly seen: number[] = [];
    override local = { tick: (n: number) => void this.seen.push(n) };
  }
  const users: unknown[] = [];
  await using server = await serve(Parrot, {
    ...quiet,
    authorize: ({ headers }) => void users.push(headers.get("x-user")),
  });
  const settings = { headers: { "x-user": "bob" }, context: "mine" };
  const page = connect(server.url, Page, settings);
  await page.remote.burst(3, 1);
  assertEquals([page.seen, page.context, users], [[0, 1, 2], "mine", ["bob"]]);
  page.close();
  await page.closed;
});

Deno.test("PeerSocket doesn't count what has left of a write that has not ended, where that is told", () => {
  const socket = new PeerSocket(null, undefined, {});
  Object.assign(socket, { _bufferedAmount: 1_000 });
  const rows: [stream: object | undefined, amount: number][] = [
    [undefined, 1_000],
    // In Deno.
    [{ _handle: {}, _writableState: { writelen: 800 } }, 1_000],
    [{ _handle: { writeQueueSize: 800 } }, 1_000],
    [{ _handle: null, _writableState: { writelen: 800 } }, 1_000],
    // In Node.
    [
      { _handle: { writeQueueSize: 800 }, _writableState: { writelen: 800 } },
      1_000,
    ],
    [
      { _handle: { writeQueueSize: 300 }, _writableState: { writelen: 800 } },
      500,
    ],
    [
      { _handle: { writeQueueSize: 0 }, _writableState: { writelen: 2_000 } },
      0,
    ],
  ];
  for (const [stream, amount] of rows) {
    Object.assign(socket, { stream });
    assertEquals(socket.bufferedAmount, amount);
  }
});

/** A server's peers with clients that note what each is told. */
async function room(
  size: number,
  options: { perMessageDeflate?: boolean } = {},
  of: (n: number) => { readonly [option: string]: unknown } = () => ({}),
): Promise<
  AsyncDisposable & {
    peers: Parrot[];
    clients: Peer<Methods>[];
    /** What each was told, in order. */
    seen: number[][];
    /** What was written to each from here on. */
    written: unknown[][];
  }
> {
  const server = await serve(Parrot, { ...quiet, ...options });
  const clients: Peer<Methods>[] = [];
  const peers: Parrot[] = [];
  const seen: number[][] = [];
  for (let n = 0; n < size; n++) {
    const one = await dial(server.url, of(n));
    clients.push(one.client);
    seen.push(one.seen);
    peers.push([...server.peers].at(-1)!);
  }
  const written = peers.map(({ ws }) => {
    const { stream } = ws as PeerSocket;
    const all: unknown[] = [];
    const { write } = stream!;
    stream!.write = (...args: unknown[]): boolean => {
      all.push(args[0]);
      return Reflect.apply(write, stream, args);
    };
    return all;
  });
  return {
    peers,
    clients,
    seen,
    written,
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client[Symbol.asyncDispose]();
      await server.shutdown();
    },
  };
}

/** Waits until all that was sent in this turn has arrived. */
async function settled({ peers }: { peers: Parrot[] }): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
  for (const peer of peers) await peer.request("rpc.ping");
}

Deno.test("What many are told in one turn is one buffer, for all who are told the same", async () => {
  await using it = await room(5);
  broadcast(it.peers, "tick", [0, "to all"]);
  it.peers[3]!.notify("tick", [1, "to one"]);
  broadcast(it.peers, "tick", [2, "to all"]);
  broadcast(it.peers.slice(1), "tick", [3, "to most"]);
  assertEquals(it.written, [[], [], [], [], []]);
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(it.written.map(({ length }) => length), [1, 1, 1, 1, 1]);
  const [first, second, third, fourth, fifth] = it.written.flat();
  assert(second === third && second === fifth);
  assert(second !== first && second !== fourth);
  await settled(it);
  assertEquals(it.seen, [
    [0, 2],
    [0, 2, 3],
    [0, 2, 3],
    [0, 1, 2, 3],
    [0, 2, 3],
  ]);
});

Deno.test("What many are told at length leaves before the turn is over, as one buffer", async () => {
  await using it = await room(3);
  const long = "x".repeat(7_000);
  for (const n of [0, 1, 2, 3]) broadcast(it.peers, "tick", [n, long]);
  assertEquals(it.written.map(({ length }) => length), [1, 1, 1]);
  for (const n of hundred) broadcast(it.peers, "tick", [n, ""]);
  await settled(it);
  // The last of each is the ping.
  const [first, ...others] = it.written.map((all) => all.slice(0, -1));
  assertEquals(first!.length, 2);
  for (const other of others) {
    assert(first!.every((buffer, index) => buffer === other[index]));
  }
  for (const one of it.seen) assertEquals(one, [0, 1, 2, 3, ...hundred]);
});

Deno.test("Frames that a server's socket writes are those of ws, however long", async () => {
  await using server = await serve(Parrot, quiet);
  const { client } = await dial(server.url);
  const [peer] = server.peers;
  const texts: string[] = [];
  client.ws!.addEventListener(
    "message",
    ({ data }) => texts.push(String(data)),
  );
  const lengths = [2, 124, 125, 126, 127, 65_534, 65_535, 65_536, 200_000];
  const sent = lengths.flatMap((length) => [
    JSON.stringify("x".repeat(length - 2)),
    JSON.stringify("é".repeat((length - 2) / 2)),
    JSON.stringify("\u20ac\u{1f600}".repeat(length / 8)),
  ]);
  // Each alone, and then all in one turn.
  for (const text of sent) {
    peer!.ws!.send(text);
    await peer!.request("rpc.ping");
  }
  for (const text of sent) peer!.ws!.send(text);
  await peer!.request("rpc.ping");
  assertEquals(
    texts.filter((text) => !text.includes("rpc.ping")),
    [...sent, ...sent],
  );
  client.close();
  await client.closed;
});

Deno.test("Who compresses is told the same as the others, in order", async () => {
  await using it = await room(
    4,
    { perMessageDeflate: true },
    (n) => ({ perMessageDeflate: n % 2 === 0 }),
  );
  assertEquals(
    it.peers.map(({ ws }) => (ws as PeerSocket).extensions),
    ["permessage-deflate", "", "permessage-deflate", ""],
  );
  for (const n of hundred) {
    broadcast(it.peers, "tick", [n, "x".repeat(n % 7 * 300)]);
  }
  await settled(it);
  for (const one of it.seen) assertEquals(one, hundred);
  // The last of each is the ping.
  const [first, second] = [it.written[1]!, it.written[3]!];
  assertEquals(first.length, second.length);
  assert(first.slice(0, -1).every((one, index) => one === second[index]));
});

Deno.test("What a server's socket gathered leaves before a close or a ping, and is lost where it is cut", async () => {
  await using it = await room(4);
  const [closing, pinging, cut] = it.peers;
  for (const n of hundred) broadcast(it.peers, "tick", [n, ""]);
  closing!.close(4000, "enough");
  (pinging!.ws as PeerSocket).ping();
  (cut!.ws as PeerSocket).terminate();
  broadcast(it.peers, "tick", [100, ""]);
  assertEquals((await it.clients[0]!.closed).code, 4000);
  assertEquals((await it.clients[2]!.closed).code, 1006);
  await settled({ peers: [pinging!, it.peers[3]!] });
  assertEquals(it.seen[0], hundred);
  for (const n of [1, 3]) assertEquals(it.seen[n], [...hundred, 100]);
  // The ping stands behind all that was sent before it.
  const ping = it.written[1]!.findIndex((one) =>
    one instanceof Uint8Array && one[0] === 0x89
  );
  assert(ping > 0 && ping < it.written[1]!.length - 1);
});

Deno.test("What a server's socket gathered counts as what waits in it", async () => {
  await using it = await room(1);
  const [{ ws }] = it.peers as [Parrot];
  broadcast(it.peers, "tick", [0, "x".repeat(1_000)]);
  assert(ws!.bufferedAmount! > 1_000);
  await settled(it);
  assertEquals(ws!.bufferedAmount, 0);
});

Deno.test("What its owner sends by a server's socket keeps its place", async () => {
  await using it = await room(2);
  const socket = it.peers[0]!.ws as PeerSocket;
  const texts: string[] = [];
  it.clients[0]!.ws!.addEventListener(
    "message",
    ({ data }) => texts.push(String(data)),
  );
  const text = (n: number) =>
    `{"jsonrpc":"2.0","method":"tick","params":[${n},""]}`;
  broadcast(it.peers, "tick", [0, ""]);
  socket.send(text(1), { fin: false });
  // A frame of its own here would be taken for the rest of that message.
  socket.send(" ", { fin: true });
  broadcast(it.peers, "tick", [2, ""]);
  (socket as { send(data: unknown): void }).send(new Blob([text(3)]));
  for (const n of hundred.slice(4)) broadcast(it.peers, "tick", [n, ""]);
  await settled(it);
  assertEquals(it.seen[0], hundred);
  assertEquals(it.seen[1], [0, 2, ...hundred.slice(4)]);
});

Deno.test("A server's socket lets ws write where that writes to something else", async () => {
  await using it = await room(3);
  // As in Bun, whose own sockets have the name of ws.
  const socket = it.peers[1]!.ws as PeerSocket;
  socket.stream = Object.create(socket.stream!);
  for (const n of hundred) broadcast(it.peers, "tick", [n, ""]);
  await settled(it);
  for (const one of it.seen) assertEquals(one, hundred);
  const [first, second, third] = it.written;
  assert(first![0] === third![0] && first!.length < 10);
  // A head and a text for each.
  assert(second!.length >= 200);
});

Deno.test("Who speaks 1.0 is told in that, as one buffer for all who do", async () => {
  const server = await serve(Parrot, quiet);
  const open = await Promise.all(
    (["2.0", "1.0", "1.0", "2.0"] as const).map(async (version) => {
      const seen: number[] = [];
      const client = connect<Methods>(server.url, {
        local: { tick: (n: number) => void seen.push(n) },
        reconnect: false,
        version,
      });
      await client.remote.echo("It is heard by this.");
      return { client, seen };
    }),
  );
  const peers = [...server.peers];
  const written = peers.map(({ ws }) => {
    const { stream } = ws as PeerSocket;
    const { write } = stream!;
    const all: unknown[] = [];
    stream!.write = (...args: unknown[]): boolean => {
      all.push(args[0]);
      return Reflect.apply(write, stream, args);
    };
    return all;
  });
  for (const n of [1, 2]) broadcast(peers, "tick", [n, ""]);
  await settled({ peers });
  for (const { seen } of open) assertEquals(seen, [1, 2]);
  const buffers = new Map<unknown, Set<unknown>>();
  for (const [index, { version }] of peers.entries()) {
    const set = buffers.get(version) ?? new Set();
    buffers.set(version, set.add(written[index]![0]));
  }
  assertEquals([...buffers.keys()].sort(), ["1.0", "2.0"]);
  for (const set of buffers.values()) assertEquals(set.size, 1);
  for (const { client } of open) await client[Symbol.asyncDispose]();
  await server.shutdown();
});
