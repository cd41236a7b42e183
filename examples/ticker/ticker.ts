/** The service of the ticker: prices as a stream, made as they are read. */

import { setTimeout as wait } from "node:timers/promises";
import { ErrorCode, Peer, RpcError } from "../../mod.ts";

/** The page's methods, by which the server shows its work. */
export interface Page {
  /** The number of prices of this stream that have been made, read or not. */
  made(symbol: string, count: number): void;
  /** The stream's generator has ended, after so many prices. */
  ended(symbol: string, count: number): void;
}

/** The first price of each symbol. */
const symbols: ReadonlyMap<string, number> = new Map([
  ["ACME", 120],
  ["GLOBEX", 48],
  ["INITECH", 310],
]);

/** A reader of prices, from the opening of the connection to its end. */
export class Ticker extends Peer<Page> {
  #perSecond = 10;

  override local = {
    /** The symbols that have prices. */
    symbols: (): string[] => [...symbols.keys()],

    /** Sets this connection's prices per second, from the next price on. */
    pace: (perSecond: number): void => {
      if (!Number.isInteger(perSecond) || perSecond < 1 || perSecond > 200) {
        throw refusal("The pace must be a whole number from 1 to 200");
      }
      this.#perSecond = perSecond;
    },

    /**
     * Prices without an end; the same ones each time.
     *
     * @param last The price to go on after; absent: from the beginning.
     */
    prices: (symbol: string, last?: number): AsyncGenerator<number> => {
      const first = symbols.get(symbol);
      if (first === undefined) throw refusal("There is no such symbol");
      const { signal } = this.call;
      if (last === undefined) return this.#prices(symbol, walk(first), signal);
      if (!Number.isFinite(last) || last <= 0) {
        throw refusal("The last price must be a number above 0");
      }
      const walked = walk(last);
      walked.next();
      return this.#prices(symbol, walked, signal);
    },
  };

  async *#prices(
    symbol: string,
    prices: Iterable<number>,
    signal: AbortSignal,
  ): AsyncGenerator<number> {
    let count = 0;
    try {
      for (const price of prices) {
        this.notify("made", [symbol, ++count]);
        // The generator goes on when the page asks for more.
        yield price;
        await wait(1000 / this.#perSecond, undefined, { signal });
      }
    } finally {
      this.notify("ended", [symbol, count]);
    }
  }
}

function refusal(why: string): RpcError {
  return new RpcError(ErrorCode.InvalidParams, why);
}

/** A random walk, whose first step is its seed. */
function* walk(price: number): Generator<number> {
  for (const chance of random(price)) {
    yield Math.round(price * 100) / 100;
    price *= 1 + (chance - 0.5) / 100;
  }
}

/**
 * Numbers from 0 to 1 that are the same for the same seed.
 *
 * @see {@link https://en.wikipedia.org/wiki/Linear_congruential_generator}
 */
function* random(seed: number): Generator<number> {
  for (;;) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    yield seed / 2 ** 32;
  }
}
