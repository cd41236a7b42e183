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
 * whenever a connection is lost.
 *
 * @typeParam Event The type of the events.
 * @param peer The client.
 * @param open Opens the stream on an open connection: first without an argument,
 * then with the last event that was read, so that it can ask for the events after
 * that one. Events that the other side can't repeat are missed.
 * @returns The events of all these streams. It ends when one ends by itself, and
 * throws the error of a stream that failed without a lost connection, or a
 * ConnectionClosedError when the client is closed.
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
