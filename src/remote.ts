/**
 * The other side as an object: a method of `remote` is a request to the peer.
 *
 * @module
 */

/** The remote of a peer whose type was not told: any name, any params. */
export interface UntypedRemote {
  /** A method of that name, or a group of methods. */
  readonly [name: string]:
    & UntypedRemote
    & ((...params: unknown[]) => Promise<unknown>);
}

/**
 * The other side's `local` as it looks from here: each function returns a
 * promise, or a {@linkcode RemoteStream}; each nested object is a group of dotted
 * names.
 */
export type Remote<Theirs> = unknown extends Theirs ? UntypedRemote : {
  readonly [
    Name in keyof Theirs as Theirs[Name] extends object ? Name : never
  ]: Theirs[Name] extends (...params: infer Params) => infer Result
    ? (...params: RemoteParams<Params>) => RemoteResult<Awaited<Result>>
    : Remote<Theirs[Name]>;
};

/** What a call gives to its caller. */
export type RemoteResult<Result> = Result extends
  AsyncIterable<infer Value> | ReadableStream<infer Value> ? RemoteStream<Value>
  : Promise<Result>;

/**
 * A stream of the other side's. It is iterated directly; awaiting it first tells
 * whether the call succeeded, and gives the same values.
 */
export type RemoteStream<Value> =
  & AsyncIterable<Value>
  & PromiseLike<AsyncIterable<Value>>;

/** What a caller may pass: for a stream, anything that is one. */
export type RemoteParams<Params extends readonly unknown[]> = {
  [Index in keyof Params]: Params[Index] extends
    AsyncIterable<infer Value> | ReadableStream<infer Value>
    ? AsyncIterable<Value> | ReadableStream<Value>
    : Params[Index];
};

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
export function createRemote(request: SendRequest): UntypedRemote {
  return new Proxy(refuse, new Names(request, "")) as unknown as UntypedRemote;
}

/** The handler of one remote: the names that continue its own. */
class Names implements ProxyHandler<typeof refuse> {
  readonly #request: SendRequest;
  readonly #method: string;
  #inner: Map<string, UntypedRemote> | undefined;

  constructor(request: SendRequest, method: string) {
    this.#request = request;
    this.#method = method;
  }

  get(_target: object, key: string | symbol): UntypedRemote | undefined {
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
    if (this.#method === "") return refuse();
    // A trailing undefined would arrive as null and defeat a default value.
    while (params.length > 0 && params[params.length - 1] === undefined) {
      params.pop();
    }
    return this.#request(
      this.#method,
      params.length === 0 ? undefined : params,
    );
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
