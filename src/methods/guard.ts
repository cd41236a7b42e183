/**
 * The guard of a method: a check before each call.
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
 * The answer of a check. `true`: the method runs; `false`: the caller may not do
 * this; `undefined` or null: the caller has not signed in.
 */
export type Verdict = boolean | null | undefined;

/**
 * Runs a method of `local` only if a check allows it. Other calls are refused with
 * an {@linkcode RpcError}, -32051 "Forbidden" or -32050 "Unauthenticated";
 * notifications are dropped without a word.
 *
 * The check has the same `this` as the method, in a definition the peer, and the
 * same params. In `guard(check, method(...))` the params are not validated yet when
 * the check runs. If the check relies on them, write
 * `method(..., guard(check, fn))`.
 *
 * After a synchronous check, the method runs in the same turn and may read
 * `this.call`. After an asynchronous one it can't; the check itself can, before its
 * first `await`. An error of the check counts as the method's.
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
 * @param check The check, usually of {@linkcode Peer.context}. If TypeScript infers
 * its params as `unknown`, declare all of them.
 * @param fn The method. One that was made by {@linkcode method} keeps its
 * declaration.
 * @returns A function of the same type; with an asynchronous check it returns a
 * promise.
 */
export function guard<Params extends unknown[], Result, This = Peer>(
  check: (
    this: This,
    ...params: NoInfer<Params>
  ) => Verdict | PromiseLike<Verdict>,
  fn: (this: NoInfer<This>, ...params: Params) => Result,
): (...params: Params) => Result;
/**
 * The same, for a check that declares all of the method's params because TypeScript
 * can't infer them.
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
 * @throws {RpcError} The verdict is `false`, `undefined` or null.
 * @throws {TypeError} It is no verdict; the call is refused.
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
