/** The imports of a program that reads notifications as events. */

export { connect } from "../../client.ts";
export { ethereum, notifications, subscribe } from "../../mod.ts";
