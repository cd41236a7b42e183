/** What a page imports to which size matters, and that reads streams. */

export { connect } from "../../slim.ts";
export { streams } from "../../src/parts/streams.ts";
