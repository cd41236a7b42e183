/**
 * Socket.IO: all connections are in one room. By `redis URL PREFIX`, the same with
 * `sharded` or `streams`, it is one of several nodes with that adapter.
 *
 * @module
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { Server, type ServerOptions } from "socket.io";
import { converse } from "../lines.ts";
import { collect, usage } from "../usage.ts";
import { connections } from "./redis.ts";

const [, , kind, redis, prefix] = process.argv;

async function adapter(): Promise<Partial<ServerOptions>> {
  if (kind === undefined) return {};
  const [publisher, subscriber] = await connections(redis!);
  const [key, channelPrefix, streamName] = [prefix!, prefix!, prefix!];
  switch (kind) {
    case "streams":
      return { adapter: createStreamsAdapter(publisher, { streamName }) };
    case "sharded":
      return {
        adapter: createShardedAdapter(publisher, subscriber, { channelPrefix }),
      };
    default:
      return { adapter: createAdapter(publisher, subscriber, { key }) };
  }
}

const http = createServer();
const server = new Server(http, {
  transports: ["websocket"],
  serveClient: false,
  ...await adapter(),
});
server.on("connection", (socket) => {
  socket.join("room");
  socket.on("say", (text: string) => void server.to("room").emit("show", text));
});
await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
const { port } = http.address() as AddressInfo;

await converse(`ws://127.0.0.1:${port}/`, (question) => {
  if (question === "collect") collect();
  return usage();
});
process.exit();
