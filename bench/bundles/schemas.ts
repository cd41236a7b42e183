/** What a program imports that validates what it is called with, and describes it. */

export { connect } from "../../client.ts";
export { describe } from "../../src/parts/discovery.ts";
export { method } from "../../src/methods/schema.ts";
