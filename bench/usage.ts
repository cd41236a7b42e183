/** The time and memory that this process has used, in Deno as in Node. */

import { cpuUsage, memoryUsage } from "node:process";

export interface Usage {
  /** CPU time so far, all threads, user and system, in microseconds. */
  cpu: number;
  /** Bytes of memory that the system has given it. */
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
 * Collects all garbage. So no round pays for the one before, and each process is in
 * the state of a program that has lived for a while: its long-lived objects are
 * among the old ones.
 */
export function collect(): void {
  (globalThis as unknown as { gc(): void }).gc();
}
