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
import type { Core, CorePart } from "../peer/core.ts";
import { isSending } from "../peer/owner.ts";
import type { Entry, Pending } from "../peer/pending.ts";
import type { Pace, Pause } from "../peer/seams.ts";
import { advance, sendEntry } from "../peer/waiting.ts";

/** The part that keeps to the other side's rate. */
export const pacing: CorePart = {
  name: "pacing",
  attach(core) {
    core.pace = new PeerPace(core);
  },
};

class PeerPace implements Pace, Pause {
  readonly #core: Core;
  /** The refused calls, each with the time when it may be sent again. */
  #entries: (Entry & { readonly at: number })[] = [];
  /** The time of the first of them. */
  #at = Infinity;
  #stop: (() => void) | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Keeps a refused call to be sent again, if the time that the other side names is
   * before its deadline. Until then, new calls wait, too. Returns `false` if the
   * error is to reject the call.
   *
   * `executed: false` is required, because an application may have errors of its
   * own with this code.
   */
  postpone(pending: Pending, error: unknown): boolean {
    const core = this.#core;
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
    core.pause = this;
    this.#entries.push({ text, pending, at });
    if (at < this.#at) this.#wake(at);
    return true;
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
    const entries = this.#entries;
    this.#stop?.();
    this.#at = Infinity;
    this.#entries = [];
    core.pause = undefined;
    core.queue.putFirst(entries);
    advance(core);
  }
}
