/**
 * The peer with nothing but calls, and what a page adds to them.
 *
 * @module
 */

import type { Socket, SocketMaker } from "../line/socket.ts";
import { pacing } from "../parts/pacing.ts";
import { BasePeer } from "../peer/base.ts";
import type { CorePart } from "../peer/core.ts";
import type {
  Definition,
  LineSettings,
  Part,
  PeerSettings as AllSettings,
} from "../peer/options.ts";
import { coreClientLimits, coreLimits, type Limits } from "../wire/limits.ts";

/** How a small peer speaks. */
export interface PeerSettings
  extends
    Pick<AllSettings, "timeout" | "discover" | "stringIds">,
    LineSettings {
  /** What it can do beside calls: `streams`, `references`. Default: nothing. */
  use?: readonly Part[];
}

/** What a small peer can be made with; a subclass hands it on to `super`. */
export interface PeerOptions<Context = unknown>
  extends PeerSettings, Definition {
  /** What {@linkcode Peer.context} is. Default `undefined`. */
  context?: Context;
}

/**
 * One end of a JSON-RPC connection, as the whole peer is one, in a fraction of its
 * size. What has the same name is the same code. It speaks JSON-RPC 2.0 alone; the
 * parts that it lacks are listed in README.md, "The small client".
 *
 * ```ts
 * import { Peer } from "@jsonrpcws/peer/slim";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 *
 * class Calculator extends Peer {
 *   override local = { add: (a: number, b: number) => a + b };
 * }
 * await using one = new Calculator(left);
 * await using other = new Peer<Calculator["local"]>(right);
 *
 * assertEquals(await other.remote.add(1, 2), 3);
 * ```
 *
 * @typeParam Theirs The type of the other side's `local`.
 * @typeParam Context The type of {@linkcode Peer.context}.
 * @see {@link https://www.jsonrpc.org/specification}
 */
export class Peer<Theirs = unknown, Context = unknown>
  extends BasePeer<Theirs, Context> {
  /**
   * Speaks JSON-RPC over a socket.
   *
   * @param ws Any object with the WebSocket interface, connecting or open: from
   * here on its messages are this peer's. Or a function that makes one: then a
   * connection that is lost is replaced.
   * @param options A definition and settings.
   * @throws {RangeError} A time is no number of 0 or more.
   */
  constructor(
    ws: Socket | SocketMaker,
    options: PeerOptions<Context> & ThisType<Peer<Theirs, Context>> = {},
  ) {
    super(
      ws,
      options,
      [pacing, ...(options.use ?? []) as readonly CorePart[]],
      (typeof ws === "function"
        ? coreClientLimits
        : coreLimits) as unknown as Limits,
    );
  }
}

/** A class whose instances are peers: the service of one connection each. */
export type ServiceClass<Service, Context = unknown> = new (
  ws: Socket | SocketMaker,
  options: PeerOptions<Context>,
) => Service;
