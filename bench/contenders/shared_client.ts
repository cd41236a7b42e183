/** The client of the library under its subprotocol. */

import { connect as connectPeer } from "@jsonrpcws/peer/client";
import type { Connect } from "../contender.ts";
import { Caller } from "./peer_client.ts";

export const connect: Connect = (url) =>
  connectPeer(url, Caller, { sharedFrames: true });
