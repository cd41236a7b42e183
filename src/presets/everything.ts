/**
 * The whole peer, with all parts.
 *
 * @module
 */

// What several parts import; see graph.ts.
import "../line/gathered.ts";
import "../line/task.ts";
import "../parts/unread.ts";
import "../peer/held.ts";
import "../wire/depth.ts";
import "../wire/glimpse.ts";

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
 * All parts. Those that carry values come first, because each new connection looks
 * for one. `slowReaders` stands before `sharedFrames`: at the end of a
 * connection, messages that were held back leave before the last shared frame.
 */
const everything: readonly CorePart[] = [
  streams,
  references,
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
];

/** A class of peers; each connection gets an instance. */
export type ServiceClass<Service, Context = unknown> = new (
  ws: Socket | SocketMaker,
  options: PeerOptions<Context>,
) => Service;

/**
 * One end of a JSON-RPC connection: it calls the other end's methods and lets
 * the other end call its own.
 *
 * Subclass it for a service, whose {@linkcode Peer.local} the other side may call,
 * or construct it over a socket with a definition.
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
   * @param ws Any object with the WebSocket interface, connecting or open, whose
   * messages this peer handles from now on. Or a function that makes one: then a
   * lost connection is replaced.
   * @param options A definition and settings.
   * @throws {RangeError} A limit or a time is negative or not a number.
   * @throws {TypeError} `ws` is neither a socket nor a function.
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
   * The status of the connection, to read and to subscribe to: the state, the
   * number of failed attempts, their reason, and the milliseconds until the next
   * one.
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

  /** The version of JSON-RPC of this side's calls. */
  get version(): Version {
    return versionOf(coreOf(this));
  }

  /** Number of responses that no request was waiting for; they are ignored. */
  get unmatched(): number {
    return coreOf(this).unmatched;
  }

  /**
   * Resolves when at most 65,536 bytes wait to be sent; in the same turn if that is
   * so already. Messages that wait for the handshake count as waiting.
   *
   * Await it when sending many messages: those that the other side has no time to
   * read wait in memory, which the limit `bufferedMost` bounds.
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
   * `collect` makes on this peer before its first `await`. More than the limits
   * `batchMembers` and `sentLength` allow leave as several batches. Each request
   * has its own promise. In versions 1.0 and bare, which have no batches, each
   * message is a frame of its own.
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
   * @param collect Makes the calls. If it throws, none is sent.
   * @returns The result of `collect`.
   * @throws {RangeError} Too many messages wait to be sent; none of these was sent.
   * @see {@link https://www.jsonrpc.org/specification#batch}
   */
  batch<T>(collect: () => T): T {
    return collectBatch(coreOf(this), collect);
  }

  /**
   * The names of the methods that run for the other side, one for each call: of
   * unanswered requests, and of notifications.
   */
  get running(): string[] {
    return runningNames(coreOf(this));
  }

  /**
   * Lets no more methods begin, before a {@linkcode Peer.close}: requests are
   * refused with -32009, not executed. Everything else goes on: running methods and
   * the calls that they make, functions and objects that were lent, streams, and
   * notifications, which can't be refused.
   *
   * @returns Resolves when every running method has answered, or the connection is
   * closed. A method must not await this, because it would wait for itself.
   */
  finish(): Promise<void> {
    return finishCalls(coreOf(this));
  }
}
