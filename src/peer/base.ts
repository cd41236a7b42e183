/**
 * The peer: one end of a connection, with the members that its users see. What it
 * can do beside calls depends on its parts; see `presets/`.
 *
 * @see {@link https://www.jsonrpc.org/specification}
 *
 * @module
 */

import type { FailedAttempt } from "../line/retry.ts";
import type { Socket, SocketMaker } from "../line/socket.ts";
import { type CloseInfo, RpcError } from "../wire/error.ts";
import type { Limits } from "../wire/limits.ts";
import type { Id, Params } from "../wire/message.ts";
import type { Call, CallOptions, ErrorContext, First } from "./call.ts";
import type {
  AsyncReleasable,
  MethodName,
  MethodOf,
  OtherName,
  ParamsFor,
  Remote,
  ResultOf,
} from "./contract.ts";
import {
  type ConnectionState,
  Core,
  type CorePart,
  type Keeper,
} from "./core.ts";
import { handlers } from "./hearing.ts";
import { respond } from "./incoming.ts";
import { begin, close, keep, whenClosed, whenOpened } from "./life.ts";
import type { PeerOptions } from "./options.ts";
import { notify, request } from "./outgoing.ts";
import { describeAttempt, quote, stateOf } from "./owner.ts";
import { createRemote } from "./remote.ts";

/** A peer with any other side and any context. */
export type AnyPeer = Pick<BasePeer, "close" | "closed" | "opened" | "state">;

// Reads the private core of a peer; set by the first one. Not in a static block,
// because a bundler would keep the class even where it is unused.
let coreIn: ((peer: object) => Core | undefined) | undefined;

/** The names of the hooks. */
export const hooks = [
  "onopen",
  "onresume",
  "onclose",
  "onattempt",
  "onerror",
  "oninvalid",
] as const;

// The members of a definition that replace the class's.
const defined = ["local", ...hooks] as const;

/** The core of a peer, for modules of this package. */
export function coreOf(peer: object): Core {
  return coreIn?.(peer)!;
}

/**
 * Calls the keeper's `release` once the peer is gone. As {@linkcode Peer.closed},
 * but without a promise, since a server has thousands of peers.
 */
export function keepPeer(
  keeper: Keeper,
  peer: { readonly closed: Promise<CloseInfo> },
): void {
  const core = coreIn?.(peer);
  if (core !== undefined && keep(core, keeper)) return;
  peer.closed.then(() => keeper.release(peer));
}

/**
 * A peer; `await using` closes it. An interface beside the class, because the tool
 * that makes the package for npm leaves out members of classes whose names are
 * symbols.
 */
export interface BasePeer<Theirs = unknown, Context = unknown>
  extends AsyncReleasable {
  /** Never set: the compiler infers `Theirs` of a subclass by this member. */
  readonly [theirs]?: Theirs | undefined;
}

/** The key of a member that is never set, see {@linkcode TheirsOf}. */
export const theirs: unique symbol = /* @__PURE__ */ Symbol();

/** The type of a peer's other side; of a union of peers, the union of theirs. */
export type TheirsOf<Member> = [Member] extends [never] ? unknown
  : Member extends { readonly [theirs]?: infer Theirs } ? NonNullable<Theirs>
  : unknown;

/**
 * One end of a JSON-RPC connection: it calls the other end's methods and lets the
 * other end call its own. The base of {@linkcode Peer}, the whole one and the small
 * one.
 *
 * @typeParam Theirs The type of the other side's `local`.
 * @typeParam Context The type of {@linkcode BasePeer.context}.
 */
export class BasePeer<Theirs = unknown, Context = unknown> {
  /**
   * The methods that the other side may call: the own functions of this object, and
   * those of plain objects in it, by dotted names (`math.add`). Inherited functions
   * and getters can't be called.
   *
   * The result is the method's return value, or the value of its promise;
   * `undefined` is written as null. A thrown {@linkcode RpcError} is sent to the
   * caller; any other error goes to {@linkcode Peer.onerror}, and the caller gets
   * "Internal error". Params by position are the arguments; params by name are one
   * argument, the object.
   *
   * `this` is the peer in a definition's methods, and the object that holds the
   * function in a class's. Names that start with `rpc.` or `$/` are reserved, and
   * never found here.
   */
  local: object = {};

  /**
   * The owner's data about the connection, such as its user: set by `authorize`, by
   * the option `context`, or by a method that signs somebody in. The next call sees
   * the new value. Replace the value rather than change it, because running methods
   * may have read it.
   */
  context: Context;

  readonly #core: Core;
  #remote: Remote<Theirs> | undefined;

  static #coreIn(peer: object): Core | undefined {
    return #core in peer ? peer.#core : undefined;
  }

  /**
   * Speaks JSON-RPC over a socket.
   *
   * @param ws Any object with the WebSocket interface, connecting or open; or a
   * function that makes one: then a connection that is lost is replaced.
   * @param options A definition and settings.
   * @param parts Its parts, for everything beside calls.
   * @param limits Its limits, complete.
   */
  constructor(
    ws: Socket | SocketMaker,
    options: PeerOptions<Context>,
    parts: readonly CorePart[],
    limits: Limits,
  ) {
    this.context = options.context as Context;
    for (const name of defined) {
      const value = options[name];
      if (value !== undefined) Reflect.set(this, name, value);
    }
    coreIn ??= BasePeer.#coreIn;
    this.#core = new Core(this, ws, options, parts, limits, handlers);
    begin(this.#core);
  }

  /**
   * The socket of the connection or of the attempt to connect; `undefined` while a
   * client waits for its next attempt.
   */
  get ws(): Socket | undefined {
    return this.#core.ws;
  }

  /**
   * `"connecting"` until the handshake is done and an asynchronous
   * {@linkcode Peer.onopen} has settled, and again while a lost connection is
   * replaced; then `"open"`; at last `"closed"`, for good. {@linkcode Peer.onopen}
   * and {@linkcode Peer.onclose} are called when it changes.
   */
  get state(): ConnectionState {
    return stateOf(this.#core);
  }

  /**
   * The other side's methods, to be called like local ones. `remote.math.add(1, 2)`
   * calls "math.add" with params by position; trailing arguments that are
   * `undefined` are left out.
   *
   * Each method is a function, so members that every function has (`apply`, `bind`,
   * `name`) are the function's, and names that tools look up in any value (`then`,
   * `toJSON`, `$$typeof`) are `undefined`. Call methods of such names, see
   * {@linkcode OwnName}, by {@linkcode Peer.request}.
   *
   * A call rejects as {@linkcode Peer.request} does.
   */
  get remote(): Remote<Theirs> {
    return this.#remote ??= this.#createRemote(undefined);
  }

  /**
   * The other side's methods, as {@linkcode Peer.remote}, but called with these
   * options.
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
   * The call that is being handled. Read it before the method's first `await`,
   * because calls overlap.
   *
   * @throws {TypeError} No method is running.
   */
  get call(): Call {
    const { current } = this.#core;
    if (current === undefined) {
      throw new TypeError(
        "Cannot read call: no method is running, read it before the first await",
      );
    }
    return current;
  }

  /**
   * Resolves when the handshake is done and {@linkcode Peer.onopen} has settled.
   * While a lost connection is replaced, this is a new promise, for the next
   * connection.
   *
   * @throws {ConnectionClosedError} The peer was closed before a connection opened.
   */
  get opened(): Promise<void> {
    return whenOpened(this.#core);
  }

  /**
   * Resolves when the connection is closed for good and the socket is gone, or 5
   * seconds after {@linkcode Peer.close} if the other side doesn't answer. Never
   * rejects.
   */
  get closed(): Promise<CloseInfo> {
    return whenClosed(this.#core);
  }

  /**
   * "Peer". Vue and MobX make plain objects reactive, and recognize by this that a
   * peer is none.
   */
  get [Symbol.toStringTag](): string {
    return "Peer";
  }

  /**
   * Called when a connection has opened, each time if lost ones are replaced:
   * before any message of the other side is handled, and before calls that waited
   * for the handshake are sent.
   *
   * If it returns a promise, all other calls, and {@linkcode Peer.opened}, wait
   * until that has settled: sign in here. The hook's own calls pass: those before
   * its first `await`, and those after an `await` of a call that passed. After an
   * `await` of anything else, a call can't be recognized as the hook's: wrap it in
   * `first`, whose calls pass. A call that isn't wrapped waits; after a second with
   * nothing else under way it passes, too, and {@linkcode Peer.onerror} is told.
   *
   * If it throws or rejects, `onerror` is told, and the connection is closed with
   * 1011; a client then connects again, and {@linkcode Peer.onattempt} is told. If
   * a client's hook fails with an RpcError, the server has refused: the connection
   * is closed with 4401 for the codes -32050 and 401, and with 4403 for others,
   * except those of a busy or failing server. 4403 is final, and so is 4401 after
   * one more attempt with fresh credentials; `reconnect.when` can decide otherwise.
   *
   * ```ts
   * import { connect } from "@jsonrpcws/peer/client";
   * import { serve } from "@jsonrpcws/peer/server";
   * import { assertEquals } from "@std/assert";
   *
   * await using server = serve({
   *   port: 0,
   *   onListen() {},
   *   local: {
   *     signIn(token: string) {
   *       this.context = token;
   *     },
   *     whoAmI() {
   *       return this.context ?? "nobody";
   *     },
   *   },
   * });
   * await using client = connect(server.url, {
   *   async onopen(first) {
   *     const token = await Promise.resolve("ann");
   *     await first(() => this.request("signIn", [token]));
   *   },
   * });
   * assertEquals(await client.request("whoAmI"), "ann");
   * ```
   */
  onopen(_first: First): void | Promise<void> {}

  /**
   * Called instead of {@linkcode Peer.onopen} if this peer was made for a
   * connection that is open already: in a Durable Object that has slept. The other
   * side notices nothing. A promise or an error means the same as in `onopen`.
   */
  onresume(_first: First): void | Promise<void> {}

  /**
   * Called exactly once when the connection ends for good, in whatever way, even if
   * it never opened. All calls have been rejected by then, and the peer does
   * nothing afterwards.
   *
   * If lost connections are replaced, also called for each of those, with
   * `retryIn`; calls that wait for the next connection go on waiting.
   */
  onclose(_event: CloseInfo): void | Promise<void> {}

  /**
   * Called with each failed attempt to connect of a client: the reason, as far as
   * the socket tells it, and `retryIn`, the time until the next attempt. Without
   * `retryIn` it was the last one, and {@linkcode Peer.onclose} follows. Default:
   * `console.warn` for the first attempt of a row.
   */
  onattempt(failed: FailedAttempt): void | Promise<void> {
    if (failed.attempt === 1) console.warn(describeAttempt(failed));
  }

  /**
   * Called with errors that no caller gets: those that a method or a hook of this
   * side threw (other than an {@linkcode RpcError} of a method), those that the
   * other side reports without the id of a call, and rejections of calls that
   * nobody handles, which therefore don't end the process. `context` says which
   * method of this side threw, if one did. Default: `console.error` with that
   * method's name; of an RpcError, whose message is mostly the other side's, only
   * the code and the called method.
   */
  onerror(error: unknown, context?: ErrorContext): void | Promise<void> {
    // Without its message, since anybody who can connect could write into the log.
    const said = error instanceof RpcError
      ? `RpcError ${error.code}${
        error.method === undefined ? "" : ` of call ${quote(error.method)}`
      }, message withheld: set onerror to see it`
      : error;
    // The name helps where the stack doesn't, as for a result that JSON can't
    // write. It is one of `local`, so it can't forge a log.
    const method = context?.method;
    if (method === undefined) console.error(said);
    else console.error("In method", `${quote(method)}:`, said);
  }

  /**
   * Called with a frame that is no JSON-RPC; some servers send such frames. Return
   * `true` if you have handled it. Otherwise it is answered as the specification
   * says, unless it is empty; a client answers only if it names a method.
   *
   * @param _text The frame.
   * @param _error The error that it would be answered with.
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
   * @throws {RpcError} The other side answered with an error.
   * @throws {ConnectionClosedError} The connection closed first; `sent` says
   * whether the method may have run.
   * @throws {DOMException} `TimeoutError`: there was no sign of life in time. If
   * `options.signal` aborted, its reason is thrown instead, whatever it is. Both
   * cancel the call.
   * @throws {TypeError} The params can't be written as JSON; nothing was sent.
   * @throws {RangeError} A limit is reached; nothing was sent. Or, if the message
   * begins with "Cannot read response", the answer is too long or too deep.
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
    return request(this.#core, method, params, options) as Promise<Result>;
  }

  /**
   * Sends a notification: a call without a response. To send many, await
   * {@linkcode Peer.drained} between them, since nothing else tells how fast the
   * other side reads.
   *
   * @param method Name of the remote method.
   * @param params By position (array) or by name (object); absent if `undefined`.
   * @returns `true` if it was taken: handed to the socket, or put into the queue to
   * wait for a connection or behind calls that wait. `false` if the connection is
   * closing or closed, or if too many messages wait.
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
    return notify(this.#core, method, params);
  }

  /**
   * Answers a request before its method returns; the return value is then ignored.
   * To answer after the method's first `await`, keep the id, but only as long as
   * the connection: the next one has ids of its own.
   *
   * @param id The request's id, of {@linkcode Peer.call}. A request with the id
   * null can be answered only before its method's first `await`.
   * @param result The result, if there is no error.
   * @param error The error that the method would have thrown; `undefined` or null:
   * none.
   * @returns `false` if no request of that id waits, because it was answered or the
   * connection is closed.
   * @see {@link https://www.jsonrpc.org/specification#response_object}
   */
  respond(id: Id, result: unknown, error?: unknown): boolean {
    return respond(this.#core, id, result, error);
  }

  /**
   * Closes the connection for good. In the same turn, calls that wait are rejected,
   * results of running methods are dropped, and {@linkcode Peer.onclose} is called.
   * A second close does nothing.
   *
   * If notifications wait for the handshake or an asynchronous `onopen`, they are
   * sent first: calls are rejected now and no more are taken, but the connection
   * closes only once it has opened, or after 5 seconds.
   *
   * @param code 1000 (the default) or 3000 to 4999; also 1001 to 1014 if the socket
   * allows it, as a server's does.
   * @param reason At most 123 bytes of UTF-8; the rest is cut off.
   * @throws {RangeError} The code can't be sent.
   * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-7.1.2}
   */
  close(code = 1000, reason = ""): void {
    close(this.#core, code, reason);
  }

  /** Closes the connection and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }

  #createRemote(options: CallOptions | undefined): Remote<Theirs> {
    const core = this.#core;
    const untyped = this as unknown as BasePeer;
    return createRemote((method, params) => {
      const promise = untyped.request(method, params, options);
      core.connection.values?.decorate(promise, options);
      return promise;
    }) as Remote<Theirs>;
  }
}
