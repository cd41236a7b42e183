/** The client of the library. */

export { connect } from "./peer_client.ts";
