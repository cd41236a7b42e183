/**
 * The peer with everything that it can do.
 *
 * @module
 */

import { batches, collectBatch } from "../parts/batches.ts";
import { answers } from "../parts/answers.ts";
import { bounds } from "../parts/bounds.ts";
import { crowds } from "../parts/crowds.ts";
import { finishCalls, runningNames } from "../parts/draining.ts";
import { heartbeat } from "../parts/heartbeat.ts";
import { hints } from "../parts/hints.ts";
import { pacing } from "../parts/pacing.ts";
import { references } from "../parts/references.ts";
import { sharedFrames } from "../parts/shared_frames.ts";
import { slowReaders } from "../parts/slow_readers.ts";
import { type ConnectionStore, watch } from "../parts/status.ts";
import { streams } from "../parts/streams.ts";
import { traces } from "../parts/traces.ts";
import { versions } from "../parts/versions.ts";
import type { Socket, SocketMaker } from "../line/socket.ts";
import { BasePeer, coreOf } from "../peer/base.ts";
import type { CorePart } from "../peer/core.ts";
import type { PeerOptions } from "../peer/options.ts";
import { versionOf } from "../peer/sending.ts";
import { clientLimits, completeLimits, defaultLimits } from "../wire/limits.ts";
import type { Version } from "../wire/message.ts";

/**
 * All that a peer can do beside calls. At the end of a connection what slow readers
 * were spared leaves before the last shared frame does.
 */
const everything: readonly CorePart[] = [
  versions,
  traces,
  bounds,
  crowds,
  batches,
  slowReaders,
  sharedFrames,
  heartbeat,
  pacing,
  answers,
  hints,
  streams,
  references,
];

/** A class whose instances are peers: the service of one connection each. */
export type ServiceClass<Service, Context = unknown> = new (
  ws: Socket | SocketMaker,
  options: PeerOptions<Context>,
) => Service;

/**
 * One end of a JSON-RPC connection: it calls the other end's methods and lets
 * the other end call its own.
 *
 * Subclass it to make a service, of which {@linkcode Peer.local} is what the
 * other side may call; or construct it over a socket with a definition.
 *
 * ```ts
 * import { Peer } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 *
 * class Calculator extends Peer {
 *   override local = { add: (a: number, b: number) => a + b };
 * }
 * await using server = new Calculator(left);
 * await using client = new Peer<Calculator["local"]>(right);
 *
 * assertEquals(await client.remote.add(1, 2), 3);
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
   * @throws {RangeError} A limit or a time is no number of 0 or more.
   * @throws {TypeError} It is no socket.
   */
  constructor(
    ws: Socket | SocketMaker,
    options: PeerOptions<Context> & ThisType<Peer<Theirs, Context>> = {},
  ) {
    const isMaker = typeof ws === "function";
    if (!isMaker && typeof ws?.addEventListener !== "function") {
      throw new TypeError(
        `Cannot make a peer over ${
          ws === null ? ws : typeof ws
        }: give a socket, or a function that makes one; connect takes an address`,
      );
    }
    const usual = isMaker ? clientLimits : defaultLimits;
    super(ws, options, everything, completeLimits(options.limits, usual));
  }

  /**
   * The status of the connection, to be read, and to be subscribed to by what shows
   * it: state, attempts that failed, why, and the milliseconds until the next one.
   *
   * ```ts
   * import { connect } from "@jsonrpcws/peer/client";
   * import { serve } from "@jsonrpcws/peer/server";
   * import { assertEquals } from "@std/assert";
   *
   * await using server = serve({ port: 0, onListen() {} });
   * await using client = connect(server.url);
   *
   * const states: string[] = [];
   * client.connection.subscribe(({ state }) => states.push(state));
   * await client.opened;
   * assertEquals(states, ["connecting", "open"]);
   * assertEquals(client.connection.get(), { state: "open", attempt: 0 });
   * ```
   */
  get connection(): ConnectionStore {
    return watch(coreOf(this));
  }

  /** The version of what this side sends of itself. */
  get version(): Version {
    return versionOf(coreOf(this));
  }

  /**
   * How many responses arrived that no request was waiting for. They are
   * ignored.
   */
  get unmatched(): number {
    return coreOf(this).unmatched;
  }

  /**
   * Resolves when the socket has sent nearly everything: when no more than 65,536
   * bytes wait, in the same turn if that is so already. What waits for the
   * handshake has not been sent.
   *
   * What a peer has no time to read waits, but not without end, see `bufferedMost`
   * of the limits. So whoever sends as fast as can be waits here:
   *
   * ```ts
   * import { Peer } from "@jsonrpcws/peer";
   * import { socketPair } from "@jsonrpcws/peer/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const [left, right] = socketPair();
   * const received: number[] = [];
   * const local = { tick: (n: number) => void received.push(n) };
   * await using reader = new Peer(left, { local });
   * await using writer = new Peer<typeof local>(right);
   *
   * for (let n = 0; n < 10_000; n++) {
   *   await writer.drained();
   *   // Not taken: the connection is closed.
   *   if (!writer.notify("tick", [n])) break;
   * }
   * await writer.request("rpc.ping"); // Answered after all of them.
   * assertEquals(received.length, 10_000);
   * ```
   *
   * @throws {ConnectionClosedError} The connection closed first.
   * @see {@link https://websockets.spec.whatwg.org/#dom-websocket-bufferedamount}
   */
  drained(): Promise<void> {
    return coreOf(this).backlog!.drained();
  }

  /**
   * Sends several requests and notifications as one frame, a batch: those that
   * `collect` makes, before its first `await`, on this peer. More than the other
   * side takes, `batchMembers` and `sentLength` of the limits, leave as several,
   * one after the other. Each request has its own promise. In versions 1.0 and bare, which have no batches, each is its
   * own frame.
   *
   * ```ts
   * import { Peer } from "@jsonrpcws/peer";
   * import { socketPair } from "@jsonrpcws/peer/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const [left, right] = socketPair();
   * const local = { add: (a: number, b: number) => a + b };
   * await using server = new Peer(left, { local });
   * await using client = new Peer<typeof local>(right);
   *
   * const sums = client.batch(() => [
   *   client.remote.add(1, 2),
   *   client.remote.add(3, 4),
   * ]);
   * assertEquals(await Promise.all(sums), [3, 7]);
   * ```
   *
   * @param collect Makes the calls. If it throws, none of them is sent.
   * @returns What `collect` returned.
   * @throws {RangeError} Too much waits to be sent already; nothing was sent.
   * @see {@link https://www.jsonrpc.org/specification#batch}
   */
  batch<T>(collect: () => T): T {
    return collectBatch(coreOf(this), collect);
  }

  /**
   * The names of the methods that run for the other side: of requests that are
   * not answered, and of notifications. One for each call.
   */
  get running(): string[] {
    return runningNames(coreOf(this));
  }

  /**
   * Lets no more methods begin, before a {@linkcode Peer.close}: requests are
   * refused with -32009, not executed. Everything else goes on: running methods,
   * what they ask and are answered, functions and objects lent to the peer,
   * streams; and notifications, which nobody could refuse.
   *
   * @returns Resolves when every running method has answered, or the connection
   * is closed. A method must not await it: it would await itself.
   */
  finish(): Promise<void> {
    return finishCalls(coreOf(this));
  }
}
