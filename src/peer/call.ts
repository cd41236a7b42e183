/**
 * A call, as its method sees it, and the options by which its caller makes it.
 *
 * @module
 */

import type { Id, Members } from "../wire/message.ts";
import type { TraceContext } from "./trace.ts";

/**
 * The call that a method is handling. Don't take its functions off it: they need
 * `this`.
 */
export interface Call {
  /** The request's id; `undefined` for a notification. */
  readonly id: Id | undefined;
  /** The called name. */
  readonly method: string;
  /**
   * Aborts when the caller cancels the call, when the connection closes, and after
   * the limit `handlerTimeout` without a sign of life; the reason says which.
   * Listeners run in the AsyncLocalStorage context in which the signal was first
   * read.
   */
  readonly signal: AbortSignal;
  /**
   * The caller's trace context; empty if the call had none.
   *
   * @see {@link https://www.w3.org/TR/trace-context/}
   */
  readonly trace: TraceContext;
  /**
   * The further members of the message, beside `jsonrpc`, `id`, `method` and
   * `params`, such as the `sessionId` of Chrome DevTools. Empty if there are none.
   */
  readonly members: Members;
  /**
   * Tells the caller of the method's progress; see `onprogress` of
   * {@linkcode CallOptions}. It is a sign of life even if the caller doesn't
   * listen.
   *
   * @param value Any JSON value.
   * @returns Whether it was sent: `false` for a notification, in JSON-RPC 1.0
   * and bare, and once the call was answered.
   */
  progress(value: unknown): boolean;
}

/** The options of one call. */
export interface CallOptions {
  /**
   * Further members of the message, beside `jsonrpc`, `id`, `method` and `params`,
   * for peers that need some, such as the `sessionId` of Chrome DevTools. Any JSON
   * values; `undefined` is left out. A name of the envelope rejects with a
   * TypeError. Default: none.
   */
  members?: Members;
  /**
   * Cancels the call when it aborts: the call rejects at once with the signal's
   * reason, the other side is told by `$/cancelRequest`, and a late answer is
   * dropped.
   */
  signal?: AbortSignal;
  /**
   * Milliseconds without a sign of life after which the call is cancelled and
   * rejects with a `TimeoutError`, at most a sixteenth later. Signs of life are
   * progress, questions for a stream in its params, and calls of functions in its
   * params. The time in the queue counts. Default: the peer's `timeout`, 60,000.
   * `Infinity`: never. To limit the whole time, use `AbortSignal.timeout`.
   */
  timeout?: number;
  /**
   * Called with each value that the method passes to `progress`, in order, before
   * the call is settled.
   */
  onprogress?: (value: unknown) => void;
  /**
   * Whether executing the method twice does no harm. Then a client sends the call
   * again on the next connection if the first one is lost, unless it passes a
   * stream or a reference; and a ConnectionClosedError has it as `idempotent`, for
   * code that decides whether to call again. Default `false`.
   */
  idempotent?: boolean;
}

/**
 * The argument of {@linkcode Peer.onopen}: runs a function, whose calls count as
 * the hook's own, and returns its result. Needed after an `await` of anything but a
 * call; harmless anywhere else.
 */
export type First = <Result>(call: () => Result) => Result;

/** The origin of an error that {@linkcode Peer.onerror} is told of. */
export interface ErrorContext {
  /** The method of this side that threw; absent if it was no method. */
  readonly method?: string;
  /** The call that it was handling. */
  readonly call?: Call;
}
