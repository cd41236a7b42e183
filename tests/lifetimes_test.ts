/**
 * The lives of calls, streams and references, ended in every way at every point:
 * afterwards every table is empty. Each table has room for one, so that whatever
 * is left in it refuses the next.
 */

import { assert, assertEquals } from "@std/assert";
import { marshal, Peer } from "../mod.ts";
import { socketPair } from "../testing.ts";
import { settle } from "./scripted_socket.ts";

const limits = { streams: 1, references: 1, incoming: 1, outgoing: 2 };

/** What happened to a generator. */
interface Life {
  begun: number;
  over: number;
}

/** A generator that waits, fails or goes on, by the point it has come to. */
async function* generate(
  life: Life,
  at: "value" | "wait" | "fail",
  signal?: AbortSignal,
): AsyncGenerator<number> {
  life.begun++;
  try {
    yield 1;
    yield 2;
    if (at === "fail") throw new Error("in the generator");
    if (at === "wait") {
      await new Promise((_, reject) =>
        signal?.addEventListener("abort", () => reject(signal.reason))
      );
    }
    for (let n = 3;; n++) yield n;
  } finally {
    life.over++;
  }
}

interface Pair {
  server: Peer;
  client: Peer;
  life: Life;
  cut: () => void;
}

function connect(): Pair {
  const [left, right] = socketPair();
  const life: Life = { begun: 0, over: 0 };
  class Service extends Peer {
    override local = {
      generate: (at: "value" | "wait" | "fail") =>
        generate(life, at, this.call.signal),
      read: async (numbers: AsyncIterable<number>, count: number) => {
        for await (const number of numbers) if (number >= count) break;
        return "read";
      },
      never: (..._params: unknown[]) => new Promise(() => {}),
      refuse: (..._params: unknown[]) => Promise.reject(new Error("refused")),
      call: async (fn: () => Promise<unknown>) => await fn(),
      lend: () => marshal({ get: () => 5 }),
      stopIt: () => this.close(4000),
    };
    override onerror(): void {}
  }
  const server = new Service(left, { limits });
  const client = new Peer(right, { limits, onerror() {} });
  return { server, client, life, cut: () => right.terminate() };
}

/** Uses every table once, which has room for one. */
async function probe({ server, client, life }: Pair): Promise<void> {
  for (const [from, to] of [[client, server], [server, client]] as const) {
    to.local = {
      ...to.local,
      probeStream: async function* () {
        yield 1;
      },
      probeCall: async (fn: () => Promise<unknown>) => await fn(),
      probeLend: () => marshal({ get: () => 7 }),
    };
    const values: unknown[] = [];
    const stream = await from.request("probeStream") as AsyncIterable<unknown>;
    for await (const value of stream) values.push(value);
    assertEquals(values, [1]);
    assertEquals(await from.request("probeCall", [() => 6]), 6);
    const lent = await from.request("probeLend") as
      & { get(): Promise<number> }
      & Disposable;
    assertEquals(await lent.get(), 7);
    lent[Symbol.dispose]();
    await settle();
  }
  assertEquals(life.begun, life.over);
}

/** How something is used, until it is to be ended. */
const uses: {
  [name: string]: (pair: Pair, signal: AbortSignal) => Promise<unknown>;
} = {
  async "a stream that nobody begins to read"({ client }, signal) {
    const stream = client.with({ signal })["generate"]!("value");
    const iterator = (stream as unknown as AsyncIterable<number>)
      [Symbol.asyncIterator]();
    await stream;
    await iterator.return!();
  },
  async "a stream in mid-air"({ client }, signal) {
    const stream = client.with({ signal })["generate"]!("value");
    for await (const value of stream as unknown as AsyncIterable<number>) {
      if (value === 2) throw new Error("left");
    }
  },
  async "a stream that waits for its next value"({ client }, signal) {
    const stream = client.with({ signal })["generate"]!("wait");
    for await (const _ of stream as unknown as AsyncIterable<number>);
  },
  async "a stream that fails"({ client }, signal) {
    const stream = client.with({ signal })["generate"]!("fail");
    for await (const _ of stream as unknown as AsyncIterable<number>);
  },
  async "an argument that is a stream, read to some point"(
    { client, life },
    signal,
  ) {
    await client.request("read", [generate(life, "value"), 300], { signal });
  },
  async "an argument that is a stream, never read"({ client, life }, signal) {
    await client.request("never", [generate(life, "value")], { signal });
  },
  async "an argument that is a stream, refused"({ client, life }, signal) {
    await client.request("refuse", [generate(life, "value")], { signal });
  },
  async "a function that is called back"({ client }, signal) {
    await client.request("call", [() => 5], { signal });
  },
  async "a function that never answers"({ client }, signal) {
    await client.request("call", [() => new Promise(() => {})], { signal });
  },
  async "a function that throws"({ client }, signal) {
    const fail = (): never => {
      throw new Error("no");
    };
    await client.request("call", [fail], { signal });
  },
  async "a function that is refused"({ client }, signal) {
    await client.request("refuse", [() => 5], { signal });
  },
  async "an object that is lent and given back"({ client }, signal) {
    const lent = await client.request("lend", [], { signal }) as
      & { get(): Promise<number> }
      & Disposable;
    try {
      await lent.get();
    } finally {
      lent[Symbol.dispose]();
    }
  },
  async "a call that never settles"({ client }, signal) {
    await client.request("never", [], { signal });
  },
};

// What doesn't settle by itself is ended so, and its method is told by its signal
// or is the kind that has to be waited for.
const unending = new Set([
  "a stream that waits for its next value",
  "an argument that is a stream, never read",
  "a function that never answers",
  "a call that never settles",
]);

for (const [name, run] of Object.entries(uses)) {
  Deno.test(`Nothing is left of ${name}, left alone or cancelled`, async () => {
    for (const isCancelled of [false, true]) {
      if (!isCancelled && unending.has(name)) continue;
      const pair = connect();
      const controller = new AbortController();
      const outcome = run(pair, controller.signal).catch(() => {});
      await settle();
      if (isCancelled) controller.abort();
      await outcome;
      await settle();
      // A method that ignores its signal keeps its place until it stops.
      const isStuck = isCancelled && unending.has(name) &&
        !name.startsWith("a stream");
      if (!isStuck) await probe(pair);
      assertEquals(pair.life.begun, pair.life.over);
      pair.client.close();
      await Promise.all([pair.client.closed, pair.server.closed]);
    }
  });

  Deno.test(`Nothing is left of ${name} when the connection ends`, async () => {
    for (const end of ["client", "server", "cut"]) {
      for (const turns of [0, 1, 5]) {
        const pair = connect();
        const { client, server, life } = pair;
        const controller = new AbortController();
        let isOver = false;
        const outcome = run(pair, controller.signal).catch(() => {})
          .finally(() => isOver = true);
        if (turns === 0) await client.opened;
        for (let turn = 0; turn < turns; turn++) await settle();
        if (end === "client") client.close();
        else if (end === "server") server.close();
        else pair.cut();
        await Promise.all([client.closed, server.closed]);
        await settle();
        await outcome;
        assert(isOver);
        assertEquals([end, turns, life.begun], [end, turns, life.over]);
        assertEquals(client.notify("late"), false);
      }
    }
  });
}
