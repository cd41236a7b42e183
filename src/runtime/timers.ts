/**
 * Deno's first timer: the first look at `setTimeout` loads Node's timers, 5 ms of a
 * first call that takes 9 (seen in 2.9.5). So a wait of a second or more is given to
 * a signal, wherever `setTimeout` is a getter. It is one after the first look, too.
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
 * `undefined` where it is for a timer.
 */
export function startTimerUnloaded(
  delay: number,
  ring: () => void,
): (() => void) | undefined {
  // React Native's is a getter, too, and has no such signals.
  if (delay < far || isPlain() || AbortSignal.timeout === undefined) {
    return undefined;
  }
  const signal = AbortSignal.timeout(delay);
  signal.addEventListener("abort", ring);
  return () => signal.removeEventListener("abort", ring);
}

/**
 * Whether `setTimeout` is no getter: on every other platform, and where somebody
 * plays with time.
 */
function isPlain(): boolean {
  return timerProperty()?.get === undefined;
}

/** Where the platform, or who plays with time, has `setTimeout`. */
export function timerProperty(): PropertyDescriptor | undefined {
  return Object.getOwnPropertyDescriptor(globalThis, "setTimeout");
}
