/**
 * Pacing: calls that were refused by the other side's rate are sent again when it
 * allows.
 *
 * @see PROTOCOL.md, "Limits"
 *
 * @module
 */

import { startTimer } from "../line/timers.ts";
import { rateLimited } from "../wire/codes.ts";
import type { Core, CorePart, Pace } from "../peer/core.ts";
import { isSending } from "../peer/owner.ts";
import type { Entry, Pending } from "../peer/pending.ts";
import type { Pause } from "../peer/seams.ts";
import { advance, sendEntry } from "../peer/waiting.ts";

/** The part that keeps to the other side's rate. */
export const pacing: CorePart = {
  name: "pacing",
  attach(core) {
    core.pace = pace;
  },
};

const pace: Pace = { postpone };

/**
 * Keeps a refused call to be sent again, if the time that the other side names is
 * before its deadline. Until then, new calls wait, too. Returns `false` if the
 * error is to reject the call.
 *
 * `executed: false` is required, because an application may have errors of its
 * own with this code.
 */
function postpone(core: Core, pending: Pending, error: unknown): boolean {
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
  const pause = (core.pause ??= new Rest(core)) as Rest;
  pause.add({ text, pending, at });
  return true;
}

/** A refused call. */
interface Refused extends Entry {
  /** The time when it may be sent again. */
  readonly at: number;
}

/** A pause, until the last call that was refused may be sent again. */
class Rest implements Pause {
  readonly #core: Core;
  #entries: Refused[] = [];
  /** The time of the first of them. */
  #at = Infinity;
  #stop: (() => void) | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  add(entry: Refused): void {
    this.#entries.push(entry);
    if (entry.at < this.#at) this.#wake(entry.at);
  }

  #wake(at: number): void {
    this.#stop?.();
    this.#at = at;
    this.#stop = startTimer(at - performance.now(), () => this.#sendDue());
  }

  /**
   * Sends the calls whose time has come; with the last of them, everything that
   * waits.
   */
  #sendDue(): void {
    const now = performance.now();
    const later = this.#entries.filter(({ at }) => at > now);
    if (later.length === 0 || !isSending(this.#core)) return this.end();
    const due = this.#entries.filter(({ at }) => at <= now);
    this.#entries = later;
    this.#wake(Math.min(...later.map(({ at }) => at)));
    for (const entry of due) sendEntry(this.#core, entry);
  }

  end(): void {
    const core = this.#core;
    this.#stop?.();
    core.pause = undefined;
    core.queue.putFirst(this.#entries);
    advance(core);
  }
}
