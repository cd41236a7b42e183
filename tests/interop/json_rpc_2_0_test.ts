/**
 * json-rpc-2.0, which leaves the socket to its user, over a WebSocket to our
 * server: as a client, and as both at once.
 *
 * @see {@link https://github.com/shogowada/json-rpc-2.0}
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  JSONRPCClient,
  JSONRPCErrorException,
  JSONRPCServer,
  JSONRPCServerAndClient,
} from "json-rpc-2.0";
import { Peer, RpcError } from "../../mod.ts";
import { serve } from "../../server.ts";

async function open(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url);
  await new Promise((resolve) => socket.onopen = resolve);
  return socket;
}

async function close(socket: WebSocket): Promise<void> {
  const closed = new Promise((resolve) =>
    socket.addEventListener("close", resolve)
  );
  socket.close();
  await closed;
}

const shop = {
  sum: (a: number, b: number) => a + b,
  subtract: (it: { minuend: number; subtrahend: number }) =>
    it.minuend - it.subtrahend,
  zero: () => 0,
  nothing: () => {},
  take(name: string) {
    throw new RpcError(409, "Name is taken", { name });
  },
};

Deno.test("a client of json-rpc-2.0 calls our methods and gets our errors as its own", async () => {
  const notes: string[] = [];
  const local = { ...shop, note: (text: string) => void notes.push(text) };
  await using server = serve({ local, port: 0, onListen() {} });
  const socket = await open(server.url);
  const client = new JSONRPCClient<void>((payload) =>
    socket.send(JSON.stringify(payload))
  );
  socket.onmessage = ({ data }) => client.receive(JSON.parse(data));

  assertEquals(await client.request("sum", [1, 2]), 3);
  const params = { minuend: 42, subtrahend: 23 };
  assertEquals(await client.request("subtract", params), 19);
  assertEquals(await client.request("zero", undefined), 0);
  assertEquals(await client.request("nothing", undefined), null);
  client.notify("note", ["first"]);
  assertEquals(await client.request("zero", undefined), 0);
  assertEquals(notes, ["first"]);

  const taken = await assertRejects(
    async () => await client.request("take", ["ann"]),
    JSONRPCErrorException,
    "Name is taken",
  );
  assertEquals([taken.code, taken.data], [409, { name: "ann" }]);
  const missing = await assertRejects(
    async () => await client.request("constructor", undefined),
    JSONRPCErrorException,
  );
  assertEquals([missing.code, missing.data], [-32601, undefined]);
  await close(socket);
});

Deno.test("a client of json-rpc-2.0 names its requests by strings, and sends several as a batch", async () => {
  const notes: string[] = [];
  const local = { ...shop, note: (text: string) => void notes.push(text) };
  await using server = serve({ local, port: 0, onListen() {} });
  const socket = await open(server.url);
  const client = new JSONRPCClient<void>(
    (payload) => socket.send(JSON.stringify(payload)),
    () => crypto.randomUUID(),
  );
  let frames = 0;
  socket.onmessage = ({ data }) => {
    frames++;
    client.receive(JSON.parse(data));
  };

  assertEquals(await client.request("sum", [1, 2]), 3);
  const jsonrpc = "2.0";
  const responses = await client.requestAdvanced([
    { jsonrpc, id: "a", method: "sum", params: [1, 2] },
    { jsonrpc, method: "note", params: ["silence"] },
    { jsonrpc, id: "", method: "sum", params: [3, 4] },
    { jsonrpc, id: 0, method: "take", params: ["ann"] },
  ]);
  assertEquals(responses.map(({ id, result }) => [id, result]), [
    ["a", 3],
    ["", 7],
    [0, undefined],
  ]);
  assertEquals(responses[2]!.error?.data, { name: "ann" });
  assertEquals([notes, frames], [["silence"], 2]);
  await close(socket);
});

Deno.test("a json-rpc-2.0 that is server and client calls us and is called back within its call", async () => {
  // recipe: json-rpc-2.0
  class Greeter extends Peer<{ ask(question: string): string }> {
    override local = {
      hello: async (name: string) => {
        const mood = await this.remote.ask(`How are you, ${name}?`);
        return `Glad you are ${mood}`;
      },
    };
  }
  await using server = serve(Greeter, { port: 0, onListen() {} });

  const socket = new WebSocket(server.url);
  await new Promise((resolve) => socket.onopen = resolve);
  const peer = new JSONRPCServerAndClient(
    new JSONRPCServer(),
    new JSONRPCClient((message) => socket.send(JSON.stringify(message))),
  );
  socket.onmessage = ({ data }) => peer.receiveAndSend(JSON.parse(data));
  socket.onclose = () => peer.rejectAllPendingRequests("Closed");
  peer.addMethod("ask", ([question]) => `fine: ${question}`);
  const greeting = await peer.request("hello", ["ann"]);
  // end
  assertEquals(greeting, "Glad you are fine: How are you, ann?");
  await close(socket);
});

Deno.test("a json-rpc-2.0 that is server and client answers our calls, batches and errors", async () => {
  await using server = serve({ local: shop, port: 0, onListen() {} });
  const socket = await open(server.url);
  const errors: unknown[] = [];
  const peer = new JSONRPCServerAndClient<void, void>(
    new JSONRPCServer({ errorListener: (_, error) => errors.push(error) }),
    new JSONRPCClient((message) => socket.send(JSON.stringify(message))),
  );
  const notes: unknown[] = [];
  peer.addMethod("sum", ([a, b]: [number, number]) => a + b);
  peer.addMethod("greet", ({ name }: { name: string }) => `hello, ${name}`);
  peer.addMethod("nothing", () => {});
  peer.addMethod("note", (params) => notes.push(params));
  peer.addMethod("refuse", () => {
    throw new JSONRPCErrorException("No entry", 403, { door: 1 });
  });
  peer.addMethod("fail", () => {
    throw new Error("the database is gone");
  });
  socket.onmessage = ({ data }) => peer.receiveAndSend(JSON.parse(data));

  // Both sides count their ids from 1, and don't mix them up.
  const [page] = server.peers;
  assert(page !== undefined);
  const sums = await Promise.all([
    page.request("sum", [1, 2]),
    peer.request("sum", [3, 4]),
    page.request("sum", [5, 6]),
    peer.request("sum", [7, 8]),
  ]);
  assertEquals(sums, [3, 7, 11, 15]);
  assertEquals(await page.request("greet", { name: "ann" }), "hello, ann");
  assertEquals(await page.request("nothing"), null);

  const [batched, refused] = page.batch(() => {
    page.notify("note", ["silence"]);
    return [page.request("sum", [1, 1]), page.request("refuse")];
  });
  assertEquals(await batched, 2);
  const refusal = await assertRejects(() => refused!, RpcError, "No entry");
  assertEquals([refusal.code, refusal.data], [403, { door: 1 }]);
  assertEquals(notes, [["silence"]]);

  const failed = await assertRejects(() => page.request("fail"), RpcError);
  assertEquals([failed.code, failed.message], [0, "the database is gone"]);
  const missing = await assertRejects(() => page.request("nope"), RpcError);
  assertEquals(missing.code, -32601);
  assertEquals(errors.length, 2);
  await close(socket);
});

Deno.test("a json-rpc-2.0 that never answers is given up by our time-out and stays of use", async () => {
  await using server = serve({ local: shop, port: 0, onListen() {} });
  const socket = await open(server.url);
  const peer = new JSONRPCServerAndClient<void, void>(
    new JSONRPCServer({ errorListener() {} }),
    new JSONRPCClient((message) => socket.send(JSON.stringify(message))),
  );
  peer.addMethod("wait", () => new Promise(() => {}));
  socket.onmessage = ({ data }) => peer.receiveAndSend(JSON.parse(data));

  const [page] = server.peers;
  assert(page !== undefined);
  // The cancellation is a notification that it doesn't know, and says nothing to.
  await assertRejects(
    () => page.request("wait", [], { timeout: 20 }),
    DOMException,
  );
  assertEquals(await peer.request("sum", [1, 2]), 3);
  await close(socket);
});
