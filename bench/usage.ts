/** What this process has used, in Deno as in Node. */

import { cpuUsage, memoryUsage } from "node:process";

export interface Usage {
  /** CPU time so far, all threads, user and system, in microseconds. */
  cpu: number;
  /** Bytes of memory that it holds of the system. */
  rss: number;
  /** Bytes of JavaScript's objects. */
  heap: number;
}

export function usage(): Usage {
  const { user, system } = cpuUsage();
  const { rss, heapUsed } = memoryUsage();
  return { cpu: user + system, rss, heap: heapUsed };
}

/**
 * Collects all garbage, so that nobody pays for the round before, and everybody
 * is in the state of a program that has lived for a while: what is kept for long
 * sits among the old objects.
 */
export function collect(): void {
  (globalThis as unknown as { gc(): void }).gc();
}
