/** vscode-jsonrpc, over the sockets of vscode-ws-jsonrpc. */

import type { Socket } from "@jsonrpcws/peer/testing";
import type { MessageConnection } from "vscode-jsonrpc";
import {
  ConsoleLogger,
  createWebSocketConnection,
  type IWebSocket,
  toSocket,
} from "vscode-ws-jsonrpc";
import type { Client } from "../contender.ts";
import { createItem, type Item } from "../item.ts";
import { listen, open } from "../sockets.ts";

export async function serve(): Promise<string> {
  const all = new Set<MessageConnection>();
  return await listen((socket) => answer(toSocket(socket), all));
}

export async function connect(url: string): Promise<Client> {
  return call(toSocket(await open(url)));
}

export function pair(server: Socket, client: Socket): Client {
  answer(inMemory(server), new Set());
  return call(inMemory(client));
}

function inMemory(socket: Socket): IWebSocket {
  return {
    send: (text) => socket.send(text),
    onMessage: (take) =>
      socket.addEventListener("message", ({ data }) => take(data)),
    onError: () => {},
    onClose: () => {},
    dispose: () => socket.close(),
  };
}

function answer(socket: IWebSocket, all: Set<MessageConnection>): void {
  const connection = createWebSocketConnection(socket, new ConsoleLogger());
  all.add(connection);
  connection.onRequest("add", (a: number, b: number) => a + b);
  connection.onRequest("item", (id: number) => createItem(id));
  connection.onRequest("echo", (item: Item) => item);
  connection.onRequest("count", async (to: number) => {
    const sent: Promise<void>[] = [];
    for (let n = 0; n < to; n++) {
      sent.push(connection.sendNotification("value", n));
    }
    await Promise.all(sent);
  });
  connection.onRequest("announce", async (n: number) => {
    await Promise.all(
      Array.from(all, (other) => other.sendNotification("news", n)),
    );
  });
  connection.listen();
}

function call(socket: IWebSocket): Client {
  const connection = createWebSocketConnection(socket, new ConsoleLogger());
  connection.listen();
  return {
    add: (a, b) => connection.sendRequest("add", a, b),
    item: (id) => connection.sendRequest("item", id),
    echo: (item) => connection.sendRequest("echo", item),
    announce: (n) => connection.sendRequest("announce", n),
    listen: (take) => void connection.onNotification("news", take),
    count: async (to, take) => {
      const listener = connection.onNotification("value", take);
      await connection.sendRequest("count", to);
      listener.dispose();
    },
  };
}
