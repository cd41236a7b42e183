/** The imports of a page from tRPC, to call and be called. */

export { createTRPCClient, createWSClient, wsLink } from "@trpc/client";
