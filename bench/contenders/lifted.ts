/** The library without limits on calls in flight, for measurements beyond them. */

import type { Contender } from "../contender.ts";
import { createContender } from "./peer.ts";

const contender = createContender({
  limits: { incoming: Infinity, outgoing: Infinity },
});
export const serve: Contender["serve"] = contender.serve;
export const connect: Contender["connect"] = contender.connect;
export const pair: Contender["pair"] = contender.pair;
