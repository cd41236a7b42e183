/** The service, in a file of its own: a page that names its type draws no server in. */

import { ErrorCode, Peer, RpcError } from "@jsonrpcws/peer";

export type Json =
  | string
  | number
  | boolean
  | null
  | Json[]
  | { [name: string]: Json };

export interface Order {
  readonly id: number;
  readonly lines: readonly string[];
}

/** What a client lets be called. */
export interface Page {
  ask(question: string): string;
}

export class Shop extends Peer<Page> {
  override local = {
    order: (order: Order): Order => ({ ...order, id: order.id + 1 }),
    greet: async () => `hi, ${await this.remote.ask("Who are you?")}`,
    each: async (names: string[], visit: (name: string) => Promise<number>) => {
      let sum = 0;
      for (const name of names) sum += await visit(name);
      return sum;
    },
    async *count(to: number) {
      for (let n = 1; n <= to; n++) yield n;
    },
    json: (): Json => ({ deep: [1, null] }),
    find: (id: number): string | undefined => id === 1 ? "one" : undefined,
    refuse: (): never => {
      throw new RpcError(ErrorCode.Forbidden, "No");
    },
  };
}
