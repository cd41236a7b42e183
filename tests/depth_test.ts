import { assertEquals } from "@std/assert";
import { isDeeperThan } from "../src/wire/depth.ts";

/** Nested so deep, by one kind of bracket or by both in turn. */
function nest(depth: number, kind: "[" | "{" | "both", core = ""): string {
  let text = core;
  for (let level = depth; level > 0; level--) {
    const isArray = kind === "[" || kind === "both" && level % 2 === 0;
    text = isArray ? `[${text}]` : `{"a":${text === "" ? 0 : text}}`;
  }
  return text;
}

/** How deep a value is nested. */
function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

Deno.test("isDeeperThan tells one level more from the limit", () => {
  for (const kind of ["[", "{", "both"] as const) {
    for (const limit of [1, 2, 3, 64, 1_000]) {
      const rows = [limit - 1, limit, limit + 1].map((depth) =>
        isDeeperThan(limit, nest(depth, kind))
      );
      assertEquals(rows, [false, false, true], `${kind} ${limit}`);
    }
  }
  assertEquals(isDeeperThan(Infinity, nest(1_000, "both")), false);
});

Deno.test("isDeeperThan finds what is deep wherever it stands", () => {
  for (const text of [nest(65, "["), nest(65, "{"), nest(65, "both")]) {
    assertEquals(isDeeperThan(64, text), true);
    assertEquals(isDeeperThan(65, `[${text}]`), true);
    assertEquals(isDeeperThan(64, `[0,${text},{}]`), true);
    assertEquals(
      isDeeperThan(64, `{"a":"${"x".repeat(500)}","b":${text}}`),
      true,
    );
    assertEquals(isDeeperThan(64, ` \n${text}\t `), true);
  }
});

Deno.test("isDeeperThan is not deceived by many brackets side by side", () => {
  const wide = `[${Array(1_000).fill('{"a":[[],[]]}').join()}]`;
  assertEquals(isDeeperThan(4, wide), false);
  assertEquals(isDeeperThan(3, wide), true);
  assertEquals(isDeeperThan(64, `[${wide},${nest(63, "both")}]`), false);
  assertEquals(isDeeperThan(64, `[${wide},${nest(64, "both")}]`), true);
});

Deno.test("isDeeperThan takes no bracket in a string for one", () => {
  const open = "[{".repeat(100);
  const close = "]}".repeat(100);
  const strings = [
    open,
    close,
    `"${open}`,
    `\\${open}`,
    `\\"${open}`,
    `\\\\"${open}\\`,
    `${open}\n\u2028"`,
    "\\".repeat(7) + open + '"'.repeat(7),
  ];
  for (const string of strings) {
    const text = JSON.stringify(string);
    assertEquals(isDeeperThan(2, `[{${text}:${text}}]`), false, text);
    assertEquals(isDeeperThan(2, `[{${text}:[${text}]}]`), true, text);
    // Nor does what closes in one close anything.
    assertEquals(isDeeperThan(64, `[${text},${nest(64, "[", text)}]`), true);
  }
});

Deno.test("isDeeperThan judges text that is no JSON by its beginning", () => {
  const long = 500_000;
  const rows: [string, boolean][] = [
    ["", false],
    ["[".repeat(64), false],
    ["[".repeat(long), true],
    ["{".repeat(long), true],
    ['{"":'.repeat(long), true],
    ['[{"":'.repeat(long), true],
    ["]".repeat(long), false],
    ["]".repeat(long) + "[".repeat(long), false],
    [`"${"[".repeat(long)}`, false],
    [`"\\"${"[".repeat(long)}`, false],
    ['"'.repeat(long) + "[".repeat(long), true],
    ["\\".repeat(long) + '"' + "[".repeat(long), false],
    ["[]".repeat(long), false],
    ["[}".repeat(long), false],
  ];
  for (const [text, isDeep] of rows) {
    assertEquals(isDeeperThan(64, text), isDeep, text.slice(0, 20));
  }
});

Deno.test("isDeeperThan agrees with JSON.parse on 20,000 seeded values", () => {
  let seed = 20_261_126;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(seed / 2 ** 32 * below);
  };
  const scalars = [0, -1.5e300, true, null, "", "[", "{", "]", "}", '"', "\\"];
  const make = (depth: number): unknown => {
    const kind = depth === 0 ? 2 : random(5);
    if (kind > 1) return scalars[random(scalars.length)];
    const values = Array.from({ length: random(4) }, () => make(depth - 1));
    return kind === 0
      ? values
      : Object.fromEntries(values.map((it, n) => [`${it}${n}`, it]));
  };
  let deep = 0;
  for (let n = 0; n < 20_000; n++) {
    const value = [make(7), make(3)];
    const text = JSON.stringify(value, null, random(2));
    const depth = depthOf(value);
    for (const limit of [1, 2, 3, 4, 5, 6]) {
      const isDeep = isDeeperThan(limit, text);
      assertEquals(isDeep, depth > limit, `${limit} ${text}`);
      if (isDeep) deep++;
    }
  }
  // They were not all of one kind.
  assertEquals(deep > 10_000 && deep < 110_000, true);
});
