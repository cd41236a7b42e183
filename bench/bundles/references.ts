/** What a program imports that passes functions and objects by reference. */

export { connect } from "../../client.ts";
export { marshal, references } from "../../src/parts/references.ts";
