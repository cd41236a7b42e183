/** The figures of a run, summed up: medians, ratios to the first contender, and the tables of both. */

import type { BundleSize } from "./bundle.ts";
import type { Sample } from "./team.ts";

/** All rounds of one row; `rounds[n][c]` is what contender `c` did in round `n`, if it did. */
export interface RowSamples {
  row: string;
  rounds: (Sample | undefined)[][];
}

export interface Figure {
  row: string;
  metric: string;
  contender: string;
  /** Null if this contender didn't do that row. */
  median: number | null;
  /** Each round's figure divided by the first contender's of the same round; absent for the first. */
  ratio?: Spread & { all: number[] };
  /** Each round's figure less the first contender's; absent for the first. */
  difference?: Spread;
}

/** The middle of some numbers, and how far they lie apart. */
export interface Spread {
  median: number;
  quartiles: [number, number];
}

export function figures(contenders: string[], samples: RowSamples[]): Figure[] {
  return samples.flatMap(({ row, rounds }) =>
    metricsOf(rounds).flatMap((metric) =>
      contenders.map((contender, index): Figure => {
        const own = rounds.flatMap((round) => round[index]?.[metric] ?? []);
        if (own.length === 0) return { row, metric, contender, median: null };
        const figure = { row, metric, contender, median: quantile(own, 0.5) };
        const pairs = rounds.flatMap(([first, ...others]) => {
          const value = others[index - 1]?.[metric];
          const yardstick = first?.[metric];
          return value === undefined || yardstick === undefined
            ? []
            : [{ value, yardstick }];
        });
        if (pairs.length === 0) return figure;
        const all = pairs.map(({ value, yardstick }) => value / yardstick);
        return {
          ...figure,
          ratio: { ...spread(all), all },
          difference: spread(
            pairs.map(({ value, yardstick }) => value - yardstick),
          ),
        };
      })
    )
  );
}

/**
 * A table of a comparison: a line per row and metric. Of two contenders it has
 * the medians and the ratio with its quartiles, of more the first one's median
 * and the others' ratios to it.
 */
export function table(contenders: string[], all: Figure[]): string {
  const [first, ...others] = contenders;
  const isPair = others.length === 1;
  const head = isPair
    ? ["", "", ...contenders, `${others[0]} / ${first}`]
    : ["", "", first!, ...others];
  const body: string[][] = [];
  for (let at = 0; at < all.length; at += contenders.length) {
    const [yardstick, ...line] = all.slice(at, at + contenders.length);
    const { row, metric } = yardstick!;
    body.push([
      row,
      metric,
      readable(yardstick!.median),
      ...line.flatMap(({ median, ratio }) => {
        if (ratio === undefined) return isPair ? [readable(median), "-"] : "-";
        const middle = ratio.median.toFixed(2);
        if (!isPair) return middle;
        const [low, high] = ratio.quartiles;
        return [
          readable(median),
          `${middle} (${low.toFixed(2)}-${high.toFixed(2)})`,
        ];
      }),
    ]);
  }
  return markdown(head, body, 2);
}

/** A table of the bundles' sizes, each with its difference from the first. */
export function sizeTable(sizes: BundleSize[]): string {
  const body = sizes.map(({ program, minified, gzipped }, index) => [
    program,
    minified.toLocaleString("en"),
    gzipped.toLocaleString("en"),
    index === 0 ? "" : (gzipped - sizes[0]!.gzipped).toLocaleString("en", {
      signDisplay: "exceptZero",
    }),
  ]);
  return markdown(
    ["bundle, bytes", "minified", "gzipped", "gzipped, more"],
    body,
    1,
  );
}

/** The cost of checking types, beyond the first program's. */
export function differences(all: Figure[]): string[] {
  return all.flatMap(({ row, contender, metric, difference }) => {
    if (metric !== "deno check, s" || difference === undefined) return [];
    const { median, quartiles: [low, high] } = difference;
    return `${row}, ${contender}: ${median.toFixed(2)} s more (${
      low.toFixed(2)
    }-${high.toFixed(2)})`;
  });
}

/** A Markdown table: so many columns of words, then numbers. */
export function markdown(
  head: string[],
  body: string[][],
  words: number,
): string {
  const widths = head.map((cell, column) =>
    Math.max(cell.length, 3, ...body.map((line) => line[column]!.length))
  );
  const rule = widths.map((width, column) =>
    column < words ? "-".repeat(width) : "-".repeat(width - 1) + ":"
  );
  const write = (line: string[]) =>
    `| ${
      line.map((cell, column) =>
        column < words
          ? cell.padEnd(widths[column]!)
          : cell.padStart(widths[column]!)
      ).join(" | ")
    } |`;
  return [head, rule, ...body].map(write).join("\n");
}

/** The metrics that any contender has in any round. */
function metricsOf(rounds: RowSamples["rounds"]): string[] {
  const samples = rounds.flat().filter((sample) => sample !== undefined);
  return [...new Set(samples.flatMap((sample) => Object.keys(sample)))];
}

/** A figure as tables have it. */
export function readable(figure: number | null): string {
  if (figure === null) return "-";
  return figure >= 1000
    ? Math.round(figure).toLocaleString("en")
    : figure.toFixed(2);
}

function spread(values: number[]): Spread {
  return {
    median: quantile(values, 0.5),
    quartiles: [quantile(values, 0.25), quantile(values, 0.75)],
  };
}

function quantile(values: number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const low = sorted[Math.floor(at)]!;
  const high = sorted[Math.ceil(at)]!;
  return low + (high - low) * (at % 1);
}
