/** What is compared with what, in which rows. */

import { methods } from "./checker.ts";
import { overPair, overSockets, overTypes, type Team } from "./team.ts";

export interface Comparison {
  /** The first one is the yardstick of the others. */
  contenders: string[];
  settings: Setting[];
}

/** How contenders are set to work, and the rows that they then do. */
export interface Setting {
  start: (contender: string) => Promise<Team>;
  rows: string[];
  /** Whether a turn takes so long that half of the rounds must do. */
  isSlow?: boolean;
}

export const comparisons: Comparison[] = [
  {
    contenders: ["loop", "peer", "shared"],
    settings: [
      { start: overSockets, rows: ["1 in flight", "64 in flight"] },
      { start: overPair, rows: ["one process"] },
    ],
  },
  {
    contenders: ["plain", "capable"],
    settings: [
      { start: overSockets, rows: ["64 in flight", "100,000 values"] },
      { start: overPair, rows: ["one process"] },
    ],
  },
  {
    contenders: ["declared", "remote"],
    settings: [{
      start: overTypes,
      rows: [`${methods} methods`],
      isSlow: true,
    }],
  },
];

/** The comparisons to make: all, or of these contenders alone, in the rows of the first. */
export function choose(contenders: string[]): Comparison[] {
  const [first] = contenders;
  if (first === undefined) return comparisons;
  const known = comparisons.flatMap(({ contenders }) => contenders);
  const unknown = contenders.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new RangeError(`Cannot measure "${unknown}": no such contender`);
  }
  const { settings } = comparisons.find((comparison) =>
    comparison.contenders.includes(first)
  )!;
  return [{ contenders, settings }];
}
