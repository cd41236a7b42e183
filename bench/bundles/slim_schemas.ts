/** What a page imports to which size matters, and that validates. */

export { method } from "../../mod.ts";
export { connect } from "../../slim.ts";
