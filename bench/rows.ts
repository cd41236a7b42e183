/** What is measured: each row drives a client for a given time and counts the calls it made. */

import type { Client } from "./contender.ts";

/** Makes calls for about this many milliseconds, checks every answer, and returns their number. */
export type Row = (client: Client, milliseconds: number) => Promise<number>;

/** The rows over real sockets, in the order of the table. */
export const rows: Record<string, Row> = {
  "1 in flight": (client, milliseconds) => calls(client, 1, milliseconds),
  "64 in flight": (client, milliseconds) => calls(client, 64, milliseconds),
};

/** The rows over a pair of sockets in one process. */
export const pairRows: Record<string, Row> = {
  "one process": (client, milliseconds) => calls(client, 1, milliseconds),
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
