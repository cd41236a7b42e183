/** rpc-websockets, which brings its server and, outside browsers, the sockets of `ws`. */

import { Client as WebSocketClient, Server } from "rpc-websockets";
import type { Client } from "../contender.ts";
import { createItem, type Item } from "../item.ts";

export async function serve(): Promise<string> {
  const server = new Server({ host: "127.0.0.1", port: 0 });
  server.event("value");
  server.event("news");
  server.register("add", ({ 0: a, 1: b }) => a + b);
  server.register("item", ({ 0: id }) => createItem(id));
  server.register("echo", ({ 0: item }) => item);
  server.register("count", ({ 0: to }) => {
    for (let n = 0; n < to; n++) server.emit("value", n);
    return true; // Without a result, its client takes the answer for malformed.
  });
  server.register("announce", ({ 0: n }) => server.emit("news", n));
  await new Promise((resolve) => server.on("listening", resolve));
  return `ws://127.0.0.1:${(server.wss.address() as { port: number }).port}/`;
}

export async function connect(url: string): Promise<Client> {
  const client = new WebSocketClient(url);
  await new Promise((resolve) => client.on("open", resolve));
  return {
    add: (a, b) => client.call("add", [a, b]) as Promise<number>,
    item: (id) => client.call("item", [id]) as Promise<Item>,
    echo: (item) => client.call("echo", [item]) as Promise<Item>,
    announce: (n) => client.call("announce", [n]) as Promise<void>,
    listen: (take) => on("news", take),
    count: async (to, take) => {
      await on("value", take);
      await client.call("count", [to]);
    },
  };

  async function on(event: string, take: (n: number) => void): Promise<void> {
    if (client.listenerCount(event) === 0) await client.subscribe(event);
    client.removeAllListeners(event).on(event, take);
  }
}
