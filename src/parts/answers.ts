/**
 * The HTTP answer that a server gave instead of a WebSocket, where the socket
 * tells it.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-4.1}
 *
 * @module
 */

import type { HttpAnswer, Socket } from "../line/socket.ts";
import type { Core, CorePart } from "../peer/core.ts";
import { failAttempt } from "../peer/life.ts";
import { messageOf } from "../peer/owner.ts";

/** Lets a peer know what it was answered. */
export const answers: CorePart = {
  name: "answers",
  attach(core) {
    core.answers = { listen: (socket) => listen(core, socket), read };
  },
};

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

/** Ends an attempt by what is answered, where a socket has an event for it: `ws`'s. */
function listen(core: Core, socket: Socket): void {
  (socket as Telling).once?.(
    "unexpected-response",
    (_request, { statusCode: status, headers }) => {
      if (core.ws !== socket) return;
      core.answer = {
        status,
        retryAfter: readRetryAfter(headers["retry-after"]),
      };
      failAttempt(
        core,
        new Error(`The server answered with HTTP status ${status}`),
      );
    },
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
function read(error: unknown): HttpAnswer | undefined {
  const status = /\bstatus code: (\d{3})$/.exec(messageOf(error))?.[1];
  return status === undefined ? undefined : { status: +status };
}
