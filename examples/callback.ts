// deno run --allow-net=127.0.0.1 examples/callback.ts
// Passes a function as an argument: a server sorts values that only its client can
// compare.
import { connect } from "@jsonrpcws/peer/client";
import { serve } from "@jsonrpcws/peer/server";

const local = {
  /** Sorts by insertion, with as few questions as it can. */
  async sort(
    items: string[],
    isBefore: (one: string, other: string) => Promise<boolean>,
  ): Promise<string[]> {
    const sorted: string[] = [];
    for (const item of items) {
      let low = 0;
      let high = sorted.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        // Each of these is a call of the client's function.
        if (await isBefore(item, sorted[middle]!)) high = middle;
        else low = middle + 1;
      }
      sorted.splice(low, 0, item);
    }
    return sorted;
  },
};

await using server = serve({
  local,
  port: 0,
  hostname: "127.0.0.1",
  onListen() {},
});
await using client = connect<typeof local>(server.url);

const rank = new Map([["small", 1], ["medium", 2], ["large", 3], ["huge", 4]]);
const sorted = await client.remote.sort(
  ["large", "small", "huge", "medium"],
  (one, other) => {
    const isBefore = rank.get(one)! < rank.get(other)!;
    console.log(`${one} before ${other}? ${isBefore ? "yes" : "no"}`);
    return isBefore;
  },
);
console.log(sorted.join(", "));
