/** The imports of a page from oRPC, to call and be called. */

export { createORPCClient } from "@orpc/client";
export { RPCLink } from "@orpc/client/websocket";
