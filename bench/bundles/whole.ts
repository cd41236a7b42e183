/** What a program imports that calls, is called, streams and passes functions. */

export { connect } from "../../client.ts";
