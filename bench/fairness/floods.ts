/** The floods, by name: a chunk of messages that is sent again and again. */

const notification = JSON.stringify({
  jsonrpc: "2.0",
  method: "take",
  params: [1],
});

function request(id: number, method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method, params });
}

/** Plain JSON of this length. */
function long(id: number): string {
  const item = { a: 1, b: [true, null, "text"], c: { d: "e" } };
  return request(id, "take", [Array.from({ length: 20_500 }, () => item)]);
}

/** Small numbers: the most values per byte. */
function numbers(id: number): string {
  return request(id, "take", [Array.from({ length: 520_000 }, () => 1)]);
}

export const floods: { readonly [kind: string]: readonly string[] } = {
  "notifications": Array(1_000).fill(notification),
  "requests": Array.from(
    { length: 1_000 },
    (_, id) => request(id, "echo", [1]),
  ),
  "requests to a slow method": Array.from(
    { length: 1_000 },
    (_, id) => request(id, "wait", []),
  ),
  "batches of 100": Array(10).fill(
    `[${
      Array.from({ length: 100 }, (_, id) => request(id, "echo", [1])).join()
    }]`,
  ),
  "1 MiB": [long(1)],
  "1 MiB of numbers": [numbers(1)],
  "1 MiB, id 1.5": [long(1.5)],
  "1 MiB of ids, the first 1.5": [
    request(1.5, "take", [
      Array.from({ length: 60_000 }, (_, id) => ({ id: id + 0.25 })),
    ]),
  ],
  "1 MiB echoed": [request(1, "echo", ["x".repeat(1_000_000)])],
  "1 MiB that is no JSON": [`${"[1],".repeat(260_000)}`],
};
