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
  return new Root(request) as object as UntypedRemote;
}

/** Makes something that can be called out of what it does then. */
export function createCallable(handler: Names): UntypedRemote {
  return new Proxy(nothing, handler) as object as UntypedRemote;
}

// All are proxies of one function: what they have of their own is in the handler.
const nothing = (): void => {};

// Names computed at run time should not pile up.
const mostKept = 1_024;

/** A method that can be called, and the names in it. */
export class Names implements ProxyHandler<() => void> {
  readonly #request: SendRequest;
  readonly #name: string;
  readonly #prefix: string;
  #kept: Map<string, UntypedRemote> | undefined;

  /**
   * @param name What it is called by.
   * @param prefix What the names in it begin with.
   */
  constructor(request: SendRequest, name: string, prefix = `${name}.`) {
    this.#request = request;
    this.#name = name;
    this.#prefix = prefix;
  }

  /** Calls it. */
  apply(_target: object, _this: unknown, params: unknown[]): Promise<unknown> {
    // A trailing undefined would arrive as null and defeat a default value.
    while (params.length > 0 && params.at(-1) === undefined) params.pop();
    return this.#request(this.#name, params.length > 0 ? params : undefined);
  }

  /** Finds what is in it. */
  get(_target: object, key: string | symbol): unknown {
    if (!isName(key)) return undefined;
    const kept = this.#kept ??= new Map();
    let value = kept.get(key);
    if (value === undefined) {
      value = createCallable(new Names(this.#request, this.#prefix + key));
      if (kept.size < mostKept) kept.set(key, value);
    }
    return value;
  }

  /** Nothing can be put into it: it would be in all of them. */
  defineProperty(): boolean {
    return false;
  }
}

/**
 * The remote itself. What is found in it becomes its own, so that to call a method
 * again costs no more than to call any method (bench/, "one process"); what is not
 * is found by its prototype, which all remotes share, so that none has a proxy of
 * its own (bench/, "2,000 idle").
 */
class Root {
  readonly #request: SendRequest;
  #kept = 0;

  constructor(request: SendRequest) {
    this.#request = request;
  }

  static {
    // Else it would be no name like any other.
    delete (Root.prototype as { constructor?: unknown }).constructor;
    const handler: ProxyHandler<object> = {
      get: (_target, key, root: Root) => {
        if (!isName(key)) return undefined;
        const value = createCallable(new Names(root.#request, key));
        if (root.#kept++ < mostKept) {
          Object.defineProperty(root, key, { value });
        }
        return value;
      },
      set: () => false,
    };
    Object.setPrototypeOf(Root.prototype, new Proxy({}, handler));
  }
}

/** Whether it is none of the names that the language itself looks up and calls. */
function isName(key: string | symbol): key is string {
  return typeof key === "string" && key !== "then" && key !== "toJSON";
}
