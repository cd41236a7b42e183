/**
 * Messages that are too long or too deep to be parsed: a response rejects its call,
 * a request is answered with an error.
 *
 * @see PROTOCOL.md, "Limits"
 *
 * @module
 */

import type { Core } from "../peer/core.ts";
import { dispatch } from "../peer/hearing.ts";
import { cut } from "../peer/life.ts";
import { entrusted } from "../peer/owner.ts";
import { take } from "../peer/waiting.ts";
import {
  invalidRequest,
  messageTooBig,
  requestTooLarge,
} from "../wire/codes.ts";
import { glimpse } from "../wire/glimpse.ts";
import { unreadable } from "../wire/message.ts";

// Bytes of each end of a long binary message that are decoded for a glimpse.
const endLength = 4_096;

/** Refuses a message that is too long. */
export function refuseLength(core: Core, data: unknown): void {
  const { messageLength } = core.limits;
  let text: string;
  let size: string;
  if (typeof data === "string") {
    text = data;
    size = `${data.length} of at most ${messageLength} characters`;
  } else {
    const bytes = new Uint8Array(data as ArrayBuffer);
    const decoder = new TextDecoder();
    text = decoder.decode(bytes.subarray(0, endLength)) +
      decoder.decode(bytes.subarray(-endLength));
    size = `${bytes.length} of at most ${messageLength} bytes`;
  }
  const why = `it has ${size}, see limits.messageLength`;
  refuseUnread(core, text, requestTooLarge, "Request is too long", why);
}

/** Refuses a message that is nested too deeply. */
export function refuseDepth(core: Core, text: string): void {
  const { depth } = core.limits;
  const why = `it is nested deeper than ${depth} levels, see limits.depth`;
  refuseUnread(core, text, invalidRequest, "Invalid Request", why);
}

/**
 * Refuses a message by a glimpse at its ends: rejects the call that it answers, or
 * answers its caller.
 */
function refuseUnread(
  core: Core,
  text: string,
  code: number,
  what: string,
  why: string,
): void {
  const { kind, id } = glimpse(text);
  const isResponse = kind === "response";
  if (isResponse && settleUnread(core, id, why)) return;
  const isStranger = core.makeSocket === undefined;
  if (isStranger && code === requestTooLarge) {
    return cut(core, messageTooBig, `Message is too long: ${why}`);
  }
  // A batch from a server is taken for the answer to a batch.
  const isBatch = !isStranger && text.startsWith("[");
  if (isBatch && core.batches?.settle(unreadError(core, "batch", why), true)) {
    return;
  }
  const isKnown = id !== undefined &&
    !(typeof id === "string" && id.length > core.limits.idLength);
  // A client is always answered, since it may be waiting; a server only if it has
  // made a call.
  const answerTo = isStranger
    ? isKnown ? id : null
    : isKnown && kind === "call"
    ? id
    : undefined;
  const message = `${what}: ${why}`;
  dispatch(core, {
    ...unreadable(code, message),
    isCall: kind === "call",
    id: isResponse ? undefined : answerTo,
  }, text);
}

/**
 * Rejects the request that an unread response answers; `false`: no request waits
 * for it.
 */
function settleUnread(core: Core, id: unknown, why: string): boolean {
  const pending = take(core, id);
  pending?.reject(unreadError(core, `request "${pending.method}"`, why));
  return pending !== undefined;
}

/** The error of a response that was not read. */
function unreadError(core: Core, what: string, why: string): RangeError {
  const error = new RangeError(`Cannot read response to ${what}: ${why}`);
  return entrusted(core, error);
}
