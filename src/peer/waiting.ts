/**
 * Messages that wait: for the handshake, or for a place among the requests in
 * flight. They leave in the order in which they were made.
 *
 * @module
 */

import type { Connection, Core } from "./core.ts";
import { closedError, isSending } from "./owner.ts";
import { type Entry, isWanted, type Pending } from "./pending.ts";
import { isLosing, send } from "./sending.ts";

export const cannotRequest = "Cannot send request";

/**
 * Whether a request need not wait, on a connection that can take it. What is the
 * protocol's own never does: a callback, or a stream's question, may be what
 * everybody else waits for.
 */
export function isFree(
  { queue, pending, limits }: Core,
  places: number,
): boolean {
  return places === 0 ||
    (queue.size === 0 || queue.isHeld) &&
      pending.inFlight + places <= limits.outgoing;
}

/**
 * Sends messages now, or lets them wait, all or none.
 *
 * @returns The error that says why they were not taken; `undefined`: they were.
 */
export function post(
  core: Core,
  what: string,
  method: string | undefined,
  entries: readonly Entry[],
): Error | undefined {
  const isOpen = isSending(core);
  if (!isOpen && core.state !== "connecting" && !isLosing(core)) {
    return closedError(core, what, false, method);
  }
  const { queue, pending, limits: { outgoing, queued, queuedLength } } = core;
  // Those that go at once need no room.
  const isNext = queue.size === 0 || queue.isHeld;
  let places = isOpen && isNext ? outgoing - pending.inFlight : -1;
  let size = queue.size;
  let length = queue.length;
  for (const entry of entries) {
    const needed = placesOf(entry);
    if (needed > outgoing) {
      return new RangeError(
        `${what} "${method}": at most ${outgoing} may be in flight, see limits.outgoing`,
      );
    }
    places = places < needed ? -1 : places - needed;
    if (places >= 0) continue;
    for (const { text } of entry.batch?.members ?? [entry]) {
      size++;
      length += text.length;
    }
  }
  if (size > queued || length > queuedLength) {
    const [state, limit] = size > queued
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
  if (size === queue.size) {
    for (const entry of entries) {
      sendEntry(core, entry);
    }
  } else {
    for (const entry of entries) queue.push(entry);
    advance(core);
  }
  return undefined;
}

/** For what the messages of the queue wait. */
export function awaited(core: Core): string {
  return isSending(core)
    ? `one of ${core.pending.inFlight} in flight to be answered`
    : "the handshake";
}

/** Sends what has waited, as much as may be in flight. */
export function advance(core: Core): void {
  const { queue, pending } = core;
  if (queue.isMoving || queue.isHeld) return;
  queue.isMoving = true;
  for (;;) {
    const entry = queue.first;
    if (
      entry === undefined || !isSending(core) ||
      pending.inFlight + placesOf(entry) > core.limits.outgoing
    ) break;
    queue.shift();
    sendEntry(core, entry);
  }
  queue.isMoving = false;
}

/** Sends what has waited, unless it was given up. */
export function sendEntry(core: Core, entry: Entry): void {
  const { text, pending, batch } = entry;
  if (!isWanted(entry)) return;
  if (batch !== undefined) batch.send();
  else if (pending === undefined) send(core, text);
  else sendRequest(core, pending, text, send);
}

/** Sends a request, by one way or another. */
export function sendRequest(
  core: Core,
  pending: Pending,
  text: string,
  hand: typeof send,
): void {
  core.pending.mark(pending, true);
  if (!hand(core, text, pending)) abandon(core, pending, false);
}

/**
 * Takes a request out of those that wait for an answer, and lets others have its
 * place: whoever takes it settles it.
 */
export function take(
  core: Core,
  id: unknown,
  succeeded?: boolean,
): Pending | undefined {
  const pending = core.pending.take(id, succeeded);
  if (core.queue.size > 0) advance(core);
  return pending;
}

/**
 * Tells a caller that no response will come.
 *
 * @param sent Whether this connection was handed the request.
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

function placesOf({ pending, batch }: Entry): number {
  if (batch === undefined) return pending?.places ?? 0;
  let places = 0;
  for (const member of batch.members) {
    if (isWanted(member)) places += placesOf(member);
  }
  return places;
}
