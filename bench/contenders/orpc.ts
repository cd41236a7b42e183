/** oRPC: procedures, and event iterators. */

import type { Socket } from "@jsonrpcws/peer/testing";
import { EventPublisher, os, type } from "@orpc/server";
import { RPCHandler } from "@orpc/server/websocket";
import { RPCHandler as NodeHandler } from "@orpc/server/ws";
import type { Client } from "../contender.ts";
import { createItem, type Item } from "../item.ts";
import { isDeno, listen } from "../sockets.ts";
import { call } from "./orpc_client.ts";

export { connect } from "./orpc_client.ts";

export async function serve(): Promise<string> {
  const handler = new (isDeno ? RPCHandler : NodeHandler)(createRouter());
  return await listen((socket) => handler.upgrade(socket as never));
}

export function pair(server: Socket, client: Socket): Client {
  new RPCHandler(createRouter()).upgrade(server as WebSocket);
  return call(client as WebSocket);
}

function createRouter() {
  const publisher = new EventPublisher<{ news: number }>();
  return {
    add: os.input(type<[number, number]>())
      .handler(({ input: [a, b] }) => a + b),
    item: os.input(type<number>()).handler(({ input }) => createItem(input)),
    echo: os.input(type<Item>()).handler(({ input }) => input),
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
