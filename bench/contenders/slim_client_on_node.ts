/** The small client on Node, with the sockets that the library has there. */

import { connect as connectPeer } from "@jsonrpcws/peer/node";
import type { Connect } from "../contender.ts";
import { SlimCaller } from "./slim_client.ts";

export const connect: Connect = (url) => connectPeer(url, SlimCaller);
