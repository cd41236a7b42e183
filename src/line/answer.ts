/**
 * The HTTP answer that a server gave instead of a WebSocket, where the socket
 * tells it.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-4.1}
 *
 * @module
 */

import type { Socket } from "./socket.ts";

/** An answer that was no handshake. */
export interface HttpAnswer {
  /** The status: 401. */
  readonly status: number;
  /** Milliseconds, by the header `Retry-After`. */
  readonly retryAfter?: number | undefined;
}

/** The listener of `ws`: by its own event it tells the headers, too. */
interface Telling {
  once?(
    event: "unexpected-response",
    listener: (
      request: unknown,
      response: {
        readonly statusCode: number;
        readonly headers: { readonly [name: string]: unknown };
      },
    ) => void,
  ): unknown;
}

/** Listens to what is answered, where a socket has an event for it: that of `ws`. */
export function onAnswer(
  socket: Socket,
  listener: (answer: HttpAnswer) => void,
): void {
  (socket as Telling).once?.(
    "unexpected-response",
    (_request, { statusCode: status, headers }) =>
      listener({ status, retryAfter: readRetryAfter(headers["retry-after"]) }),
  );
}

/** Reads a header in either of its forms: seconds, or a date. */
function readRetryAfter(value: unknown): number | undefined {
  const text = `${value}`;
  const time = /^\d+$/.test(text)
    ? 1_000 * +text
    : Date.parse(text) - Date.now();
  return time >= 0 ? time : undefined;
}

/** The answer of which an error's message tells: Deno's "Invalid status code: 401". */
export function readAnswer(error: unknown): HttpAnswer | undefined {
  const status = /\bstatus code: (\d{3})$/.exec(messageOf(error))?.[1];
  return status === undefined ? undefined : { status: +status };
}

/** The message of an error; `""`: there is none. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : `${error ?? ""}`;
}
