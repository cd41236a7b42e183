/**
 * Discovery: an OpenRPC document of a peer's methods, the answer to `rpc.discover`.
 *
 * ```ts
 * import { method } from "@jsonrpcws/peer";
 * import { connect } from "@jsonrpcws/peer/client";
 * import { describe, type OpenRpcDocument } from "@jsonrpcws/peer/discovery";
 * import { serve } from "@jsonrpcws/peer/server";
 * import { assertEquals } from "@std/assert";
 * import * as z from "zod";
 *
 * const local = {
 *   double: method({ params: { term: z.number() } }, (term) => 2 * term),
 * };
 * await using server = serve({
 *   local,
 *   port: 0,
 *   onListen() {},
 *   discover: describe({ title: "Calculator", version: "1.0.0" }),
 * });
 * await using client = connect<typeof local>(server.url);
 *
 * const { methods } = await client.request<OpenRpcDocument>("rpc.discover");
 * assertEquals(methods[0]?.params[0]?.name, "term");
 * ```
 *
 * @see {@link https://spec.open-rpc.org}
 *
 * @module
 */

export {
  type ContentDescriptor,
  type ConversionOptions,
  describe,
  type DescribeOptions,
  type Info,
  type JsonSchema,
  type OpenRpcDocument,
  type OpenRpcMethod,
} from "./src/methods/discovery.ts";
export type { ErrorObject } from "./src/wire/error.ts";
export type { StandardSchema } from "./src/methods/schema.ts";
