/**
 * One notification to many peers.
 *
 * @see {@link https://www.jsonrpc.org/specification#notification}
 *
 * @module
 */

import { telling } from "../line/gathered.ts";
import { coreOf, type TheirsOf } from "../peer/base.ts";
import type {
  MethodName,
  MethodOf,
  OtherName,
  ParamsFor,
} from "../peer/contract.ts";
import type { Core } from "../peer/core.ts";
import { deliver, writeNotice } from "../peer/outgoing.ts";
import { versionOf } from "../peer/sending.ts";
import type { Params, Version } from "../wire/message.ts";
import type { Peer } from "../presets/everything.ts";

/**
 * Sends a notification to many peers. It is written once for all of them: beside
 * its frame, writing is most of the cost of a small one.
 *
 * ```ts
 * import { broadcast, Peer } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const heard: string[] = [];
 * const local = { hear: (word: string) => void heard.push(word) };
 * const listeners: Peer[] = [];
 * const members = new Set<Peer<typeof local>>();
 * for (let n = 0; n < 3; n++) {
 *   const [left, right] = socketPair();
 *   listeners.push(new Peer(left, { local }));
 *   members.add(new Peer<typeof local>(right));
 * }
 *
 * assertEquals(broadcast(members, "hear", ["hello"]), 3);
 * for (const member of members) await member.request("rpc.ping");
 * assertEquals(heard, ["hello", "hello", "hello"]);
 * for (const member of members) await member[Symbol.asyncDispose]();
 * ```
 *
 * @param peers The peers; each gets it once. Closed peers are passed over.
 * @param method Name of the remote method.
 * @param params By position (array) or by name (object); absent if `undefined`.
 * @returns Number of peers that took it; see {@linkcode Peer.notify}.
 * @throws {TypeError} The params can't be written as JSON; it was sent to no peer.
 * If only one version of JSON-RPC can't express them, to no peer of that version.
 * @throws {RangeError} It is too long for one of the peers; the others got it.
 */
export function broadcast<Theirs, Method extends MethodName<Theirs>>(
  peers: Iterable<Peer<Theirs>>,
  method: Method,
  ...params: ParamsFor<MethodOf<Theirs, Method>>
): number;
/** Sends a notification by a name that the types of the other sides don't know. */
export function broadcast<
  Member extends Pick<Peer, "version">,
  Method extends string,
>(
  peers: Iterable<Member>,
  method: OtherName<Method, TheirsOf<Member>>,
  params?: Params,
): number;
export function broadcast(
  peers: Iterable<Pick<Peer, "version">>,
  method: string,
  params?: Params,
): number {
  return tellAll(peers, method, (core) => writeNotice(core, method, params));
}

/**
 * Sends a notification to many peers, written once for each version that they
 * speak. Messages of one turn leave together, and peers that get the same messages
 * share the frames.
 *
 * @param write Writes the notification for all peers of a version.
 * @returns Number of peers that took it.
 * @throws Whatever `write` throws; it was sent to no peer, or to no peer of that
 * version.
 * @throws {RangeError} It is too long for one of the peers; the others got it.
 */
export function tellAll(
  peers: Iterable<object>,
  method: string,
  write: (core: Core, version: Version) => string,
): number {
  const written = new Map<Version, string>();
  const errors: unknown[] = [];
  let taken = 0;
  const { isForMany } = telling;
  for (const peer of peers) {
    try {
      const core = coreOf(peer);
      const version = versionOf(core);
      let text = written.get(version);
      if (text === undefined) {
        text = write(core, version);
        written.set(version, text);
      }
      telling.isForMany = true;
      if (deliver(core, method, text)) taken++;
    } catch (error) {
      errors.push(error);
      if (written.size === 0) break; // It can't be written at all.
    } finally {
      telling.isForMany = isForMany;
    }
  }
  if (errors.length > 0) throw errors[0];
  return taken;
}
