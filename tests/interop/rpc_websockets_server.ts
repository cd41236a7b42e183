/**
 * A server made with rpc-websockets, as its own documentation makes one. It says
 * where it listens, and emits an event for each line that it reads.
 */

import { Server } from "rpc-websockets";
import process from "node:process";
import { createInterface } from "node:readline";

const server = new Server({ port: 0, host: "127.0.0.1" });

server.register("sum", (params) => {
  const [a, b] = params as unknown as [number, number];
  return a + b;
});
server.register("greet", ({ name }) => `hello, ${name}`);
server.register("nothing", () => undefined);
server.register("zero", () => 0);
server.register("fail", () => {
  throw new Error("the database is gone");
});
server.register("refuse", () => {
  throw server.createError(409, "Name is taken", { name: "ann" });
});
server.register("grumble", () => {
  throw "no";
});
const notes: unknown[] = [];
server.register("note", (params) => void notes.push(params));
server.register("notes", () => notes);
server.setAuth(({ password }) => Promise.resolve(password === "secret"));
server.register("secret", () => 42).protected();
server.event("feedUpdated");
server.event("price");

server.on("listening", () => {
  const { port } = server.wss.address() as { port: number };
  console.log(`ws://127.0.0.1:${port}`);
});
for await (const line of createInterface({ input: process.stdin })) {
  const [event, ...params] = JSON.parse(line) as [string, ...unknown[]];
  server.emit(event, ...params);
}
