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
import type { Core } from "./core.ts";
import type { Opening } from "./seams.ts";

// Microtasks within which an answer has come to whoever awaits it, also through
// functions that do so for others.
const hops = 16;

/** The `onopen` of one connection, while it runs. */
export class Preparation implements Opening {
  isOwn = true;
  holds = false;
  isLenient = false;
  made = 0;
  answered = 0;
  readonly #core: Core;
  #hops = 0;
  #stop: (() => void) | undefined;

  constructor(core: Core) {
    this.#core = core;
    core.queue.isHeld = true;
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
    return this.isOwn || this.isLenient || method?.startsWith("$/") === true;
  }

  /** Takes note of a call of its own that is about to be made. */
  count(): void {
    this.made++;
  }

  /** Follows one of its calls: who awaits its answer goes on as `onopen`. */
  follow<Args extends unknown[]>(
    settle: (...args: Args) => void,
  ): (...args: Args) => void {
    return (...args) => {
      this.answered++;
      // Runs right before whoever awaits it goes on.
      queueMicrotask(() => {
        this.isOwn = true;
        const isHopping = this.#hops > 0;
        this.#hops = hops;
        if (!isHopping) this.#hop();
      });
      settle(...args);
    };
  }

  #hop(): void {
    queueMicrotask(() => {
      if (--this.#hops > 0) this.#hop();
      else if (this.holds) this.isOwn = false;
    });
  }

  /** Lets others wait from now on. */
  hold(): void {
    this.isOwn = this.#hops > 0;
    this.holds = true;
    this.#stop = this.#core.hints?.watch(this);
  }

  /** Lets nobody wait any more. */
  end(): void {
    this.#stop?.();
    this.#core.queue.release();
  }
}
