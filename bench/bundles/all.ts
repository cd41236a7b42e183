/** The imports of a program that uses everything a client can. */

export { connect } from "../../client.ts";
export { describe } from "../../discovery.ts";
export {
  ethereum,
  guard,
  marshal,
  method,
  notifications,
  resume,
  subscribe,
} from "../../mod.ts";
