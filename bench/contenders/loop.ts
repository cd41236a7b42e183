/** The yardstick: the least code that makes correlated JSON-RPC 2.0 calls over a WebSocket. */

import type { Socket } from "@jsonrpcws/peer/testing";
import type { Client } from "../contender.ts";
import { createItem, type Item } from "../item.ts";
import { listen, open } from "../sockets.ts";

// Parsed messages are trusted: only the library pays for checks.
type Method = (...params: number[]) => unknown;
type Resolve = (result: unknown) => void;

export async function serve(): Promise<string> {
  const sockets = new Set<WebSocket>();
  return await listen((socket) => {
    sockets.add(socket);
    answer(socket, sockets);
  });
}

export async function connect(url: string): Promise<Client> {
  return call(await open(url));
}

export function pair(server: Socket, client: Socket, methods?: number): Client {
  answer(server, new Set([server]), methods);
  return call(client);
}

function answer(socket: Socket, all: Set<Socket>, count = 1): void {
  const methods = new Map<string, Method>([
    ["add", (a, b) => a! + b!],
    ["item", (id) => createItem(id!)],
    ["echo", (item) => item],
    ["count", (to) => {
      for (let n = 0; n < to!; n++) socket.send(notification("value", n));
    }],
    ["announce", (n) => {
      const text = notification("news", n!);
      for (const other of all) other.send(text);
    }],
  ]);
  for (let n = 1; n < count; n++) methods.set(`add${n}`, (a, b) => a! + b!);
  socket.addEventListener("message", ({ data }) => {
    const { id, method, params } = JSON.parse(data as string);
    const result = methods.get(method)!(...params) ?? null;
    socket.send(JSON.stringify({ jsonrpc: "2.0", result, id }));
  });
}

function notification(method: string, n: number): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params: [n] });
}

function call(socket: Socket): Client {
  const pending = new Map<number, Resolve>();
  const listeners = new Map<string, (n: number) => void>();
  let lastId = 0;
  socket.addEventListener("message", ({ data }) => {
    const { id, result, method, params } = JSON.parse(data as string);
    if (method !== undefined) return listeners.get(method)?.(params[0]);
    const resolve = pending.get(id)!;
    pending.delete(id);
    resolve(result);
  });

  function request<Result>(method: string, params: unknown[]): Promise<Result> {
    return new Promise((resolve) => {
      const id = ++lastId;
      pending.set(id, resolve as Resolve);
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }
  return {
    add: (a, b) => request<number>("add", [a, b]),
    addBy: (name, a, b) => request<number>(name, [a, b]),
    item: (id) => request<Item>("item", [id]),
    echo: (item) => request<Item>("echo", [item]),
    announce: (n) => request<void>("announce", [n]),
    listen: (take) => void listeners.set("news", take),
    count(to, take) {
      listeners.set("value", take);
      return request<void>("count", [to]);
    },
  };
}
