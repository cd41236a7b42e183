/** The yardstick: the least code that makes correlated JSON-RPC 2.0 calls over a WebSocket. */

import type { Socket } from "@jsonrpcws/peer/testing";
import type { Client } from "../contender.ts";

// Parsed messages are trusted: whatever a check costs is the library's to pay.
type Method = (...params: number[]) => number;
type Resolve = (result: number) => void;

const methods = new Map<string, Method>([["add", (a, b) => a! + b!]]);

export function serve(): string {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      answer(socket);
      return response;
    },
  );
  return `ws://127.0.0.1:${server.addr.port}/`;
}

export function connect(url: string): Promise<Client> {
  const socket = new WebSocket(url);
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(call(socket));
    socket.onerror = () => reject(new Error(`Cannot connect to ${url}`));
  });
}

export function pair(server: Socket, client: Socket): Client {
  answer(server);
  return call(client);
}

function answer(socket: Socket): void {
  socket.addEventListener("message", ({ data }) => {
    const { id, method, params } = JSON.parse(data as string);
    const result = methods.get(method)!(...params);
    socket.send(JSON.stringify({ jsonrpc: "2.0", result, id }));
  });
}

function call(socket: Socket): Client {
  const pending = new Map<number, Resolve>();
  let lastId = 0;
  socket.addEventListener("message", ({ data }) => {
    const { id, result } = JSON.parse(data as string);
    const resolve = pending.get(id)!;
    pending.delete(id);
    resolve(result);
  });
  return {
    add: (a, b) =>
      new Promise((resolve) => {
        const id = ++lastId;
        pending.set(id, resolve);
        socket.send(
          JSON.stringify({ jsonrpc: "2.0", id, method: "add", params: [a, b] }),
        );
      }),
  };
}
