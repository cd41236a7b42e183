/**
 * A call, as the method that handles it sees it, and as the caller makes it.
 *
 * @module
 */

import type { Id, Members } from "../wire/message.ts";
import type { TraceContext } from "./trace.ts";

/** The call that a method is handling. Keep it whole: its parts need each other. */
export interface Call {
  /** The request's id as the caller wrote it; `undefined` for a notification. */
  readonly id: Id | undefined;
  /** The name that was called. */
  readonly method: string;
  /**
   * Aborts when the caller cancels the call, when the connection closes, and
   * after `handlerTimeout` without a sign of life. Its reason says which. Listeners run
   * right after that, in the AsyncLocalStorage in which the signal was first asked for.
   */
  readonly signal: AbortSignal;
  /**
   * The caller's place in a distributed trace; empty if the call had none.
   *
   * @see {@link https://www.w3.org/TR/trace-context/}
   */
  readonly trace: TraceContext;
  /**
   * The members that the message has beside `jsonrpc`, `id`, `method` and `params`,
   * as the caller wrote them: the `sessionId` of Chrome DevTools. Empty if it has
   * none.
   */
  readonly members: Members;
  /**
   * Tells the caller how far the method is; see `onprogress` of
   * {@linkcode CallOptions}. It is a sign of life, whether somebody listens or not.
   *
   * @param value Any JSON.
   * @returns Whether it was sent: `false` for a notification, in JSON-RPC 1.0
   * and bare, and once the call was answered.
   */
  progress(value: unknown): boolean;
}

/** How one call is made. */
export interface CallOptions {
  /**
   * Members that its message has beside `jsonrpc`, `id`, `method` and `params`, for a
   * peer that asks for some: the `sessionId` of Chrome DevTools. Any JSON; those of
   * the value `undefined` are left out. One that the message has by itself is a
   * TypeError. Default: none.
   */
  members?: Members;
  /**
   * Cancels the call: it rejects at once with the signal's reason, the peer is
   * told with `$/cancelRequest`, and an answer that comes late is dropped.
   */
  signal?: AbortSignal;
  /**
   * Milliseconds without a sign of life after which, or at most a sixteenth later,
   * the call is cancelled and rejects with a `TimeoutError`. Signs are progress,
   * questions for a stream among its params and calls of what it lends; the time
   * that it waits for its turn counts. Default: the peer's `timeout`, 60,000.
   * `Infinity`: never. For a total there is `AbortSignal.timeout`.
   */
  timeout?: number;
  /**
   * Called with what the method tells of its progress, in order, each time
   * before the call is settled.
   */
  onprogress?: (value: unknown) => void;
  /**
   * Whether the method may as well be executed twice. Then a client that replaces
   * a lost connection sends the call again on the next one, unless it passes a
   * stream or a reference; and a ConnectionClosedError says so to whoever decides
   * about calling again. Default `false`.
   */
  idempotent?: boolean;
}

/**
 * The argument of {@linkcode Peer.onopen}: runs a function whose calls are those of
 * `onopen`, and returns what that returns. Needed after an `await` of something that
 * is no call; does no harm anywhere.
 */
export type First = <Result>(call: () => Result) => Result;

/** Where an error comes from that {@linkcode Peer.onerror} is told of. */
export interface ErrorContext {
  /** The method of this side that threw; absent if none did, but a hook. */
  readonly method?: string;
  /** The call that it was handling. */
  readonly call?: Call;
}
