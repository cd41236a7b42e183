/** oRPC: procedures, and event iterators. */

import { createORPCClient } from "@orpc/client";
import { RPCLink } from "@orpc/client/websocket";
import type { RouterClient } from "@orpc/server";
import type { Socket } from "@jsonrpcws/peer/testing";
import type { Client } from "../contender.ts";
import { createItem } from "../item.ts";
import { isDeno, listen, open } from "../sockets.ts";

type Calculator = Awaited<ReturnType<typeof createRouter>>;

export async function serve(): Promise<string> {
  const { RPCHandler } = isDeno
    ? await import("@orpc/server/websocket")
    : await import("@orpc/server/ws");
  const handler = new RPCHandler(await createRouter());
  return await listen((socket) => handler.upgrade(socket as never));
}

export async function connect(url: string): Promise<Client> {
  return call(await open(url));
}

export async function pair(server: Socket, client: Socket): Promise<Client> {
  const { RPCHandler } = await import("@orpc/server/websocket");
  new RPCHandler(await createRouter()).upgrade(server as WebSocket);
  return call(client as WebSocket);
}

function call(websocket: WebSocket): Client {
  const calculator: RouterClient<Calculator> = createORPCClient(
    new RPCLink({ websocket }),
  );
  return {
    add: (a, b) => calculator.add([a, b]),
    item: (id) => calculator.item(id),
    announce: (n) => calculator.announce(n),
    listen: async (take) => {
      const news = await calculator.news();
      (async () => {
        for await (const n of news) take(n);
      })();
    },
    count: async (to, take) => {
      for await (const n of await calculator.count(to)) take(n);
    },
  };
}

async function createRouter() {
  const { EventPublisher, os, type } = await import("@orpc/server");
  const publisher = new EventPublisher<{ news: number }>();
  return {
    add: os.input(type<[number, number]>())
      .handler(({ input: [a, b] }) => a + b),
    item: os.input(type<number>()).handler(({ input }) => createItem(input)),
    announce: os.input(type<number>())
      .handler(({ input }) => publisher.publish("news", input)),
    news: os.handler(({ signal }) =>
      publisher.subscribe("news", { signal: signal! })
    ),
    count: os.input(type<number>()).handler(async function* ({ input }) {
      for (let n = 0; n < input; n++) yield n;
    }),
  };
}
