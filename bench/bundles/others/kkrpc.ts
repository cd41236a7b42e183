/** The imports of a page from kkrpc, to call and be called. */

export { RPCChannel } from "kkrpc/browser";
