/**
 * The client as tests want it that look at how one connection ends.
 *
 * @module
 */

import { type Address, connect, type ConnectOptions } from "../client.ts";
import type { ServiceDefinition } from "../mod.ts";

/** Connects, and doesn't replace a connection that is lost. */
export const connectOnce: typeof connect = (
  url: Address,
  service: unknown = {},
  options: ConnectOptions = {},
): never =>
  connect(url, service as ServiceDefinition, {
    reconnect: false,
    ...options,
  }) as never;
