/** What a page imports of json-rpc-2.0 to call and be called. */

export {
  JSONRPCClient,
  JSONRPCServer,
  JSONRPCServerAndClient,
} from "json-rpc-2.0";
