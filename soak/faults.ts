/** The faults, and their times. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "./host.ts";
import type { Direction, Network, Wire } from "./network.ts";
import type { Random } from "./random.ts";

/** The number of faults, by name. */
export type Counts = Map<string, number>;

type Strike = (wire: Wire, random: Random) => void;

const directions: readonly Direction[] = ["up", "down", "both"];

const strikes: Readonly<Record<string, Strike>> = {
  cut: (wire) => wire.cut(),
  reset: (wire) => wire.reset(),
  tear: (wire) => wire.tear(),
  stall: (wire, random) =>
    wire.stall(random.pick(directions), random.between(100, 3_000)),
  "half-open": (wire, random) =>
    wire.lose(random.pick(directions), random.between(500, 6_000)),
};

/**
 * Lets single connections fail, until it is told to stop.
 *
 * @param period Milliseconds between two faults, on average.
 */
export async function disturb(
  network: Network,
  random: Random,
  period: number,
  counts: Counts,
  signal: AbortSignal,
): Promise<void> {
  while (await passed(random.between(0, period * 2), signal)) {
    const name = random.pick(Object.keys(strikes));
    // Drawn also without a connection, so that chance takes the same course.
    const chosen = random.next();
    const wire = network.wires[Math.floor(chosen * network.wires.length)];
    if (wire === undefined) continue;
    strikes[name]!(wire, random);
    count(counts, name);
  }
}

/** Lets the server die and come back, by turns in both ways, until told to stop. */
export async function restart(
  host: Host,
  random: Random,
  counts: Counts,
  signal: AbortSignal,
): Promise<void> {
  while (await passed(random.between(1_500, 6_000), signal)) {
    const isKill = random.next() < 0.5;
    const downTime = random.below(1_500);
    await host.stop(isKill ? "SIGKILL" : "SIGTERM");
    count(counts, isKill ? "kill" : "shutdown");
    await sleep(downTime);
    await host.start();
  }
}

/** Waits; `false` if it was told to stop meanwhile. */
async function passed(
  milliseconds: number,
  signal: AbortSignal,
): Promise<boolean> {
  await sleep(milliseconds, undefined, { signal }).catch(() => {});
  return !signal.aborted;
}

function count(counts: Counts, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
