/**
 * HTTP answers that refuse a handshake, where the socket tells of them.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-4.1}
 *
 * @module
 */

import type { HttpAnswer, Socket } from "../line/socket.ts";
import type { Answers, Core, CorePart } from "../peer/core.ts";
import { failAttempt } from "../peer/life.ts";
import { messageOf } from "../peer/owner.ts";

/** The part that reads such answers. */
export const answers: CorePart = {
  name: "answers",
  attach(core) {
    core.answers = answer;
  },
};

const answer: Answers = { listen, read };

/** The event of `ws` for an HTTP answer, with its headers. */
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

/**
 * Ends an attempt when the server answers with HTTP, if the socket has an event for
 * that, as `ws` does.
 */
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

/** Reads the status from an error's message: Deno's "Invalid status code: 401". */
function read(error: unknown): HttpAnswer | undefined {
  const status = /\bstatus code: (\d{3})$/.exec(messageOf(error))?.[1];
  return status === undefined ? undefined : { status: +status };
}
