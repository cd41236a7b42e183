/** What a page imports to which size matters, and that passes functions. */

export { connect } from "../../slim.ts";
export { marshal, references } from "../../src/parts/references.ts";
