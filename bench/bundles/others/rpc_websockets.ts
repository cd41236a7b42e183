/** What a page imports of rpc-websockets to call and be called. */

export { Client } from "rpc-websockets";
