/** What a page imports of kkrpc to call and be called. */

export { RPCChannel } from "kkrpc/browser";
