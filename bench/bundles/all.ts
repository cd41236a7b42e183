/** What a program imports that uses everything a client can. */

export { connect } from "../../client.ts";
export { describe } from "../../src/discovery.ts";
export { marshal, references } from "../../src/reference.ts";
export { method } from "../../src/schema.ts";
export { streams } from "../../src/stream.ts";
export { ethereum, notifications, subscribe } from "../../src/subscription.ts";
