// recipe: Hono on Node
import { serve } from "@hono/node-server";
import { upgrade } from "@jsonrpcws/peer/node";
import { Hono } from "hono";
import { Greeter } from "./greeter.js";

const app = new Hono();
app.get("/hello", (context) => context.text("A page"));

const server = serve({ fetch: app.fetch, port: Number(process.env.PORT) });
server.on("upgrade", upgrade(Greeter, { path: "/rpc" }));
// end
