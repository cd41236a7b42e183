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
  return create(request, "", self);
}

/** What a remote is itself, beside the names in it. */
export interface Callable {
  /** Calls it. */
  call(params: readonly unknown[] | undefined): Promise<unknown>;
  /** Lets go of it. */
  dispose(): void;
  /** What stands for it in a message. */
  toJSON(): unknown;
}

/**
 * A function whose names come from its prototype, and stay with it: to call one
 * again costs no more than to call any method (bench/, "one process").
 */
function create(
  request: SendRequest,
  method: string,
  self: Callable | undefined,
): UntypedRemote {
  const remote = (...params: unknown[]): Promise<unknown> => {
    // A trailing undefined would arrive as null and defeat a default value.
    while (params.length > 0 && params[params.length - 1] === undefined) {
      params.pop();
    }
    const given = params.length === 0 ? undefined : params;
    if (method !== "") return request(method, given);
    return self === undefined ? refuse() : self.call(given);
  };
  // Those are names of methods, like any other.
  Reflect.deleteProperty(remote, "length");
  Reflect.deleteProperty(remote, "name");
  const names = new Proxy(nothing, new Names(request, method, self));
  return Object.setPrototypeOf(remote, names);
}

/** The handler of the names that continue one. */
class Names implements ProxyHandler<object> {
  readonly #request: SendRequest;
  readonly #method: string;
  readonly #self: Callable | undefined;
  #kept = 0;

  constructor(
    request: SendRequest,
    method: string,
    self: Callable | undefined,
  ) {
    this.#request = request;
    this.#method = method;
    this.#self = self;
  }

  get(
    _target: object,
    key: string | symbol,
    remote: object,
  ): UntypedRemote | (() => unknown) | undefined {
    const self = this.#self;
    if (self !== undefined) {
      if (key === Symbol.dispose) return () => self.dispose();
      if (key === "toJSON") return () => self.toJSON();
    }
    if (typeof key === "symbol" || isAsked(key)) return undefined;
    const method = this.#method === "" ? key : `${this.#method}.${key}`;
    const value = create(this.#request, method, undefined);
    if (this.#kept++ < mostKept) Object.defineProperty(remote, key, { value });
    return value;
  }

  set(): boolean {
    return false;
  }

  has(_target: object, key: string | symbol): boolean {
    return typeof key === "string" && !isAsked(key);
  }
}

/** Names that the language itself looks up and calls. */
function isAsked(key: string): boolean {
  return key === "then" || key === "toJSON";
}

// Names computed at run time should not pile up.
const mostKept = 1_024;

const nothing: object = Object.create(null);

function refuse(): Promise<never> {
  return Promise.reject(
    new TypeError("Cannot call the remote itself, call a method of it"),
  );
}
