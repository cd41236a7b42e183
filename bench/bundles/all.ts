/** What a program imports that uses everything a client can. */

export { connect } from "../../client.ts";
export { describe } from "../../src/parts/discovery.ts";
export { marshal, references } from "../../src/parts/references.ts";
export { method } from "../../src/methods/schema.ts";
export { streams } from "../../src/parts/streams.ts";
export {
  ethereum,
  notifications,
  subscribe,
} from "../../src/parts/subscriptions.ts";
