/**
 * The pace of calls: a peer that has a rate says when it takes more of them.
 *
 * @see PROTOCOL.md, "Limits"
 *
 * @module
 */

import { startTimer } from "../line/timers.ts";
import { rateLimited } from "../wire/codes.ts";
import type { Core } from "./core.ts";
import { isSending } from "./owner.ts";
import type { Pause, Pending } from "./pending.ts";
import { advance, sendEntry } from "./waiting.ts";

/**
 * Lets a call that was not executed be sent again when the peer says, if that is
 * within its time; until then those wait that were not sent yet.
 *
 * An application's own error of that code doesn't say that nothing was executed.
 */
export function postpone(
  core: Core,
  pending: Pending,
  error: unknown,
): boolean {
  const { code, data } = Object(error) as { code?: unknown; data?: unknown };
  if (code !== rateLimited) return false;
  const { retryAfterMs, executed } = Object(data) as {
    retryAfterMs: unknown;
    executed: unknown;
  };
  const { text, deadline } = pending;
  if (
    executed !== false || typeof retryAfterMs !== "number" ||
    text === undefined
  ) return false;
  const at = performance.now() + Math.max(retryAfterMs, 1);
  if (!(at < deadline)) return false;
  core.pending.mark(pending, false);
  const pause = core.pause ??= { entries: [], at: Infinity, stop() {} };
  pause.entries.push({ text, pending, at });
  if (at < pause.at) wake(core, pause, at);
  return true;
}

function wake(core: Core, pause: Pause, at: number): void {
  pause.stop();
  pause.at = at;
  pause.stop = startTimer(at - performance.now(), () => sendDue(core, pause));
}

/** Sends what may be sent again by now; after the last of it, what else waits. */
function sendDue(core: Core, pause: Pause): void {
  const now = performance.now();
  const later = pause.entries.filter(({ at }) => at > now);
  if (later.length === 0 || !isSending(core)) return endPause(core);
  const due = pause.entries.filter(({ at }) => at <= now);
  pause.entries = later;
  wake(core, pause, Math.min(...later.map(({ at }) => at)));
  for (const entry of due) sendEntry(core, entry);
}

/** Sends what has waited for the peer's time, or lets it wait for a connection. */
export function endPause(core: Core): void {
  const { pause } = core;
  if (pause === undefined) return;
  pause.stop();
  core.pause = undefined;
  core.queue.putFirst(pause.entries);
  advance(core);
}
