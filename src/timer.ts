/**
 * Timers that don't keep a first answer waiting.
 *
 * @see {@link https://dom.spec.whatwg.org/#dom-abortsignal-timeout}
 *
 * @module
 */

/** Whether this is Deno. */
export const isDeno: boolean =
  globalThis.navigator?.userAgent?.startsWith("Deno/") ?? false;

const loaded = performance.now();

// Those that a process starts in its first milliseconds are its first.
const firstTime = 100;

// A longer wait would end at once.
const most = 0x7fff_ffff;

// What is sooner has to be exact.
const far = 1_000;

/**
 * Calls something after some milliseconds; returns how not to.
 *
 * The first timer of a Deno process loads Node's, which takes longer than all else
 * that a first call does: 5 ms of 17 (seen in 2.9.5). So what is far away has its
 * time from a signal there, while the process is young.
 */
export function startTimer(delay: number, ring: () => void): () => void {
  delay = Math.min(delay, most);
  if (
    isDeno && delay >= far && performance.now() - loaded < firstTime &&
    isUntouched()
  ) {
    const signal = AbortSignal.timeout(delay);
    signal.addEventListener("abort", ring);
    return () => signal.removeEventListener("abort", ring);
  }
  const id = setTimeout(ring, delay);
  return () => clearTimeout(id);
}

/** Whether nobody plays with time; to look at the function itself loads it. */
function isUntouched(): boolean {
  const property = Object.getOwnPropertyDescriptor(globalThis, "setTimeout");
  return property?.get !== undefined;
}
