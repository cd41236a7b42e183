/**
 * Streams and callbacks by the thousands in memory, by the hundreds over real sockets;
 * calls by the tens of thousands.
 */

import { assert, assertEquals } from "@std/assert";
import { type BasePeer, Peer } from "../../mod.ts";
import { eachPeer, faces } from "../faces.ts";
import { bothTest } from "../servers.ts";
import { collect, pair, stream } from "../stage.ts";

async function* counted(to: number): AsyncGenerator<number> {
  for (let n = 1; n <= to; n++) yield n;
}

// Three ways to be 3,000 at once, with the defaults of both sides.
const atOnce: {
  readonly [what: string]: (other: BasePeer, n: number) => Promise<unknown>;
} = {
  "calls with a callback each": (other, n) =>
    other.request("call", [n, (n: number) => n + 1]),
  "streams": async (other, n) => {
    let sum = 0;
    for await (const value of stream(other.remote["count"]!(n % 7))) {
      sum += value as number;
    }
    return sum;
  },
  "uploads": (other, n) => other.request("sum", [counted(n % 7)]),
};

for (const [what, make] of Object.entries(atOnce)) {
  eachPeer(
    `Peer carries 3,000 ${what} at once by its defaults`,
    async (face) => {
      const [one, other] = pair(face, {
        local: {
          call: (n: number, add: (n: number) => Promise<number>) => add(n),
          count: counted,
          async sum(numbers: AsyncIterable<number>) {
            let sum = 0;
            for await (const n of numbers) sum += n;
            return sum;
          },
        },
      });
      const numbers = Array.from({ length: 3_000 }, (_, n) => n);
      const results = await Promise.all(numbers.map((n) => make(other, n)));
      const sum = (n: number): number => n % 7 * (n % 7 + 1) / 2;
      assertEquals(
        results,
        numbers.map((n) => what.startsWith("calls") ? n + 1 : sum(n)),
      );
      // Nothing of them is left.
      assertEquals(await make(other, 1), what.startsWith("calls") ? 2 : 1);
      one.close();
      await other.closed;
    },
  );
}

for (const face of faces) {
  bothTest(
    `5,000 calls at once and 20,000 one after the other are answered, ${face.name}`,
    async (platform) => {
      class Service extends Peer {
        override local = {
          square: (n: number) => n * n,
          squareLater: async (n: number) => {
            await Promise.resolve();
            return n * n;
          },
        };
      }
      const server = await platform.serve(Service);
      const client = face.connect(server.url);
      const call = (n: number): Promise<unknown> =>
        client.request(n % 2 === 0 ? "square" : "squareLater", [n]);
      const squares = await Promise.all(
        Array.from({ length: 5_000 }, (_, n) => call(n)),
      );
      assert(squares.every((square, n) => square === n * n));
      for (let n = 0; n < 20_000; n++) assertEquals(await call(n), n * n);
      client.close();
      await client.closed;
      await server.shutdown();
    },
  );

  bothTest(
    `300 callbacks, 300 streams and 300 uploads at once are carried, ${face.name}`,
    async (platform) => {
      class Service extends Peer {
        override local = {
          visit: (n: number, visit: (n: number) => Promise<number>) => visit(n),
          count: counted,
          sum: async (parts: AsyncIterable<string>) => {
            let sum = 0;
            for await (const part of parts) sum += part.length;
            return sum;
          },
        };
      }
      const server = await platform.serve(Service);
      const client = face.connect(server.url);
      const all = <T>(make: (n: number) => Promise<T>): Promise<T[]> =>
        Promise.all(Array.from({ length: 300 }, (_, n) => make(n)));
      const parts = async function* (): AsyncGenerator<string> {
        for (let n = 0; n < 3; n++) yield "x".repeat(10_000);
      };
      const [visited, counts, sums] = await Promise.all([
        all((n) => client.request("visit", [n, (n: number) => n + 1])),
        all((n) => collect(client.remote["count"]!(n))),
        all(() => client.request("sum", [parts()])),
      ]);
      assertEquals(visited, visited.map((_, n) => n + 1));
      assertEquals(counts.map(({ length }) => length), counts.map((_, n) => n));
      assertEquals(sums, sums.map(() => 30_000));
      client.close();
      await client.closed;
      await server.shutdown();
    },
  );
}
