/**
 * The peer: one end of a connection, as those see it who use it. What happens
 * behind its face is in `core.ts` and `full.ts`.
 *
 * @see {@link https://www.jsonrpc.org/specification}
 *
 * @module
 */

import type { Call, CallOptions } from "./call.ts";
import type {
  MethodName,
  MethodOf,
  OtherName,
  ParamsFor,
  Remote,
  ResultOf,
} from "./contract.ts";
import type { ConnectionState, Keeper } from "./core.ts";
import { CloseCode, type CloseInfo, RpcError } from "../wire/error.ts";
import { Full } from "./full.ts";
import type { Id, Params, Version } from "../wire/message.ts";
import { observables } from "../parts/observers.ts";
import type { PeerOptions, SocketMaker } from "./options.ts";
import { ReconnectingSocket } from "../line/reconnect.ts";
import { createRemote, nameRemotes } from "./remote.ts";
import { readAmount } from "../wire/amount.ts";
import type { Socket } from "../line/socket.ts";

/**
 * A class whose instances are peers: the service of one connection each. A server
 * gives it a socket, a client a function that makes one.
 */
export type ServiceClass<Service, Context = unknown> = new (
  ws: Socket | SocketMaker,
  options: PeerOptions<Context>,
) => Service;

/** A peer, whatever its other side and its context are. */
export type AnyPeer = Pick<Peer, "close" | "closed" | "opened" | "state">;

// Set by the class, so that its core stays its own.
let coreIn: (peer: object) => Full | undefined;

nameRemotes();

/** The core of a peer. For modules of this package: who uses it has `local`. */
export function coreOf(peer: object): Full {
  return coreIn(peer)!;
}

/**
 * Keeps a peer until it is gone: what {@linkcode Peer.closed} tells, for servers,
 * which have thousands and no need of as many promises.
 */
export function keep(keeper: Keeper, peer: Pick<Peer, "closed">): void {
  if (coreIn(peer)?.keep(keeper) === true) return;
  peer.closed.then(() => keeper.release(peer));
}

/**
 * One end of a JSON-RPC connection: it calls the other end's methods and lets
 * the other end call its own.
 *
 * Subclass it to make a service, of which {@linkcode Peer.local} is what the
 * other side may call; or construct it over a socket with a definition.
 *
 * ```ts
 * import { Peer } from "@jsonrpcws/peer";
 * import { socketPair } from "@jsonrpcws/peer/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 *
 * class Calculator extends Peer {
 *   override local = { add: (a: number, b: number) => a + b };
 * }
 * await using server = new Calculator(left);
 * await using client = new Peer<Calculator["local"]>(right);
 *
 * assertEquals(await client.remote.add(1, 2), 3);
 * ```
 *
 * @typeParam Theirs The type of the other side's `local`.
 * @typeParam Context The type of {@linkcode Peer.context}.
 * @see {@link https://www.jsonrpc.org/specification}
 */
export class Peer<Theirs = unknown, Context = unknown> {
  /**
   * What the other side may call: the own functions of this object, and those
   * of plain objects in it by dotted names (`math.add`). Nothing inherited, no
   * getter, nothing else is reachable.
   *
   * A method's return value or what its promise resolves to is the result,
   * `undefined` is written as null. A thrown {@linkcode RpcError} reaches the
   * caller; anything else reaches {@linkcode Peer.onerror} and the caller only
   * as "Internal error". Params by position are the arguments; params by name
   * are one argument, the object.
   *
   * The class's methods are called on the object they stand in, a definition's
   * on the peer. Names starting with `rpc.` or `$/` can't be defined here.
   */
  local: object = {};

  /**
   * What `authorize` or whoever made this peer knows of the connection: whose it
   * is. Its owner may set it, when somebody signs in by a call, or again with
   * other rights; the next call finds the new one. Replace it rather than change
   * what is in it: a method that runs may have read it.
   */
  context: Context;

  readonly #core: Full;
  #remote: Remote<Theirs> | undefined;

  static {
    coreIn = (peer): Full | undefined => #core in peer ? peer.#core : undefined;
    observables.push(coreIn);
  }

  /**
   * Speaks JSON-RPC over a socket.
   *
   * @param ws Any object with the WebSocket interface, connecting or open: from
   * here on its messages are this peer's. Or a function that makes one: then a
   * connection that is lost is replaced.
   * @param options A definition and settings.
   * @throws {RangeError} A limit is not a whole number of 0 or more, or a time is
   * no number of 0 or more.
   * @throws What the function throws, the first time.
   */
  constructor(
    ws: Socket | SocketMaker,
    options: PeerOptions<Context> & ThisType<Peer<Theirs, Context>> = {},
  ) {
    this.context = options.context as Context;
    const { local, onopen, onclose, onerror, oninvalid } = options;
    if (local !== undefined) this.local = local;
    if (onopen !== undefined) this.onopen = onopen;
    if (onclose !== undefined) this.onclose = onclose;
    if (onerror !== undefined) this.onerror = onerror;
    if (oninvalid !== undefined) this.oninvalid = oninvalid;
    this.#core = new Full(
      this,
      typeof ws === "function" ? renew(ws, options) : ws,
      options,
    );
  }

  /**
   * The socket of the connection, or of the attempt at one; `undefined` between
   * the attempts of a client.
   */
  get ws(): Socket | undefined {
    const { ws } = this.#core;
    return ws instanceof ReconnectingSocket ? ws.current : ws;
  }

  /**
   * `"connecting"` until the handshake is done, and again while a lost connection
   * is replaced; `"open"`; `"closed"` for good. {@linkcode Peer.onopen} and
   * {@linkcode Peer.onclose} are called when it changes.
   */
  get state(): ConnectionState {
    return this.#core.state;
  }

  /** The version of what this side sends of itself. */
  get version(): Version {
    return this.#core.version;
  }

  /**
   * The other side's methods, to be called as if they were here. `add` of
   * `remote.math.add(1, 2)` is called by the name "math.add", with params by
   * position; trailing `undefined` are left out. Methods named `then` or `toJSON`
   * are within reach of {@linkcode Peer.request} alone.
   *
   * The promise rejects as that of {@linkcode Peer.request} does.
   */
  get remote(): Remote<Theirs> {
    return this.#remote ??= this.#createRemote(undefined);
  }

  /**
   * The other side's methods, like {@linkcode Peer.remote}, each called with
   * these options.
   *
   * ```ts
   * import { Peer } from "@jsonrpcws/peer";
   * import { socketPair } from "@jsonrpcws/peer/testing";
   * import { assertRejects } from "@std/assert";
   *
   * const [left, right] = socketPair();
   * const local = { wait: () => new Promise<void>(() => {}) };
   * await using server = new Peer(left, { local });
   * await using client = new Peer<typeof local>(right);
   *
   * const patient = client.with({ timeout: 10 });
   * await assertRejects(() => patient.wait(), DOMException, "within 10 ms");
   * ```
   */
  with(options: CallOptions): Remote<Theirs> {
    return this.#createRemote(options);
  }

  /**
   * The call that is being handled. To be read before the method's first
   * `await`, since calls overlap.
   *
   * @throws {TypeError} No method is running.
   */
  get call(): Call {
    const { current } = this.#core.incoming;
    if (current === undefined) {
      throw new TypeError(
        "Cannot read call: no method is running, read it before the first await",
      );
    }
    return current;
  }

  /**
   * Resolves when the handshake is done and {@linkcode Peer.onopen} was called.
   * While a lost connection is replaced, it is the promise of the next one.
   *
   * @throws {ConnectionClosedError} It closed before it opened.
   */
  get opened(): Promise<void> {
    return this.#core.opened;
  }

  /**
   * Resolves when the connection is closed for good and the socket is gone, or 5
   * seconds after {@linkcode Peer.close} if the peer doesn't answer it. Never
   * rejects.
   */
  get closed(): Promise<CloseInfo> {
    return this.#core.closed;
  }

  /**
   * How many responses arrived that no request was waiting for. They are
   * ignored.
   */
  get unmatched(): number {
    return this.#core.unmatched;
  }

  /**
   * Called when the connection is open, each time if lost ones are replaced;
   * before any message of the peer is handled and before calls that waited for
   * the handshake are sent.
   */
  onopen(): void | Promise<void> {}

  /**
   * Called exactly once when the connection ends for good, however it ends, even
   * if it never opened. Every call has been rejected by then, and nothing of
   * this peer acts afterwards.
   *
   * Where lost connections are replaced, called for each of them, too, with
   * `retryIn`; the calls that wait for the next one go on waiting.
   */
  onclose(_event: CloseInfo): void | Promise<void> {}

  /**
   * Called with what a method or hook of this side threw and should not have,
   * and with errors that the peer reports without saying to which call. Default:
   * `console.error`; of an {@linkcode RpcError}, which is mostly the peer's, the
   * code alone.
   */
  onerror(error: unknown): void | Promise<void> {
    // Or whoever can connect could write into the log.
    console.error(
      error instanceof RpcError
        ? `RpcError ${error.code}, message withheld: set onerror to see it`
        : error,
    );
  }

  /**
   * Called with a frame that is no JSON-RPC, some servers send such things
   * beside it. Return `true` to have dealt with it; otherwise it is answered as
   * the specification says, unless it is empty.
   *
   * @param _text The frame.
   * @param _error What the answer would be.
   */
  oninvalid(_text: string, _error: RpcError): boolean | void {}

  /**
   * Sends a request and waits for its response.
   *
   * ```ts
   * import { Peer } from "@jsonrpcws/peer";
   * import { socketPair } from "@jsonrpcws/peer/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const [left, right] = socketPair();
   * await using server = new Peer(left, {
   *   local: {
   *     subtract: (it: { minuend: number; subtrahend: number }) =>
   *       it.minuend - it.subtrahend,
   *   },
   * });
   * await using client = new Peer(right);
   *
   * const params = { minuend: 42, subtrahend: 23 };
   * assertEquals(await client.request<number>("subtract", params), 19);
   * ```
   *
   * @param method Name of the remote method.
   * @param params By position (array) or by name (object); absent if `undefined`.
   * @param options A signal, a time-out, a listener to its progress.
   * @returns The response's `result`; `undefined` if the response had none.
   * @throws {RpcError} The peer answered with an error.
   * @throws {ConnectionClosedError} The connection closed first; `sent` says
   * whether the method may have run.
   * @throws {DOMException} `TimeoutError`: no response came in time. Or, where
   * `options.signal` aborted, whatever its reason is. Both cancel the call.
   * @throws {TypeError} The params can't be written as JSON; nothing was sent.
   * @throws {RangeError} A limit is reached; nothing was sent.
   * @see {@link https://www.jsonrpc.org/specification#request_object}
   */
  request<Method extends MethodName<Theirs>>(
    method: Method,
    ...rest: ParamsFor<MethodOf<Theirs, Method>, [options?: CallOptions]>
  ): Promise<ResultOf<MethodOf<Theirs, Method>>>;
  /**
   * Sends a request by a name that the type of the other side doesn't know, or
   * with a result that only the caller knows.
   *
   * @typeParam Result What the caller expects; not checked.
   */
  request<Result = unknown, Method extends string = string>(
    method: OtherName<Method, Theirs>,
    params?: Params,
    options?: CallOptions,
  ): Promise<Result>;
  request<Result>(
    method: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<Result> {
    return this.#core.request(method, params, options) as Promise<Result>;
  }

  /**
   * Sends a notification: a call without a response. Nothing tells how fast the
   * peer reads them; to send many, await {@linkcode Peer.drained} between them.
   *
   * @param method Name of the remote method.
   * @param params By position (array) or by name (object); absent if `undefined`.
   * @returns Whether it was taken: handed to the socket, or left to wait for the
   * handshake; `false` once the connection is closing or closed, or if too many
   * messages wait.
   * @throws {TypeError} The params can't be written as JSON.
   * @throws {RangeError} The message is too long.
   * @see {@link https://www.jsonrpc.org/specification#notification}
   */
  notify<Method extends MethodName<Theirs>>(
    method: Method,
    ...params: ParamsFor<MethodOf<Theirs, Method>>
  ): boolean;
  /**
   * Sends a notification by a name that the type of the other side doesn't know.
   */
  notify<Method extends string>(
    method: OtherName<Method, Theirs>,
    params?: Params,
  ): boolean;
  notify(method: string, params?: Params): boolean {
    return this.#core.notify(method, params);
  }

  /**
   * Resolves when the socket has sent nearly everything: when no more than 65,536
   * bytes wait, in the same turn if that is so already. What waits for the
   * handshake has not been sent.
   *
   * A peer that is sent more than it reads is closed in the end, see `buffered`
   * of the limits. So whoever sends as fast as can be waits here:
   *
   * ```ts
   * import { Peer } from "@jsonrpcws/peer";
   * import { socketPair } from "@jsonrpcws/peer/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const [left, right] = socketPair();
   * const received: number[] = [];
   * const local = { tick: (n: number) => void received.push(n) };
   * await using reader = new Peer(left, { local });
   * await using writer = new Peer<typeof local>(right);
   *
   * for (let n = 0; n < 10_000; n++) {
   *   await writer.drained();
   *   // Not taken: the connection is closed.
   *   if (!writer.notify("tick", [n])) break;
   * }
   * await writer.request("rpc.ping"); // Answered after all of them.
   * assertEquals(received.length, 10_000);
   * ```
   *
   * @throws {ConnectionClosedError} The connection closed first.
   * @see {@link https://websockets.spec.whatwg.org/#dom-websocket-bufferedamount}
   */
  drained(): Promise<void> {
    return this.#core.drained();
  }

  /**
   * Sends several requests and notifications as one frame, a batch: those that
   * `collect` makes, before its first `await`, on this peer. Each request has
   * its own promise. In versions 1.0 and bare, which have no batches, each is its
   * own frame.
   *
   * ```ts
   * import { Peer } from "@jsonrpcws/peer";
   * import { socketPair } from "@jsonrpcws/peer/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const [left, right] = socketPair();
   * const local = { add: (a: number, b: number) => a + b };
   * await using server = new Peer(left, { local });
   * await using client = new Peer<typeof local>(right);
   *
   * const sums = client.batch(() => [
   *   client.remote.add(1, 2),
   *   client.remote.add(3, 4),
   * ]);
   * assertEquals(await Promise.all(sums), [3, 7]);
   * ```
   *
   * @param collect Makes the calls. If it throws, none of them is sent.
   * @returns What `collect` returned.
   * @throws {RangeError} The batch has too many members or is too long; nothing
   * was sent.
   * @see {@link https://www.jsonrpc.org/specification#batch}
   */
  batch<T>(collect: () => T): T {
    return this.#core.batch(collect);
  }

  /**
   * Answers a request before its method returns; the return value is then
   * ignored. To answer after the method's first `await`, keep the id; not beyond
   * the connection that it came by, since the next one has ids of its own.
   *
   * @param id The request's id, as {@linkcode Peer.call} gives it. A request with
   * id null can be answered so before its method's first `await` alone.
   * @param result The result, if there is no error.
   * @param error What the method would have thrown; `undefined` or null: none.
   * @returns `false` if no request of that id is waiting: it was answered, or
   * the connection is closed.
   * @see {@link https://www.jsonrpc.org/specification#response_object}
   */
  respond(id: Id, result: unknown, error?: unknown): boolean {
    return this.#core.incoming.respond(id, result, error);
  }

  /**
   * Closes the connection for good. At once: calls that wait are rejected,
   * running methods' results are dropped, {@linkcode Peer.onclose} is called. A
   * second close does nothing.
   *
   * @param code 1000 (the default) or 3000 to 4999; where the socket allows it,
   * as a server's does, also 1001 to 1014.
   * @param reason At most 123 bytes of UTF-8; what is more is cut off.
   * @throws {RangeError} The code can't be sent.
   * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-7.1.2}
   */
  close(code: number = CloseCode.Normal, reason = ""): void {
    this.#core.close(code, reason);
  }

  /**
   * The names of the methods that run for the other side: of requests that are
   * not answered, and of notifications. One for each call.
   */
  get running(): string[] {
    return this.#core.running;
  }

  /**
   * Lets no more methods begin, before a {@linkcode Peer.close}: requests are
   * refused with -32009, not executed. Everything else goes on: running methods,
   * what they ask and are answered, functions and objects lent to the peer,
   * streams; and notifications, which nobody could refuse.
   *
   * @returns Resolves when every running method has answered, or the connection
   * is closed. A method must not await it: it would await itself.
   */
  finish(): Promise<void> {
    return this.#core.finishCalls();
  }

  /** Closes the connection and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }

  #createRemote(options: CallOptions | undefined): Remote<Theirs> {
    const untyped = this as unknown as Peer;
    return createRemote((method, params) => {
      const promise = untyped.request(method, params, options);
      this.#core.capabilities?.decorate(promise, options);
      return promise;
    }) as Remote<Theirs>;
  }
}

/** A socket that replaces those of a function. */
function renew(
  open: SocketMaker,
  options: PeerOptions<unknown>,
): ReconnectingSocket {
  const { reconnect = true, handshakeTimeout = 20_000 } = options;
  return new ReconnectingSocket({
    open,
    hasFallback: options.sharedFrames ?? false,
    timeout: readAmount("handshakeTimeout", handshakeTimeout),
    reconnect: reconnect === true ? usually : reconnect || undefined,
  });
}

// One for all connections that are replaced as is usual.
const usually = {};
