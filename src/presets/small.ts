/**
 * The small peer: calls, and the parts that a page adds by `use`.
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

/** The settings of a small peer. */
export interface PeerSettings
  extends
    Pick<AllSettings, "timeout" | "discover" | "stringIds">,
    LineSettings {
  /** Further parts: `streams`, `references`. Default: none. */
  use?: readonly Part[];
}

/**
 * A small peer's definition and settings in one object; a subclass passes them on
 * to `super`.
 */
export interface PeerOptions<Context = unknown>
  extends PeerSettings, Definition {
  /** The peer's {@linkcode Peer.context}. Default `undefined`. */
  context?: Context;
}

/**
 * One end of a JSON-RPC connection, in half the size of the whole peer. Members of
 * the same name are the same code. It speaks JSON-RPC 2.0 only;
 * docs/guide/small-client.md lists the parts that it lacks.
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
   * @param ws Any object with the WebSocket interface, connecting or open, whose
   * messages this peer handles from now on. Or a function that makes one: then a
   * lost connection is replaced.
   * @param options A definition and settings.
   * @throws {RangeError} A time is negative or not a number.
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

/** A class of peers; each connection gets an instance. */
export type ServiceClass<Service, Context = unknown> = new (
  ws: Socket | SocketMaker,
  options: PeerOptions<Context>,
) => Service;
