/**
 * Methods that take plain data: no argument of theirs becomes a stream or a
 * reference.
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
 * Marks a method of `local` that takes plain data: its arguments are exactly the
 * caller's JSON. In other methods, an object with only a `token` or `values`
 * becomes a stream, and one with `__jsonrpc_marshaled` a reference; reading or
 * calling these sends messages to the caller. Use it for methods that store,
 * compare or pass on data from anybody.
 *
 * The mark is on the function itself, wherever it is used. The compiler refuses
 * parameters that are streams, functions or references, because they could never
 * arrive.
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
 * @param fn The method. It may have been made by {@linkcode method} or
 * {@linkcode guard}, or be passed to these.
 * @returns The same function.
 */
export function plain<Params extends unknown[], Result, This = BasePeer>(
  fn: (this: This, ...params: Params) => Result,
): (...params: PlainParams<Params>) => Result {
  plains.add(originals.get(fn) ?? fn);
  return fn as unknown as (...params: PlainParams<Params>) => Result;
}

/**
 * The parameters of a method that takes plain data; impossible ones become
 * {@linkcode NoData}.
 */
export type PlainParams<Params extends readonly unknown[]> = {
  [Index in keyof Params]: PlainParam<Params[Index]>;
};

/**
 * A parameter of a method that takes plain data, or {@linkcode NoData} if data
 * can't have its type.
 */
export type PlainParam<Param> = IsAny<Param> extends true ? Param
  : unknown extends Param ? Param
  : Param extends Scalar | Json | readonly unknown[] ? Param
  : Param extends (...params: never[]) => unknown ? NoData
  : HasMethod<Param> extends true ? NoData
  : Param;

/**
 * The type of a parameter that was declared as a stream, a function or a reference.
 */
export type NoData = CannotTravel<
  "The method takes plain data: no stream, function or reference"
>;
