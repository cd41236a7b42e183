/** The small client on Node, with the sockets that the library has there. */

import { sockets } from "@jsonrpcws/peer/ws";
import type { Connect } from "../contender.ts";
import { createConnect } from "./slim_client.ts";

export const connect: Connect = createConnect({ createSocket: sockets() });
