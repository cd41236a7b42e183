/** kkrpc, whose methods are given functions to call back. */

import type { Socket } from "@jsonrpcws/peer/testing";
import {
  type IoInterface,
  RPCChannel,
  WebSocketClientIO,
  WebSocketServerIO,
} from "kkrpc";
import type { Client } from "../contender.ts";
import { createItem, type Item } from "../item.ts";
import { listen } from "../sockets.ts";

type Take = (n: number) => void;

type Calculator = ReturnType<typeof createCalculator>;

export async function serve(): Promise<string> {
  const calculator = createCalculator();
  return await listen((socket) => {
    new RPCChannel(new WebSocketServerIO(socket), { expose: calculator });
  });
}

export function connect(url: string): Client {
  return call(new WebSocketClientIO({ url }));
}

export function pair(server: Socket, client: Socket): Client {
  new RPCChannel(inMemory(server), { expose: createCalculator() });
  return call(inMemory(client));
}

function createCalculator() {
  const listeners: Take[] = [];
  return {
    add: (a: number, b: number) => Promise.resolve(a + b),
    item: (id: number) => Promise.resolve(createItem(id)),
    echo: (item: Item) => Promise.resolve(item),
    count: (to: number, take: Take) => {
      for (let n = 0; n < to; n++) take(n);
      return Promise.resolve();
    },
    listen: (take: Take) => {
      listeners.push(take);
      return Promise.resolve();
    },
    announce: (n: number) => {
      for (const take of listeners) take(n);
      return Promise.resolve();
    },
  };
}

function call(io: IoInterface): Client {
  const calculator = new RPCChannel<Record<string, never>, Calculator>(io)
    .getAPI();
  return {
    add: (a, b) => calculator.add(a, b),
    item: (id) => calculator.item(id),
    echo: (item) => calculator.echo(item),
    count: (to, take) => calculator.count(to, take),
    listen: (take) => calculator.listen(take),
    announce: (n) => calculator.announce(n),
  };
}

/** As the library's own adapter does it, which wants a socket with `onmessage`. */
function inMemory(socket: Socket): IoInterface {
  const queue: string[] = [];
  let resolveRead: ((text: string) => void) | undefined;
  socket.addEventListener("message", ({ data }) => {
    if (resolveRead === undefined) queue.push(data as string);
    else resolveRead(data as string);
    resolveRead = undefined;
  });
  return {
    name: "in-memory-io",
    read: async () =>
      queue.shift() ??
        await new Promise<string>((resolve) => resolveRead = resolve),
    write: (text) => Promise.resolve(socket.send(text)),
  };
}
