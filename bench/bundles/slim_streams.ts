/** The imports of a small page that reads streams. */

export { connect, streams } from "../../slim.ts";
