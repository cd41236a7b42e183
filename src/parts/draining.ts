/**
 * Draining a peer: no more methods begin, and running ones are waited for.
 *
 * @module
 */

import { Deferred } from "../line/deferred.ts";
import type { Core } from "../peer/core.ts";
import { refuseWaiting } from "./crowds.ts";
import type { Draining } from "../peer/seams.ts";

/** Lets no more methods begin; resolves when the last one has answered. */
export function finishCalls(core: Core): Promise<void> {
  const draining = core.draining as PeerDraining ??
    (core.draining = new PeerDraining(core));
  // In a microtask, so that a method that calls this before its first `await`
  // counts as running.
  queueMicrotask(() => draining.look());
  return draining.finished.promise;
}

/** The names of the running methods that have not answered. */
export function runningNames({ connection }: Core): string[] {
  const names: string[] = [];
  for (const { answered, method } of connection.running ?? []) {
    if (!answered) names.push(method);
  }
  return names;
}

class PeerDraining implements Draining {
  readonly finished: Deferred<void> = new Deferred();
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  look(): void {
    const core = this.#core;
    refuseWaiting(core);
    if (
      core.connection.waiting === undefined && runningNames(core).length === 0
    ) this.finished.resolve();
  }
}
