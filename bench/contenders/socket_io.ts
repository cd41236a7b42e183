/** Socket.IO over its own protocol on WebSockets, without the polling before it. */

import { createServer } from "node:http";
import { Server } from "socket.io";
import { createItem, type Item } from "../item.ts";

export { connect } from "./socket_io_client.ts";

export async function serve(): Promise<string> {
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
    socket.on("echo", (item: Item, answer: (item: Item) => void) => {
      answer(item);
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
