/**
 * What the owner of a peer is told: its hooks, and what goes wrong.
 *
 * @module
 */

import { abnormal } from "../line/close.ts";
import { isThenable } from "../line/deferred.ts";
import { ReadyState } from "../line/socket.ts";
import { ConnectionClosedError } from "../wire/error.ts";
import type { Connection, Core } from "./core.ts";

/**
 * The error of what can't be done because a connection has ended.
 *
 * @param connection The connection of which that is true, if not the one of now.
 */
export function closedError(
  core: Core,
  what: string,
  sent = false,
  method?: string,
  idempotent = false,
  connection: Connection = core.connection,
): ConnectionClosedError {
  const { ended } = connection;
  // The next attempt's errors are not this connection's.
  const cause = ended === undefined ? core.cause : connection.cause;
  return new ConnectionClosedError(
    method === undefined ? what : `${what} "${method}"`,
    ended ?? abnormal,
    sent,
    { ...(cause !== undefined && { cause }), idempotent },
  );
}

/** Whether it is over, which whoever is asked for something may have decided. */
export function isClosed({ state }: Core): boolean {
  return state === "closed";
}

/** Whether there is a connection that can take a message. */
export function isSending({ state, ws }: Core): boolean {
  return state === "open" && ws!.readyState === ReadyState.Open;
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
  if (error instanceof ConnectionClosedError && !isSending(core)) return;
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
