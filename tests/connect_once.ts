/**
 * The client as tests want it that look at how one connection ends.
 *
 * @module
 */

import {
  type Address,
  connect,
  type ConnectOptions,
  type ConnectSettings,
} from "../client.ts";
import type { ServiceClass } from "../mod.ts";

/** Connects, and doesn't replace a connection that is lost. */
export const connectOnce: typeof connect = (
  url: Address,
  service: ServiceClass<unknown> | ConnectOptions = {},
  settings: ConnectSettings = {},
): never => {
  const once = { reconnect: false };
  return (typeof service === "function"
    ? connect(url, service, { ...once, ...settings })
    : connect(url, { ...once, ...service })) as never;
};
