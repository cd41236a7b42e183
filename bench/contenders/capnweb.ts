/** Cap'n Web: objects, functions and streams by reference. */

import type { Socket } from "@jsonrpcws/peer/testing";
import { newWebSocketRpcSession, type RpcStub, RpcTarget } from "capnweb";
import { WebSocket } from "ws";
import type { Client } from "../contender.ts";
import { createItem, type Item } from "../item.ts";
import { listen } from "../sockets.ts";

type Take = (n: number) => void;

class Calculator extends RpcTarget {
  static readonly listeners: RpcStub<Take>[] = [];

  add(a: number, b: number): number {
    return a + b;
  }

  item(id: number): Item {
    return createItem(id);
  }

  echo(item: Item): Item {
    return item;
  }

  count(to: number): ReadableStream<number> {
    let n = 0;
    return new ReadableStream({
      pull(controller) {
        if (n < to) controller.enqueue(n++);
        else controller.close();
      },
    });
  }

  listen(take: RpcStub<Take>): void {
    // An argument is let go of once the call is answered.
    Calculator.listeners.push(take.dup());
  }

  announce(n: number): void {
    // Nobody waits for the results.
    for (const take of Calculator.listeners) take(n)[Symbol.dispose]();
  }
}

export async function serve(): Promise<string> {
  return await listen((socket) => {
    newWebSocketRpcSession(socket, new Calculator());
  });
}

export function connect(url: string): Client {
  // Also in Deno: its own client delays the second of two small frames by 44 ms
  // (seen in 2.9.5), and this contender sends two for a call.
  const socket = new WebSocket(url);
  return call(socket as never);
}

export function pair(server: Socket, client: Socket): Client {
  newWebSocketRpcSession(server as never, new Calculator());
  return call(client as never);
}

function call(socket: globalThis.WebSocket): Client {
  const api = newWebSocketRpcSession<Calculator>(socket);
  return {
    add: async (a, b) => await api.add(a, b),
    item: async (id) => await api.item(id),
    echo: async (item) => await api.echo(item),
    announce: async (n) => await api.announce(n),
    listen: async (take) => await api.listen(take),
    count: async (to, take) => {
      for await (const n of await api.count(to)) take(n);
    },
  };
}
