/** The small client, with the server of `peer.ts`. */

import type { Socket } from "@jsonrpcws/peer/testing";
import type { Client } from "../contender.ts";
import { answer } from "./peer.ts";
import { SlimCaller } from "./slim_client.ts";

export { serve } from "./peer.ts";
export { connect } from "./slim_client.ts";

export function pair(server: Socket, client: Socket): Client {
  answer(server);
  return new SlimCaller(client);
}
