/** The sockets of `ws` as peers have them: what leaves in one turn leaves together. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Peer } from "../mod.ts";
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
