// recipe: Next
import { upgrade } from "@jsonrpcws/peer/node";
import next from "next";
import { createServer } from "node:http";
import { Greeter } from "./greeter.js";

const server = createServer();
server.on("upgrade", upgrade(Greeter, { path: "/rpc" }));
const app = next({ dev: true, httpServer: server });
await app.prepare();
server.on("request", app.getRequestHandler());
server.listen(process.env.PORT);
// end
