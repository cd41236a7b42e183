/**
 * rpc-websockets, its server with our client and its client with our server.
 *
 * @see {@link https://github.com/elpheria/rpc-websockets}
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Client } from "rpc-websockets";
import { connect } from "../../client.ts";
import { Peer, RpcError } from "../../mod.ts";
import { serve } from "../../server.ts";
import { type Program, start, until } from "./processes.ts";

/** What rpc_websockets_server.ts registers. */
interface Methods {
  fail(): never;
  grumble(): never;
  nothing(): null;
  note(text: string): void;
  notes(): string[][];
  refuse(): never;
  secret(): number;
  sum(a: number, b: number): number;
  zero(): number;
  __listMethods(): string[];
}

interface RpcWebSocketsServer extends AsyncDisposable {
  url: string;
  emit(event: string, ...params: unknown[]): Promise<void>;
}

async function startServer(): Promise<RpcWebSocketsServer> {
  const script = new URL("./rpc_websockets_server.ts", import.meta.url);
  const program: Program = await start(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "--no-prompt",
      "--allow-net=127.0.0.1",
      "--allow-env",
      "--allow-read",
      script.pathname,
    ],
  });
  return {
    url: await program.line(/^ws:/),
    emit: (...event) => program.write(`${JSON.stringify(event)}\n`),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

Deno.test("a server of rpc-websockets answers our calls, notifications and batches", async () => {
  await using server = await startServer();
  await using client = connect<Methods>(server.url);
  const { remote } = client;

  assertEquals(await remote.sum(1, 2), 3);
  assertEquals(await client.request("greet", { name: "ann" }), "hello, ann");
  assertEquals(await remote.zero(), 0);
  // It answers undefined without a result.
  assertEquals(await client.request("nothing"), undefined);
  assert((await remote.__listMethods()).includes("sum"));

  client.notify("note", ["first"]);
  const [sum, zero] = client.batch(() => {
    client.notify("note", ["second"]);
    return [remote.sum(3, 4), remote.zero()] as const;
  });
  assertEquals([await sum, await zero], [7, 0]);
  assertEquals(await remote.notes(), [["first"], ["second"]]);
  assertEquals(client.unmatched, 0);
});

Deno.test("a server of rpc-websockets rejects our calls with whatever its methods throw", async () => {
  await using server = await startServer();
  await using client = connect<Methods>(server.url);
  const { remote } = client;

  const missing = await assertRejects(() => client.request("nope"), RpcError);
  assertEquals([missing.code, missing.message], [-32601, "Method not found"]);
  const failed = await assertRejects(() => remote.fail(), RpcError);
  assertEquals(
    [failed.code, failed.message, failed.data],
    [-32000, "Error", "the database is gone"],
  );
  const refused = await assertRejects(() => remote.refuse(), RpcError);
  assertEquals(
    [refused.code, refused.message, refused.data],
    [409, "Name is taken", { name: "ann" }],
  );
  // It sends a thrown string as it is, which is no error object.
  const grumbled = await assertRejects(() => remote.grumble(), RpcError);
  assertEquals([grumbled.code, grumbled.message], [0, "no"]);

  const [bad, good] = client.batch(() => [remote.fail(), remote.sum(1, 2)]);
  await assertRejects(() => bad as Promise<never>, RpcError);
  assertEquals(await good, 3);
});

Deno.test("a server of rpc-websockets answers a notification that it doesn't know, which reaches onerror", async () => {
  await using server = await startServer();
  const reported: unknown[] = [];
  await using client = connect<Methods>(server.url, {
    onerror: (error) => void reported.push(error),
  });
  await client.opened;
  client.notify("nope");
  await until(() => reported.length > 0, "the error is reported");
  assert(reported[0] instanceof RpcError);
  assertEquals(reported[0].code, -32601);
  assertEquals(await client.remote.sum(1, 2), 3);
});

Deno.test("a server of rpc-websockets lets us log in by its method rpc.login", async () => {
  await using server = await startServer();
  await using client = connect<Methods>(server.url);

  const error = await assertRejects(() => client.remote.secret(), RpcError);
  assertEquals(error.code, -32605);
  const login = { password: "secret" };
  assertEquals(await client.request("rpc.login", login), true);
  assertEquals(await client.remote.secret(), 42);
});

Deno.test("a server of rpc-websockets sends its events, which are no JSON-RPC, to oninvalid", async () => {
  await using server = await startServer();
  const { url } = server;
  const seen: [event: string, params: unknown][] = [];
  // recipe: rpc-websockets, its server
  interface Shop {
    sum(a: number, b: number): number;
  }
  await using client = connect<Shop>(url, {
    oninvalid(text) {
      const frame = JSON.parse(text); // {"notification":"price","params":[7]}
      if (typeof frame?.notification !== "string") return false;
      seen.push([frame.notification, frame.params]);
      return true; // It is dealt with.
    },
  });
  const subscribed = await client.request("rpc.on", ["feedUpdated", "price"]);
  const sum = await client.remote.sum(1, 2);
  // end
  assertEquals([subscribed, sum], [{ feedUpdated: "ok", price: "ok" }, 3]);

  await server.emit("feedUpdated");
  await server.emit("price", "ACME", 7);
  await server.emit("price", { symbol: "ACME", value: 8 });
  await until(() => seen.length === 3, "three events");
  assertEquals(seen, [
    ["feedUpdated", []],
    ["price", ["ACME", 7]],
    ["price", { symbol: "ACME", value: 8 }],
  ]);

  assertEquals(await client.request("rpc.off", ["price"]), { price: "ok" });
  await server.emit("price", "ACME", 9);
  await server.emit("feedUpdated");
  await until(() => seen.length === 4, "one more event");
  assertEquals(seen[3], ["feedUpdated", []]);
});

/** Closes a client of rpc-websockets; it tells a turn later than its socket. */
async function close(client: Client): Promise<void> {
  const closed = new Promise<void>((resolve) =>
    client.once("close", () => resolve())
  );
  client.close();
  await closed;
}

Deno.test("a client of rpc-websockets calls our methods and hears our notifications", async () => {
  const heard: unknown[] = [];
  // recipe: rpc-websockets, its client
  class Shop extends Peer {
    readonly notes: string[] = [];
    override local = {
      sum: (a: number, b: number) => a + b,
      greet: ({ name }: { name: string }) => `hello, ${name}`,
      note: (text: string) => void this.notes.push(text),
      watch: (symbol: string) => {
        this.notify("price", { symbol, value: 7 });
        return null;
      },
    };
  }
  await using server = serve(Shop, { port: 0, onListen() {} });

  const client = new Client(server.url);
  await new Promise<void>((resolve) => client.on("open", resolve));
  client.on("price", (price) => heard.push(price));
  await client.call("watch", ["ACME"]);
  const sum = await client.call("sum", [1, 2]);
  const greeting = await client.call("greet", { name: "ann" });
  await client.notify("note", ["first"]);
  // end
  assertEquals([sum, greeting], [3, "hello, ann"]);
  assertEquals(await client.call("sum", [3, 4]), 7);
  const [shop] = server.peers;
  assertEquals(shop!.notes, ["first"]);
  assertEquals(heard, [{ symbol: "ACME", value: 7 }]);

  await close(client);
  assertEquals((await shop!.closed).code, 1000);
});

Deno.test("a client of rpc-websockets gets our errors as they are on the wire", async () => {
  const failures: unknown[] = [];
  await using server = serve({
    local: {
      take(name: string) {
        throw new RpcError(409, "Name is taken", { name });
      },
      fail() {
        throw new Error("the database's password is wrong");
      },
    },
    onerror: (error) => void failures.push(error),
    port: 0,
    onListen() {},
  });
  const client = new Client(server.url);
  await new Promise<void>((resolve) => client.once("open", resolve));

  const outcomes = await Promise.allSettled([
    client.call("take", ["ann"]),
    client.call("fail"),
    client.call("nope"),
    client.subscribe("price"),
  ]);
  assertEquals(
    outcomes.map((it) => it.status === "rejected" && it.reason),
    [
      { code: 409, message: "Name is taken", data: { name: "ann" } },
      { code: -32603, message: "Internal error" },
      { code: -32601, message: "Method not found" },
      { code: -32601, message: "Method not found" }, // It is its rpc.on.
    ],
  );
  assertEquals(failures.length, 1);
  await close(client);
});
