/** The client of the library under its subprotocol. */

import type { Connect } from "../contender.ts";
import { createConnect } from "./peer_client.ts";

export const connect: Connect = createConnect({ sharedFrames: true });
