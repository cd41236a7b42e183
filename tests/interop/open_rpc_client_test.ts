/**
 * The OpenRPC project's client over its WebSocketTransport, with our server.
 *
 * @see {@link https://github.com/open-rpc/client-js}
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Client,
  JSONRPCError,
  RequestManager,
  WebSocketTransport,
} from "@open-rpc/client-js";
import { Peer, RpcError } from "../../mod.ts";
import { serve } from "../../server.ts";
import { until } from "./processes.ts";

class Shop extends Peer {
  readonly frames: string[] = [];
  readonly notes: string[] = [];
  override local: object = {
    sum: (a: number, b: number) => a + b,
    subtract: (it: { minuend: number; subtrahend: number }) =>
      it.minuend - it.subtrahend,
    zero: () => 0,
    nothing: () => {},
    note: (text: string) => void this.notes.push(text),
    take(name: string) {
      throw new RpcError(409, "Name is taken", { name });
    },
    fail() {
      throw new Error("the database's password is wrong");
    },
  };
  override onopen(): void {
    this.ws!.addEventListener("message", ({ data }) => {
      this.frames.push(String(data));
    });
  }
  override onerror(): void {}
}

interface OpenRpc extends AsyncDisposable {
  client: Client;
  shop: Shop;
}

async function open(nextId?: () => number | string): Promise<OpenRpc> {
  const server = serve(Shop, { port: 0, onListen() {} });
  const transport = new WebSocketTransport(server.url);
  const manager = new RequestManager([transport], nextId);
  await manager.connectPromise;
  const [shop] = server.peers;
  assert(shop !== undefined);
  return {
    client: new Client(manager),
    shop,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) =>
        transport.connection.addEventListener("close", resolve)
      );
      manager.close();
      await closed;
      await server.shutdown();
    },
  };
}

// Any other time-out would leave a timer running after its answer.
const noTimeout = 0;

Deno.test("OpenRPC's client calls our methods with its ids, which are strings", async () => {
  await using rpc = await open();
  const { client, shop } = rpc;
  const call = (method: string, params?: object | unknown[]) =>
    client.request(
      params === undefined ? { method } : { method, params },
      noTimeout,
    );

  assertEquals(await call("sum", [1, 2]), 3);
  const params = { minuend: 42, subtrahend: 23 };
  assertEquals(await call("subtract", params), 19);
  assertEquals(await call("zero"), 0);
  assertEquals(await call("nothing"), null);
  await client.notify({ method: "note", params: ["first"] });
  assertEquals(await call("zero"), 0);
  assertEquals(shop.notes, ["first"]);
  assertEquals(
    shop.frames.map((frame) => JSON.parse(frame).id),
    ["0", "1", "2", "3", undefined, "5"],
  );
});

Deno.test("OpenRPC's client takes ids of its user's making", async () => {
  let last = 0;
  await using rpc = await open(() => `call ${++last}`);
  const { client, shop } = rpc;
  const sums = await Promise.all(
    [1, 2, 3].map((it) =>
      client.request({ method: "sum", params: [it, it] }, noTimeout)
    ),
  );
  assertEquals(sums, [2, 4, 6]);
  assertEquals(JSON.parse(shop.frames[2]!).id, "call 3");
});

Deno.test("OpenRPC's client sends what is called between startBatch and stopBatch as one frame", async () => {
  await using server = serve(Shop, { port: 0, onListen() {} });
  const { url } = server;
  // recipe: @open-rpc/client-js
  const transport = new WebSocketTransport(url);
  const manager = new RequestManager([transport]);
  const client = new Client(manager);
  const sum = await client.request({ method: "sum", params: [1, 2] }, 0);
  client.onNotification(({ method, params }) => console.log(method, params));

  // By its manager: the client's own request comes too late for the batch.
  client.startBatch();
  const batch = [
    manager.request({ method: "sum", params: [3, 4] }),
    manager.request({ method: "take", params: ["ann"] }),
  ];
  client.stopBatch();
  const outcomes = await Promise.allSettled(batch);
  // end
  assertEquals(sum, 3);
  const [seven, taken] = outcomes;
  assert(seven?.status === "fulfilled" && taken?.status === "rejected");
  assertEquals(seven.value, 7);
  assert(taken.reason instanceof JSONRPCError);
  assertEquals([taken.reason.code, taken.reason.data], [409, { name: "ann" }]);

  const [shop] = server.peers;
  assertEquals(shop!.frames.length, 2);
  assertEquals(JSON.parse(shop!.frames[1]!).length, 2);
  const closed = new Promise((resolve) =>
    transport.connection.addEventListener("close", resolve)
  );
  client.close();
  await closed;
});

Deno.test("OpenRPC's client rejects with our errors as its own", async () => {
  await using rpc = await open();
  const { client } = rpc;
  const fail = (method: string, params: unknown[] = []) =>
    assertRejects(
      () => client.request({ method, params }, noTimeout),
      JSONRPCError,
    );

  const taken = await fail("take", ["ann"]);
  assertEquals(
    [taken.code, taken.message, taken.data],
    [409, "Name is taken", { name: "ann" }],
  );
  assertEquals((await fail("nope")).code, -32601);
  const hidden = await fail("fail");
  assertEquals([hidden.code, hidden.message], [-32603, "Internal error"]);
});

Deno.test("OpenRPC's client hears our notifications", async () => {
  await using rpc = await open();
  const { client, shop } = rpc;
  const heard: unknown[] = [];
  client.onNotification(({ method, params }) => heard.push([method, params]));
  shop.notify("price", ["ACME", 7]);
  shop.batch(() => {
    shop.notify("price", { symbol: "ACME", value: 8 });
    shop.notify("closed");
  });
  await until(() => heard.length === 3, "three notifications");
  assertEquals(heard, [
    ["price", ["ACME", 7]],
    ["price", { symbol: "ACME", value: 8 }],
    ["closed", undefined],
  ]);
});
