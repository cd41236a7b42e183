import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
// @ts-types="@types/ws"
import { WebSocket as NodeWebSocket, WebSocketServer } from "ws";
import { connect } from "../client.ts";
import { ConnectionClosedError, Peer, type Socket } from "../mod.ts";
import { serve } from "../server.ts";
import { socketPair } from "../src/line/socket_pair.ts";

const quiet = { port: 0, hostname: "127.0.0.1", onListen() {} } as const;

Deno.test("connect answers at once, calls wait for the handshake", async () => {
  const received: unknown[] = [];
  await using server = serve({
    local: {
      note: (value: unknown) => (received.push(value), received.length),
    },
  }, quiet);
  await using client = connect(server.url);
  assertEquals(client.ws.readyState, 0);
  client.notify("note", ["first"]);
  const second = client.request("note", ["second"]);
  await client.opened;
  assertEquals(client.ws.readyState, 1);
  assertEquals(await second, 2);
  assertEquals(received, ["first", "second"]);
});

Deno.test("connect takes http addresses, URL objects and fragments", async () => {
  await using server = serve({
    local: { echo: (value: unknown) => value },
  }, quiet);
  const addresses = [
    server.url,
    server.url.replace("ws", "http"),
    `${server.url}path?query#fragment`,
    new URL(server.url),
  ];
  for (const address of addresses) {
    await using client = connect(address);
    assertEquals(await client.request("echo", [1]), 1);
  }
  assertThrows(() => connect("not an address"), TypeError);
  assertThrows(() => connect("ws://["), TypeError);
  const urls: string[] = [];
  const createSocket = (url: string): Socket => {
    urls.push(url);
    return socketPair()[0];
  };
  connect("https://example.com/rpc#top", {}, { createSocket }).close();
  connect("http://example.com", {}, { createSocket }).close();
  assertEquals(urls, ["wss://example.com/rpc", "ws://example.com/"]);
  for (const address of ["ws://", "ws://a b/", "ws://localhost:99999/"]) {
    assertThrows(() => connect(address, {}, { createSocket }), TypeError);
  }
  assertEquals(urls.length, 2);
});

Deno.test("connect keeps its protocols from who makes a socket of them", () => {
  const protocols = ["chat"];
  connect("ws://localhost", {}, {
    protocols,
    createSocket(_url, offered) {
      offered.push("mine");
      return socketPair()[0];
    },
  }).close();
  assertEquals(protocols, ["chat"]);
});

Deno.test("connect makes an instance of a class, or a peer of a definition", async () => {
  class Server extends Peer {
    override local = {
      askBack: (name: string): Promise<unknown> =>
        this.request("answer", [name]),
    };
  }
  await using server = serve(Server, quiet);

  class Page extends Peer<Server["local"], { color: string }> {
    override local = {
      answer: (name: string) => `${name} ${this.context.color}`,
    };
  }
  {
    await using page = connect(server.url, Page, { context: { color: "red" } });
    assertInstanceOf(page, Page);
    assertEquals(await page.remote.askBack("ann"), "ann red");
    page.close();
    await page.closed;
    await [...server.peers][0]?.closed;
  }
  await using client = connect<Server["local"]>(server.url, {
    local: {
      answer(name: string): string {
        return `${name} ${this.version}`;
      },
    },
  });
  assertEquals(await client.remote.askBack("bob"), "bob 2.0");
});

Deno.test("connect rejects what waits when nobody answers", async () => {
  const closes: number[] = [];
  await using server = serve({}, quiet);
  const { url } = server;
  await server.shutdown();
  const client = connect(url, {
    onclose: ({ code }) => void closes.push(code),
  }, { reconnect: false });
  const call = assertRejects(() => client.request("m"), ConnectionClosedError);
  await assertRejects(
    () => client.opened,
    ConnectionClosedError,
    "Cannot open",
  );
  const { sent, code } = await call;
  assertEquals([sent, code, closes], [false, 1006, [1006]]);
  await client.closed;
});

Deno.test("connect can be closed before it is open", async () => {
  await using server = serve({}, quiet);
  const client = connect(server.url);
  const opened = assertRejects(() => client.opened, ConnectionClosedError);
  client.close();
  await opened;
  assertEquals((await client.closed).code, 1000);
});

Deno.test("connect and Peer work over the sockets of npm:ws, as client and as server", async () => {
  const listening = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  const { promise, resolve } = Promise.withResolvers<Peer>();
  listening.on("connection", (ws) => {
    resolve(
      new Peer(
        ws,
        {
          local: { echo: (value: unknown) => value },
          onopen(this: Peer) {
            this.notify("welcome");
          },
        } as ConstructorParameters<typeof Peer>[1],
      ),
    );
  });
  await new Promise((resolve) => listening.once("listening", resolve));
  const { port } = listening.address() as { port: number };
  const welcomed = Promise.withResolvers<void>();
  await using client = connect(`ws://127.0.0.1:${port}`, {
    local: { welcome: () => welcomed.resolve() },
  }, {
    createSocket: (url, protocols) =>
      new NodeWebSocket(url, protocols, { headers: { "x-user": "ann" } }),
  });
  await welcomed.promise;
  assertEquals(await client.request("echo", ["é"]), "é");
  client.close(4005, "done");
  const server = await promise;
  const { code, reason, wasClean } = await server.closed;
  assertEquals([code, reason, wasClean], [4005, "done", true]);
  await client.closed;
  await new Promise((resolve) => listening.close(resolve));
});
