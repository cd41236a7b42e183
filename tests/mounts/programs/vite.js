// recipe: Vite
import { upgrade } from "@jsonrpcws/peer/node";
import { createServer } from "node:http";
import { createServer as createVite } from "vite";
import { Greeter } from "./greeter.js";

const server = createServer();
const vite = await createVite({
  server: { middlewareMode: true, hmr: { server } },
});
server.on("request", vite.middlewares);
server.on("upgrade", upgrade(Greeter, { path: "/rpc" }));
server.listen(process.env.PORT);
// end
