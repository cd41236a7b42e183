/**
 * Methods that take plain data: nothing among their arguments becomes a stream or a
 * reference, whatever it looks like.
 *
 * @module
 */

import type { BasePeer } from "../peer/base.ts";
import type {
  CannotTravel,
  HasMethod,
  IsAny,
  Json,
  Scalar,
} from "../peer/contract.ts";
import { originals, plains } from "../peer/methods.ts";

/**
 * Marks a method of `local` as one that takes plain data: its arguments are what the
 * caller's JSON says. An object with a `token` or `values` and nothing else would be a
 * stream that asks its sender, and one with `__jsonrpc_marshaled` a reference that
 * calls him. For methods that store, compare or pass on what anybody may send.
 *
 * The function itself is marked, wherever it is called from. A parameter that is a
 * stream, a function or a reference could never arrive, and the compiler says so.
 *
 * ```ts
 * import { type Json, Peer, plain } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const stored: Json[] = [];
 * const local = {
 *   put: plain((note: Json) => stored.push(note)),
 * };
 * const [left, right] = socketPair();
 * await using server = new Peer(left, { local });
 * await using client = new Peer<typeof local>(right);
 *
 * const note = { __jsonrpc_marshaled: 1, handle: 7 };
 * await client.remote.put(note);
 * assertEquals(stored, [note]);
 * ```
 *
 * @param fn The method; also one made by {@linkcode method} or {@linkcode guard}, or
 * given to these.
 * @returns The same function.
 */
export function plain<Params extends unknown[], Result, This = BasePeer>(
  fn: (this: This, ...params: Params) => Result,
): (...params: PlainParams<Params>) => Result {
  plains.add(originals.get(fn) ?? fn);
  return fn as unknown as (...params: PlainParams<Params>) => Result;
}

/** The parameters of a method that takes plain data: those that can't be are marked. */
export type PlainParams<Params extends readonly unknown[]> = {
  [Index in keyof Params]: PlainParam<Params[Index]>;
};

/** A parameter of a method that takes plain data, where data can be one. */
export type PlainParam<Param> = IsAny<Param> extends true ? Param
  : unknown extends Param ? Param
  : Param extends Scalar | Json | readonly unknown[] ? Param
  : Param extends (...params: never[]) => unknown ? NoData
  : HasMethod<Param> extends true ? NoData
  : Param;

/** Stands where a stream, a function or a reference was declared. */
export type NoData = CannotTravel<
  "The method takes plain data: no stream, function or reference"
>;
