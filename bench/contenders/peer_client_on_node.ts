/** The client of the library on Node, with the sockets that the library has there. */

import { connect as connectPeer } from "@jsonrpcws/peer/node";
import type { Connect } from "../contender.ts";
import { Caller } from "./peer_client.ts";

export const connect: Connect = (url) => connectPeer(url, Caller);
