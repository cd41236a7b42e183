/**
 * What the owner of a peer is told: its hooks, and what goes wrong.
 *
 * @module
 */

import { abnormal } from "../line/close.ts";
import { isThenable } from "../line/deferred.ts";
import { ReadyState } from "../line/socket.ts";
import { type CloseInfo, ConnectionClosedError } from "../wire/error.ts";
import type { Core } from "./core.ts";

/** The error of what can't be done because there is no connection. */
export function closedError(
  core: Core,
  what: string,
  sent = false,
  method?: string,
  idempotent = false,
  info: CloseInfo = core.ended ?? abnormal,
  cause: unknown = core.cause,
): ConnectionClosedError {
  return new ConnectionClosedError(
    method === undefined ? what : `${what} "${method}"`,
    info,
    sent,
    { ...(cause !== undefined && { cause }), idempotent },
  );
}

/** Runs a hook of the owner's, which may throw now or later. */
export function runHook(core: Core, hook: () => unknown): void {
  try {
    const result = hook();
    if (isThenable(result)) {
      Promise.resolve(result).catch((error: unknown) => report(core, error));
    }
  } catch (error) {
    report(core, error);
  }
}

/** Tells the owner of an error, unless the connection's close tells it. */
export function report(core: Core, error: unknown): void {
  const isOpen = core.state === "open" &&
    core.ws?.readyState === ReadyState.Open;
  if (!isOpen && error instanceof ConnectionClosedError) return;
  complain(core, error);
}

/** Tells the owner of an error that is nobody else's. */
export function complain(core: Core, error: unknown): void {
  try {
    const result = core.owner.onerror(error);
    if (isThenable(result)) Promise.resolve(result).catch(() => {});
  } catch {
    // There is nobody left to tell.
  }
}
