/** What a page imports to which size matters, and that validates. */

export { connect } from "../../slim.ts";
export { method } from "../../src/methods/schema.ts";
