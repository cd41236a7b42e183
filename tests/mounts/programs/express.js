// recipe: Express
import { upgrade } from "@jsonrpcws/peer/node";
import express from "express";
import { Greeter } from "./greeter.js";

const app = express();
app.get("/hello", (_, response) => response.send("A page"));

const server = app.listen(process.env.PORT);
server.on("upgrade", upgrade(Greeter, { path: "/rpc" }));
// end
