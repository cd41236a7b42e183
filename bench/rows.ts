/** What is measured: each row drives a client for a given time and counts what it did. */

import type { Client } from "./contender.ts";

export interface Row {
  /** What is counted. */
  unit: "call" | "value";
  /** Works for about this many milliseconds, checks every answer, and returns their number. */
  run(client: Client, milliseconds: number): Promise<number>;
}

/** The rows, over real sockets or over a pair of sockets in one process. */
export const rows: Record<string, Row> = {
  "1 in flight": {
    unit: "call",
    run: (client, milliseconds) => calls(client, 1, milliseconds),
  },
  "64 in flight": {
    unit: "call",
    run: (client, milliseconds) => calls(client, 64, milliseconds),
  },
  "one process": {
    unit: "call",
    run: (client, milliseconds) => calls(client, 1, milliseconds),
  },
  "100,000 values": {
    unit: "value",
    run: (client, milliseconds) => values(client, 100_000, milliseconds),
  },
};

async function calls(
  client: Client,
  inFlight: number,
  milliseconds: number,
): Promise<number> {
  const end = performance.now() + milliseconds;
  let made = 0;
  async function caller(a: number): Promise<void> {
    // Reading the clock costs as much as a Map's look-up: not at every call.
    for (let b = 0; b % 16 !== 0 || performance.now() < end; b++) {
      const sum = await client.add(a, b);
      if (sum !== a + b) {
        throw new Error(`Wrong answer: add(${a}, ${b}) is ${sum}`);
      }
      made++;
    }
  }
  await Promise.all(
    Array.from({ length: inFlight }, (_, index) => caller(index)),
  );
  return made;
}

/** Takes that many values, and again until the time is over. */
async function values(
  client: Client,
  to: number,
  milliseconds: number,
): Promise<number> {
  const end = performance.now() + milliseconds;
  let made = 0;
  do {
    let taken = 0;
    let right = 0;
    await client.count!(to, (n) => {
      if (n === taken++) right++;
    });
    if (taken !== to || right !== to) {
      throw new Error(
        `Wrong values: ${taken} of ${to} came, ${right} of them in their place`,
      );
    }
    made += taken;
  } while (performance.now() < end);
  return made;
}
