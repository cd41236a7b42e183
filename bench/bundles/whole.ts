/** The imports of a program that calls, is called, streams and passes functions. */

export { connect } from "../../client.ts";
