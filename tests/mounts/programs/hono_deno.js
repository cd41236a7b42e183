// recipe: Hono on Deno
import { upgrade } from "@jsonrpcws/peer/server";
import { Hono } from "hono";
import { Greeter } from "./greeter.js";

const rpc = upgrade(Greeter);
const app = new Hono();
app.get("/hello", (context) => context.text("A page"));
app.get("/rpc", (context) => rpc(context.req.raw, context.env));

Deno.serve({ port: Number(Deno.env.get("PORT")) }, app.fetch);
// end
