/** The imports of a small page that subscribes. */

export { ethereum, notifications, subscribe } from "../../mod.ts";
export { connect } from "../../slim.ts";
