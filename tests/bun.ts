/**
 * What the server for Bun does beyond what all do: tests that `suite.ts` runs in Bun.
 *
 * @module
 */

import process from "node:process";
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { connectOnce as connect } from "./connect_once.ts";
import {
  type BunServer,
  serve,
  upgrade,
  type WebSocketHandler,
} from "../bun.ts";
import { type CloseInfo, Peer } from "../mod.ts";
import { serve as serveByWs } from "../node.ts";
import type { BunSocket } from "../src/runtime/bun_socket.ts";
import { frame, Opcode, RawSocket } from "./interop/raw_socket.ts";
import { quiet, until } from "./servers.ts";

/** As much of `Bun` as is mounted in. */
interface Runtime {
  serve(options: {
    port: number;
    fetch(request: Request, server: BunServer): unknown;
    websocket: WebSocketHandler;
  }): { port: number; stop(): Promise<void> };
}

/** Tells what arrives, and how it ends. */
class Witness extends Peer {
  static last: Witness | undefined;
  readonly seen: unknown[] = [];
  end: CloseInfo | undefined;
  override local = {
    see: (value: unknown) => void this.seen.push(value),
    echo: (value: unknown) => value,
  };
  override onopen(): void {
    Witness.last = this;
  }
  override onclose(end: CloseInfo): void {
    this.end = end;
  }
}

/** A peer with a hostile client, which has opened. */
async function stage(
  server: { url: string },
): Promise<{ witness: Witness; hostile: RawSocket }> {
  Witness.last = undefined;
  const hostile = await RawSocket.connect(server.url);
  await until(() => Witness.last !== undefined);
  return { witness: Witness.last!, hostile };
}

for (
  const [door, listen] of [
    ["/bun", () => serve(Witness, quiet)],
    // By Bun's own `ws`, which knows no maxFragments and counts their bytes alone.
    ["/node", () => serveByWs(Witness, quiet)],
  ] as const
) {
  Deno.test(`serve of ${door} refuses a message before it has arrived whole, in fragments too, on Bun`, async () => {
    await using server = await listen();
    const { witness, hostile } = await stage(server);
    // Never the last one: there would be no end of them.
    const chunk = "x".repeat(0x10_000);
    await hostile.send(frame(Opcode.Text, chunk, false));
    for (let count = 0; count < 47; count++) {
      await hostile.send(frame(Opcode.Continuation, chunk, false));
    }
    await hostile.send(frame(Opcode.Ping, ""));
    assertEquals((await hostile.receive())?.opcode, Opcode.Pong);
    assertEquals(witness.end, undefined);
    await hostile.send(frame(Opcode.Continuation, "x", false));
    assertEquals(await hostile.closeCode(), 1009);
    await until(() => witness.end !== undefined);
    assertEquals([witness.end!.code, witness.seen], [1009, []]);
  });

  Deno.test(`serve of ${door} holds nothing for 200,000 empty fragments, on Bun`, async () => {
    await using server = await listen();
    const { witness, hostile } = await stage(server);
    await hostile.send(frame(Opcode.Text, "1", false));
    const none = frame(Opcode.Continuation, "", false);
    const many = Array.from({ length: 10_000 }, () => none);
    const before = memory();
    for (let count = 0; count < 20; count++) await hostile.send(...many);
    await hostile.send(frame(Opcode.Ping, ""));
    assertEquals((await hostile.receive())?.opcode, Opcode.Pong);
    // Each is 6 bytes on the wire; 40 in memory would be 8 MB.
    assert(memory() - before < 4_000_000);
    assertEquals(witness.end, undefined);
    hostile[Symbol.dispose]();
  });
}

/** The bytes that live, of the runtime's heap and beside it. */
function memory(): number {
  const { Bun } = globalThis as unknown as { Bun: { gc(sync: boolean): void } };
  Bun.gc(true);
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

Deno.test("serve closes who sends what is no UTF-8 or no frame, and tells its own side, on Bun", async () => {
  await using server = serve(Witness, quiet);
  const wrong: [code: number, frame: Uint8Array][] = [
    [1007, frame(Opcode.Text, Uint8Array.of(0xff))],
    [1002, frame(Opcode.Continuation, "x")],
  ];
  for (const [code, bytes] of wrong) {
    const { witness, hostile } = await stage(server);
    await hostile.send(bytes);
    await until(() => witness.end !== undefined);
    assertEquals([witness.end!.code, witness.seen], [code, []]);
    hostile[Symbol.dispose]();
  }
});

Deno.test("serve cuts who reads no more, though he was closed, on Bun", async () => {
  await using server = serve(Witness, quiet);
  const { witness, hostile } = await stage(server);
  const ws = witness.ws as BunSocket;
  const text = "x".repeat(1_000_000);
  while (ws.bufferedAmount === 0) ws.send(`"${text}"`);
  witness.close(4000, "enough");
  assertEquals(ws.readyState, WebSocket.CLOSING);
  await witness.closed;
  assertEquals(ws.readyState, WebSocket.CLOSED);
  hostile[Symbol.dispose]();
});

Deno.test("What was sent before a close arrives before it, on Bun", async () => {
  await using server = serve(Witness, quiet);
  await using client = connect(server.url);
  Witness.last = undefined;
  await client.opened;
  await until(() => Witness.last !== undefined);
  const ws = Witness.last!.ws as BunSocket;
  let length = 0;
  client.ws!.addEventListener("message", ({ data }) => {
    length += (data as string).length;
  });
  const text = `"${"x".repeat(1_000_000)}"`;
  let sent = 0;
  while (ws.bufferedAmount === 0) {
    ws.send(text);
    sent += text.length;
  }
  Witness.last!.close(4000, "enough");
  assertEquals((await client.closed).code, 4000);
  assertEquals(length, sent);
});

Deno.test("serve cuts who pings and reads no pong, on Bun", async () => {
  await using server = serve(Witness, quiet);
  const { witness, hostile } = await stage(server);
  const ping = frame(Opcode.Ping, "x".repeat(125));
  const pings = Array.from({ length: 1_000 }, () => ping);
  let most = 0;
  while (witness.end === undefined) {
    await hostile.send(...pings).catch(() => {});
    most = Math.max(most, witness.ws!.bufferedAmount ?? 0);
    await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals(witness.end.code, 1006);
  // Beside those that are counted stand some that Bun gathers; by itself it has 16 MiB.
  assert(most < 2 * 65_536, `${most}`);
});

Deno.test("Control frames count as messages do: who sends more pings than messageRate is closed with 4429, on Bun", async () => {
  const limits = { messageRate: 1, messageBurst: 10 };
  await using server = serve(Witness, { ...quiet, limits });
  const { witness, hostile } = await stage(server);
  const pings = Array.from({ length: 2_000 }, () => frame(Opcode.Ping, ""));
  await hostile.send(...pings);
  await until(() => witness.end !== undefined);
  assertEquals(witness.end!.code, 4429);
});

Deno.test("serve cuts who sends more than 16,384 pings in a second, on Bun", async () => {
  await using server = serve(Witness, quiet);
  const { witness, hostile } = await stage(server);
  const pings = Array.from({ length: 16_383 }, () => frame(Opcode.Ping, ""));
  await hostile.send(...pings);
  await hostile.say('{"jsonrpc":"2.0","method":"rpc.ping","id":1}');
  while ((await hostile.receive())?.opcode !== Opcode.Text);
  assertEquals(witness.end, undefined);
  // As fast as they come: of a second's length there is one such row at least.
  while (witness.end === undefined) {
    await hostile.send(...pings).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals(witness.end.code, 1006);
});

Deno.test("Who sends faster than it has its turns is paused, and heard in order and in whole, on Bun", async () => {
  await using server = serve(Witness, quiet);
  const { witness, hostile } = await stage(server);
  const ws = witness.ws as BunSocket;
  let pauses = 0;
  const { pause } = ws;
  ws.pause = () => {
    pauses++;
    pause!.call(ws);
  };
  const text = "x".repeat(500_000);
  for (let n = 0; n < 60; n++) {
    await hostile.say(JSON.stringify({
      jsonrpc: "2.0",
      method: "see",
      params: [n, text],
    }));
  }
  await until(() => witness.seen.length === 60);
  assertEquals(witness.seen, Array.from({ length: 60 }, (_, n) => n));
  assert(pauses > 0);
  hostile[Symbol.dispose]();
  await until(() => witness.end !== undefined);
});

Deno.test("The socket of a served peer tells who listens, each once, until it isn't to, on Bun", async () => {
  await using server = serve(Witness, quiet);
  Witness.last = undefined;
  await using client = connect<Witness["local"]>(server.url);
  await client.opened;
  await until(() => Witness.last !== undefined);
  const ws = Witness.last!.ws!;
  const heard: unknown[] = [];
  const hear = ({ type, data }: { type: string; data?: unknown }): void =>
    void heard.push(type, JSON.parse(data as string).params);
  ws.addEventListener("message", hear);
  ws.addEventListener("message", hear);
  await client.remote.see(1);
  assertEquals(heard.splice(0), ["message", [1]]);
  ws.removeEventListener("message", hear);
  await client.remote.see(2);
  assertEquals([heard, Witness.last!.seen], [[], [1, 2]]);
  const closed = Promise.withResolvers<unknown[]>();
  ws.addEventListener("close", ({ code, reason }) => {
    closed.resolve([code, reason, ws.readyState]);
  });
  Witness.last!.close(4000, "enough");
  assertEquals(ws.readyState, WebSocket.CLOSED);
  assertEquals(await closed.promise, [4000, "enough", WebSocket.CLOSED]);
});

Deno.test("upgrade is mounted in a server that exists, with its websocket, and drained alone, on Bun", async () => {
  const witness = upgrade(Witness);
  const other = upgrade({ local: { who: () => "other" } });
  const { Bun } = globalThis as unknown as { Bun: Runtime };
  const http = Bun.serve({
    port: 0,
    fetch: (request, server) => {
      const { pathname } = new URL(request.url);
      return pathname === "/rpc"
        ? witness(request, server)
        : pathname === "/other"
        ? other(request, server)
        : new Response("A page");
    },
    websocket: witness.websocket,
  });
  const url = `127.0.0.1:${http.port}`;
  assertEquals(await (await fetch(`http://${url}/`)).text(), "A page");
  assertEquals((await fetch(`http://${url}/rpc`)).status, 426);
  const client = connect<Witness["local"]>(`ws://${url}/rpc`);
  assertEquals(await client.remote.echo("hello"), "hello");
  await using second = connect(`ws://${url}/other`);
  assertEquals(await second.request("who"), "other");
  assertEquals([witness.peers.size, other.peers.size], [1, 1]);
  assertEquals((await witness.drain()).closed, 1);
  assertEquals((await connect(`ws://${url}/rpc`).closed).code, 1006);
  assertEquals(await second.request("who"), "other");
  await other.drain();
  await http.stop();
});

Deno.test("serve obeys a signal, and throws where it can't listen, on Bun", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const heard: unknown[] = [];
  const onListen = (addr: unknown): void => void heard.push(addr);
  const server = serve(Witness, { ...quiet, signal, onListen });
  assertEquals(heard, [server.addr]);
  assertMatch(server.url, /^ws:\/\/127\.0\.0\.1:\d+\/$/);
  const port = Number(new URL(server.url).port);
  assertThrows(() => serve(Witness, { ...quiet, port }), Error, "in use");
  controller.abort();
  await server.finished;
  assertThrows(() => serve(Witness, { ...quiet, signal }), DOMException);
});
