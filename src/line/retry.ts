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

/** The rules by which a lost connection is replaced. */
export interface ReconnectOptions {
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

  /**
   * Decides what follows the end of a connection, or of an attempt at one.
   *
   * @param isFresh Whether an attempt brings credentials that the last one didn't
   * have.
   * @returns In how many milliseconds to try again; `undefined`: never.
   */
  delayAfter(
    { code, reason }: Pick<CloseInfo, "code" | "reason">,
    isFresh: boolean,
  ): number | undefined {
    if (performance.now() - this.#openedAt >= stableTime) {
      this.#row = 0;
      this.#hasRefreshed = false;
    }
    this.#openedAt = Infinity;
    if (code === unauthenticated) {
      // Once more, since credentials grow old.
      if (!isFresh || this.#hasRefreshed) return undefined;
      this.#hasRefreshed = true;
    } else if (!(transient as readonly number[]).includes(code)) {
      return undefined;
    }
    const { delay = 500, maxDelay = 30_000, attempts = Infinity } =
      this.#options;
    const row = this.#row++;
    if (row >= attempts) return undefined;
    const hint = /retry in (\d+) ms/.exec(reason);
    // Where one of them is 0, the other is soon infinite: NaN.
    const wanted = hint
      ? Math.min(+hint[1]!, mostHint)
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
