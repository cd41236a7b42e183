/**
 * Tasks of the event loop: what is done once everybody else had a turn.
 *
 * @module
 */

import { isIsolating } from "../runtime/isolates.ts";

// A timer would be too late, by a factor of ten.
let channel: MessageChannel | undefined;
let tasks: (() => void)[] = [];

/**
 * Calls something once the events that wait have been told. Not the same as a
 * microtask, which would be before all of them.
 *
 * @returns What the platform knows the task by, if it does.
 */
export function afterTurn(task: () => void): unknown {
  if (isIsolating) return void setTimeout(task);
  const { setImmediate } = globalThis as {
    setImmediate?: (task: () => void) => unknown;
  };
  if (setImmediate !== undefined) return setImmediate(task);
  // A page of Jest's has neither.
  if (typeof MessageChannel !== "function") return setTimeout(task);
  if (channel === undefined) {
    channel = new MessageChannel();
    channel.port1.onmessage = (): void => {
      const all = tasks;
      tasks = [];
      for (const task of all) task();
    };
  }
  if (tasks.push(task) === 1) channel.port2.postMessage(null);
  return undefined;
}
