/** The comparisons: their contenders and rows. */

import { methods } from "./checker.ts";
import { type Runtime, runtimesOf } from "./runtime.ts";
import {
  overFirstCalls,
  overFreshSockets,
  overPair,
  overSockets,
  overTypes,
  type Team,
} from "./team.ts";

export interface Comparison {
  name: string;
  /** The first one is the yardstick of the others. */
  contenders: string[];
  settings: Setting[];
  /** Rounds of a run, and milliseconds of a round; less where there is more to compare. */
  rounds: number;
  milliseconds: number;
}

/** The way to start contenders, and the rows that they then do. */
export interface Setting {
  start: (contender: string) => Team | Promise<Team>;
  rows: string[];
  /** Present if there is no warm-up: the number of rounds. */
  coldRounds?: number;
}

const { deno, node, bun } = runtimesOf(new URL("./", import.meta.url));

const others = [
  "json-rpc-2.0",
  "rpc-websockets",
  "vscode-jsonrpc",
  "birpc",
  "kkrpc",
  "capnweb",
  "trpc",
  "orpc",
  "socket.io",
];

const comparisons: Comparison[] = [
  {
    name: "cost",
    contenders: ["loop", "peer"],
    settings: [
      {
        start: (contender) => overSockets(contender, deno),
        rows: ["1 in flight", "64 in flight"],
      },
      {
        start: (contender) => overPair(contender, deno),
        rows: ["one process"],
      },
    ],
    rounds: 4,
    milliseconds: 700,
  },
  {
    name: "capabilities",
    contenders: ["plain", "capable"],
    settings: [
      {
        start: (contender) => overSockets(contender, deno),
        rows: ["64 in flight", "100,000 values"],
      },
      {
        start: (contender) => overPair(contender, deno),
        rows: ["one process"],
      },
    ],
    rounds: 4,
    milliseconds: 700,
  },
  {
    name: "types",
    contenders: ["declared", "remote"],
    settings: [
      { start: overTypes, rows: [`${methods} methods`], coldRounds: 2 },
    ],
    rounds: 2,
    milliseconds: 0,
  },
  compareAll("deno", deno, [
    ...["loop", "peer", "peer on ws", "shared", "slim"],
    ...others,
  ]),
  compareAll("node", node, ["loop", "peer", "shared", "slim", ...others]),
  // JavaScriptCore compiles later: in shorter rounds compiling is a large part.
  compareAll("bun", bun, ["loop", "peer"], 2_000),
];

/** Compares these contenders on a runtime in all rows that don't grow. */
export function compareAll(
  name: string,
  runtime: Runtime,
  contenders: string[],
  milliseconds: number = 300,
): Comparison {
  const { withLargeFrames = runtime } = runtime;
  return {
    name,
    contenders,
    settings: [
      {
        start: (contender) => overSockets(contender, runtime),
        rows: [
          "1 in flight",
          "64 in flight",
          "50 x 4 in flight",
          "1 KiB objects",
          "200 listeners",
          "100,000 values",
        ],
      },
      {
        start: (contender) => overSockets(contender, withLargeFrames),
        rows: ["1 KiB both ways", "1 KiB both ways, 1 in flight"],
      },
      {
        start: (contender) => overPair(contender, runtime),
        rows: ["one process", "1 KiB in one process"],
      },
      {
        start: (contender) => overFreshSockets(contender, runtime),
        rows: ["2,000 idle"],
        coldRounds: 6,
      },
      {
        start: (contender) => overFirstCalls(contender, runtime),
        rows: ["first call"],
        coldRounds: 4,
      },
    ],
    rounds: 3,
    milliseconds,
  };
}

/** The choices on the command line, apart from the comparisons' names. */
export interface Choice {
  contender?: string[] | undefined;
  row?: string[] | undefined;
  rounds?: string | undefined;
  milliseconds?: string | undefined;
  /** Calls in all, where a program lives long. */
  calls: number;
}

/**
 * The comparisons to make: by their names (`growth` stands for all that grows),
 * or if there are none, all that don't grow; of these contenders and rows alone.
 *
 * @throws {RangeError} There is no such comparison, or no such row in them.
 */
export function choose(names: string[], choice: Choice): Comparison[] {
  const growths = compareGrowths(choice.calls);
  const groups = new Map<string, Comparison[]>([
    ["growth", growths],
    ["sizes", []],
  ]);
  for (const comparison of [...comparisons, ...growths]) {
    groups.set(comparison.name, [comparison]);
  }
  const chosen = names.length === 0 ? comparisons : names.flatMap((name) => {
    const group = groups.get(name);
    if (group !== undefined) return group;
    throw new RangeError(
      `Cannot compare "${name}": it is none of ${
        [...groups.keys()].join(", ")
      }`,
    );
  });
  return narrow(chosen, choice);
}

/**
 * The same comparisons with these choices.
 *
 * @throws {RangeError} There is no such row in them.
 */
export function narrow(
  comparisons: Comparison[],
  { contender, row, rounds, milliseconds }: Omit<Choice, "calls">,
): Comparison[] {
  const known = comparisons.flatMap(({ settings }) =>
    settings.flatMap(({ rows }) => rows)
  );
  const unknown = row?.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new RangeError(`Cannot measure "${unknown}": no such row`);
  }
  return comparisons.map((comparison) => ({
    ...comparison,
    contenders: contender ?? comparison.contenders,
    settings: comparison.settings.map((setting) => ({
      ...setting,
      rows: row === undefined
        ? setting.rows
        : setting.rows.filter((name) => row.includes(name)),
    })).filter(({ rows }) => rows.length > 0),
    rounds: rounds === undefined ? comparison.rounds : Number(rounds),
    milliseconds: milliseconds === undefined
      ? comparison.milliseconds
      : Number(milliseconds),
  }));
}

/** The same work in growing sizes, each against the loop at the same size. */
function compareGrowths(calls: number): Comparison[] {
  const contenders = ["loop", "lifted"];
  const overDeno = (contender: string) => overSockets(contender, deno);
  const rowsOf = (noun: string, sizes: number[]) =>
    sizes.map((size) => `${size.toLocaleString("en")} ${noun}`);
  return [
    {
      name: "connections",
      contenders,
      settings: [{
        start: overDeno,
        rows: rowsOf("connections", [1, 10, 100, 1_000, 5_000]),
      }],
      rounds: 6,
      milliseconds: 500,
    },
    {
      name: "in-flight",
      contenders,
      settings: [{
        start: overDeno,
        rows: rowsOf("in flight", [1, 10, 100, 1_000, 10_000]),
      }],
      rounds: 6,
      milliseconds: 500,
    },
    {
      name: "methods",
      contenders,
      settings: [10, 30, 100, 300, 1_000].map((methods) => ({
        start: (contender) => overPair(contender, deno, methods),
        rows: rowsOf("methods", [methods]),
      })),
      rounds: 6,
      milliseconds: 500,
    },
    {
      name: "calls",
      contenders,
      settings: [{
        start: (contender) => overPair(contender, deno),
        rows: rowsOf(
          "calls",
          Array.from({ length: 20 }, (_, index) => calls / 20 * (index + 1)),
        ),
        coldRounds: 1,
      }],
      rounds: 1,
      milliseconds: 0,
    },
  ];
}
