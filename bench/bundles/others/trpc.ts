/** What a page imports of tRPC to call and be called. */

export { createTRPCClient, createWSClient, wsLink } from "@trpc/client";
