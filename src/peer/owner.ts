/**
 * The owner of a peer: calling its hooks, and telling it of errors.
 *
 * @module
 */

import { abnormal } from "../line/close.ts";
import { isThenable } from "../line/deferred.ts";
import type { FailedAttempt } from "../line/retry.ts";
import { ReadyState } from "../line/socket.ts";
import { entrust } from "../runtime/unheard.ts";
import { ConnectionClosedError } from "../wire/error.ts";
import type { Call } from "./call.ts";
import type { Connection, ConnectionState, Core } from "./core.ts";

/**
 * Makes the error of an action that failed because the connection has ended.
 *
 * @param connection The connection that has ended, if not the present one.
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
  // Errors of the next attempt are not this connection's.
  const cause = ended === undefined
    ? core.cause ?? core.last?.cause
    : connection.cause;
  return entrusted(
    core,
    new ConnectionClosedError(
      method === undefined ? what : `${what} "${method}"`,
      ended ?? core.leaving?.info ?? abnormal,
      sent,
      { ...(cause !== undefined && { cause }), idempotent },
    ),
  );
}

/** The caller that each error was made for: a core, or a cluster's node. */
const callers = /* @__PURE__ */ new WeakMap<object, object>();

/**
 * Marks the error of a call: if nobody handles its rejection, the owner is told.
 */
export function entrusted<E extends Error>(core: Core, error: E): E {
  return entrustedTo(core, error, (unheard) => report(core, unheard));
}

/**
 * The same for a call that was not made by a core.
 *
 * @param caller Whatever made the call.
 * @param tell Tells the owner.
 */
export function entrustedTo<E extends Error>(
  caller: object,
  error: E,
  tell: (error: unknown) => void,
): E {
  callers.set(error, caller);
  entrust(error, tell);
  return error;
}

/** Whether an error comes from a call to another peer. */
export function isOfOther(core: Core, error: object): boolean {
  return (callers.get(error) ?? core) !== core;
}

/** The line that is logged for a failed attempt if the owner has no hook. */
export function describeAttempt(last: FailedAttempt): string {
  const { url, retryIn } = last;
  // Only the host, because the rest of an address may hold a ticket.
  const host = /^[a-z+]+:\/\/(?:[^/?#]*@)?([^/?#]+)/.exec(url ?? "")?.[1];
  const where = host === undefined ? "" : ` to ${quote(host)}`;
  const next = retryIn === undefined ? "no other attempt" : "trying again";
  return `Cannot connect${where}: ${
    quote(reasonOf(last))
  }, ${next}; set onattempt to hear of each attempt`;
}

/** The reason of an end: the socket's error, the close reason, or the code. */
export function reasonOf({ cause, reason, code }: FailedAttempt): string {
  return messageOf(cause) || reason || `code ${code}`;
}

/** The message of an error; `""` if there is none. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : `${error ?? ""}`;
}

/**
 * Quotes and cuts text from the other side, so that it can't fill or forge a log.
 */
export function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

/**
 * Whether a peer is closed. A function, since hooks may close it between two looks.
 */
export function isClosed({ state }: Core): boolean {
  return state === "closed";
}

/**
 * Whether no more messages are taken. Calls of an `onopen` that still runs are
 * taken before an end.
 */
export function isLeaving({ state, leaving, opening }: Core): boolean {
  return state === "closed" ||
    leaving !== undefined && opening?.isOwn !== true;
}

/** The state, as the owner sees it. */
export function stateOf({ state, leaving, opening }: Core): ConnectionState {
  return leaving !== undefined
    ? "closed"
    : state === "open" && opening?.holds
    ? "connecting"
    : state;
}

/** Whether a call or a notification may be sent now. */
export function isReady(core: Core, method: string | undefined): boolean {
  return isSending(core) &&
    (core.opening === undefined || core.opening.passes(method));
}

/** Whether the socket can take a message. */
export function isSending({ state, ws }: Core): boolean {
  return state === "open" && ws!.readyState === ReadyState.Open;
}

/** Runs a hook of the owner; reports its throw or rejection. */
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

/**
 * Tells the owner of an error, unless it only says that the connection is closed.
 *
 * @param call The call whose method threw.
 */
export function report(core: Core, error: unknown, call?: Call): void {
  if (error instanceof ConnectionClosedError && !isSending(core)) return;
  complain(core, error, call);
}

/** Tells the owner of an error, by `onerror`. */
export function complain(core: Core, error: unknown, call?: Call): void {
  try {
    const context = call === undefined ? {} : { method: call.method, call };
    const result = core.owner.onerror(error, context);
    if (isThenable(result)) Promise.resolve(result).catch(() => {});
  } catch {
    // An `onerror` that throws can't be told of its own error.
  }
}
