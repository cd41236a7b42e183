/** What a page imports to which size matters, and that subscribes. */

export { ethereum, notifications, subscribe } from "../../mod.ts";
export { connect } from "../../slim.ts";
