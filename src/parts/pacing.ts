/**
 * The pace of calls: a peer that has a rate says when it takes more of them.
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

/** Lets a peer obey the rate of the other one. */
export const pacing: CorePart = {
  name: "pacing",
  attach(core) {
    core.pace = new PeerPace(core);
  },
};

class PeerPace implements Pace, Pause {
  readonly #core: Core;
  /** The calls that go first afterwards, each with the time at which it may. */
  #entries: (Entry & { readonly at: number })[] = [];
  /** When the first of them may. */
  #at = Infinity;
  #stop: (() => void) | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Lets a call that was not executed be sent again when the peer says, if that is
   * within its time; until then those wait that were not sent yet.
   *
   * An application's own error of that code doesn't say that nothing was executed.
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

  /** Sends the calls whose time has come; after the last of them, all that waits. */
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
