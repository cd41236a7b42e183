/** json-rpc-2.0, which leaves the socket to its users. */

import type { Socket } from "@jsonrpcws/peer/testing";
import {
  JSONRPCClient,
  JSONRPCServer,
  JSONRPCServerAndClient,
} from "json-rpc-2.0";
import type { Client } from "../contender.ts";
import { createItem, type Item } from "../item.ts";
import { listen, open } from "../sockets.ts";

export async function serve(): Promise<string> {
  const all = new Set<JSONRPCServerAndClient>();
  return await listen((socket) => answer(socket, all));
}

export async function connect(url: string): Promise<Client> {
  return call(await open(url));
}

export function pair(server: Socket, client: Socket): Client {
  answer(server, new Set());
  return call(client);
}

function over(socket: Socket): JSONRPCServerAndClient {
  const peer = new JSONRPCServerAndClient(
    new JSONRPCServer(),
    new JSONRPCClient((message) => socket.send(JSON.stringify(message))),
  );
  socket.addEventListener("message", ({ data }) => {
    peer.receiveAndSend(JSON.parse(data as string));
  });
  return peer;
}

function answer(socket: Socket, all: Set<JSONRPCServerAndClient>): void {
  const peer = over(socket);
  all.add(peer);
  peer.addMethod("add", ([a, b]: [number, number]) => a + b);
  peer.addMethod("item", ([id]: [number]) => createItem(id));
  peer.addMethod("echo", ([item]: [Item]) => item);
  peer.addMethod("count", ([to]: [number]) => {
    for (let n = 0; n < to; n++) peer.notify("value", [n]);
  });
  peer.addMethod("announce", ([n]: [number]) => {
    for (const other of all) other.notify("news", [n]);
  });
}

function call(socket: Socket): Client {
  const peer = over(socket);
  return {
    add: async (a, b) => await peer.request("add", [a, b]),
    item: async (id) => await peer.request("item", [id]),
    echo: async (item) => await peer.request("echo", [item]),
    announce: async (n) => await peer.request("announce", [n]),
    listen: (take) => peer.addMethod("news", ([n]: [number]) => take(n)),
    count: async (to, take) => {
      peer.addMethod("value", ([n]: [number]) => take(n));
      await peer.request("count", [to]);
    },
  };
}
