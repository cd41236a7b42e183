/**
 * Rounds of Deno's event loop. While there is something to do at once, a task of
 * `setImmediate` or a readable socket, Deno asks the system for events only in one
 * of 61 rounds (seen in 2.9.5). With 10 ms of work in each round, other sockets are
 * not heard for 0.6 s. While everything waits for a timer, Deno asks.
 *
 * To be deleted when `deno task bench:fairness --server "ws on Deno"` has the same
 * figures without it.
 *
 * @module
 */

/** Whether other sockets are heard only during a timer. */
export const needsTimers: boolean =
  globalThis.navigator?.userAgent?.startsWith("Deno/") ?? false;

let timer: ReturnType<typeof setTimeout> | undefined;

/**
 * Calls a task once all sockets have been heard. A second call replaces the first.
 */
export function afterEvents(task: () => void): void {
  clearTimeout(timer);
  timer = setTimeout(task);
}

/** Cancels {@linkcode afterEvents}. */
export function cancelEvents(): void {
  clearTimeout(timer);
}
