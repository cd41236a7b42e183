import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type BasePeer,
  ConnectionClosedError,
  marshal,
  notifications,
  Peer,
  resume,
  RpcError,
  subscribe,
} from "../mod.ts";
import { serve } from "../server.ts";
import { eachPeer } from "./faces.ts";
import { quiet } from "./servers.ts";
import { network } from "./stage.ts";

async function* count(from: number): AsyncGenerator<number> {
  while (from <= 5) yield from++;
  await new Promise(() => {});
}

eachPeer(
  "resume opens a stream again where it was, as often as its connection is lost",
  async (face) => {
    await using it = network(face, { count });
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
  },
);

eachPeer(
  "resume subscribes again, and the old subscription is nobody's any more",
  async (face) => {
    const asked: string[] = [];
    let lastId = 0;
    await using it = network(face, {
      subscribe(this: BasePeer) {
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
  },
);

eachPeer("resume ends as what it iterates does", async (face) => {
  await using it = network(face, {
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

eachPeer(
  "A stream of a lost connection asks nothing of the next one",
  async (face) => {
    await using it = network(face, { count });
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
  },
);

eachPeer(
  "A stream whose call was sent again is one of the connection that it came by",
  async (face) => {
    let asked = 0;
    const running = Promise.withResolvers<void>();
    await using it = network(face, {
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
  },
);

eachPeer(
  "A reference of a lost connection calls nobody on the next one",
  async (face) => {
    const called: string[] = [];
    let made = 0;
    await using it = network(face, {
      make: () => {
        const name = `${++made}`;
        return marshal({ ring: () => (called.push(name), name) });
      },
    });
    const first = await it.client.remote.make();
    assertEquals(await first.ring(), "1");
    it.cut();
    await it.servers[0]!.closed;
    await it.client.opened;
    const second = await it.client.remote.make();
    const error = await assertRejects(
      () => first.ring(),
      ConnectionClosedError,
    );
    assertEquals(error.sent, false);
    first[Symbol.dispose]();
    assertEquals(await second.ring(), "2");
    assertEquals(called, ["1", "2"]);
  },
);

eachPeer(
  "notifications end with their connection, and can be listened to again",
  async (face) => {
    await using it = network(face, {});
    await it.client.opened;
    const ticks = notifications<number[]>(it.client, "tick");
    it.servers[0]!.notify("tick", [1]);
    assertEquals((await ticks.next()).value, [1]);
    it.cut();
    const error = await assertRejects(
      () => ticks.next(),
      ConnectionClosedError,
    );
    assertEquals(error.retryIn, 100);
    await it.client.opened;
    const again = notifications<number[]>(it.client, "tick");
    it.servers[1]!.notify("tick", [2]);
    assertEquals((await again.next()).value, [2]);
    await again.return();
  },
);

eachPeer(
  "resume opens a stream of a server again that closed its connection",
  async (face) => {
    const instances: Peer[] = [];
    const allOver = Promise.withResolvers<void>();
    let over = 0;
    class Server extends Peer {
      override local = {
        count: async function* (from: number) {
          try {
            for (;; from++) yield from;
          } finally {
            if (++over === 2) allOver.resolve();
          }
        },
      };
      override onopen(): void {
        instances.push(this);
      }
    }
    await using server = serve(Server, quiet);
    await using client = face.connect<Server["local"]>(server.url, {
      reconnect: { delay: 1 },
    });
    const numbers: number[] = [];
    const from = (last = 0): AsyncIterable<number> =>
      client.remote.count(last + 1);
    for await (const n of resume(client, from)) {
      numbers.push(n);
      if (n === 2) instances[0]!.close(1012);
      if (instances.length === 2 && numbers.length > 1_000) break;
    }
    assertEquals(numbers, Array.from(numbers, (_, index) => index + 1));
    await allOver.promise;
    assertEquals(over, 2);
  },
);
