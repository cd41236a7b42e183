/**
 * Messages that might cost more than others of their length: tests/hostile counts what
 * is done for each, `deno task attack` measures it.
 *
 * @module
 */

export type Frame = string | ArrayBuffer;

function request(id: unknown, method: string, params: unknown): object {
  return { jsonrpc: "2.0", id, method, params };
}

const text = JSON.stringify;

const many = <T>(length: number, make: (n: number) => T): T[] =>
  Array.from({ length }, (_, n) => make(n));

const reference = { __jsonrpc_marshaled: 1, handle: 7 };

/** Plain JSON of about this length. */
export function usual(length: number): string {
  const item = { a: 1, b: [true, null, "text"], c: { d: "e" } };
  const each = JSON.stringify(item).length + 1;
  const count = Math.max(1, Math.round(length / each));
  return text(request(1, "take", [many(count, () => item)]));
}

/** By name; a peer has `take` and `echo`, and `keep`, which takes plain data. */
export const dear: { readonly [kind: string]: Frame } = {
  "1,024 references": text(request(1, "take", many(1_024, () => reference))),
  "28,000 references": text(
    request(1, "take", [many(28_000, () => reference)]),
  ),
  "references in an answer": text({
    jsonrpc: "2.0",
    id: 1,
    result: many(28_000, () => reference),
  }),
  "references in data": text(
    request(1, "keep", [many(28_000, () => reference)]),
  ),
  "1,024 streams": text(
    request(1, "take", many(1_024, (token) => ({ token }))),
  ),
  "28,000 streams": text(
    request(1, "take", many(28_000, (token) => ({ token }))),
  ),
  "20,000 streams by name": text(
    request(
      1,
      "take",
      Object.fromEntries(many(20_000, (token) => [`p${token}`, { token }])),
    ),
  ),
  "500,000 params": text(request(1, "take", many(500_000, () => 1))),
  "60,000 params by name": text(
    request(1, "take", Object.fromEntries(many(60_000, (n) => [`p${n}`, n]))),
  ),
  "1 MiB, id 1.5": text(
    request(1.5, "take", [many(60_000, (id) => ({ id: id + 0.25 }))]),
  ),
  "1 MiB, nested 60 deep": text(
    request(1, "take", [
      many(8_000, () => JSON.parse("[".repeat(60) + "]".repeat(60))),
    ]),
  ),
  "1 MiB of numbers": text(request(1, "take", [many(500_000, () => 1)])),
  "1 MiB of text": text(request(1, "take", ["x".repeat(1_000_000)])),
  "1 MiB of quotes": text(request(1, "take", ['"[{'.repeat(200_000)])),
  "1 MiB of backslashes": text(request(1, "take", ["[\\".repeat(300_000)])),
  "1 MiB, not ASCII": text(request(1, "take", [many(60_000, () => "€[]{}")])),
  "1 MiB, binary": new TextEncoder().encode(usual(1_000_000)).buffer,
  "1 MiB, echoed": text(request(1, "echo", [many(20_000, (n) => ({ n }))])),
  "1 MiB, no JSON at its end": `${usual(1_000_000)}]`,
  "1 MiB of white space": `${" ".repeat(1_000_000)}x`,
  "a small call": text(request(1, "echo", [1])),
  "a small notification": text({ jsonrpc: "2.0", method: "take", params: [1] }),
  "no method": text(request(1, "x", [])),
  "a batch of 100 calls": `[${
    many(100, (id) => text(request(id, "echo", [1])))
  }]`,
  "a batch of 100 equal ids": `[${
    many(100, () => text(request(1, "echo", [1])))
  }]`,
  "a batch of 100 ids 1.5": `[${
    many(100, (n) => text(request(n + 0.5, "take", ["x".repeat(9_000)])))
  }]`,
  "a batch of 101": `[${many(101, (id) => text(request(id, "echo", [1])))}]`,
};
