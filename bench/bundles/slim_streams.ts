/** What a page imports to which size matters, and that reads streams. */

export { connect, streams } from "../../slim.ts";
