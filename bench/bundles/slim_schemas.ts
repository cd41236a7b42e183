/** The imports of a small page that validates. */

export { method } from "../../mod.ts";
export { connect } from "../../slim.ts";
