/**
 * Deno's first timer: the first look at `setTimeout` loads Node's timers, 5 ms of a
 * first call that takes 9 (seen in 2.9.5). Until somebody has looked, a wait of a
 * second or more is given to a signal.
 *
 * To be deleted when tests/runtime_test.ts says that Deno has no such getter any
 * more.
 *
 * @see {@link https://dom.spec.whatwg.org/#dom-abortsignal-timeout}
 *
 * @module
 */

// What is sooner has to be exact.
const far = 1_000;

/**
 * Calls something after some milliseconds without a timer; returns how not to, or
 * `undefined` where timers are loaded, or free.
 */
export function startTimerUnloaded(
  delay: number,
  ring: () => void,
): (() => void) | undefined {
  if (delay < far || areTimersLoaded()) return undefined;
  const signal = AbortSignal.timeout(delay);
  signal.addEventListener("abort", ring);
  return () => signal.removeEventListener("abort", ring);
}

/**
 * Whether to look at `setTimeout` costs nothing: where to look would load it, it is
 * a getter, as on no other platform, nor where somebody plays with time.
 */
function areTimersLoaded(): boolean {
  const property = Object.getOwnPropertyDescriptor(globalThis, "setTimeout");
  return property?.get === undefined;
}
