/**
 * Streams and subscriptions that outlive a lost connection.
 *
 * ```ts
 * import { resume } from "@jsonrpcws/peer";
 * import { connect } from "@jsonrpcws/peer/client";
 * import { serve } from "@jsonrpcws/peer/server";
 * import { assertEquals } from "@std/assert";
 *
 * const local = {
 *   async *count(from: number) {
 *     while (from < 4) yield from++;
 *   },
 * };
 * await using server = serve({ local, port: 0, onListen() {} });
 * await using client = connect<typeof local>(server.url);
 *
 * const numbers: number[] = [];
 * const from = (last = 0): AsyncIterable<number> =>
 *   client.remote.count(last + 1);
 * for await (const n of resume(client, from)) numbers.push(n);
 * assertEquals(numbers, [1, 2, 3]);
 * ```
 *
 * @module
 */

import { ConnectionClosedError } from "../wire/error.ts";
import type { AnyPeer } from "../peer/base.ts";

/**
 * Iterates a stream or a subscription, and opens it again on the next connection
 * each time that its connection is lost.
 *
 * @typeParam Event What is iterated.
 * @param peer The client whose connections they are.
 * @param open Opens it, on a connection that is open: the first time without an
 * argument, then with the last event that was read. From there on what was missed
 * can be asked for, if the other side knows how; what can't be asked for is
 * missed.
 * @returns The events of all of them. It ends with the first that ends by itself,
 * throws what one throws that was not lost, and a ConnectionClosedError when the
 * client is closed.
 */
export async function* resume<Event>(
  peer: Pick<AnyPeer, "opened">,
  open: (last?: Event) => AsyncIterable<Event>,
): AsyncGenerator<Event, void, void> {
  let last: Event | undefined;
  for (;;) {
    try {
      await peer.opened;
      for await (const event of open(last)) {
        last = event;
        yield event;
      }
      return;
    } catch (error) {
      const isLost = error instanceof ConnectionClosedError &&
        error.retryIn !== undefined;
      if (!isLost) throw error;
    }
  }
}
