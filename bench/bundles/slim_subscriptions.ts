/** What a page imports to which size matters, and that subscribes. */

export { connect } from "../../slim.ts";
export {
  ethereum,
  notifications,
  subscribe,
} from "../../src/parts/subscriptions.ts";
