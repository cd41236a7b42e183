/** The imports of a program that validates its calls, and describes its methods. */

export { connect } from "../../client.ts";
export { describe } from "../../discovery.ts";
export { method } from "../../mod.ts";
