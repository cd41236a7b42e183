// recipe: Next
import { upgrade } from "@jsonrpcws/peer/node";
import next from "next";
import { createServer } from "node:http";
import { Greeter } from "./greeter.js";

const server = createServer();
server.on("upgrade", upgrade(Greeter, { path: "/rpc" }));
const dev = process.env.NODE_ENV !== "production";
const app = next({ dev, httpServer: server });
await app.prepare();
server.on("request", app.getRequestHandler());
server.on("upgrade", ({ url }, socket) => {
  // Once it is built, Next leaves open what is nobody's.
  if (!dev && !url.startsWith("/rpc")) socket.destroy();
});
server.listen(process.env.PORT);
// end
