/**
 * The peer: one end of a connection, as those see it who use it. What it can do
 * beside calls depends on its parts; see `presets/`.
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

/** A peer, whatever its other side and its context are. */
export type AnyPeer = Pick<BasePeer, "close" | "closed" | "opened" | "state">;

// Set by the first peer, so that its core stays its own. Not by a static block, for
// whose sake a bundler would keep the class where nobody uses it.
let coreIn: ((peer: object) => Core | undefined) | undefined;

/** The hooks that a definition may have. */
export const hooks = [
  "onopen",
  "onresume",
  "onclose",
  "onattempt",
  "onerror",
  "oninvalid",
] as const;

// What a definition says takes the place of what the class does.
const defined = ["local", ...hooks] as const;

/** The core of a peer. For modules of this package: who uses it has `local`. */
export function coreOf(peer: object): Core {
  return coreIn?.(peer)!;
}

/**
 * Keeps a peer until it is gone: what {@linkcode Peer.closed} tells, for servers,
 * which have thousands and no need of as many promises.
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
 * `await using` closes it. Beside the class, because what turns it into a package
 * for npm leaves out the members whose names are symbols.
 */
export interface BasePeer<Theirs = unknown, Context = unknown>
  extends AsyncReleasable {
  /** Never there: by this the compiler finds `Theirs` in a subclass. */
  readonly [theirs]?: Theirs | undefined;
}

/** The key of a member that there never is. */
export const theirs: unique symbol = /* @__PURE__ */ Symbol();

/** The type of the other side of a peer's, or of those of several kinds. */
export type TheirsOf<Member> = [Member] extends [never] ? unknown
  : Member extends { readonly [theirs]?: infer Theirs } ? NonNullable<Theirs>
  : unknown;

/**
 * One end of a JSON-RPC connection: it calls the other end's methods and lets the
 * other end call its own. What {@linkcode Peer} is, whatever its parts are.
 *
 * @typeParam Theirs The type of the other side's `local`.
 * @typeParam Context The type of {@linkcode BasePeer.context}.
 */
export class BasePeer<Theirs = unknown, Context = unknown> {
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
   * @param parts What it can do beside calls.
   * @param limits How much it takes and gives.
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
   * The socket of the connection, or of the attempt at one; `undefined` while a
   * client waits for its next attempt.
   */
  get ws(): Socket | undefined {
    return this.#core.ws;
  }

  /**
   * `"connecting"` until the handshake is done and an asynchronous
   * {@linkcode Peer.onopen} has settled, and again while a lost connection is
   * replaced; `"open"`; `"closed"` for good. {@linkcode Peer.onopen} and
   * {@linkcode Peer.onclose} are called when it changes.
   */
  get state(): ConnectionState {
    return stateOf(this.#core);
  }

  /**
   * The other side's methods, to be called as if they were here. `add` of
   * `remote.math.add(1, 2)` is called by the name "math.add", with params by
   * position; trailing `undefined` are left out.
   *
   * A method is a function: what every function has (`apply`, `bind`, `name`) is
   * its own, and what tools look up in any value (`then`, `toJSON`, `$$typeof`) is
   * `undefined`. Methods by an {@linkcode OwnName} are within reach of
   * {@linkcode Peer.request} alone.
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
   * While a lost connection is replaced, it is the promise of the next one.
   *
   * @throws {ConnectionClosedError} It closed before it opened.
   */
  get opened(): Promise<void> {
    return whenOpened(this.#core);
  }

  /**
   * Resolves when the connection is closed for good and the socket is gone, or 5
   * seconds after {@linkcode Peer.close} if the peer doesn't answer it. Never
   * rejects.
   */
  get closed(): Promise<CloseInfo> {
    return whenClosed(this.#core);
  }

  /**
   * "Peer": to who makes what is plain reactive, as Vue and MobX do, it is none of
   * that, and stays as it is.
   */
  get [Symbol.toStringTag](): string {
    return "Peer";
  }

  /**
   * Called when the connection is open, each time if lost ones are replaced;
   * before any message of the peer is handled and before calls that waited for
   * the handshake are sent.
   *
   * One that returns a promise holds them back until that has settled, with
   * {@linkcode Peer.opened} and what is called meanwhile: sign in here. What it calls
   * itself passes: before its first `await`, and after an `await` of a call that
   * passed. After an `await` of something else nobody can tell whose a call is: say it
   * with `first`, which runs a function whose calls pass. What isn't said so waits, and
   * after a second with nothing else under way passes, too, and
   * {@linkcode Peer.onerror} is told.
   *
   * What it throws or rejects with is told to `onerror`, and the connection is not
   * used: it is closed with 1011, for which a client tries again and
   * {@linkcode Peer.onattempt} is told; with 4401 for an RpcError that says -32050 or
   * 401, and with 4403 for any other one that a method of the server threw for its
   * caller: those are final, unless `reconnect` has another word.
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
   * Called instead of {@linkcode Peer.onopen} where this peer is made anew for a
   * connection that is open already: in a Durable Object that has slept. The other
   * side has noticed nothing. What it returns or throws means the same.
   */
  onresume(_first: First): void | Promise<void> {}

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
   * Called with each attempt to connect that fails, of a peer that makes its
   * sockets: why, as far as the socket tells, and with `retryIn` when the next one
   * is; without, it was the last, and {@linkcode Peer.onclose} follows. Default:
   * `console.warn` for the first of a row.
   */
  onattempt(failed: FailedAttempt): void | Promise<void> {
    if (failed.attempt === 1) console.warn(describeAttempt(failed));
  }

  /**
   * Called with what a method or hook of this side threw and should not have,
   * with errors that the peer reports without saying to which call, and with those of
   * calls that nobody listens to, which end no process; the second argument says
   * which method of this side threw, if one did. Default: `console.error`, with that
   * method's name; of an {@linkcode RpcError}, which is mostly the peer's, its code and
   * what was called alone.
   */
  onerror(error: unknown, context?: ErrorContext): void | Promise<void> {
    // Or whoever can connect could write into the log.
    const said = error instanceof RpcError
      ? `RpcError ${error.code}${
        error.method === undefined ? "" : ` of call ${quote(error.method)}`
      }, message withheld: set onerror to see it`
      : error;
    // A name that `local` has. The stack of what JSON refuses doesn't tell it.
    const method = context?.method;
    if (method === undefined) console.error(said);
    else console.error("In method", `${quote(method)}:`, said);
  }

  /**
   * Called with a frame that is no JSON-RPC, some servers send such things
   * beside it. Return `true` to have dealt with it; otherwise it is answered as
   * the specification says, unless it is empty. A peer that makes its sockets, a
   * client, answers only what names a method.
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
   * @throws {DOMException} `TimeoutError`: it gave no sign of life in time. Or, where
   * `options.signal` aborted, whatever its reason is. Both cancel the call.
   * @throws {TypeError} The params can't be written as JSON; nothing was sent.
   * @throws {RangeError} A limit is reached; nothing was sent. Or, if it says
   * "Cannot read response", the answer is too long or too deep.
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
   * Sends a notification: a call without a response. Nothing tells how fast the
   * peer reads them; to send many, await {@linkcode Peer.drained} between them.
   *
   * @param method Name of the remote method.
   * @param params By position (array) or by name (object); absent if `undefined`.
   * @returns Whether it was taken: handed to the socket, or left to wait for a
   * connection, also if the peer is closed meanwhile, or behind calls that wait for
   * their turn; `false` once the connection is closing or closed, or if too many
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
    return notify(this.#core, method, params);
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
    return respond(this.#core, id, result, error);
  }

  /**
   * Closes the connection for good. At once: calls that wait are rejected,
   * running methods' results are dropped, {@linkcode Peer.onclose} is called. A
   * second close does nothing.
   *
   * Notifications that wait for the handshake, or for an asynchronous `onopen`, were
   * taken, and are sent first: calls are rejected at once and no more are taken, but
   * the connection opens, if it does so within 5 seconds, and closes then.
   *
   * @param code 1000 (the default) or 3000 to 4999; where the socket allows it,
   * as a server's does, also 1001 to 1014.
   * @param reason At most 123 bytes of UTF-8; what is more is cut off.
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
