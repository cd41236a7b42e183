/** The client of the library under its subprotocol, on Node. */

import { sockets } from "@jsonrpcws/peer/ws";
import type { Connect } from "../contender.ts";
import { createConnect } from "./peer_client.ts";

export const connect: Connect = createConnect({
  createSocket: sockets(),
  sharedFrames: true,
});
