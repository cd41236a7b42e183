/** `deno task bench:size`: prints the bundles' sizes, and fails if one is over its budget in `budget.json`. */

import { bundleSize, programs } from "./bundle.ts";
import budget from "./budget.json" with { type: "json" };
import { sizeTable } from "./report.ts";

const sizes = await Promise.all(programs.map(bundleSize));
console.log(sizeTable(sizes));

const budgets: { readonly [program: string]: number } = budget;
let isOver = false;
for (const { program, gzipped } of sizes) {
  const most = budgets[program];
  if (most === undefined) {
    console.error(`Cannot judge bundle "${program}": it has no budget`);
    isOver = true;
  } else if (gzipped > most) {
    console.error(
      `Bundle "${program}" is too big: ${gzipped} of at most ${most} bytes gzipped`,
    );
    isOver = true;
  }
}
if (isOver) Deno.exit(1);
