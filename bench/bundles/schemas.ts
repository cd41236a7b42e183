/** What a program imports that validates what it is called with, and describes it. */

export { connect } from "../../client.ts";
export { describe } from "../../discovery.ts";
export { method } from "../../mod.ts";
