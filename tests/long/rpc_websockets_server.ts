/** A server of rpc-websockets: an event a minute after somebody has asked for it. */

import { Server } from "rpc-websockets";

const server = new Server({ port: 0, host: "127.0.0.1" });
server.register("sum", (params) => {
  const [a, b] = params as unknown as [number, number];
  return a + b;
});
server.register(
  "slow",
  () => new Promise((resolve) => setTimeout(resolve, 45_000, "done")),
);
server.event("told");
server.register("watch", () => {
  setTimeout(() => server.emit("told", "news"), 60_000);
  return null;
});
server.on("listening", () => {
  const { port } = server.wss.address() as { port: number };
  console.log(`port ${port}`);
});
