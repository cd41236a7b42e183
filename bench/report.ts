/** The figures of a run, boiled down: medians, ratios to the first contender, and the tables of both. */

import type { BundleSize } from "./bundle.ts";
import type { Sample } from "./team.ts";

/** All rounds of one row; `rounds[n][c]` is what contender `c` did in round `n`. */
export interface RowSamples {
  row: string;
  rounds: Sample[][];
}

export interface Figure {
  row: string;
  metric: string;
  contender: string;
  median: number;
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
    Object.keys(rounds[0]![0]!).flatMap((metric) =>
      contenders.map((contender, index) => {
        const values = rounds.map((round) => round[index]![metric]!);
        const figure = {
          row,
          metric,
          contender,
          median: quantile(values, 0.5),
        };
        if (index === 0) return figure;
        const first = rounds.map((round) => round[0]![metric]!);
        const all = values.map((value, n) => value / first[n]!);
        return {
          ...figure,
          ratio: { ...spread(all), all },
          difference: spread(values.map((value, n) => value - first[n]!)),
        };
      })
    )
  );
}

/** A table of a comparison: a line per row and metric, absolute medians, then ratios with their quartiles. */
export function table(contenders: string[], all: Figure[]): string {
  const [first, ...others] = contenders;
  const head = [
    "",
    "",
    ...contenders,
    ...others.map((other) => `${other} / ${first}`),
  ];
  const body: string[][] = [];
  for (let at = 0; at < all.length; at += contenders.length) {
    const line = all.slice(at, at + contenders.length);
    const ratios = line.flatMap(({ ratio }) => ratio ? [ratio] : []);
    body.push([
      line[0]!.row,
      line[0]!.metric,
      ...line.map(({ median }) => readable(median)),
      ...ratios.map(({ median, quartiles: [low, high] }) =>
        `${median.toFixed(2)} (${low.toFixed(2)}-${high.toFixed(2)})`
      ),
    ]);
  }
  return markdown(head, body, 2);
}

/** A table of the bundles' sizes, each with what it has more than the first. */
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

/** A Markdown table, whose first columns are words, that many, and the others numbers. */
function markdown(head: string[], body: string[][], words: number): string {
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

function readable(figure: number): string {
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
