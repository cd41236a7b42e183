/**
 * The door for Cloudflare, in its runtime: as a Worker, as Durable Objects, and those
 * asleep.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect } from "../../client.ts";
import { ConnectionClosedError, type Peer, RpcError } from "../../mod.ts";
import { connect as connectByWs } from "../../node.ts";
import * as slim from "../../slim.ts";
import { exercise, one } from "../runtime_client.ts";
import { start, type Workerd } from "../workers/workerd.ts";

/** Runs a test with what the program serves. */
function workerTest(title: string, test: (url: string) => Promise<void>): void {
  Deno.test(title, async () => {
    await using workerd = await startProgram();
    await test(workerd.url);
  });
}

function startProgram(date = "2026-04-01"): Promise<Workerd> {
  return start("program.ts", ["Room", "Served", "Sleeper"], date);
}

/** Long enough for an object to be put to sleep: 10 seconds without anything. */
const aSleep = 13_000;

function pass(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Waits until nobody else is there: who has left is told so before the object is. */
async function isAlone(client: Peer): Promise<void> {
  while (await client.request("count") !== 1);
}

/** A client of a sleeper, and what it was told. */
function join(url: string, options: { sharedFrames?: boolean } = {}): {
  client: Peer;
  heard: string[];
} {
  const heard: string[] = [];
  const client = connect(url, {
    ...options,
    reconnect: false,
    local: {
      never: () => new Promise(() => {}),
      hear: (text: string) => void heard.push(text),
    },
  });
  return { client, heard };
}

/** The changes of the runtime that it knows of: without MessageChannel, and with. */
const dates = ["2024-01-01", "2026-04-01"];

for (const date of dates) {
  Deno.test(`The clients work with a Worker and with Durable Objects, of ${date}`, async () => {
    await using workerd = await startProgram(date);
    const { url } = workerd;
    const all = await Promise.all([
      exercise(`${url}service`),
      exercise(`${url}service`),
      exercise(`${url}served/one`),
      exercise(`${url}served/two`),
    ]);
    assertEquals(all, [[one, one], [one, one], [one, one], [one, one]]);
  });
}

workerTest(
  "A room's people hear each other, and nobody of another room",
  async (url) => {
    const rooms: string[][] = [];
    const enter = (room: string, name: string) => {
      const heard: string[] = [];
      rooms.push(heard);
      return connect(`${url}room/${room}?name=${name}`, {
        local: {
          hear: (name: string, text: string) =>
            void heard.push(`${name}: ${text}`),
        },
      });
    };
    await using ann = enter("blue", "ann");
    await ann.opened;
    await using bob = enter("blue", "bob");
    await bob.opened;
    await using cid = enter("red", "cid");
    await cid.opened;
    assertEquals(await ann.request<unknown>("names"), ["ann", "bob"]);
    assertEquals(await ann.request<unknown>("say", ["hello"]), 2);
    assertEquals(await cid.request<unknown>("say", ["hi"]), 1);
    await bob.request("rename", ["Bob"]);
    assertEquals(await bob.request<unknown>("say", ["bye"]), 2);
    await ann.request("rpc.ping");
    assertEquals(rooms, [
      ["room: Welcome, ann", "ann: hello", "Bob: bye"],
      ["room: Welcome, bob", "ann: hello", "Bob: bye"],
      ["room: Welcome, cid", "cid: hi"],
    ]);
  },
);

workerTest(
  "Who may not connect is refused, and the Worker answers what is no handshake",
  async (url) => {
    const knock = async (path: string, init: RequestInit = {}) => {
      const http = `${url.replace("ws:", "http:")}${path}`;
      const response = await fetch(http, init);
      await response.body?.cancel();
      return response.status;
    };
    assertEquals(await knock("clock"), 426);
    assertEquals(await knock("sleeper/one"), 426);
    // What was to be a handshake is refused as one.
    const headers = { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
    const method = "POST";
    assertEquals(await knock("sleeper/one", { method, headers }), 405);
    assertEquals(await knock("sleeper/one", { method }), 426);
    const of = (name: string, origin: string) =>
      connectByWs(`${url}sleeper/one?name=${name}`, {
        headers: { origin },
        protocols: ["talk", "chat"],
        reconnect: false,
        onattempt: ({ status }) => void statuses.push(status),
      });
    const statuses: (number | undefined)[] = [];
    const mallory = of("mallory", "https://example.com");
    await assertRejects(() => mallory.opened, ConnectionClosedError);
    const stranger = of("ann", "https://example.org");
    await assertRejects(() => stranger.opened, ConnectionClosedError);
    assertEquals(statuses, [401, 403]);
    const ann = of("ann", "https://example.com");
    assertEquals(await ann.request<unknown>("count"), 1);
    assertEquals(ann.ws?.protocol, "chat");
    ann.close();
    await ann.closed;
  },
);

workerTest(
  "A connection to a Durable Object ends on both sides, whoever closes it",
  async (url) => {
    const { client: ann } = join(`${url}sleeper/one?name=ann`);
    assertEquals(await ann.request("count"), 1);
    const { client: bob } = join(`${url}sleeper/one?name=bob`);
    assertEquals(await bob.request("count"), 2);
    await assertRejects(() => bob.request("leave"), ConnectionClosedError);
    const { code, reason, wasClean } = await bob.closed;
    assertEquals([code, reason, wasClean], [4001, "as you wish", true]);
    await isAlone(ann);
    const { client: cid } = join(`${url}sleeper/one?name=cid`);
    assertEquals(await cid.request("count"), 2);
    cid.close(4002, "bye");
    assertEquals((await cid.closed).wasClean, true);
    await isAlone(ann);
    ann.close();
    await ann.closed;
  },
);

for (const date of dates) {
  Deno.test(`Objects of one isolate have timers and turns of their own, of ${date}`, async () => {
    await using workerd = await startProgram(date);
    const { url } = workerd;
    const cancelled: string[] = [];
    const clients = Array.from(
      { length: 6 },
      (_, n) => join(`${url}sleeper/${n}?name=${n}`, { sharedFrames: true }),
    );
    for (const [n, { client }] of clients.entries()) {
      client.local = {
        ...client.local,
        never() {
          return new Promise<void>((resolve) => {
            client.call.signal.addEventListener("abort", () => {
              cancelled.push(`${n}`);
              resolve();
            });
          });
        },
      };
    }
    await Promise.all(clients.map(({ client }) => client.opened));
    // Both sides are told: who asked, and who was asked.
    await Promise.all(clients.map(({ client }, n) =>
      assertRejects(
        () => client.request("askNever", [50 + 10 * n]),
        RpcError,
        "Internal error",
      )
    ));
    await Promise.all(
      clients.map(({ client }) => client.request("rpc.ping")),
    );
    assertEquals(cancelled.toSorted(), ["0", "1", "2", "3", "4", "5"]);
    // What one sends leaves at the end of its own turn.
    const texts = Array.from({ length: 500 }, (_, n) => `${n}`);
    await Promise.all(clients.map(async ({ client }) => {
      for (const text of texts) {
        client.notify("tell", [text]);
        if (Number(text) % 50 === 0) await client.request("rpc.ping");
      }
      await client.request("rpc.ping");
    }));
    for (const { client, heard } of clients) {
      assertEquals(heard, texts);
      client.close();
      await client.closed;
    }
  });
}

workerTest(
  "An object sleeps while its connections live on, and wakes with their contexts",
  async (url) => {
    const { client: ann, heard } = join(`${url}sleeper/one?name=ann`);
    const { client: bob } = join(`${url}sleeper/one`, { sharedFrames: true });
    const { client: old } = join(`${url}sleeper/one?name=old`);
    const small = slim.connect(`${url}sleeper/one?name=small`);
    const life = await ann.request<string>("life");
    assertEquals(await bob.request<unknown>("life"), life);
    assertEquals(await bob.request<unknown>("whoAmI"), null);
    await bob.request("signIn", ["bob"]);
    await assertRejects(() => bob.request("signInBadly"), RpcError);
    assertEquals(await bob.request<unknown>("whoAmI"), { name: "bob" });
    assertEquals(await ann.request<unknown>("events"), ["open"]);
    assertEquals(await small.request<unknown>("life"), life);
    await old.opened;

    // A ping that the object were told of would keep it awake.
    const ping =
      `{"jsonrpc":"2.0","method":"rpc.ping","params":[],"id":"rpc.ping"}`;
    const pinger = new WebSocket(`${url}sleeper/one?name=pinger`);
    const pongs: unknown[] = [];
    pinger.onmessage = ({ data }) => void pongs.push(data);
    await new Promise((resolve) => pinger.onopen = resolve);
    const pinging = setInterval(() => pinger.send(ping), 2_000);
    await pass(aSleep);
    clearInterval(pinging);
    assert(pongs.length >= 5);
    assertEquals(
      new Set(pongs),
      new Set([`{"jsonrpc":"2.0","result":null,"id":"rpc.ping"}`]),
    );

    const { client: late } = join(`${url}sleeper/one?name=late`);
    const second = await late.request<string>("life");
    assert(second !== life);
    assertEquals(await late.request<unknown>("events"), ["open"]);
    for (const client of [ann, bob, old, small]) {
      assertEquals(await client.request<string>("life"), second);
      assertEquals(await client.request<unknown>("events"), ["resume"]);
    }
    assertEquals(await ann.request<unknown>("count"), 6);
    assertEquals(await ann.request<unknown>("whoAmI"), { name: "ann" });
    assertEquals(await bob.request<unknown>("whoAmI"), { name: "bob" });
    await assertRejects(() => old.request("askNever", [50]), RpcError);
    await late.request("tell", ["good morning"]);
    await ann.request("rpc.ping");
    assertEquals(heard, ["good morning"]);

    const closed = new Promise((resolve) => pinger.onclose = resolve);
    pinger.close();
    await closed;
    for (const client of [ann, bob, old, small, late]) {
      client.close();
      await client.closed;
    }
  },
);

workerTest(
  "An object stays awake for what it would forget, and for no longer",
  async (url) => {
    const { client: waiting } = join(`${url}sleeper/waiting?name=ann`);
    const { client: asking } = join(`${url}sleeper/asking?name=ann`);
    const { client: reading } = join(`${url}sleeper/reading?name=ann`);
    const { client: holding } = join(`${url}sleeper/holding?name=ann`);
    const clients = [waiting, asking, reading, holding];
    const lives = await Promise.all(
      clients.map((client) => client.request<string>("life")),
    );
    const wait = waiting.request<string>("wait");
    const ask = assertRejects(
      () => asking.request("askNever", [14_000]),
      RpcError,
    );
    const ticks = await reading.request<AsyncIterable<number>>("tick");
    const iterator = ticks[Symbol.asyncIterator]();
    assertEquals((await iterator.next()).value, 0);
    const lent = await holding.request<
      Disposable & { life(): Promise<string> }
    >(
      "lend",
    );
    await pass(aSleep);
    assertEquals((await iterator.next()).value, 1);
    assertEquals(await lent.life(), lives[3]);
    await waiting.request("ring", ["ding"]);
    assertEquals(await wait, "ding");
    await ask;
    await iterator.return?.();
    lent[Symbol.dispose]();
    const after = (): Promise<string[]> =>
      Promise.all(clients.map((client) => client.request<string>("life")));
    assertEquals(await after(), lives);

    await pass(aSleep + 6_000);
    for (const [n, life] of (await after()).entries()) {
      assert(life !== lives[n], `${n}`);
    }
    for (const client of clients) {
      client.close();
      await client.closed;
    }
  },
);

Deno.test("The guide prints the room that runs here", async () => {
  const read = (path: string): Promise<string> =>
    Deno.readTextFile(new URL(path, import.meta.url));
  const page = await read("../../docs/guide/workers.md");
  const [, code] = /^```ts ignore\n(.*?)^```$/ms.exec(page)!;
  assertEquals(code, await read("../workers/room.ts"));
});
