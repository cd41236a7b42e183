/**
 * An HTTP server that others share: Vite, whose pages hear of changes by a
 * WebSocket, and Socket.IO.
 *
 * @see {@link https://vite.dev/config/server-options#server-middlewaremode}
 * @see {@link https://socket.io/docs/v4/server-options/#destroyupgrade}
 */

import { assertEquals } from "@std/assert";
import { once } from "node:events";
import { createServer } from "node:http";
import { Server as SocketServer } from "socket.io";
import { io } from "socket.io-client";
import { createServer as createVite } from "vite";
// @ts-types="@types/ws"
import { WebSocket } from "ws";
import { connect, upgrade } from "../../node.ts";

// Vite's esbuild is a process that ends with this one.
const isVites = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "upgrade with a path shares a server with Vite and Socket.IO, whoever listens first",
  isVites,
  async () => {
    for (const isFirst of [true, false]) {
      const folder = await Deno.makeTempDir();
      await Deno.writeTextFile(`${folder}/index.html`, "<p>Hello</p>");
      const http = createServer((request, response) =>
        vite.middlewares(request, response)
      );
      const rpc = upgrade({
        path: "/rpc",
        local: { add: (a: number, b: number) => a + b },
        async authorize(): Promise<null> {
          await new Promise((resolve) => setTimeout(resolve, 100));
          return null;
        },
      });
      if (isFirst) http.on("upgrade", rpc);
      const vite = await createVite({
        root: folder,
        logLevel: "silent",
        server: {
          middlewareMode: true,
          hmr: { server: http },
        },
      });
      const sockets = new SocketServer(http, { serveClient: false });
      sockets.on("connection", (socket) => {
        socket.on("add", (a, b, done) => done(a + b));
      });
      if (!isFirst) http.on("upgrade", rpc);
      http.listen(0, "127.0.0.1");
      await once(http, "listening");
      const { port } = http.address() as { port: number };
      const origin = `127.0.0.1:${port}`;

      const page = new WebSocket(`ws://${origin}/`, "vite-hmr");
      const [hello] = await once(page, "message");
      assertEquals(JSON.parse(String(hello)), { type: "connected" });

      const other = io(`http://${origin}`, { transports: ["websocket"] });
      assertEquals(await other.emitWithAck("add", 1, 2), 3);

      await using client = connect<{ add(a: number, b: number): number }>(
        `ws://${origin}/rpc?token=1`,
        { reconnect: false },
      );
      assertEquals(await client.remote.add(3, 4), 7);

      // Longer than Socket.IO waits for somebody to take what isn't its own.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      assertEquals(await other.emitWithAck("add", 5, 6), 11);
      assertEquals(await client.remote.add(7, 8), 15);
      const told = once(page, "message");
      vite.ws.send({ type: "full-reload" });
      assertEquals(JSON.parse(String((await told)[0])).type, "full-reload");

      client.close();
      await client.closed;
      other.close();
      page.close();
      await once(page, "close");
      await rpc.drain();
      await sockets.close();
      await vite.close();
      http.closeAllConnections();
      await Deno.remove(folder, { recursive: true });
    }
  },
);
