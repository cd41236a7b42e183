/** The imports of a page from json-rpc-2.0, to call and be called. */

export {
  JSONRPCClient,
  JSONRPCServer,
  JSONRPCServerAndClient,
} from "json-rpc-2.0";
