/** The table of attacks: each row has a test, and its figure is that of its limit. */

import { assert, assertEquals } from "@std/assert";
import { defaultAdmissionLimits, serverLimits } from "../src/wire/limits.ts";

Deno.test("Every attack of docs/security.md is tried by a test, and bounded by what it says", async () => {
  const page = await Deno.readTextFile(
    new URL("../docs/security.md", import.meta.url),
  );
  const [, table] = /<!-- attacks -->([^]*)<!-- \/attacks -->/.exec(page)!;
  const rows = table!.trim().split("\n").slice(2)
    .map((row) => row.split("|").slice(1, -1).map((cell) => cell.trim()));
  assertEquals(rows.length, 26);
  const limits: { readonly [name: string]: number | undefined } = {
    ...serverLimits,
    ...defaultAdmissionLimits,
  };
  let figures = 0;
  for (const [attack, , by, figure, test] of rows) {
    for (const [, name] of by!.matchAll(/`(\w+)`/g)) {
      if (name === "origins" || name === "hosts") continue;
      const limit = limits[name!];
      assert(limit !== undefined, `${attack}: ${name}`);
      const number = parseFloat(figure!.replaceAll(",", ""));
      if (Number.isNaN(number)) continue;
      figures++;
      const units = [1, 1_000, 2 ** 20];
      assert(units.includes(limit / number), `${attack}: ${figure}`);
    }
    const [, file, title] = /^`([\w/.]+)`: (.+)$/.exec(test!)!;
    const text = await Deno.readTextFile(new URL(file!, import.meta.url));
    assert(/["`]/.test(text[text.indexOf(title!) - 1] ?? ""), title);
  }
  assertEquals(figures, 9);
});
