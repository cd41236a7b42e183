import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect } from "../client.ts";
import { ConnectionClosedError, Peer, RpcError } from "../mod.ts";
import { marshal, references } from "../src/parts/references.ts";
import { resume } from "../src/parts/resume.ts";
import { type MemorySocket, socketPair } from "../src/line/socket_pair.ts";
import { streams } from "../src/parts/streams.ts";
import { notifications, subscribe } from "../src/parts/subscriptions.ts";

const use = [streams, references];

/** A client whose connections a test can cut; each has a server of its own. */
interface Network<Local extends object> extends AsyncDisposable {
  readonly client: Peer<Local>;
  readonly servers: Peer[];
  /** Loses the connection. */
  cut(): void;
}

function network<Local extends object>(local: Local): Network<Local> {
  const servers: Peer[] = [];
  let current: MemorySocket;
  const client = connect<Local>("ws://localhost", {}, {
    use,
    reconnect: { delay: 0 },
    createSocket() {
      const [left, right] = socketPair();
      current = left;
      servers.push(new Peer(left, { local, use }));
      return right;
    },
  });
  return {
    client: client as Peer<Local>,
    servers,
    cut: () => current.terminate(),
    async [Symbol.asyncDispose]() {
      client.close();
      await client.closed;
      await Promise.all(servers.map((server) => server.closed));
    },
  };
}

async function* count(from: number): AsyncGenerator<number> {
  while (from <= 5) yield from++;
  await new Promise(() => {});
}

Deno.test("resume opens a stream again where it was, as often as its connection is lost", async () => {
  await using it = network({ count });
  const opened: unknown[] = [];
  const read: number[] = [];
  const numbers = resume(it.client, (last?: number) => {
    opened.push(last);
    return it.client.remote.count((last ?? 0) + 1);
  });
  for await (const n of numbers) {
    read.push(n);
    if (n === 2 || n === 3) it.cut();
    if (n === 5) break;
  }
  // What had been sent ahead is read first.
  assertEquals(read, [1, 2, 3, 4, 5]);
  assertEquals(opened[0], undefined);
  assert(opened.length >= 2, `${opened}`);
});

Deno.test("resume subscribes again, and the old subscription is nobody's any more", async () => {
  const asked: string[] = [];
  let lastId = 0;
  await using it = network({
    subscribe(this: Peer) {
      asked.push("subscribe");
      const subscription = `${++lastId}`;
      queueMicrotask(() =>
        this.notify("event", { subscription, result: lastId })
      );
      return subscription;
    },
    unsubscribe: (id: string) => void asked.push(`unsubscribe ${id}`),
  });
  const names = {
    subscribe: "subscribe",
    unsubscribe: "unsubscribe",
    notification: "event",
  };
  const events = resume(
    it.client,
    () => subscribe<number>(it.client, names),
  );
  for await (const event of events) {
    if (event === 3) break;
    it.cut();
  }
  // The last one's end is told by a call of its own.
  await it.client.request("subscribe");
  assertEquals(asked, [
    "subscribe",
    "subscribe",
    "subscribe",
    "unsubscribe 3",
    "subscribe",
  ]);
});

Deno.test("resume ends as what it iterates does", async () => {
  await using it = network({
    async *few() {
      yield 1;
    },
    async *failing(): AsyncGenerator<number> {
      yield 1;
      throw new RpcError(7, "enough");
    },
    count,
  });
  const few: number[] = [];
  for await (const n of resume(it.client, () => it.client.remote.few())) {
    few.push(n);
  }
  assertEquals(few, [1]);
  await assertRejects(
    async () => {
      const all = resume(it.client, () => it.client.remote.failing());
      for await (const _ of all);
    },
    RpcError,
    "enough",
  );
  await assertRejects(
    async () => {
      const all = resume(it.client, () => it.client.remote.count(1));
      for await (const n of all) if (n === 5) it.client.close();
    },
    ConnectionClosedError,
  );
});

Deno.test("A stream of a lost connection asks nothing of the next one", async () => {
  await using it = network({ count });
  const numbers = it.client.remote.count(1);
  const iterator = numbers[Symbol.asyncIterator]();
  assertEquals((await iterator.next()).value, 1);
  it.cut();
  await it.servers[0]!.closed;
  await it.client.opened;
  // On the new connection, the same token would be this stream's.
  const other = it.client.remote.count(4)[Symbol.asyncIterator]();
  assertEquals((await other.next()).value, 4);
  await assertRejects(async () => {
    for (;;) await iterator.next();
  }, ConnectionClosedError);
  assertEquals((await other.next()).value, 5);
});

Deno.test("A stream whose call was sent again is one of the connection that it came by", async () => {
  let asked = 0;
  const running = Promise.withResolvers<void>();
  await using it = network({
    // The first connection is lost before it answers.
    count(from: number): AsyncIterable<number> {
      asked++;
      running.resolve();
      return asked === 1 ? new Promise(() => {}) as never : count(from);
    },
  });
  const numbers = it.client.with({ idempotent: true }).count(4);
  await running.promise;
  it.cut();
  const read: number[] = [];
  for await (const n of numbers) {
    read.push(n);
    if (n === 5) break;
  }
  assertEquals([read, asked], [[4, 5], 2]);
});

Deno.test("A reference of a lost connection calls nobody on the next one", async () => {
  const called: string[] = [];
  let made = 0;
  await using it = network({
    make: () => {
      const name = `${++made}`;
      return marshal({ call: () => (called.push(name), name) });
    },
  });
  const first = await it.client.remote.make();
  assertEquals(await first.call(), "1");
  it.cut();
  await it.servers[0]!.closed;
  await it.client.opened;
  const second = await it.client.remote.make();
  const error = await assertRejects(() => first.call(), ConnectionClosedError);
  assertEquals(error.sent, false);
  first[Symbol.dispose]();
  assertEquals(await second.call(), "2");
  assertEquals(called, ["1", "2"]);
});

Deno.test("notifications end with their connection, and can be listened to again", async () => {
  await using it = network({});
  await it.client.opened;
  const ticks = notifications<number[]>(it.client, "tick");
  it.servers[0]!.notify("tick", [1]);
  assertEquals((await ticks.next()).value, [1]);
  it.cut();
  const error = await assertRejects(() => ticks.next(), ConnectionClosedError);
  assertEquals(error.retryIn, 100);
  await it.client.opened;
  const again = notifications<number[]>(it.client, "tick");
  it.servers[1]!.notify("tick", [2]);
  assertEquals((await again.next()).value, [2]);
  await again.return();
});
