/**
 * The client: a peer that opens its connection itself, in a browser, in Deno,
 * Node, Bun or a worker.
 *
 * ```ts
 * import { connect } from "@jsonrpcws/peer/client";
 * import { serve } from "@jsonrpcws/peer/server";
 * import { assertEquals } from "@std/assert";
 *
 * const local = { add: (a: number, b: number) => a + b };
 * await using server = serve({ local, port: 0, onListen() {} });
 *
 * await using client = connect<typeof local>(server.url);
 * assertEquals(await client.remote.add(1, 2), 3);
 * ```
 *
 * @see {@link https://websockets.spec.whatwg.org/#the-websocket-interface}
 *
 * @module
 */

export {
  connect,
  type ConnectOptions,
  type ConnectSettings,
} from "./src/presets/connect.ts";
export type { Address, CreateSocket, Protocols } from "./src/line/address.ts";
export type { FailedAttempt, ReconnectOptions } from "./src/line/retry.ts";
