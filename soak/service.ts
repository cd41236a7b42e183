/** The methods of the server and of the clients. */

import { setTimeout as sleep } from "node:timers/promises";
import { Peer, RpcError } from "../mod.ts";
import { describe, type Journal, type Kind, readOutcome } from "./ledger.ts";
import type { Random } from "./random.ts";

/** The result of a call. */
export function answer(id: number): number {
  return id * 3 + 1;
}

/** The methods of the clients. */
export interface ClientMethods {
  /** Is executed at most once, {@linkcode answer}s. */
  echo(id: number): number;
}

/** Codes of the errors that methods throw on purpose. */
export const FailureCode = {
  Failing: 1,
  /** The client did not answer. */
  Callback: 2,
} as const;

/** An error of a method whose words are not for the caller. */
class Hidden extends Error {}

/** This server's journal and counts. */
export interface Office {
  /** True for the client that sends as fast as it can, and its neighbour. */
  readonly isFlood?: boolean;
  readonly journal: Journal;
  readonly random: Random;
  /** The last id of its own calls. */
  lastId: number;
  /** The number of its streams that are produced or read. */
  streams: number;
}

/** Each method writes down that it runs before it does anything else. */
export class Service extends Peer<ClientMethods, Office> {
  override local = {
    quick: (id: number): number => {
      this.#run(id);
      return answer(id);
    },
    slow: async (id: number, milliseconds: number): Promise<number> => {
      this.#run(id);
      const { signal } = this.call;
      await sleep(milliseconds, undefined, { signal });
      return answer(id);
    },
    failing: (id: number): number => {
      this.#run(id);
      throw new RpcError(FailureCode.Failing, "Failed on purpose", { id });
    },
    hidden: (id: number): number => {
      this.#run(id);
      throw new Hidden("Failed on purpose");
    },
    note: (id: number): void => this.#run(id),
    callback: async (id: number): Promise<number> => {
      this.#run(id);
      if (await this.#callBack("callback")) return answer(id);
      throw new RpcError(FailureCode.Callback, "The client did not answer");
    },
    // The methods of the attackers, in no journal.
    hang: (): Promise<never> => new Promise(() => {}),
    long: (): string => "x".repeat(100_000),
    take: (): void => {},
    /** The numbers from `first` to `last`. */
    count: (
      id: number,
      first: number,
      last: number,
    ): AsyncGenerator<number, void> => {
      this.#run(id);
      return this.#count(first, last);
    },
    /** Counts the numbers, which must be all from 1 in order. */
    upload: async (
      id: number,
      numbers: AsyncIterable<number>,
    ): Promise<number> => {
      this.#run(id);
      this.context.streams++;
      try {
        let count = 0;
        for await (const number of numbers) {
          if (number !== ++count) return NaN;
        }
        return count;
      } finally {
        this.context.streams--;
      }
    },
  };

  override onopen(): void {
    if (this.context.isFlood === true) return;
    // Not returned, because all calls would wait for its end.
    this.#keepCalling().catch((error) => this.onerror(error));
  }

  override onerror(error: unknown): void {
    if (error instanceof Hidden) return;
    // Few methods may run here, and no message waits for one.
    if (/^RangeError: Cannot take notification /.test(String(error))) return;
    const complaint = `The server's onerror was told ${describe(error)}`;
    this.context.journal.write({ complaint });
  }

  #run(id: number): void {
    this.context.journal.write({ ran: id });
  }

  async *#count(first: number, last: number): AsyncGenerator<number, void> {
    this.context.streams++;
    try {
      for (let number = first; number <= last; number++) {
        if (number % 16 === 0) await sleep(5);
        yield number;
      }
    } finally {
      this.context.streams--;
    }
  }

  /** Calls the client again and again, unasked. */
  async #keepCalling(): Promise<void> {
    const { random } = this.context;
    for (;;) {
      await sleep(random.below(2_000));
      if (this.state !== "open") return;
      await this.#callBack("back");
    }
  }

  /** Calls the client; returns whether it answered. */
  async #callBack(kind: Kind): Promise<boolean> {
    const { journal } = this.context;
    const id = ++this.context.lastId;
    const call = { id, caller: "the server", kind, connections: 1 };
    try {
      const result = await this.with({ timeout: 2_000 }).echo(id);
      if (result === answer(id)) journal.write({ ...call, outcome: "result" });
      else {
        const detail = `result ${result}`;
        journal.write({ ...call, outcome: "wrong", detail });
      }
      return true;
    } catch (error) {
      journal.write({ ...call, ...readOutcome(error) });
      return false;
    }
  }
}
