/**
 * The status of a connection, for a page that shows "connecting again in 4
 * seconds".
 *
 * @module
 */

import type { FailedAttempt } from "../line/retry.ts";
import type { ConnectionState, Core, Watched } from "../peer/core.ts";
import { runHook, stateOf } from "../peer/owner.ts";

/**
 * The state of a connection, and the end of the last connection or attempt, which
 * is absent while a connection is open.
 */
export interface ConnectionStatus extends Partial<FailedAttempt> {
  /** See {@linkcode Peer.state}. */
  readonly state: ConnectionState;
  /** Number of attempts that have failed in a row. */
  readonly attempt: number;
  /**
   * Milliseconds until the next attempt; subscribers are told each second. Absent
   * if no attempt is being waited for.
   */
  readonly retryIn?: number;
}

/**
 * The status of a connection, to read and to subscribe to, in the form that
 * frameworks accept. Its functions need no `this`.
 *
 * React: `useSyncExternalStore(connection.subscribe, connection.get)`. Svelte: it is
 * a store, `$connection.state`. Vue: `connection.subscribe((it) => status.value = it)`.
 */
export interface ConnectionStore {
  /** The status; the same object until something changes. */
  readonly get: () => ConnectionStatus;
  /**
   * Calls a function with the status, now and after each change, after the peer's
   * own hook for it.
   *
   * @returns Ends the subscription.
   */
  readonly subscribe: (
    listener: (status: ConnectionStatus) => void,
  ) => () => void;
}

/** The status of a core's connection, made when it is first asked for. */
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
    // Without subscribers there is no timer, so a passed second is noticed here.
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
    // Wrapped, so that the same function can be subscribed twice.
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

  /** Starts the timer for the next second, if an attempt is being waited for. */
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
