/** The imports of a page from rpc-websockets, to call and be called. */

export { Client } from "rpc-websockets";
