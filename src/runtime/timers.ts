/**
 * The first timer in Deno: the first read of `setTimeout` loads Node's timers, 5 ms
 * of a first call that takes 9 (seen in 2.9.5). So a wait of a second or more uses
 * `AbortSignal.timeout` wherever `setTimeout` is a getter, which it stays after the
 * first read.
 *
 * To be deleted when tests/seconds/runtime_test.ts says that Deno has no such getter
 * any more.
 *
 * @see {@link https://dom.spec.whatwg.org/#dom-abortsignal-timeout}
 *
 * @module
 */

// Milliseconds: shorter waits have to be exact.
const far = 1_000;

/**
 * Calls a function after some milliseconds without `setTimeout`. Returns a function
 * that cancels it; `undefined`: not started, use a timer.
 */
export function startTimerUnloaded(
  delay: number,
  ring: () => void,
): (() => void) | undefined {
  // In React Native `setTimeout` is a getter, too, and there are no such signals.
  if (delay < far || isPlain() || AbortSignal.timeout === undefined) {
    return undefined;
  }
  const signal = AbortSignal.timeout(delay);
  signal.addEventListener("abort", ring);
  return () => signal.removeEventListener("abort", ring);
}

/**
 * Whether `setTimeout` is a plain property: on every other platform, and under fake
 * timers.
 */
function isPlain(): boolean {
  return timerProperty()?.get === undefined;
}

/** The descriptor of `setTimeout`, the platform's or a fake one's. */
export function timerProperty(): PropertyDescriptor | undefined {
  return Object.getOwnPropertyDescriptor(globalThis, "setTimeout");
}
