/**
 * Messages on their way to the socket, or to where they wait for one.
 *
 * @module
 */

import { ReadyState } from "../line/socket.ts";
import {
  type Params,
  type Version,
  writeNotification,
  writeParams,
} from "../wire/message.ts";
import type { Core } from "./core.ts";
import { closedError, isSending } from "./owner.ts";
import {
  type Entry,
  isWanted,
  type Pending,
  type QueuedBatch,
} from "./pending.ts";

/** The version of what this side sends of itself. */
export function versionOf({ connection }: Core): Version {
  return connection.spoken ?? "2.0";
}

/** Whether the connection is about to be lost, and another will follow. */
export function isLosing(core: Core): boolean {
  return core.state === "open" && core.retries !== undefined &&
    core.ws!.readyState !== ReadyState.Open;
}

/**
 * Hands a message to the socket; `false` if it could not take it.
 *
 * @param pending The request that it is.
 * @param batch The batch that it is.
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
 * Does so where it is known that the socket is open: to ask it once more is a call
 * into the runtime.
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

/** Does so whatever waits. */
export function hand(core: Core, text: string): boolean {
  if (core.sharing?.isShared) {
    core.sharing.push(text);
    return true;
  }
  return sendFrame(core, text);
}

/** Hands a frame to the socket, which is open; `false` if it did not take it. */
export function sendFrame(core: Core, frame: string): boolean {
  try {
    core.ws!.send(frame);
  } catch (error) {
    core.cause = error;
    return false;
  }
  core.backlog?.add(frame.length);
  return true;
}

/**
 * Sends one of the protocol's own notifications. To 1.0 and bare peers it would
 * be one more invalid message.
 *
 * @throws {RangeError} It is too long.
 * @throws {TypeError} It can't be written as JSON.
 */
export function tell(core: Core, method: string, params: Params): boolean {
  if (versionOf(core) !== "2.0") return false;
  const text = writeNotification(method, writeParams(params));
  checkLength(core, "Cannot send notification", method, text);
  core.connection.suspect = core.pending.nextId;
  return send(core, text);
}

/** @throws {RangeError} A message is too long. */
export function checkLength(
  core: Core,
  what: string,
  name: string,
  text: string,
): void {
  const { messageLength } = core.limits;
  if (text.length > messageLength) {
    throw new RangeError(
      `${what} "${name}": it has ${text.length} of at most ${messageLength} characters`,
    );
  }
}

/**
 * Sends messages now, or lets them wait for the handshake, all or none.
 *
 * @param sendNow Sends one of them.
 * @returns The error that says why they were not taken; `undefined`: they were.
 */
export function post(
  core: Core,
  what: string,
  method: string | undefined,
  entries: readonly Entry[],
  sendNow: (core: Core, entry: Entry) => void,
): Error | undefined {
  if (isSending(core)) {
    for (const entry of entries) sendNow(core, entry);
    return undefined;
  }
  if (core.state !== "connecting" && !isLosing(core)) {
    return closedError(core, what, false, method);
  }
  const { queued, queuedLength } = core.limits;
  // Those that were given up meanwhile wait no more.
  const queue = core.queue.filter(isWanted);
  const length = lengthOf(queue);
  const isFull = queue.length + entries.length > queued;
  if (!isFull && length + lengthOf(entries) <= queuedLength) {
    core.queue = queue.concat(entries);
    return undefined;
  }
  const state = isFull
    ? `${queue.length} of at most ${queued} messages`
    : `${length} of at most ${queuedLength} characters`;
  return new RangeError(
    `${what} "${method}": ${state} wait for the handshake`,
  );
}

function lengthOf(entries: readonly Entry[]): number {
  let length = 0;
  for (const { text } of entries) length += text.length;
  return length;
}
