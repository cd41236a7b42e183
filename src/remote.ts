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
  return new Proxy(
    refuse,
    new Names(request, "", self),
  ) as unknown as UntypedRemote;
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

/** The handler of one remote: the names that continue its own. */
class Names implements ProxyHandler<typeof refuse> {
  readonly #request: SendRequest;
  readonly #method: string;
  #inner: Map<string, UntypedRemote> | undefined;
  readonly #self: Callable | undefined;

  constructor(request: SendRequest, method: string, self?: Callable) {
    this.#request = request;
    this.#method = method;
    this.#self = self;
  }

  get(
    _target: object,
    key: string | symbol,
  ): UntypedRemote | (() => unknown) | undefined {
    const self = this.#self;
    if (self !== undefined) {
      if (key === Symbol.dispose) return () => self.dispose();
      if (key === "toJSON") return () => self.toJSON();
    }
    if (typeof key === "symbol" || isAsked(key)) return undefined;
    let remote = this.#inner?.get(key);
    if (remote === undefined) {
      const method = this.#method === "" ? key : `${this.#method}.${key}`;
      remote = new Proxy(
        refuse,
        new Names(this.#request, method),
      ) as unknown as UntypedRemote;
      this.#inner ??= new Map();
      if (this.#inner.size < maxKept) this.#inner.set(key, remote);
    }
    return remote;
  }

  apply(_target: object, _this: unknown, params: unknown[]): Promise<unknown> {
    // A trailing undefined would arrive as null and defeat a default value.
    while (params.length > 0 && params[params.length - 1] === undefined) {
      params.pop();
    }
    const given = params.length === 0 ? undefined : params;
    if (this.#method !== "") return this.#request(this.#method, given);
    return this.#self === undefined ? refuse() : this.#self.call(given);
  }

  set(): boolean {
    return false;
  }

  defineProperty(): boolean {
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
const maxKept = 1_024;

// The proxies' target: a function, or they could not be called. An arrow
// function has no own property that a proxy would have to report truthfully.
const refuse = (): Promise<never> =>
  Promise.reject(
    new TypeError("Cannot call the remote itself, call a method of it"),
  );
