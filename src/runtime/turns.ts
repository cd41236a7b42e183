/**
 * Rounds of Deno's event loop. While there is something to do at once, a task of
 * `setImmediate` or a readable socket, Deno asks the system for events only in one
 * of 61 rounds (seen in 2.9.5). With 10 ms of work in each round, other sockets are
 * not heard for 0.6 s. While everything waits for a timer, Deno asks; but not for one
 * that is due by the end of the round, as one of a millisecond mostly is. So there
 * are two, one after the other: beside pings a neighbour's p99 was 92 to 306 ms with
 * one, and is 15 to 22. Who sends as fast as it can is slower by a sixth.
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
  timer = setTimeout(() => timer = setTimeout(task));
}

/** Cancels {@linkcode afterEvents}. */
export function cancelEvents(): void {
  clearTimeout(timer);
}
