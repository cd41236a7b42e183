/**
 * The other side as an object: a method of `remote` is a request to the peer.
 *
 * @module
 */

import type { UntypedRemote } from "./contract.ts";

/** Sends a request; what a remote does when it is called. */
export type SendRequest = (
  method: string,
  params: readonly unknown[] | undefined,
) => Promise<unknown>;

/**
 * Makes the remote whose methods are requests.
 *
 * `then` and `toJSON` are always `undefined`, or awaiting or logging the remote
 * would call them; methods of these names are within reach of `request`.
 */
export function createRemote(
  request: SendRequest,
  self?: Callable,
): UntypedRemote {
  return create(
    request,
    "",
    (params) =>
      self?.call(params) ?? Promise.reject(
        new TypeError("Cannot call the remote itself, call a method of it"),
      ),
    self,
  );
}

/** What a remote is itself, beside the names in it. */
export interface Callable {
  /** Calls it. */
  call(params: readonly unknown[] | undefined): Promise<unknown>;
  /** What it has under the names that are its own. */
  own(key: string | symbol): (() => unknown) | undefined;
}

/**
 * A function whose names come from its prototype, and stay with it: to call one
 * again costs no more than to call any method (bench/, "one process").
 *
 * @param prefix What the names in it begin with.
 */
function create(
  request: SendRequest,
  prefix: string,
  call: Callable["call"],
  self?: Callable,
): UntypedRemote {
  const remote = (...params: unknown[]): Promise<unknown> => {
    // A trailing undefined would arrive as null and defeat a default value.
    while (params.length > 0 && params[params.length - 1] === undefined) {
      params.pop();
    }
    return call(params.length === 0 ? undefined : params);
  };
  // Those are names of methods, like any other.
  delete (remote as { length?: number }).length;
  delete (remote as { name?: string }).name;
  let kept = 0;
  const names = new Proxy(nothing, {
    get(_target, key, remote): UntypedRemote | (() => unknown) | undefined {
      const own = self?.own(key);
      if (own !== undefined || !isName(key)) return own;
      const method = prefix + key;
      const value = create(
        request,
        `${method}.`,
        (params) => request(method, params),
      );
      if (kept++ < mostKept) Object.defineProperty(remote, key, { value });
      return value;
    },
    set: () => false,
    has: (_target, key) => isName(key),
  });
  return Object.setPrototypeOf(remote, names);
}

/** Whether it is none of the names that the language itself looks up and calls. */
function isName(key: string | symbol): key is string {
  return typeof key === "string" && key !== "then" && key !== "toJSON";
}

// Names computed at run time should not pile up.
const mostKept = 1_024;

const nothing: object = Object.create(null);
