/**
 * Checks that take as long as they take, with time that is real: they all run at
 * the same time, so that all take hardly longer than one.
 *
 * A file beside this one has `together(title, check)` for each of its checks, and
 * stands in the list of all.ts.
 *
 * @module
 */

/** A minute. */
export const minute = 60_000;

/** A call that nobody cuts off. */
export const longCall = 45_000;

const checks: { start(): void }[] = [];
let hasStarted = false;

/** Defines a test; the first one that runs begins all of them. */
export function together(title: string, check: () => Promise<void>): void {
  const { promise, resolve } = Promise.withResolvers<() => void>();
  checks.push({
    start() {
      const begin = performance.now();
      check().then(() => () => {}, (error: unknown) => () => {
        const seconds = Math.round((performance.now() - begin) / 1_000);
        console.log(`${title}: failed after ${seconds} s`);
        throw error;
      }).then(resolve);
    },
  });
  Deno.test({
    name: title,
    // What one has begun ends within another.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      if (!hasStarted) {
        hasStarted = true;
        for (const check of checks) check.start();
      }
      (await promise)();
    },
  });
}

/** Waits for some milliseconds. */
export function pass(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

let turns = [Promise.resolve(), Promise.resolve()];

/** Starts something, two at a time: this machine has as many cores. */
export async function inTurn<T>(start: () => Promise<T>): Promise<T> {
  const [first, ...rest] = turns;
  const started = first!.then(start);
  turns = [...rest, started.then(() => {}, () => {})];
  return await started;
}
