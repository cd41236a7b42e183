import { assertEquals, assertRejects } from "@std/assert";
// @ts-types="@types/ws"
import { WebSocket as NodeWebSocket, WebSocketServer } from "ws";
import { type BasePeer, ConnectionClosedError, Peer } from "../mod.ts";
import { eachPeer } from "./faces.ts";
import { settle } from "./scripted_socket.ts";
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
