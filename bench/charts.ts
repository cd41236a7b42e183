/**
 * `deno task bench:charts FILE`: draws the growths of that result into `charts/`,
 * or those of the latest in `results/`.
 */

import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { Result } from "./result.ts";

interface Chart {
  file: string;
  title: string;
  /** The comparison that it draws, and the metric. */
  name: string;
  metric: string;
  /** The labels of the axes. */
  size: string;
  cost: string;
  isLinear?: boolean;
}

interface Point {
  size: number;
  contender: string;
  cost: number;
  /** The cost divided by the first contender's, with quartiles; the first has none. */
  ratio?: number;
  low?: number;
  high?: number;
}

const charts: Chart[] = [
  {
    file: "connections",
    title: "64 calls in flight over more and more connections",
    name: "connections",
    metric: "CPU, µs/call",
    size: "connections",
    cost: "CPU of both sides, µs per call",
  },
  {
    file: "in-flight",
    title: "More and more calls in flight on one connection",
    name: "in-flight",
    metric: "CPU, µs/call",
    size: "calls in flight",
    cost: "CPU of both sides, µs per call",
  },
  {
    file: "methods",
    title: "Calls of more and more methods, in one process",
    name: "methods",
    metric: "CPU, µs/call",
    size: "methods",
    cost: "CPU, µs per call",
  },
  {
    file: "calls",
    title: "Call after call, in one process",
    name: "calls",
    metric: "CPU, µs/call",
    size: "calls made",
    cost: "CPU, µs per call",
    isLinear: true,
  },
  {
    file: "heap",
    title: "What is kept, call after call, in one process",
    name: "calls",
    metric: "heap, MiB",
    size: "calls made",
    cost: "heap after a collection, MiB",
    isLinear: true,
  },
];

// Contenders' names for readers who don't know the files.
const labels: Record<string, string> = {
  loop: "hand-written loop",
  lifted: "this library",
};

const path = Deno.args[0] ?? await findLatest();
const result: Result = JSON.parse(await Deno.readTextFile(path));
for (const chart of charts) {
  const file = new URL(`charts/${chart.file}.svg`, import.meta.url);
  await Deno.writeTextFile(file, await draw(chart, pointsOf(chart)) + "\n");
  console.log(file.pathname);
}

/** The latest result that has every growth. */
async function findLatest(): Promise<URL> {
  const folder = new URL("results/", import.meta.url);
  const files = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  for (const file of files.sort().reverse()) {
    const url = new URL(file, folder);
    const { comparisons }: Result = JSON.parse(await Deno.readTextFile(url));
    const names = comparisons.map(({ name }) => name);
    if (charts.every(({ name }) => names.includes(name))) return url;
  }
  throw new Error("Cannot draw: no result has every growth");
}

function pointsOf({ name, metric }: Chart): Point[] {
  const comparison = result.comparisons.find((one) => one.name === name);
  if (comparison === undefined) {
    throw new Error(`Cannot draw ${name}: the result has no such comparison`);
  }
  return comparison.figures.flatMap((figure) => {
    const { row, contender, median, ratio } = figure;
    if (figure.metric !== metric || median === null) return [];
    const size = Number(row.replaceAll(/\D/g, ""));
    const point: Point = {
      size,
      contender: labels[contender] ?? contender,
      cost: median,
    };
    if (ratio === undefined) return point;
    const [low, high] = ratio.quartiles;
    return { ...point, ratio: ratio.median, low, high };
  });
}

/** Two panels: the cost, and its ratio to the loop's at the same size. */
async function draw(chart: Chart, points: Point[]): Promise<string> {
  const ratios = points.flatMap(({ ratio }) => ratio ?? []).sort((a, b) =>
    a - b
  );
  const middle = ratios[Math.floor(ratios.length / 2)]!;
  const x = {
    field: "size",
    type: "quantitative",
    title: chart.size,
    scale: { type: chart.isLinear ? "linear" : "log" },
    axis: { format: "~s", tickCount: 5, grid: false },
  } as const;
  const panel = { width: 300, height: 220 } as const;
  const spec: TopLevelSpec = {
    title: chart.title,
    background: "white",
    padding: 10,
    data: { values: points as object[] },
    config: { aria: false, font: "sans-serif", line: { point: true } },
    hconcat: [
      {
        ...panel,
        mark: "line",
        encoding: {
          x,
          y: { field: "cost", type: "quantitative", title: chart.cost },
          color: {
            field: "contender",
            type: "nominal",
            title: null,
            scale: { range: ["#888888", "#1f6fb4"] },
            sort: Object.values(labels),
            legend: { orient: "bottom" },
          },
        },
      },
      {
        ...panel,
        transform: [{ filter: "isValid(datum.ratio)" }],
        layer: [
          {
            data: { values: [{ low: middle * 0.9, high: middle * 1.1 }] },
            mark: { type: "rect", color: "#1f6fb4", opacity: 0.12 },
            encoding: {
              y: { field: "low", type: "quantitative" },
              y2: { field: "high" },
            },
          },
          {
            mark: { type: "rule", color: "#1f6fb4", opacity: 0.5 },
            encoding: {
              x,
              y: { field: "low", type: "quantitative" },
              y2: { field: "high" },
            },
          },
          {
            mark: { type: "line", color: "#1f6fb4" },
            encoding: {
              x,
              y: {
                field: "ratio",
                type: "quantitative",
                title: "ratio to the loop; shaded: within 10 %",
              },
            },
          },
        ],
      },
    ],
  };
  return await new View(parse(compile(spec).spec), { renderer: "none" })
    .toSVG();
}
