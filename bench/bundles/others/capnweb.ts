/** What a page imports of Cap'n Web to call and be called. */

export { newWebSocketRpcSession, RpcTarget } from "capnweb";
