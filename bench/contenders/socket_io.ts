/** Socket.IO over its own protocol on WebSockets, without the polling before it. */

import { io } from "socket.io-client";
import type { Client } from "../contender.ts";
import { createItem, type Item } from "../item.ts";

export async function serve(): Promise<string> {
  const { createServer } = await import("node:http");
  const { Server } = await import("socket.io");
  const http = createServer();
  const server = new Server(http, {
    transports: ["websocket"],
    serveClient: false,
  });
  server.on("connection", (socket) => {
    socket.on("add", (a: number, b: number, answer: (sum: number) => void) => {
      answer(a + b);
    });
    socket.on("item", (id: number, answer: (item: Item) => void) => {
      answer(createItem(id));
    });
    socket.on("count", (to: number, answer: () => void) => {
      for (let n = 0; n < to; n++) socket.emit("value", n);
      answer();
    });
    socket.on("announce", (n: number, answer: () => void) => {
      server.emit("news", n);
      answer();
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  return `ws://127.0.0.1:${(http.address() as { port: number }).port}/`;
}

export async function connect(url: string): Promise<Client> {
  // A connection of its own for each, or all would share the first.
  const socket = io(url, { transports: ["websocket"], forceNew: true });
  await new Promise<void>((resolve) => socket.on("connect", resolve));
  return {
    add: (a, b) => socket.emitWithAck("add", a, b),
    item: (id) => socket.emitWithAck("item", id),
    announce: (n) => socket.emitWithAck("announce", n),
    listen: (take) => void socket.on("news", take),
    count: async (to, take) => {
      socket.on("value", take);
      await socket.emitWithAck("count", to);
      socket.off("value", take);
    },
  };
}
