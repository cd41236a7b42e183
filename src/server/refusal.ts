/**
 * Refused handshakes: the owner of the server is told of each, because a page never
 * learns why it can't connect.
 *
 * @module
 */

import type { RequestHead } from "./origin.ts";

/**
 * The reason why a handshake was refused: the name of an option or a limit;
 * `"error"`: `authorize` or `origins` threw; `"version"`: the version of WebSocket
 * is not 13; `"handshake"`: it is malformed, as when a proxy removes headers;
 * `"shutdown"`: the server shuts down.
 */
export type RefusalReason =
  | "hosts"
  | "origins"
  | "authorize"
  | "authorizationTime"
  | "connections"
  | "unauthenticated"
  | "shutdown"
  | "version"
  | "handshake"
  | "error";

/** A refused handshake, the argument of `onrefuse`. */
export interface Refusal<Info = unknown> {
  /** See {@linkcode RefusalReason}. */
  readonly reason: RefusalReason;
  /** The HTTP status of the answer. */
  readonly status: number;
  /**
   * One sentence for a log: the status, the reason, and the option that would admit
   * it. Its only text from the request are the headers `Origin` and `Host`, quoted
   * and cut to 100 characters.
   */
  readonly message: string;
  /**
   * The request. Read it before `onrefuse` returns: afterwards it is answered and
   * gone. If its URL can't be parsed, `url` is `http://localhost/`.
   */
  readonly request: Request;
  /** The description of the sender; read it before `onrefuse` returns, too. */
  readonly info: Info;
}

/** The head of a refused request, and the description of its sender. */
interface Refused<Info> extends RequestHead {
  readonly info: Info;
}

// Most different warnings. There are about 20 reasons, but a platform may report
// malformed handshakes in many different words.
const mostWarned = 32;

/**
 * Tells the owner of refusals: by `onrefuse`, or by one warning for each reason.
 */
export class Refusals<Info> {
  readonly #hook: ((refusal: Refusal<Info>) => unknown) | undefined;
  readonly #warned = new Set<string>();

  constructor(hook: ((refusal: Refusal<Info>) => unknown) | undefined) {
    this.#hook = hook;
  }

  /**
   * Tells of one refusal.
   *
   * @param why The reason, and the option that would admit it.
   * @returns What the hook returned.
   * @throws What the hook throws.
   */
  tell(
    handshake: Refused<Info>,
    reason: RefusalReason,
    status: number,
    why: string,
  ): unknown {
    const message = `Refused a handshake with ${status}: ${why}`;
    const hook = this.#hook;
    if (hook !== undefined) {
      const { request, info } = handshake;
      return hook({ reason, status, message, request, info });
    }
    // No warning for a shutdown, since clients try again and again, nor for an
    // error, which `onerror` was told of.
    if (reason === "shutdown" || reason === "error") return undefined;
    const kind = reason === "handshake" ? why : reason;
    if (this.#warned.has(kind) || this.#warned.size === mostWarned) {
      return undefined;
    }
    this.#warned.add(kind);
    console.warn(
      `${message}. Others of this kind are not logged; set onrefuse to hear of each`,
    );
  }
}

/**
 * A header for a log, quoted and cut, so that a client can't fill or forge the log.
 */
export function quoteHeader(head: RequestHead, name: string): string {
  return JSON.stringify((head.get(name) ?? "").slice(0, 100));
}
