/** What the page in React calls. */

import { RpcError } from "@jsonrpcws/peer";

/** What a server offers to it. */
export const service = {
  greet(name: string): string {
    if (name === "") throw new RpcError(1, "Nobody is greeted");
    return `Hello, ${name}`;
  },
  /** The numbers after this one. */
  async *count(last: number): AsyncGenerator<number> {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      yield ++last;
    }
  },
};
