/**
 * Deno's rounds: as long as there is something to do at once, a task of
 * `setImmediate` or a socket that can be read, Deno asks the system for events in one
 * of 61 rounds of its loop (seen in 2.9.5). Where each has 10 ms of work, the others'
 * sockets are not heard for 0.6 s. While all wait for a timer, it asks.
 *
 * To be deleted when `deno task bench:fairness --server "ws on Deno"` shows the same
 * without.
 *
 * @module
 */

/** Whether it takes a timer that the others' sockets are heard. */
export const needsTimers: boolean =
  globalThis.navigator?.userAgent?.startsWith("Deno/") ?? false;

let timer: ReturnType<typeof setTimeout> | undefined;

/** Calls something once all sockets were heard; another time replaces it. */
export function afterEvents(task: () => void): void {
  clearTimeout(timer);
  timer = setTimeout(task);
}

/** Does not, after all. */
export function cancelEvents(): void {
  clearTimeout(timer);
}
