/** The small client, with the server of `peer.ts`. */

export { serve } from "./peer.ts";
export { connect } from "./slim_client.ts";
