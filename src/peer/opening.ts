/**
 * A connection whose `onopen` has not settled: the hook's own calls are sent, all
 * others wait.
 *
 * No platform tells which function goes on after an `await`. So three kinds of
 * calls count as the hook's: those made within its argument `first`; those before
 * its first `await`; and those right after the answer to such a call, when an
 * `await` of it goes on.
 *
 * @module
 */

import type { First } from "./call.ts";
import type { Core } from "./core.ts";
import type { Opening } from "./seams.ts";

// Microtasks after an answer in which calls count as the hook's: enough for an
// `await` through some async functions.
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

  /**
   * Whether a call may be sent. The protocol's own always may, since they follow a
   * call that was sent.
   */
  passes(method: string | undefined): boolean {
    return this.isOwn || this.isLenient || method?.startsWith("$/") === true;
  }

  /** Counts a call of its own. */
  count(): void {
    this.made++;
  }

  /**
   * Wraps the function that settles one of its calls: after the answer, calls count
   * as the hook's for some microtasks.
   */
  follow<Args extends unknown[]>(
    settle: (...args: Args) => void,
  ): (...args: Args) => void {
    return (...args) => {
      this.answered++;
      // Runs right before the code that awaits the answer.
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

  /** Lets all other calls wait from now on. */
  hold(): void {
    this.isOwn = this.#hops > 0;
    this.holds = true;
    this.#stop = this.#core.hints?.watch(this.#core, this);
  }

  /** Lets all calls pass. */
  end(): void {
    this.#stop?.();
    this.#core.queue.release();
  }
}
