import { assertEquals, assertRejects } from "@std/assert";
// @ts-types="@types/ws"
import { WebSocket as NodeWebSocket, WebSocketServer } from "ws";
import {
  type BasePeer,
  ConnectionClosedError,
  type FailedAttempt,
  Peer,
} from "../mod.ts";
import { connect } from "../node.ts";
import { eachPeer, wholePeer } from "./faces.ts";
import { settle } from "./scripted_socket.ts";
import { bothTest, cloudflares, quiet } from "./servers.ts";
import { askForUpgrade, echo } from "./stage.ts";

eachPeer(
  "Peer over a socket of npm:ws can be closed before the handshake is answered",
  async (face) => {
    const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const accepted = listener.accept();
    const client = face.connect(`ws://127.0.0.1:${listener.addr.port}`, {
      createSocket: (url, protocols) => new NodeWebSocket(url, protocols),
    });
    const opened = assertRejects(() => client.opened, ConnectionClosedError);
    const conn = await accepted;
    client.close();
    await opened;
    await client.closed;
    // The socket tells its error later.
    await settle();
    conn.close();
    listener.close();
  },
);

Deno.test("Peer over a socket of npm:ws outlives an error of the socket while it closes", async () => {
  const listening = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => listening.once("listening", resolve));
  const { port } = listening.address() as { port: number };
  const { promise, resolve } = Promise.withResolvers<Peer>();
  listening.on(
    "connection",
    (ws) => resolve(new Peer(ws, { version: "1.0" })),
  );
  const conn = await Deno.connect({ port, hostname: "127.0.0.1" });
  await askForUpgrade(conn);
  const buffer = new Uint8Array(4_096);
  await conn.read(buffer);
  const peer = await promise;

  // A final frame, masked with zeros.
  const frame = (opcode: number, text: string): Uint8Array =>
    new Uint8Array([
      0x80 | opcode,
      0x80 | text.length,
      ...[0, 0, 0, 0],
      ...new TextEncoder().encode(text),
    ]);
  await conn.write(frame(0x1, "no JSON"));
  await conn.read(buffer);
  assertEquals(buffer[0], 0x88);
  await conn.write(frame(0x3, "reserved"));
  while (await conn.read(buffer) !== null) { /* until the server ends it */ }
  conn.close();
  assertEquals((await peer.closed).code, 4400);
  await new Promise((resolve) => listening.close(resolve));
});

eachPeer(
  "close ends an attempt whose socket of npm:ws comes too late",
  async (face) => {
    const question = Promise.withResolvers<string>();
    const gone = Promise.withResolvers<void>();
    const client = face.connect(() => question.promise, {
      createSocket(url) {
        const socket = new NodeWebSocket(url);
        socket.on("close", () => gone.resolve());
        return socket as never;
      },
    });
    client.close();
    await client.closed;
    question.resolve("ws://127.0.0.1:9");
    // An error that nobody listened to would end the process.
    await gone.promise;
  },
);

eachPeer(
  "connect and Peer work over the sockets of npm:ws, as client and as server",
  async (face) => {
    const listening = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    const { promise, resolve } = Promise.withResolvers<BasePeer>();
    const headers: unknown[] = [];
    listening.on("connection", (ws, request) => {
      headers.push(request.headers["x-user"]);
      resolve(
        face.peer(ws, {
          local: { echo },
          onopen() {
            this.notify("welcome");
          },
        }),
      );
    });
    await new Promise((resolve) => listening.once("listening", resolve));
    const { port } = listening.address() as { port: number };
    const welcomed = Promise.withResolvers<void>();
    await using client = face.connect(`ws://127.0.0.1:${port}`, {
      local: { welcome: () => welcomed.resolve() },
      createSocket: (url, protocols) =>
        new NodeWebSocket(url, protocols, { headers: { "x-user": "ann" } }),
    });
    await welcomed.promise;
    assertEquals(await client.request("echo", ["é"]), "é");
    assertEquals(headers, ["ann"]);
    client.close(4005, "done");
    const server = await promise;
    const { code, reason, wasClean } = await server.closed;
    assertEquals([code, reason, wasClean], [4005, "done", true]);
    await client.closed;
    await new Promise((resolve) => listening.close(resolve));
  },
);

wholePeer(
  "Peer over a socket of npm:ws, or Deno's, tells the HTTP status of a refusal",
  async (face) => {
    await using server = Deno.serve(
      { ...quiet },
      () => new Response("Who are you?", { status: 403 }),
    );
    for (
      const createSocket of [
        (url: string, protocols: string[]) => new NodeWebSocket(url, protocols),
        (url: string, protocols: string[]) => new WebSocket(url, protocols),
      ]
    ) {
      const told: FailedAttempt[] = [];
      const url = `ws://127.0.0.1:${server.addr.port}/`;
      const client = face.connect(url, {
        createSocket,
        onattempt: (failed) => void told.push(failed),
      });
      const error = await assertRejects(
        () => client.request("m"),
        ConnectionClosedError,
        "403",
      );
      assertEquals(error.sent, false);
      const [{ attempt, status, url: tried } = {}] = told;
      assertEquals([told.length, attempt, status, tried], [1, 1, 403, url]);
      await client.closed;
    }
  },
);

bothTest(
  "connect of /node asks for fresh headers once after a 401",
  async (platform) => {
    let asked = 0;
    await using server = await platform.define({
      local: { echo },
      authorize: ({ headers }) =>
        headers.get("authorization") === "Bearer 2"
          ? undefined
          : new Response(null, { status: 401 }),
    });
    const options = {
      onattempt() {},
      reconnect: { delay: 0 },
    };
    await using fresh = connect(server.url, {
      ...options,
      headers: () => Promise.resolve({ authorization: `Bearer ${++asked}` }),
    });
    assertEquals(await fresh.request("echo", [1]), 1);
    assertEquals(asked, 2);

    const stale = connect(server.url, {
      ...options,
      headers: () => ({ authorization: `Bearer ${++asked}` }),
    });
    assertEquals((await stale.closed).code, 1006);
    assertEquals(asked, 4);
    const fixed = connect(server.url, {
      ...options,
      headers: { authorization: "Bearer 1" },
    });
    assertEquals((await fixed.closed).code, 1006);
  },
  cloudflares.node,
);
