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
 * `then` and `toJSON` are always `undefined`, or awaiting or logging the remote
 * would call them; methods of these names are within reach of `request`.
 */
export function createRemote(request: SendRequest): UntypedRemote {
  return new Names(
    Object.create(found),
    request,
    "",
  ) as object as UntypedRemote;
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
  Object.setPrototypeOf(method, found);
  // Those are names of methods, like any other.
  delete (method as { length?: number }).length;
  delete (method as { name?: string }).name;
  return new Names(method, request, prefix) as object as UntypedRemote;
}

/** Makes an instance out of any object. */
class Itself {
  constructor(object: object) {
    return object;
  }
}

// Names computed at run time should not pile up.
const mostKept = 1_024;

/** What a remote, or a method of it, knows about what is found in it. */
class Names extends Itself {
  readonly #request: SendRequest;
  readonly #prefix: string;
  #kept = 0;

  constructor(object: object, request: SendRequest, prefix: string) {
    super(object);
    this.#request = request;
    this.#prefix = prefix;
  }

  static find(names: Names, name: string): UntypedRemote {
    const path = names.#prefix + name;
    const value = createMethod(names.#request, path, `${path}.`);
    if (names.#kept++ < mostKept) Object.defineProperty(names, name, { value });
    return value;
  }
}

// What is found becomes the remote's own, so that to call a method again costs no
// more than to call any (bench/, "one process"). What is not is looked for here, in
// the one prototype of them all: one each would be a part of what a connection costs
// (bench/, "2,000 idle").
const found = new Proxy({}, {
  get: (_target, key, names: Names) =>
    isName(key) ? Names.find(names, key) : undefined,
  has: (_target, key) => isName(key),
  set: () => false,
});

/** Whether it is none of the names that the language itself looks up and calls. */
function isName(key: string | symbol): key is string {
  return typeof key === "string" && key !== "then" && key !== "toJSON";
}
