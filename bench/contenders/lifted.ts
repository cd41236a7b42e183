/** The library without limits on what is in flight, for those who would measure past them. */

import type { Contender } from "../contender.ts";
import { createContender } from "./peer.ts";

const contender = createContender({
  limits: { incoming: Infinity, outgoing: Infinity },
});
export const serve: Contender["serve"] = contender.serve;
export const connect: Contender["connect"] = contender.connect;
export const pair: Contender["pair"] = contender.pair;
