/** The library with its server for Node on Deno: README has it for the open internet. */

import type { Contender } from "../contender.ts";
import { createContender } from "./peer.ts";

const contender = createContender({}, true);
export const serve: Contender["serve"] = contender.serve;
export const connect: Contender["connect"] = contender.connect;
