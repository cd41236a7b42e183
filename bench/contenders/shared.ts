/** The library under its subprotocol, where messages share frames. */

import type { Contender } from "../contender.ts";
import { createContender } from "./peer.ts";

const contender = createContender({ sharedFrames: true });
export const serve: Contender["serve"] = contender.serve;
export const connect: Contender["connect"] = contender.connect;
export const pair: Contender["pair"] = contender.pair;
