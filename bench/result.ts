/** A run's result: the file in `results/`, and the tables made of it. */

import type { BundleSize } from "./bundle.ts";
import type { Failure } from "./measure.ts";
import { differences, type Figure, sizeTable, table } from "./report.ts";

export interface Result {
  date: string;
  machine: string;
  pinned: boolean;
  versions: Record<string, string>;
  runs: number;
  comparisons: {
    name: string;
    contenders: string[];
    rounds: number;
    milliseconds: number;
    figures: Figure[];
  }[];
  bundles: BundleSize[];
  failures: Failure[];
}

/** The file of a result: of the same day, machine and choice it is the same. */
export function resultFile(
  { date, machine, versions }: Result,
  choice: string[],
): URL {
  const name = [
    date.slice(0, 10),
    machine,
    "deno",
    versions.deno,
    ...choice,
  ].join(" ");
  return new URL(
    `results/${name.replaceAll(/[^\w.-]+/g, "-")}.json`,
    import.meta.url,
  );
}

/** The text of a result, its figures to five digits. */
export function stringify(result: Result): string {
  const shorten = (_: string, value: unknown) =>
    typeof value === "number" ? Number(value.toPrecision(5)) : value;
  return JSON.stringify(result, shorten, 2) + "\n";
}

/** The tables of a result in Markdown, by the names of the comparisons. */
export function sections(
  { comparisons, bundles, failures }: Result,
): { name: string; text: string }[] {
  const sections = comparisons.map(({ name, contenders, figures }) => ({
    name,
    text: [table(contenders, figures), ...differences(figures)].join("\n\n"),
  }));
  if (bundles.length > 0) {
    sections.push({ name: "sizes", text: sizeTable(bundles) });
  }
  if (failures.length > 0) {
    const lines = failures.map(({ comparison, contender, row, message }) =>
      `- ${comparison}, ${contender}, ${row ?? "at the start"}: ${message}`
    );
    sections.push({ name: "failures", text: lines.join("\n") });
  }
  return sections;
}
