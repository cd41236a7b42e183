import { setTimeout as sleep } from "node:timers/promises";

/** Bytes that are used once everything that can go has gone. */
export async function usedHeap(): Promise<number> {
  const { gc } = globalThis as unknown as { gc(): void };
  // What a collection lets go of may let go of more.
  for (let turn = 0; turn < 3; turn++) {
    gc();
    await sleep(20);
  }
  return Deno.memoryUsage().heapUsed;
}
