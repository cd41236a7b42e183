/**
 * The guard of a method: a check that every call of it passes first.
 *
 * ```ts
 * import { guard, Peer, RpcError } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * class Room extends Peer<unknown, { isModerator: boolean } | undefined> {
 *   override local = {
 *     clear: guard(() => this.context?.isModerator, () => "cleared"),
 *   };
 * }
 * const [left, right] = socketPair();
 * await using room = new Room(left);
 * await using client = new Peer<Room["local"]>(right);
 *
 * const codes: number[] = [];
 * const clear = () =>
 *   client.remote.clear().catch((error: RpcError) => codes.push(error.code));
 * await clear(); // Nobody has signed in.
 * room.context = { isModerator: false };
 * await clear();
 * room.context = { isModerator: true };
 * assertEquals(await client.remote.clear(), "cleared");
 * assertEquals(codes, [-32050, -32051]);
 * ```
 *
 * @module
 */

import { ErrorCode, RpcError } from "../wire/error.ts";
import { isThenable } from "../line/deferred.ts";
import { originals } from "../peer/methods.ts";
import type { Peer } from "../presets/everything.ts";

/**
 * The answer of a check: `true`, the method runs; `false`, the caller may not do
 * this; `undefined` or null, it is not known who the caller is.
 */
export type Verdict = boolean | null | undefined;

/**
 * Lets a method of `local` run only for whom a check allows it; others are
 * refused with an {@linkcode RpcError}, -32051 "Forbidden" or -32050
 * "Unauthenticated". A notification is refused in silence.
 *
 * The check is called on what the method is called on, in a definition the peer,
 * with the call's params. They are as the caller sent them: of
 * `guard(check, method(...))` the schemas come after the check. Write
 * `method(..., guard(check, fn))` if the check needs them to hold.
 *
 * Where the check answers at once, the method is called within the same turn and
 * may read `this.call`. After an asynchronous one it can't; the check itself can,
 * before its first `await`. What the check throws is as if the method threw it.
 *
 * ```ts
 * import { guard, method, Peer, RpcError } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertRejects } from "@std/assert";
 *
 * const owners = new Map([["readme", "ann"]]);
 * const local = {
 *   remove: guard(
 *     function (this: Peer<unknown, string>, file: string) {
 *       return owners.get(file) === this.context;
 *     },
 *     method({ params: ["file"] }, (file: string) => owners.delete(file)),
 *   ),
 * };
 * const [left, right] = socketPair();
 * await using server = new Peer(left, { local, context: "bob" });
 * await using client = new Peer<typeof local>(right);
 * const params = { file: "readme" };
 * await assertRejects(
 *   () => client.request<boolean>("remove", params),
 *   RpcError,
 *   "Forbidden",
 * );
 * ```
 *
 * @param check Usually over the service's {@linkcode Peer.context}. Where its
 * params are `unknown`, TypeScript could not tell them from the method: declare
 * them, all.
 * @param fn The method; also one made by {@linkcode method}, which keeps the names
 * of its parameters and what is told of it.
 * @returns A function of the same type; after an asynchronous check it answers
 * with a promise.
 */
export function guard<Params extends unknown[], Result, This = Peer>(
  check: (
    this: This,
    ...params: NoInfer<Params>
  ) => Verdict | PromiseLike<Verdict>,
  fn: (this: NoInfer<This>, ...params: Params) => Result,
): (...params: Params) => Result;
/**
 * The same, for a check that declares all of the method's params, where
 * TypeScript can't tell them from the method.
 */
export function guard<Params extends unknown[], Result, This = Peer>(
  check: (
    this: This,
    ...params: Params
  ) => Verdict | PromiseLike<Verdict>,
  fn: (this: NoInfer<This>, ...params: Params) => Result,
): (...params: Params) => Result;
export function guard<Params extends unknown[], Result>(
  check: (...params: Params) => Verdict | PromiseLike<Verdict>,
  fn: (...params: Params) => Result,
): (...params: Params) => Result {
  function guarded(this: unknown, ...params: Params): unknown {
    const verdict = check.apply(this, params);
    if (!isThenable(verdict)) {
      pass(verdict);
      return fn.apply(this, params);
    }
    return Promise.resolve(verdict).then((verdict) => {
      pass(verdict);
      return fn.apply(this, params);
    });
  }
  Object.defineProperty(guarded, "length", { value: fn.length });
  originals.set(guarded, originals.get(fn) ?? fn);
  return guarded as (...params: Params) => Result;
}

/**
 * @throws {RpcError} The caller may not, or nobody knows who it is.
 * @throws {TypeError} It is no verdict: then nobody may.
 */
function pass(verdict: unknown): void {
  switch (verdict) {
    case true:
      return;
    case false:
      throw new RpcError(ErrorCode.Forbidden, "Forbidden");
    case undefined:
    case null:
      throw new RpcError(ErrorCode.Unauthenticated, "Unauthenticated");
    default:
      throw new TypeError(
        `Cannot decide about a call: a check must answer true, false, undefined or null, got ${typeof verdict}`,
      );
  }
}
