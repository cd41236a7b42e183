import { upgrade } from "@jsonrpcws/peer/node";
import express from "express";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Shop } from "./service.js";

const app = express();
for (const folder of process.argv.slice(2)) {
  app.use(`/${folder}`, express.static(`${folder}/dist`));
}
// @ts-expect-error: an instance has its connection.
export const wrong = (shop: Shop): unknown => upgrade(shop);
const http = createServer(app);
http.on("upgrade", upgrade(Shop));
http.listen(0, "127.0.0.1", () => {
  console.log((http.address() as AddressInfo).port);
});
