/**
 * Messages that wait for a connection, or for a place among the requests in flight.
 * They leave in the order in which they were made.
 *
 * @module
 */

import type { Connection, Core } from "./core.ts";
import { closedError, isReady, isSending, reasonOf } from "./owner.ts";
import {
  type Entry,
  isWanted,
  type Loan,
  messagesOf,
  type Pending,
} from "./pending.ts";
import { isLosing, send } from "./sending.ts";

export const cannotRequest = "Cannot send request";

/**
 * Whether a request may be sent at once. The protocol's own requests always may:
 * all others may be waiting for a callback or for a stream's values.
 */
export function isFree(
  { queue, pending, pause, limits, connection }: Core,
  { places, loan }: Pending,
): boolean {
  return places === 0 ||
    pause === undefined && pending.inFlight < limits.outgoing &&
      queue.isPassable(loan !== undefined) &&
      (loan === undefined || connection.values!.hasRoom(loan));
}

/** Whether these messages may be in flight, too. */
function hasPlaces(core: Core, messages: readonly Entry[]): boolean {
  let places = 0;
  for (const { pending } of messages) {
    if (pending?.settled === false) places += pending.places;
  }
  return places === 0 ||
    core.pending.inFlight + places <= core.limits.outgoing;
}

/**
 * Sends all of the messages now, or puts all into the queue.
 *
 * @returns The reason why none was taken; `undefined`: all were.
 */
export function post(
  core: Core,
  what: string,
  method: string | undefined,
  entries: readonly Entry[],
): Error | undefined {
  const isOpen = isReady(core, method);
  if (
    !isOpen && core.state !== "connecting" && core.opening === undefined &&
    !isLosing(core)
  ) return closedError(core, what, false, method);
  const { queue, limits: { outgoing, queued, queuedLength } } = core;
  // Mostly there is one.
  const messages = entries.length === 1
    ? messagesOf(entries[0]!)
    : entries.flatMap(messagesOf);
  const lends = core.connection.values?.canLend(messages);
  if (
    isOpen && core.pause === undefined &&
    queue.isPassable(lends !== undefined) && lends !== false &&
    hasPlaces(core, messages)
  ) {
    for (const entry of entries) sendEntry(core, entry);
    return undefined;
  }
  let { length } = queue;
  for (const { text, pending } of messages) {
    length += text.length;
    if (pending === undefined || pending.places <= outgoing) continue;
    return new RangeError(
      `${what} "${method}": at most ${outgoing} may be in flight, see limits.outgoing`,
    );
  }
  const isFull = queue.size + messages.length > queued;
  if (isFull || length > queuedLength) {
    const [state, limit] = isFull
      ? [`${queue.size} of at most ${queued} messages`, "queued"]
      : [
        `${queue.length} of at most ${queuedLength} characters`,
        "queuedLength",
      ];
    return new RangeError(
      `${what} "${method}": ${state} wait for ${
        awaited(core)
      }, see limits.${limit}`,
    );
  }
  for (const entry of entries) queue.push(entry, isOpen);
  advance(core);
  return undefined;
}

/** The thing that the queue waits for, in words for an error. */
export function awaited(core: Core): string {
  const { last, limits, opening, pause, pending: { inFlight } } = core;
  if (opening !== undefined) return "onopen to settle";
  if (pause !== undefined) return "the time that the peer has named";
  if (isSending(core)) {
    return inFlight < limits.outgoing
      ? "what was lent to be let go of"
      : `one of ${inFlight} in flight to be answered`;
  }
  if (last === undefined) return "the handshake";
  const { attempt } = last;
  const what = attempt === 0
    ? "a connection, the last one is lost"
    : `a connection, attempt ${attempt} failed`;
  return `${what} (${reasonOf(last)})`;
}

/** Sends messages of the queue, as many as may be in flight and lent. */
export function advance(core: Core): void {
  const { queue } = core;
  if (queue.size === 0 || queue.isMoving || core.pause !== undefined) return;
  queue.isMoving = true;
  while (isSending(core) && moveOn(core));
  queue.isMoving = false;
}

/**
 * Sends the next message of the queue, or sets it aside to wait for room to lend;
 * `false`: none can be sent.
 */
function moveOn(core: Core): boolean {
  const { queue, queue: { first, firstAside } } = core;
  const isLender = firstAside !== undefined &&
    core.connection.values?.canLend(messagesOf(firstAside)) !== false;
  const entry = isLender ? firstAside : first;
  if (entry === undefined) return false;
  const messages = messagesOf(entry);
  if (
    !hasPlaces(core, messages) || core.backlog?.hasRoom(entry) === false
  ) return false;
  if (!isLender) {
    const lends = core.connection.values?.canLend(messages);
    if (lends !== undefined && (!lends || firstAside !== undefined)) {
      queue.setAside();
      return true;
    }
  }
  queue.shift(isLender);
  sendEntry(core, entry);
  return true;
}

/** Sends an entry of the queue, unless it was given up. */
export function sendEntry(core: Core, entry: Entry): void {
  const { text, pending, batch } = entry;
  if (!isWanted(entry)) return;
  if (batch !== undefined) batch.send();
  else if (pending === undefined) send(core, text);
  else sendRequest(core, pending, text, send);
}

/**
 * Sends a request.
 *
 * @param hand `send`, or `sendNow` if the socket is known to be open.
 */
export function sendRequest(
  core: Core,
  pending: Pending,
  text: string,
  hand: typeof send,
): void {
  mark(core, pending);
  if (!hand(core, text, pending)) abandon(core, pending, false);
}

/** Notes that a request was sent, and counts its loan. */
export function mark(core: Core, pending: Pending): void {
  core.pending.mark(pending, true);
  if (pending.loan !== undefined) core.connection.values!.lend(pending.loan);
}

/** Notes a sign of life from the call that something was lent to. */
export function renew(core: Core, { pending }: Loan): void {
  if (pending === undefined) return;
  pending.deadline = core.deadlines.after(pending.timeout);
}

/**
 * Takes a request out of the table, and lets the queue move on. The caller of this
 * must settle it.
 */
export function take(
  core: Core,
  id: unknown,
  succeeded = false,
): Pending | undefined {
  const pending = core.pending.get(id);
  if (pending !== undefined) letGo(core, pending, succeeded);
  return pending;
}

/** The same for a request that is known to be in the table. */
export function letGo(
  core: Core,
  pending: Pending,
  succeeded: boolean,
): void {
  core.pending.remove(pending, succeeded);
  advance(core);
}

/**
 * Rejects a request that won't get a response.
 *
 * @param sent Whether the request was handed to this connection.
 */
export function abandon(
  core: Core,
  { id, method, wasSent, idempotent }: Pending,
  sent: boolean,
  connection?: Connection,
): void {
  const left = sent || wasSent;
  const what = left ? "No response to request" : cannotRequest;
  take(core, id)?.reject(
    closedError(core, what, left, method, idempotent, connection),
  );
}
