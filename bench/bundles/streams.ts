/** What a program imports that uses streams. */

export { connect } from "../../client.ts";
export { streams } from "../../src/parts/streams.ts";
