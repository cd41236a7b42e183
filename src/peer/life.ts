/**
 * The life of a peer: attempts to connect, a connection that opens and is lost,
 * the next one, the end.
 *
 * @see ARCHITECTURE.md, "The life of a connection"
 *
 * @module
 */

import {
  abnormal,
  checkCode,
  closeSocket,
  cutReason,
  ignoreError,
} from "../line/close.ts";
import { Deferred, isThenable } from "../line/deferred.ts";
import { type FailedAttempt, wait } from "../line/retry.ts";
import { ReadyState, type Socket } from "../line/socket.ts";
import { readAmount } from "../wire/amount.ts";
import {
  busy,
  closedForbidden,
  closedForError,
  closedUnauthenticated,
  handlerTimeout,
  internalError,
  rateLimited,
  unauthenticated,
} from "../wire/codes.ts";
import { type CloseInfo, RpcError } from "../wire/error.ts";
import { Connection, type Core, type Keeper } from "./core.ts";
import { endCalls } from "./incoming.ts";
import { Preparation } from "./opening.ts";
import {
  closedError,
  complain,
  isClosed,
  isSending,
  report,
  runHook,
} from "./owner.ts";
import type { Entry } from "./pending.ts";
import { abandon, advance } from "./waiting.ts";

// Milliseconds that the other side has to answer a close frame.
const closeTimeout = 5_000;

const usualHandshakeTimeout = 20_000;

// Milliseconds that a socket has from its error to its close.
const errorTimeout = 1_000;

/**
 * Begins the life of a peer: over the socket that it was given, or by the first
 * attempt.
 *
 * @throws Whatever the function that makes the socket throws.
 */
export function begin(core: Core): void {
  beginConnection(core);
  if (core.ws === undefined) attempt(core);
  else attach(core, core.ws);
}

/** Makes the state of a new connection. */
function beginConnection(core: Core): void {
  const { parts } = core;
  const connection = core.connection = new Connection(core.options.version);
  for (const { carry } of parts) {
    if (carry === undefined) continue;
    connection.values = carry(core, parts);
    return;
  }
}

/** Makes an attempt to connect. */
function attempt(core: Core): void {
  const number = ++core.attempt;
  core.cause = core.answer = core.retryAt = undefined;
  core.watched?.change();
  const isWanted = (): boolean =>
    number === core.attempt && core.state !== "closed";
  const { handshakeTimeout = usualHandshakeTimeout } = core.options;
  const timeout = readAmount("handshakeTimeout", handshakeTimeout);
  const socket = core.makeSocket!(core.sharing?.offers(core.failures) ?? []);
  // The owner's functions for the address or the socket may have closed the peer.
  if (isWanted()) core.due = core.deadlines.after(timeout);
  const take = (socket: Socket): void => {
    if (isWanted()) return attach(core, socket);
    socket.addEventListener("error", ignoreError);
    closeSocket(socket);
  };
  if (socket instanceof Promise) {
    core.isFresh = true;
    socket.then(take).catch((error: unknown) => {
      if (isWanted()) failAttempt(core, error);
    });
  } else take(socket);
}

/** Ends an attempt that failed without a close event of its socket. */
export function failAttempt(core: Core, error: unknown): void {
  const { ws } = core;
  core.cause = error;
  lose(core, abnormal);
  if (ws !== undefined) closeSocket(ws);
}

/** Listens to the socket of an attempt, or to the one that a peer was given. */
function attach(core: Core, socket: Socket): void {
  core.ws = socket;
  socket.binaryType = "arraybuffer";
  listen(core, socket, "addEventListener");
  if (socket.readyState === ReadyState.Connecting) {
    if (core.makeSocket !== undefined) core.answers?.listen(core, socket);
    return;
  }
  // In a microtask, because the fields of a subclass aren't set yet.
  queueMicrotask(() => {
    if (core.ws !== socket) return;
    if (socket.readyState === ReadyState.Open) open(core);
    // A peer that is closed already gets the socket's close event.
    else if (core.state === "connecting") lose(core, abnormal);
  });
}

/** Adds the listener to a socket, or removes it. */
function listen(
  { listener }: Core,
  socket: Socket,
  change: "addEventListener" | "removeEventListener",
): void {
  socket[change]("open", listener);
  socket[change]("message", listener);
  socket[change]("error", listener);
  socket[change]("close", listener);
}

/** Opens the connection: the handshake is done. */
export function open(core: Core): void {
  if (core.state !== "connecting") return;
  core.state = "open";
  core.due = Infinity;
  for (let part = core.living; part; part = part.next) part.open?.();
  const opening = core.opening = new Preparation(core);
  let result: unknown;
  try {
    const { options, owner } = core;
    result = options.resumed
      ? owner.onresume(opening.first)
      : owner.onopen(opening.first);
  } catch (error) {
    return refuse(core, opening, error);
  }
  if (isThenable(result)) {
    if (core.opening === opening) opening.hold();
    Promise.resolve(result).then(
      () => ready(core, opening),
      (error: unknown) => refuse(core, opening, error),
    );
  } else ready(core, opening);
}

/** Sends the messages that waited: `onopen` has settled. */
function ready(core: Core, opening: Preparation): void {
  // The connection may be gone.
  if (core.opening !== opening) return;
  const { opened } = core;
  opening.end();
  core.opening = core.last = undefined;
  core.failures = 0;
  core.retries?.open();
  advance(core);
  opened?.resolve();
  // Dropped, since it is made again when it is asked for.
  if (core.opened === opened) core.opened = undefined;
  core.watched?.change();
  if (core.leaving !== undefined && isSending(core)) {
    finish(core, core.leaving.info);
  }
}

// Error codes that say nothing about the caller's rights; another attempt may
// succeed.
const passing: readonly number[] = [
  busy,
  handlerTimeout,
  internalError,
  rateLimited,
];

/** Closes a connection whose `onopen` failed. */
function refuse(core: Core, opening: Preparation, error: unknown): void {
  if (core.opening !== opening) return report(core, error);
  complain(core, error);
  // The hook may have closed the peer.
  if (core.opening !== opening) return;
  opening.holds = true;
  core.cause = error;
  const isVerdict = core.makeSocket !== undefined &&
    error instanceof RpcError && !passing.includes(error.code);
  const code = !isVerdict
    ? closedForError
    : error.code === unauthenticated || error.code === 401
    ? closedUnauthenticated
    : closedForbidden;
  cut(core, code, "onopen failed");
}

/**
 * Ends a connection or an attempt that is gone; begins the wait for the next
 * attempt if there is one.
 */
export function lose(core: Core, info: CloseInfo): void {
  if (core.state !== "closed") {
    const last = conclude(core, info);
    if (last.retryIn !== undefined) return replace(core, last);
    drop(core);
    tellOfAttempt(core, last);
    // The hook may have closed the peer.
    if (!isClosed(core)) {
      end(core, core.leaving?.info ?? toInfo(last), false);
    }
  } else drop(core);
  leave(core);
}

/**
 * Ends a connection that can't go on, by this side; begins the wait for the next
 * attempt if there is one.
 */
export function cut(core: Core, code: number, reason: string): void {
  if (core.state !== "open") return;
  const ws = core.ws!;
  core.sharing?.flush();
  // The flush may have ended the connection.
  if (core.ws !== ws || core.state !== "open") return;
  core.backlog?.drop();
  const info = { code, reason: cutReason(reason), wasClean: true };
  const last = conclude(core, info);
  if (last.retryIn !== undefined) {
    replace(core, last);
    return closeSocket(ws, info);
  }
  tellOfAttempt(core, last);
  finish(core, core.leaving?.info ?? info);
}

/** Ends a peer for good; see {@linkcode Peer.close}. */
export function close(core: Core, code: number, reason: string): void {
  checkCode(code);
  if (core.state === "closed" || core.leaving !== undefined) return;
  const info = { code, reason: cutReason(reason), wasClean: true };
  const { queue, opening } = core;
  if (queue.size === 0) return finish(core, info);
  // Notifications that were taken are sent first; calls are rejected now.
  const timer = setTimeout(() => {
    const why = closedError(core, "Cannot send what waited");
    const { ws } = core;
    finish(core, info);
    ws?.terminate?.();
    leave(core);
    complain(core, why);
  }, closeTimeout);
  core.leaving = { info, stop: (): void => clearTimeout(timer) };
  // Held, so that no message moves up while calls are rejected.
  queue.isHeld = true;
  for (const pending of core.pending.all()) {
    // Calls of an onopen that runs are still to be answered.
    if (opening === undefined || !pending.sent) {
      abandon(core, pending, pending.sent);
    }
  }
  if (opening === undefined) {
    queue.release();
    advance(core);
  }
  if (queue.size === 0) finish(core, info);
  else core.watched?.change();
}

/** Decides what follows the end of a connection or of an attempt. */
function conclude(core: Core, info: CloseInfo): FailedAttempt {
  // A connection whose onopen failed counts as a failed attempt.
  if (core.state === "connecting" || core.opening?.holds) core.failures++;
  const { failures: attempt, retries, cause, ws } = core;
  const answer = core.answer ??
    (attempt > 0 ? core.answers?.read(cause) : undefined);
  const last: FailedAttempt = core.last = {
    ...info,
    attempt,
    ...cause !== undefined && { cause },
    ...answer && { status: answer.status },
    ...ws?.url && { url: ws.url },
  };
  if (retries === undefined) return last;
  let isWanted: unknown;
  try {
    isWanted = retries.when?.(last);
  } catch (error) {
    complain(core, error);
  }
  const delay = retries.delayAfter(
    last,
    core.isFresh,
    isWanted,
    answer?.retryAfter,
  );
  if (delay === undefined || isClosed(core)) return last;
  const retryIn = core.sharing?.hasFallback(attempt) ? 0 : delay;
  return core.last = { ...last, retryIn };
}

/** The end of a connection, without the members of a FailedAttempt. */
function toInfo({ code, reason, wasClean, retryIn }: FailedAttempt): CloseInfo {
  return { code, reason, wasClean, ...retryIn !== undefined && { retryIn } };
}

/** Calls `onattempt` for a failed attempt of this side. */
function tellOfAttempt(core: Core, last: FailedAttempt): void {
  if (last.attempt === 0 || core.makeSocket === undefined || isClosed(core)) {
    return;
  }
  runHook(core, () => core.owner.onattempt(last));
}

/** Drops the socket, and waits for the next attempt. */
function replace(core: Core, last: FailedAttempt): void {
  drop(core);
  core.ws = undefined;
  core.attempt++;
  core.retryAt = performance.now() + last.retryIn!;
  core.endWait = wait(last.retryIn!, () => {
    core.endWait = undefined;
    try {
      attempt(core);
    } catch (error) {
      failAttempt(core, error);
    }
  });
  // A failed attempt changes nothing for messages that wait.
  if (core.state === "open") end(core, toInfo(last), false);
  tellOfAttempt(core, last);
  core.watched?.change();
}

/** Stops listening to the socket. */
function drop(core: Core): void {
  const { ws } = core;
  core.due = Infinity;
  if (ws === undefined) return;
  listen(core, ws, "removeEventListener");
  if (ws.readyState !== ReadyState.Closed) {
    ws.addEventListener("error", ignoreError);
  }
}

/**
 * Ends the connection's calls and parts. Without `retryIn` it ends the peer, once,
 * whatever events the socket still has.
 *
 * @param isClosing Whether this side has to close the socket.
 */
function end(core: Core, info: CloseInfo, isClosing: boolean): void {
  const { connection, opening, opened, ws } = core;
  const isOver = info.retryIn === undefined;
  // A synchronous onopen that closes the peer has been called, so the connection
  // counts as open.
  const wasReady = core.state === "open" && !opening?.holds;
  for (let part = core.living; part; part = part.next) part.stop?.(isClosing);
  connection.ended = info;
  connection.cause = core.cause ?? core.last?.cause;
  core.state = isOver ? "closed" : "connecting";
  if (wasReady) {
    opened?.resolve();
    core.opened = undefined;
  }
  opening?.end();
  core.opening = undefined;
  if (isOver) {
    core.leaving?.stop();
    core.leaving = undefined;
    core.attempt++;
    core.due = Infinity;
    core.retryAt = undefined;
    core.endWait?.();
  }
  if (isClosing && ws !== undefined) closeLine(core, ws, info);
  connection.values?.cut();
  // Made before callers are told of the end, because they may make calls for the
  // next connection.
  if (!isOver) beginConnection(core);
  core.pause?.end();
  const again: Entry[] = [];
  for (const pending of core.pending.all()) {
    // A call that lends can't be sent again: its streams and references end with
    // the connection.
    if (!isOver && pending.loan === undefined) {
      if (!pending.sent) continue;
      if (pending.idempotent) {
        again.push({ text: pending.text!, pending });
        core.pending.mark(pending, false);
        pending.wasSent = true;
        continue;
      }
    }
    abandon(core, pending, pending.sent, connection);
  }
  if (isOver) core.queue.clear();
  else core.queue.putFirst(again);
  endCalls(core, connection);
  connection.values?.end();
  connection.observers?.end((what) =>
    closedError(core, what, false, undefined, false, connection)
  );
  if (isOver) {
    if (!wasReady) opened?.reject(closedError(core, "Cannot open"));
    for (let part = core.living; part; part = part.next) part.end?.();
  }
  // Methods that were told to stop may have closed the peer, which called the hook.
  if (isOver || core.state !== "closed") {
    runHook(core, () => core.owner.onclose(info));
  }
  if (isOver) core.watched?.change();
}

/**
 * Starts the close handshake, and cuts the socket if the other side doesn't answer.
 */
function closeLine(core: Core, ws: Socket, info: CloseInfo): void {
  const timer = setTimeout(() => {
    ws.terminate?.();
    leave(core);
  }, closeTimeout);
  core.endWait = (): void => clearTimeout(timer);
  closeSocket(ws, info);
}

/** Ends a peer for good and closes its socket; a second call does nothing. */
function finish(core: Core, info: CloseInfo): void {
  if (core.state === "closed") return;
  end(core, info, true);
  if (core.ws === undefined) leave(core);
}

/**
 * Expects the close of a socket that told of an error while connecting. Node 22
 * never tells the close (seen in 22.23.5), and without this the attempt would last
 * until the handshake's time-out.
 */
export function expectClose(core: Core): void {
  if (core.state !== "connecting" || core.makeSocket === undefined) return;
  core.due = Math.min(core.due, core.deadlines.after(errorTimeout));
}

/** Ends an attempt that takes too long; returns the time of its deadline. */
export function sweepLine(core: Core, now: number): number {
  if (core.due <= now) {
    core.due = Infinity;
    const { handshakeTimeout = usualHandshakeTimeout } = core.options;
    const why = `No handshake within ${handshakeTimeout} ms`;
    failAttempt(core, core.cause ?? new Error(why));
  }
  return core.due;
}

/** Ends the last of a peer: its socket is gone, or has had its time. */
function leave(core: Core): void {
  if (core.isGone) return;
  core.isGone = true;
  core.endWait?.();
  core.rest();
  core.closed?.resolve(core.connection.ended!);
  core.keeper?.release(core.owner);
}

/** See {@linkcode Peer.opened}. */
export function whenOpened(core: Core): Promise<void> {
  if (core.opened === undefined) {
    core.opened = new Deferred();
    if (core.state === "open" && core.opening === undefined) {
      core.opened.resolve();
    } else if (core.state === "closed") {
      core.opened.reject(closedError(core, "Cannot open"));
    }
    // Caught, because reading `opened` without awaiting it must not end the
    // process.
    core.opened.promise.catch(ignoreError);
  }
  return core.opened.promise;
}

/** See {@linkcode Peer.closed}. */
export function whenClosed(core: Core): Promise<CloseInfo> {
  if (core.closed === undefined) {
    core.closed = new Deferred();
    if (core.isGone) core.closed.resolve(core.connection.ended!);
  }
  return core.closed.promise;
}

/** Sets the keeper; `false`: the peer is gone already. */
export function keep(core: Core, keeper: Keeper): boolean {
  core.keeper = keeper;
  return !core.isGone;
}
