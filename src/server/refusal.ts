/**
 * Handshakes that a server refuses, as its owner is told of them: a page that can't
 * connect can say nothing of why.
 *
 * @module
 */

import type { RequestHead } from "./origin.ts";

/**
 * Why a handshake is refused: by which option or limit, `"error"` for one of the
 * owner's functions that threw, `"version"` for another WebSocket than version 13,
 * `"handshake"` for one that is malformed, as by a proxy that takes headers out.
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

/** A handshake that was refused, as `onrefuse` is told of it. */
export interface Refusal<Info = unknown> {
  /** See {@linkcode RefusalReason}. */
  readonly reason: RefusalReason;
  /** The HTTP status of the answer. */
  readonly status: number;
  /**
   * One sentence for a log: what was refused, why, and which option lets it in. Of
   * the request it says the header `Origin` or `Host` alone, quoted and cut to 100
   * characters.
   */
  readonly message: string;
  /**
   * The request. To be read at once: it is gone with its answer. Without an address
   * that can be read, its address is `http://localhost/`.
   */
  readonly request: Request;
  /** What the server knows of whoever sent it; the same holds. */
  readonly info: Info;
}

/** A request that was refused, and what the server knows of whoever sent it. */
interface Refused<Info> extends RequestHead {
  readonly info: Info;
}

// Reasons, and what is wrong with handshakes: few, unless a platform finds words.
const mostWarned = 32;

/** Tells the owner of refusals: by his hook, or each reason once by the log. */
export class Refusals<Info> {
  readonly #hook: ((refusal: Refusal<Info>) => unknown) | undefined;
  readonly #warned = new Set<string>();

  constructor(hook: ((refusal: Refusal<Info>) => unknown) | undefined) {
    this.#hook = hook;
  }

  /**
   * Tells of one.
   *
   * @param why What was refused, and which option lets it in.
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
    // What leaves is asked for again and again, and what threw was reported.
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

/** A header of a stranger's, which must not fill or forge a log. */
export function quoteHeader(head: RequestHead, name: string): string {
  return JSON.stringify((head.get(name) ?? "").slice(0, 100));
}
