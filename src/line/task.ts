/**
 * Tasks of the event loop.
 *
 * @module
 */

import { isIsolating } from "../runtime/isolates.ts";

// A MessageChannel, because a timer comes ten times as late.
let channel: MessageChannel | undefined;
let tasks: (() => void)[] = [];

/**
 * Calls a function after the events that wait now. A microtask would come before
 * them.
 *
 * @returns The platform's handle of the task, if there is one.
 */
export function afterTurn(task: () => void): unknown {
  if (isIsolating) return void setTimeout(task);
  const { setImmediate } = globalThis as {
    setImmediate?: (task: () => void) => unknown;
  };
  if (setImmediate !== undefined) return setImmediate(task);
  // A page in Jest has neither setImmediate nor MessageChannel.
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
