// recipe: Fastify
import { upgrade } from "@jsonrpcws/peer/node";
import fastify from "fastify";
import { Greeter } from "./greeter.js";

const app = fastify();
app.get("/hello", () => "A page");

const rpc = upgrade(Greeter, { path: "/rpc" });
app.server.on("upgrade", rpc);
// Else close() would wait for the connections.
app.addHook("preClose", async () => void (await rpc.drain()));
await app.listen({ port: process.env.PORT });
// end
process.once("SIGTERM", () => app.close());
