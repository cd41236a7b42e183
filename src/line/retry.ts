/**
 * The rules of reconnection: whether to connect again after a lost connection, and
 * when; the same for every client.
 *
 * @see {@link https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/} for the delays
 *
 * @module
 */

import { readAmount } from "../wire/amount.ts";
import type { CloseCode, CloseInfo } from "../wire/error.ts";

/**
 * A failed attempt to connect, or a lost connection: the argument of
 * {@linkcode Peer.onattempt} and of `when` of the {@linkcode ReconnectOptions}.
 */
export interface FailedAttempt extends CloseInfo {
  /**
   * Number of attempts that have failed in a row, this one included: 1 or more. 0
   * for a lost connection.
   */
  readonly attempt: number;
  /**
   * The error: thrown by the function for the address, told by the socket, or
   * rejected by `onopen`. Absent if the platform tells none, as browsers do.
   */
  readonly cause?: unknown;
  /**
   * The HTTP status of the server's refusal. Only sockets of `ws` and Deno's tell
   * it.
   */
  readonly status?: number;
  /** The address of the attempt; absent if the function for the address failed. */
  readonly url?: string;
}

/** The rules by which a lost connection is replaced. */
export interface ReconnectOptions {
  /**
   * Decides after each failed attempt and each lost connection whether there is
   * another attempt: `true`, whatever the close code, or `false`. Without it, or if
   * it returns nothing, the close code decides (PROTOCOL.md, "Close codes"); after
   * an HTTP answer of 401 there is one more attempt if a function gives fresh
   * credentials, after 403, 404 and 410 none. `attempts` bounds the number in any
   * case.
   */
  when?: (this: void, end: FailedAttempt) => boolean | void;
  /**
   * Milliseconds: the first delay is a random part of this, and the range doubles
   * with each failed attempt. Default 500. Each delay is 100 at least, except for
   * the attempt without `sharedFrames` that follows a failed one with them at once.
   */
  delay?: number;
  /**
   * Longest delay in milliseconds. Default 30,000. An overloaded server (close code
   * 1013) gets 5,000 more, and a server that asks for more time gets it, up to
   * 60,000.
   */
  maxDelay?: number;
  /**
   * Most attempts in a row; after the last one the peer is closed. A connection
   * that lasts 5 seconds ends the row. Default `Infinity`.
   */
  attempts?: number;
}

// Milliseconds: a connection that lasts as long ends the row of attempts.
const stableTime = 5_000;

const leastDelay = 100;

// Milliseconds: a little less than the longest that a timer can take.
const longest = 2_000_000_000;

// Milliseconds that an overloaded server gets at least.
const overloadDelay = 5_000;

// Milliseconds: a server can't make its clients wait longer.
const mostHint = 60_000;

// Numbers, so that a small client doesn't carry the table of all codes.
type Code = typeof CloseCode[keyof typeof CloseCode];
const unauthenticated: Code = 4401;
const tryAgainLater: Code = 1013;

// The close codes after which a client connects again: they mean trouble of the
// moment. Every other code is final, since a peer gives it on purpose.
const transient: readonly (Code | 1014 | 1015)[] = [
  1001, // GoingAway
  1005, // NoStatus
  1006, // Abnormal
  1011, // InternalError
  1012, // ServiceRestart
  tryAgainLater,
  1014, // The gateway could not reach the server.
  1015, // No TLS handshake.
  4008, // SlowConsumer
  4009, // HeartbeatLost
  4408, // AuthorizationTimeout
  4429, // TooManyRequests
];

// The HTTP statuses of a refusal that won't change soon.
const finalStatuses: readonly number[] = [403, 404, 410];

/** The attempts of one client to connect. */
export class Retries {
  readonly #options: ReconnectOptions;
  /** Number of attempts since the last connection that lasted. */
  #row = 0;
  #openedAt = Infinity;
  #hasRefreshed = false;

  /** @throws {RangeError} A number of the options is less than 0, or NaN. */
  constructor(options: ReconnectOptions) {
    const { delay = 0, maxDelay = 0, attempts = 0 } = options;
    readAmount("delay", delay);
    readAmount("maxDelay", maxDelay);
    readAmount("attempts", attempts, "");
    this.#options = options;
  }

  /** Notes that a connection has opened. */
  open(): void {
    this.#openedAt = performance.now();
  }

  /** See {@linkcode ReconnectOptions.when}. */
  get when(): ReconnectOptions["when"] {
    return this.#options.when;
  }

  /**
   * Decides what follows the end of a connection or of an attempt.
   *
   * @param isFresh Whether the next attempt has fresh credentials.
   * @param isWanted The answer of `when`; anything but a boolean counts as none.
   * @param retryAfter Milliseconds that the server asked for.
   * @returns The milliseconds until the next attempt; `undefined`: there is none.
   */
  delayAfter(
    { code, reason, status }: Pick<FailedAttempt, "code" | "reason" | "status">,
    isFresh: boolean,
    isWanted?: unknown,
    retryAfter?: number,
  ): number | undefined {
    if (performance.now() - this.#openedAt >= stableTime) {
      this.#row = 0;
      this.#hasRefreshed = false;
    }
    this.#openedAt = Infinity;
    if (isWanted === false) return undefined;
    if (isWanted !== true) {
      if (code === unauthenticated || status === 401) {
        // One more attempt, since credentials may have expired.
        if (!isFresh || this.#hasRefreshed) return undefined;
        this.#hasRefreshed = true;
      } else if (
        !(transient as readonly number[]).includes(code) ||
        finalStatuses.includes(status!)
      ) return undefined;
    }
    const { delay = 500, maxDelay = 30_000, attempts = Infinity } =
      this.#options;
    const row = this.#row++;
    if (row >= attempts) return undefined;
    const hint = retryAfter ?? /retry in (\d+) ms/.exec(reason)?.[1];
    // `|| 0`, because 0 times an infinite range is NaN.
    const wanted = hint !== undefined
      ? Math.min(+hint, mostHint)
      : Math.random() * (Math.min(maxDelay, delay * 2 ** row, longest) || 0) +
        (code === tryAgainLater ? overloadDelay : 0);
    return Math.max(leastDelay, wanted);
  }
}

/** The page's events that hurry a reconnection; absent outside of pages. */
interface Page {
  readonly document?: EventTarget & { readonly visibilityState: string };
  addEventListener?: EventTarget["addEventListener"];
}

/**
 * Waits for a delay. A visible page waits no longer than until the network comes
 * back or the page becomes visible.
 *
 * @returns Stops waiting.
 */
export function wait(delay: number, done: () => void): () => void {
  const { document } = globalThis as Page;
  const controller = new AbortController();
  const stop = (): void => {
    clearTimeout(timer);
    controller.abort();
  };
  const go = (): void => {
    stop();
    done();
  };
  const hurry = (): void => {
    if (document?.visibilityState !== "hidden") go();
  };
  const timer = setTimeout(go, delay);
  (globalThis as Page).addEventListener?.("online", hurry, controller);
  document?.addEventListener("visibilitychange", hurry, controller);
  return stop;
}
