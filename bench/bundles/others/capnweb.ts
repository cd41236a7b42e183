/** The imports of a page from Cap'n Web, to call and be called. */

export { newWebSocketRpcSession, RpcTarget } from "capnweb";
