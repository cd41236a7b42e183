/**
 * A connection whose `onopen` has not settled: sign in, then speak.
 *
 * What `onopen` calls passes, everything else waits. A platform tells nobody which
 * function goes on after an `await`. So these count as its calls: those that it
 * makes by its argument `first`; those before its first `await`; and those in the same turn
 * as an answer to one of them, which is where an `await` of it goes on.
 *
 * @module
 */

import type { First } from "./call.ts";
import type { Core, Opening } from "./core.ts";
import { complain } from "./owner.ts";
import type { Entry } from "./pending.ts";
import { advance } from "./waiting.ts";

// Milliseconds without anything of its own under way, after which a call that waits
// may be what `onopen` itself waits for.
const patience = 1_000;

// Microtasks within which an answer has come to whoever awaits it, also through
// functions that do so for others.
const hops = 16;

/** The `onopen` of one connection, while it runs. */
export class Preparation implements Opening {
  /** Whether what is called now is its own. */
  isOwn = true;
  /** Whether others wait: it has not settled in its first turn. */
  holds = false;
  readonly #core: Core;
  /** What has waited for the handshake. */
  #waited: ReadonlySet<Entry> | undefined;
  /** Its calls that are not answered. */
  #calls = 0;
  /** Whether anything of its own has happened since the last look. */
  #isActive = false;
  #hops = 0;
  /** Whether what is called meanwhile is let pass, all the same. */
  #isLenient = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  /** See {@linkcode First}. */
  get first(): First {
    return (call) => {
      const { isOwn } = this;
      this.isOwn = true;
      try {
        return call();
      } finally {
        this.isOwn = isOwn;
      }
    };
  }

  /** Whether a call may leave. The protocol's own follow one that did. */
  passes(method: string | undefined): boolean {
    return this.isOwn || this.#isLenient || method?.startsWith("$/") === true;
  }

  /** Follows one of its calls: who awaits its answer goes on as `onopen`. */
  follow<Args extends unknown[]>(
    settle: (...args: Args) => void,
  ): (...args: Args) => void {
    return (...args) => {
      this.#calls--;
      this.#isActive = true;
      // Runs right before whoever awaits it goes on.
      queueMicrotask(() => {
        this.isOwn = true;
        if (this.#hops === 0) queueMicrotask(() => this.#hop());
        this.#hops = hops;
      });
      settle(...args);
    };
  }

  /** Takes note of a call of its own that is about to be made. */
  count(): void {
    this.#calls++;
    this.#isActive = true;
  }

  /** Lets others wait from now on. */
  hold(): void {
    this.isOwn = this.#hops > 0;
    this.holds = true;
    this.#waited = new Set(this.#core.queue.others);
    this.#timer = setTimeout(() => this.#look(), patience);
  }

  /** Lets nobody wait any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#core.queue.release();
  }

  #hop(): void {
    this.#hops--;
    if (this.#hops > 0) queueMicrotask(() => this.#hop());
    else if (this.holds) this.isOwn = false;
  }

  /** Looks whether it may wait for a call that waits for it. */
  #look(): void {
    const core = this.#core;
    const isQuiet = !this.#isActive && this.#calls === 0;
    this.#isActive = false;
    if (!isQuiet || !core.queue.passOthers(this.#waited!)) {
      this.#timer = setTimeout(() => this.#look(), patience);
      return;
    }
    this.#isLenient = true;
    complain(
      core,
      new Error(
        `A call waited ${patience} ms for onopen, which may have made it: after an await, say first(() => this.remote...), with the argument of onopen`,
      ),
    );
    advance(core);
  }
}
