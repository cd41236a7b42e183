/** What a program imports that only calls and is called. */

export { connect } from "../../client.ts";
