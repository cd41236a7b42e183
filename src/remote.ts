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
  : Promise<RemoteValue<Result>>;

/** A value as it arrives: what is passed by reference can be called. */
export type RemoteValue<Value> = Value extends Marshaled<infer Target>
  ? RemoteReference<Target>
  : Value extends (...params: never[]) => unknown ? RemoteReference<Value>
  : Value;

/** A function or an object of the other side's, until it is disposed of. */
export type RemoteReference<Target> =
  & Disposable
  & (Target extends (...params: infer Params) => infer Result
    ? (...params: RemoteParams<Params>) => RemoteResult<Awaited<Result>>
    : Remote<Target>);

/**
 * An object that is passed by reference; made by `marshal` of
 * `@jsonrpcws/peer/reference`.
 */
export interface Marshaled<Target> extends Disposable {
  /** What it stands for. */
  readonly target: Target;
}

/**
 * A stream of the other side's. It is iterated directly; awaiting it first tells
 * whether the call succeeded, and gives the same values.
 */
export type RemoteStream<Value> =
  & AsyncIterable<Value>
  & PromiseLike<AsyncIterable<Value>>;

/**
 * What a caller may pass: for a stream anything that is one, for a function that
 * is called back one that answers now or later, for a reference what it was made
 * of.
 */
export type RemoteParams<Params extends readonly unknown[]> = {
  [Index in keyof Params]: RemoteParam<Params[Index]>;
};

/** See {@linkcode RemoteParams}. */
export type RemoteParam<Param> = Param extends
  AsyncIterable<infer Value> | ReadableStream<infer Value>
  ? AsyncIterable<Value> | ReadableStream<Value>
  : Param extends RemoteReference<infer Target> ? Marshaled<Target> | Param
  : Param extends (...params: infer Params) => infer Result
    ? (...params: Params) => Awaited<Result> | Promise<Awaited<Result>>
  : Param;

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
