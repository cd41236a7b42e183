/** What a page imports of oRPC to call and be called. */

export { createORPCClient } from "@orpc/client";
export { RPCLink } from "@orpc/client/websocket";
