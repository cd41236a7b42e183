/**
 * What becomes of a connection, for who shows it: a page's "connecting again in
 * 4 seconds".
 *
 * @module
 */

import type { FailedAttempt } from "../line/retry.ts";
import type { ConnectionState, Core, Watched } from "../peer/core.ts";
import { runHook, stateOf } from "../peer/owner.ts";

/**
 * Where a connection is in its life, and how the last one or the last attempt
 * ended; of that nothing is left once there is a connection.
 */
export interface ConnectionStatus extends Partial<FailedAttempt> {
  /** See {@linkcode Peer.state}. */
  readonly state: ConnectionState;
  /** How many attempts have failed in a row; 0: none. */
  readonly attempt: number;
  /**
   * In how many milliseconds the next attempt is: counts down second by second.
   * Absent while there is a connection or an attempt, and if there won't be.
   */
  readonly retryIn?: number;
}

/**
 * The status of a connection, to be read and to be subscribed to, in the form that
 * frameworks take as it is. Its functions need no `this`.
 *
 * React: `useSyncExternalStore(connection.subscribe, connection.get)`. Svelte: it is
 * a store, `$connection.state`. Vue: `connection.subscribe((it) => status.value = it)`.
 */
export interface ConnectionStore {
  /** The status; the same object until something changes. */
  readonly get: () => ConnectionStatus;
  /**
   * Calls a function with the status, at once and each time that it has changed:
   * after the hook that tells of the same.
   *
   * @returns How to stop.
   */
  readonly subscribe: (
    listener: (status: ConnectionStatus) => void,
  ) => () => void;
}

/** Makes the status of a core's connection, once somebody asks for it. */
export function watch(core: Core): ConnectionStore {
  return (core.watched ??= new Store(core)) as Store;
}

class Store implements ConnectionStore, Watched {
  readonly #core: Core;
  readonly #listeners = new Set<{ (status: ConnectionStatus): void }>();
  #status: ConnectionStatus | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  readonly get = (): ConnectionStatus => {
    const left = this.#left();
    // A second has passed, and nobody subscribed who would have had it told.
    if (
      left !== undefined && seconds(left) !== seconds(this.#status?.retryIn)
    ) {
      this.#status = undefined;
    }
    return this.#status ??= this.#read(left);
  };

  readonly subscribe = (
    listener: (status: ConnectionStatus) => void,
  ): () => void => {
    // Twice the same function is two subscriptions.
    const entry = (status: ConnectionStatus): void => listener(status);
    this.#listeners.add(entry);
    this.#tell(entry);
    this.#count();
    return () => {
      this.#listeners.delete(entry);
      if (this.#listeners.size === 0) clearTimeout(this.#timer);
    };
  };

  change(): void {
    this.#status = undefined;
    for (const listener of [...this.#listeners]) this.#tell(listener);
    this.#count();
  }

  #tell(listener: (status: ConnectionStatus) => void): void {
    if (!this.#listeners.has(listener)) return;
    runHook(this.#core, () => listener(this.get()));
  }

  /** Tells of the next second, if an attempt is waited for. */
  #count(): void {
    clearTimeout(this.#timer);
    const left = this.#left();
    if (!left || this.#listeners.size === 0) return;
    this.#timer = setTimeout(() => this.change(), left % 1_000 || 1_000);
  }

  #left(): number | undefined {
    const { retryAt } = this.#core;
    return retryAt && Math.max(0, Math.round(retryAt - performance.now()));
  }

  #read(retryIn: number | undefined): ConnectionStatus {
    const { last, failures: attempt } = this.#core;
    const state = stateOf(this.#core);
    const { retryIn: _, ...rest } = last ?? {};
    return {
      ...rest,
      state,
      attempt,
      ...retryIn !== undefined && { retryIn },
    };
  }
}

function seconds(milliseconds: number | undefined): number {
  return Math.ceil((milliseconds ?? NaN) / 1_000);
}
