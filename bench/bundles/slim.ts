/** What a page imports to which size matters. */

export { connect } from "../../slim.ts";
