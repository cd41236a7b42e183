import { setTimeout as sleep } from "node:timers/promises";

/** Bytes used after all garbage is collected. */
export async function usedHeap(): Promise<number> {
  const { gc } = globalThis as unknown as { gc(): void };
  // Objects that one collection frees may let others go.
  for (let turn = 0; turn < 3; turn++) {
    gc();
    await sleep(20);
  }
  return Deno.memoryUsage().heapUsed;
}
