/**
 * What the owner of a peer is told: its hooks, and what goes wrong.
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

/** The caller that was told of an error: a core, or what else calls peers. */
const callers = /* @__PURE__ */ new WeakMap<object, object>();

/** Lets the error of a call be told to the owner, if nobody listens to the call. */
export function entrusted<E extends Error>(core: Core, error: E): E {
  return entrustedTo(core, error, (unheard) => report(core, unheard));
}

/**
 * The same of a call that no core has made.
 *
 * @param caller Who has.
 * @param tell Tells its owner.
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

/** Whether an error is that of a call to another peer. */
export function isOfOther(core: Core, error: object): boolean {
  return (callers.get(error) ?? core) !== core;
}

/** The owner's line in the log where no hook is told of a failed attempt. */
export function describeAttempt(last: FailedAttempt): string {
  const { url, retryIn } = last;
  // The rest of an address may be a ticket.
  const host = /^[a-z+]+:\/\/(?:[^/?#]*@)?([^/?#]+)/.exec(url ?? "")?.[1];
  const where = host === undefined ? "" : ` to ${quote(host)}`;
  const next = retryIn === undefined ? "no other attempt" : "trying again";
  return `Cannot connect${where}: ${
    quote(reasonOf(last))
  }, ${next}; set onattempt to hear of each attempt`;
}

/** What was said of an end: by the socket, by the peer, or by its code alone. */
export function reasonOf({ cause, reason, code }: FailedAttempt): string {
  return messageOf(cause) || reason || `code ${code}`;
}

/** The message of an error; `""`: there is none. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : `${error ?? ""}`;
}

/** Words of others, which must not fill or forge a log. */
export function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

/** Whether it is over, which whoever is asked for something may have decided. */
export function isClosed({ state }: Core): boolean {
  return state === "closed";
}

/** Whether nothing more is taken: not for what `onopen` itself calls before an end. */
export function isLeaving({ state, leaving, opening }: Core): boolean {
  return state === "closed" ||
    leaving !== undefined && opening?.isOwn !== true;
}

/** Where the connection is in its life, as its owner sees it. */
export function stateOf({ state, leaving, opening }: Core): ConnectionState {
  return leaving !== undefined
    ? "closed"
    : state === "open" && opening?.holds
    ? "connecting"
    : state;
}

/** Whether a call or a notification may leave now. */
export function isReady(core: Core, method: string | undefined): boolean {
  return isSending(core) &&
    (core.opening === undefined || core.opening.passes(method));
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

/**
 * Tells the owner of an error, unless the connection's close tells it.
 *
 * @param call The call whose method threw it.
 */
export function report(core: Core, error: unknown, call?: Call): void {
  if (error instanceof ConnectionClosedError && !isSending(core)) return;
  complain(core, error, call);
}

/** Tells the owner of an error that is nobody else's. */
export function complain(core: Core, error: unknown, call?: Call): void {
  try {
    const context = call === undefined ? {} : { method: call.method, call };
    const result = core.owner.onerror(error, context);
    if (isThenable(result)) Promise.resolve(result).catch(() => {});
  } catch {
    // There is nobody left to tell.
  }
}
