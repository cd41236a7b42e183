// recipe: Hono on Workers
import { upgrade } from "@jsonrpcws/peer/workers";
import { Hono } from "hono";
import { Greeter } from "./greeter.js";

const rpc = upgrade(Greeter);
const app = new Hono();
app.get("/hello", (context) => context.text("A page"));
app.get("/rpc", (context) => rpc(context.req.raw, context.env));

export default app;
// end
