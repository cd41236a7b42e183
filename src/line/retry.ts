/**
 * When to connect again after a connection is lost, and whether: the same rules
 * for every client.
 *
 * @see {@link https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/} for the delays
 *
 * @module
 */

import { readAmount } from "../wire/amount.ts";
import type { CloseCode, CloseInfo } from "../wire/error.ts";

/**
 * An attempt to connect that came to nothing, or a connection that was lost, as
 * {@linkcode Peer.onattempt} and `when` of the {@linkcode ReconnectOptions} are
 * told of it.
 */
export interface FailedAttempt extends CloseInfo {
  /**
   * How many have failed in a row, since there was a connection: 1 or more; 0 for
   * a connection that was lost.
   */
  readonly attempt: number;
  /**
   * What went wrong: what the function that was asked for an address threw, what
   * the socket complained of, what `onopen` rejected with. Absent where the
   * platform doesn't tell, as browsers don't.
   */
  readonly cause?: unknown;
  /**
   * The HTTP status of a server that refused, where the socket knows it: those of
   * `ws` do, and Deno's.
   */
  readonly status?: number;
  /** The address that was tried; absent where none was told. */
  readonly url?: string;
}

/** The rules by which a lost connection is replaced. */
export interface ReconnectOptions {
  /**
   * Decides whether there is another attempt, after each that failed and each
   * connection that was lost: `true`, whatever the close code, or `false`. Default,
   * and if it says nothing: as PROTOCOL.md, "Close codes", has it; a server that
   * answers 401 is asked once more if there are fresh credentials, one that answers
   * 403, 404 or 410 is not. Within `attempts` in any case.
   */
  when?: (this: void, end: FailedAttempt) => boolean | void;
  /**
   * Milliseconds: a delay is a random part of this, and of twice as much after
   * each attempt that failed. Default 500. No delay is shorter than 100, but for
   * that of a first attempt without `sharedFrames` after one with them.
   */
  delay?: number;
  /**
   * Milliseconds that a delay never exceeds, unless the server asks for more time:
   * one that is overloaded for 5 seconds, any for up to a minute. Default 30,000.
   */
  maxDelay?: number;
  /**
   * Most attempts in a row; then the last one's close is the end. A connection
   * that lasts for 5 seconds ends the row. Default `Infinity`.
   */
  attempts?: number;
}

// A connection that lasts so long has not failed at once.
const stableTime = 5_000;

const leastDelay = 100;

// No timer takes more than a little longer.
const longest = 2_000_000_000;

// An overloaded server is not asked again before.
const overloadDelay = 5_000;

// Longer than this a server can't make its clients wait.
const mostHint = 60_000;

// Numbers here, not the table of them: a client shall not carry all of that.
type Code = typeof CloseCode[keyof typeof CloseCode];
const unauthenticated: Code = 4401;
const tryAgainLater: Code = 1013;

// Of the codes that mean trouble of the moment, those below 4000; every other
// code that a peer gives on purpose is final.
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

// Of a server that refuses, the HTTP statuses that won't be others soon.
const finalStatuses: readonly number[] = [403, 404, 410];

/** One client's attempts to connect, one after the other. */
export class Retries {
  readonly #options: ReconnectOptions;
  /** Attempts since the last connection that lasted. */
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

  /** There is a connection. */
  open(): void {
    this.#openedAt = performance.now();
  }

  /** See {@linkcode ReconnectOptions.when}. */
  get when(): ReconnectOptions["when"] {
    return this.#options.when;
  }

  /**
   * Decides what follows the end of a connection, or of an attempt at one.
   *
   * @param isFresh Whether an attempt brings credentials that the last one didn't
   * have.
   * @param isWanted What the owner says; anything but a boolean: nothing.
   * @param retryAfter Milliseconds that the server asks for.
   * @returns In how many milliseconds to try again; `undefined`: never.
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
        // Once more, since credentials grow old.
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
    // Where one of them is 0, the other is soon infinite: NaN.
    const wanted = hint !== undefined
      ? Math.min(+hint, mostHint)
      : Math.random() * (Math.min(maxDelay, delay * 2 ** row, longest) || 0) +
        (code === tryAgainLater ? overloadDelay : 0);
    return Math.max(leastDelay, wanted);
  }
}

/** The part of a page that tells of itself; absent elsewhere. */
interface Page {
  readonly document?: EventTarget & { readonly visibilityState: string };
  addEventListener?: EventTarget["addEventListener"];
}

/**
 * Waits for a delay; on a page that is looked at no longer than until the network
 * comes back, or somebody looks at it again.
 *
 * @returns How to stop waiting.
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
