/**
 * The other side as an object: a method of `remote` is a request to the peer.
 *
 * @module
 */

import type { UntypedRemote } from "./contract.ts";

/** Sends a request; what a remote does when a method of it is called. */
export type SendRequest = (
  method: string,
  params: readonly unknown[] | undefined,
) => Promise<unknown>;

/**
 * Makes the remote whose methods are requests.
 *
 * `then` and `toJSON` are always `undefined`, or `await` and `JSON.stringify`
 * would call them; methods of these names are within reach of `request`.
 */
export function createRemote(request: SendRequest): UntypedRemote {
  return fill({}, request, "");
}

/**
 * Makes a method, in which there are others.
 *
 * @param name What it is called by.
 * @param prefix What the names in it begin with.
 */
export function createMethod(
  request: SendRequest,
  name: string,
  prefix: string,
): UntypedRemote {
  const method = (...params: unknown[]): Promise<unknown> => {
    // A trailing undefined would arrive as null and defeat a default value.
    while (params.length > 0 && params.at(-1) === undefined) params.pop();
    return request(name, params.length > 0 ? params : undefined);
  };
  const remote = fill(method, request, prefix);
  // Those are names of methods, like any other. Last, or each would have a shape of
  // its own.
  delete (method as { length?: number }).length;
  delete (method as { name?: string }).name;
  return remote;
}

/** Under what a remote keeps what its methods are made of. */
const inside = Symbol();

/** What the methods in a remote are made of, or those in a method. */
interface Inside {
  readonly request: SendRequest;
  readonly prefix: string;
  /** How many more may be kept. */
  room: number;
}

// Names computed at run time should not pile up.
const mostKept = 1_024;

/** Makes an object a remote, or a method one in which there are others. */
function fill(
  remote: object,
  request: SendRequest,
  prefix: string,
): UntypedRemote {
  (remote as { [inside]: Inside })[inside] = {
    prefix,
    room: mostKept,
    request,
  };
  // Last, because from then on nothing more can be set.
  return Object.setPrototypeOf(remote, found);
}

// What is found becomes the remote's own, so that to call a method again costs no
// more than to call any (bench/, "one process"). What is not is looked for here, in
// the one prototype of them all: one each would be a part of what a connection costs
// (bench/, "2,000 idle").
const names = /* @__PURE__ */ new Proxy({}, {
  // Who asks may be a proxy of a remote, or inherit from it.
  get(_target, key, asking: { readonly [inside]?: Inside }) {
    const its = isName(key) && asking[inside];
    if (!its) return undefined;
    const name = its.prefix + key;
    const value = createMethod(its.request, name, name + ".");
    if (its.room-- > 0) {
      Reflect.defineProperty(asking, key, { configurable: true, value });
    }
    return value;
  },
  has: (_target, key) => isName(key),
  set: () => false,
});

/** Whether it is none of the names that the language itself looks up and calls. */
function isName(key: string | symbol): key is string {
  return typeof key === "string" && key !== "then" && key !== "toJSON";
}

/** A remote in a text, or logged: else a runtime would call methods of its. */
function show(this: { readonly [inside]?: Inside }): string {
  const name = this[inside]?.prefix.slice(0, -1);
  return name ? `[remote ${name}]` : "[remote]";
}

/** What all remotes inherit from. */
const found: object = /* @__PURE__ */ createFound();

/** A function, so that a bundler can leave it out. */
function createFound(): object {
  return Object.setPrototypeOf({
    [Symbol.toPrimitive]: show,
    // See https://nodejs.org/api/util.html#utilinspectcustom
    [Symbol.for("nodejs.util.inspect.custom")]: show,
  }, names);
}
