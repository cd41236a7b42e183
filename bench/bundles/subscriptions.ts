/** What a program imports that reads notifications as events. */

export { connect } from "../../client.ts";
export {
  ethereum,
  notifications,
  subscribe,
} from "../../src/parts/subscriptions.ts";
