// recipe: Socket.IO
import { upgrade } from "@jsonrpcws/peer/node";
import { createServer } from "node:http";
import { Server } from "socket.io";
import { Greeter } from "./greeter.js";

const server = createServer((_, response) => response.end("A page"));
const io = new Server(server);
io.on("connection", (socket) => socket.on("echo", (text, done) => done(text)));
server.on("upgrade", upgrade(Greeter, { path: "/rpc" }));
server.listen(process.env.PORT);
// end
