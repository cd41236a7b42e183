/**
 * Messages on their way to the socket.
 *
 * @module
 */

import { ReadyState } from "../line/socket.ts";
import {
  type Params,
  type Version,
  writeNotification,
} from "../wire/message.ts";
import type { Core } from "./core.ts";
import { isSending } from "./owner.ts";
import type { Pending, QueuedBatch } from "./pending.ts";

export const cannotNotify = "Cannot send notification";

/** The version of this side's calls. */
export function versionOf({ connection }: Core): Version {
  return connection.spoken ?? "2.0";
}

/** Whether the socket is closing, and another connection will follow. */
export function isLosing(core: Core): boolean {
  return core.state === "open" && core.retries !== undefined &&
    core.ws!.readyState !== ReadyState.Open;
}

/**
 * Sends a message other than a request, and notes that an error without an id may
 * be about it.
 */
export function sendAside(core: Core, text: string): boolean {
  core.connection.suspect = core.pending.nextId;
  return send(core, text);
}

/**
 * Sends a message; `false`: the socket could not take it.
 *
 * @param pending The request, if it is one.
 * @param batch The batch, if it is one.
 */
export function send(
  core: Core,
  text: string,
  pending?: Pending,
  batch?: QueuedBatch,
): boolean {
  return isSending(core) && sendNow(core, text, pending, batch);
}

/**
 * As {@linkcode send}, for a socket that is known to be open: reading its state is
 * a call into the runtime.
 */
export function sendNow(
  core: Core,
  text: string,
  pending?: Pending,
  batch?: QueuedBatch,
): boolean {
  return core.backlog?.isHolding
    ? core.backlog.hold({ text, pending, batch })
    : hand(core, text);
}

/**
 * Hands a message to the shared frame or to the socket, ahead of messages that are
 * held back.
 */
export function hand(core: Core, text: string): boolean {
  if (core.sharing?.isShared) {
    core.sharing.push(text);
    return true;
  }
  return sendFrame(core, text);
}

/** Hands a frame to the open socket; `false`: the socket threw. */
export function sendFrame(core: Core, frame: string): boolean {
  const { heartbeat } = core;
  try {
    core.ws!.send(heartbeat?.isMarking ? heartbeat.mark(frame) : frame);
  } catch (error) {
    core.cause = error;
    return false;
  }
  core.backlog?.add(frame.length);
  return true;
}

/**
 * Sends one of the protocol's own notifications; only in 2.0, because peers of
 * other versions don't know them.
 *
 * @throws {RangeError} The message is too long.
 * @throws {TypeError} The params can't be written as JSON.
 */
export function tell(core: Core, method: string, params: Params): boolean {
  if (versionOf(core) !== "2.0") return false;
  const text = writeNotification(method, params);
  checkLength(core, cannotNotify, method, text);
  return sendAside(core, text);
}

/** @throws {RangeError} A message is too long. */
export function checkLength(
  core: Core,
  what: string,
  name: string,
  text: string,
): void {
  const { sentLength } = core.limits;
  if (text.length > sentLength) {
    throw new RangeError(
      `${what} "${name}": it has ${text.length} of at most ${sentLength} characters, see limits.sentLength`,
    );
  }
}
