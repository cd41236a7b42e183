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
  closeSocket,
  cutReason,
  ignoreError,
  isSendable,
} from "../line/close.ts";
import { Deferred } from "../line/deferred.ts";
import { wait } from "../line/retry.ts";
import { ReadyState, type Socket } from "../line/socket.ts";
import { readAmount } from "../wire/amount.ts";
import type { CloseInfo, ConnectionClosedError } from "../wire/error.ts";
import { Connection, type Core, type Keeper } from "./core.ts";
import { endCalls } from "./incoming.ts";
import { abandon, sendEntry } from "./outgoing.ts";
import { closedError, runHook } from "./owner.ts";
import { type Entry, Queue } from "./queue.ts";
import { isSending } from "./sending.ts";

// How long a peer may take to answer a close frame.
const closeTimeout = 5_000;

const usualHandshakeTimeout = 20_000;

/**
 * Begins the life of a peer, over its socket or the first that it makes.
 *
 * @throws What makes the socket throws.
 */
export function begin(core: Core): void {
  beginConnection(core);
  if (core.ws === undefined) attempt(core);
  else attach(core, core.ws);
}

/** Makes what lives as long as one connection. */
function beginConnection(core: Core): void {
  const { carried } = core;
  const connection = core.connection = new Connection(core.options.version);
  connection.values = carried[0]?.carry?.(core, carried);
}

/** Makes an attempt to connect. */
function attempt(core: Core): void {
  const number = ++core.attempt;
  const isWanted = (): boolean =>
    number === core.attempt && core.ended === undefined;
  const { handshakeTimeout = usualHandshakeTimeout } = core.options;
  const timeout = readAmount("handshakeTimeout", handshakeTimeout);
  const socket = core.makeSocket!(core.sharing?.offers(core.failures) ?? []);
  // Whoever was asked for an address or a socket may have closed it.
  if (isWanted()) core.due = core.deadlines.after(timeout);
  const take = (socket: Socket): void => {
    if (isWanted()) return attach(core, socket);
    socket.addEventListener("error", ignoreError);
    socket.close();
  };
  if (socket instanceof Promise) {
    core.isFresh = true;
    socket.then(take).catch((error: unknown) => {
      if (isWanted()) failAttempt(core, error);
    });
  } else take(socket);
}

/** Ends an attempt that came to nothing, and has no word of its socket. */
function failAttempt(core: Core, error: unknown): void {
  const { ws } = core;
  core.cause = error;
  lose(core, abnormal);
  ws?.close();
}

/** Listens to the socket of an attempt, or to the one that a peer was given. */
function attach(core: Core, socket: Socket): void {
  core.ws = socket;
  socket.binaryType = "arraybuffer";
  listen(core, socket, "addEventListener");
  if (socket.readyState === ReadyState.Connecting) return;
  // The fields of a subclass are not there yet.
  queueMicrotask(() => {
    if (core.ws !== socket) return;
    if (socket.readyState === ReadyState.Open) open(core);
    // Whose end has come already is told of it by the socket.
    else if (core.state === "connecting") lose(core, abnormal);
  });
}

/** Begins to listen to a socket, or stops. */
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

/** Has nothing more to do with the socket. */
function drop(core: Core): void {
  const { ws } = core;
  core.due = Infinity;
  if (ws === undefined) return;
  listen(core, ws, "removeEventListener");
  if (ws.readyState !== ReadyState.Closed) {
    ws.addEventListener("error", ignoreError);
  }
}

/** The handshake is done. */
export function open(core: Core): void {
  if (core.state !== "connecting") return;
  core.state = "open";
  core.due = Infinity;
  core.failures = 0;
  core.cause = undefined;
  core.retries?.open();
  const { opened } = core;
  for (const part of core.living) part.open?.();
  runHook(core, () => core.owner.onopen());
  // The hook, or what is sent, may end it, for now or for good.
  while (isSending(core)) {
    const entry = core.queue?.takeFirst();
    if (entry === undefined) {
      core.queue = undefined;
      break;
    }
    sendEntry(core, entry);
  }
  opened?.resolve();
  // Who asks from now on is told at once; what told the others may go.
  if (core.opened === opened) core.opened = undefined;
}

/** The connection, or the attempt at one, is gone: is there another? */
export function lose(core: Core, info: CloseInfo): void {
  if (core.ended !== undefined) {
    drop(core);
    return leave(core);
  }
  const retryIn = retryAfter(core, info);
  if (retryIn === undefined) {
    drop(core);
    finish(core, info, false);
    leave(core);
  } else replace(core, { ...info, retryIn });
}

/** Ends a connection that can't go on; another one follows where it may. */
export function cut(core: Core, code: number, reason: string): void {
  if (core.state !== "open") return;
  const info = { code, reason: cutReason(reason), wasClean: true };
  const retryIn = retryAfter(core, info);
  if (retryIn === undefined) return finish(core, info, true);
  const ws = core.ws!;
  core.sharing?.flush();
  replace(core, { ...info, retryIn });
  closeSocket(ws, info);
}

/** Ends a peer for good; see {@linkcode Peer.close}. */
export function close(core: Core, code: number, reason: string): void {
  if (!isSendable(code)) {
    throw new RangeError(
      `Cannot close with code ${code}: use 1000 or 3000 to 4999`,
    );
  }
  finish(core, { code, reason: cutReason(reason), wasClean: true }, true);
}

/** In how many milliseconds to connect again after an end; `undefined`: never. */
function retryAfter(core: Core, info: CloseInfo): number | undefined {
  if (core.state === "connecting") core.failures++;
  const delay = core.retries?.delayAfter(info, core.isFresh);
  return delay !== undefined && core.sharing?.hasFallback(core.failures)
    ? 0
    : delay;
}

/** Gives the connection up, or the attempt at one, for one that follows. */
function replace(core: Core, info: CloseInfo): void {
  drop(core);
  core.ws = undefined;
  core.attempt++;
  core.endWait = wait(info.retryIn!, () => {
    core.endWait = undefined;
    try {
      attempt(core);
    } catch (error) {
      failAttempt(core, error);
    }
  });
  // An attempt that failed changes nothing for those who wait.
  if (core.state === "connecting") return;
  core.state = "connecting";
  core.opened = undefined;
  for (const part of core.living) part.stop?.(false);
  // Whoever hears of the end may ask for something already: of the next one.
  const { connection } = core;
  cutConnection(core, connection, info);
  beginConnection(core);
  const again: Entry[] = [];
  for (const pending of core.pending.all()) {
    // What it lends is lost with the connection, sent or not.
    if (!pending.sent && !pending.lends) continue;
    if (pending.again === undefined) abandon(core, pending, info);
    else {
      pending.sent = false;
      pending.wasSent = true;
      again.push({ text: pending.again, pending });
    }
  }
  if (again.length > 0) (core.queue ??= new Queue(core.limits)).addFirst(again);
  endConnection(core, connection, info);
  // Who was told to stop may have closed it.
  if (core.ended === undefined) runHook(core, () => core.owner.onclose(info));
}

/** The end, once, however many events the socket still has to tell. */
function finish(core: Core, info: CloseInfo, isClosing: boolean): void {
  if (core.ended !== undefined) return;
  const wasOpen = core.state === "open";
  for (const part of core.living) part.stop?.(isClosing);
  core.ended = info;
  core.state = "closed";
  core.attempt++;
  core.due = Infinity;
  core.endWait?.();
  core.queue = undefined;
  const { connection, ws } = core;
  cutConnection(core, connection, info);
  for (const pending of core.pending.all()) abandon(core, pending, info);
  endConnection(core, connection, info);
  if (!wasOpen) core.opened?.reject(closedError(core, "Cannot open"));
  for (const part of core.living) part.end?.();
  if (isClosing && ws !== undefined) {
    // A peer is not trusted to finish the handshake.
    const timer = setTimeout(() => {
      ws.terminate?.();
      leave(core);
    }, closeTimeout);
    core.endWait = (): void => clearTimeout(timer);
    closeSocket(ws, info);
  }
  runHook(core, () => core.owner.onclose(info));
  if (ws === undefined) leave(core);
}

/** Ends an attempt that takes too long; returns when to look again. */
export function sweepLine(core: Core, now: number): number {
  if (core.due <= now) {
    core.due = Infinity;
    const { handshakeTimeout = usualHandshakeTimeout } = core.options;
    failAttempt(core, `No handshake within ${handshakeTimeout} ms`);
  }
  return core.due;
}

/** The socket is gone, or has had its time. */
function leave(core: Core): void {
  if (core.isGone) return;
  core.isGone = true;
  core.endWait?.();
  core.rest();
  core.closed?.resolve(core.ended!);
  core.keeper?.release(core.owner);
}

/** What a connection carried can ask for nothing more. */
function cutConnection(
  core: Core,
  { values }: Connection,
  info: CloseInfo,
): void {
  const { cause } = core;
  // An error has a stack, which most connections end without.
  values?.cut(() =>
    closedError(
      core,
      "Cannot send request",
      false,
      undefined,
      false,
      info,
      cause,
    )
  );
}

/** Tells all that was part of a connection that it has ended. */
function endConnection(
  core: Core,
  connection: Connection,
  info: CloseInfo,
): void {
  const { cause } = core;
  const error = (what: string, method?: string): ConnectionClosedError =>
    closedError(core, what, false, method, false, info, cause);
  endCalls(core, connection, error);
  connection.values?.end();
  connection.observers?.end(error);
}

/** See {@linkcode Peer.opened}. */
export function whenOpened(core: Core): Promise<void> {
  if (core.opened === undefined) {
    core.opened = new Deferred();
    if (core.state === "open") core.opened.resolve();
    else if (core.ended !== undefined) {
      core.opened.reject(closedError(core, "Cannot open"));
    }
    // Whoever awaits it is told; a look at it must not end the process.
    core.opened.promise.catch(ignoreError);
  }
  return core.opened.promise;
}

/** See {@linkcode Peer.closed}. */
export function whenClosed(core: Core): Promise<CloseInfo> {
  if (core.closed === undefined) {
    core.closed = new Deferred();
    if (core.isGone) core.closed.resolve(core.ended!);
  }
  return core.closed.promise;
}

/** Keeps a peer until it is gone; `false`: it is. */
export function keep(core: Core, keeper: Keeper): boolean {
  core.keeper = keeper;
  return !core.isGone;
}
