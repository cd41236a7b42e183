/**
 * Events of the socket: frames become messages, messages go to calls.
 *
 * @see {@link https://websockets.spec.whatwg.org/#feedback-from-the-protocol}
 *
 * @module
 */

import { readCloseEvent } from "../line/close.ts";
import type { SocketEvent } from "../line/socket.ts";
import { keepEvent } from "../runtime/shapes.ts";
import { badProtocol, messageTooBig, parseError } from "../wire/codes.ts";
import { RpcError } from "../wire/error.ts";
import {
  type Invalid,
  invalid,
  type Message,
  readMessage,
  type Response,
  unreadable,
} from "../wire/message.ts";
import type { Core, Handlers } from "./core.ts";
import { execute, refuse } from "./incoming.ts";
import { cut, expectClose, lose, open, sweepLine } from "./life.ts";
import { settle, sweepOutgoing } from "./outgoing.ts";
import { complain, runHook } from "./owner.ts";
import type { IncomingBatch } from "./seams.ts";
import { versionOf } from "./sending.ts";

// Made for the first binary frame, because not every platform has a TextDecoder.
let decoder: TextDecoder | undefined;

/** See {@linkcode Handlers}. */
export const handlers: Handlers = { hear, sweep, complain };

/**
 * Takes an event of the socket. Never throws, because a throw of a listener would
 * end the process.
 */
function hear(core: Core, event: SocketEvent): void {
  try {
    switch (event.type) {
      case "message":
        keepEvent(event);
        if (core.turns?.takes(event) !== false) receive(core, event.data);
        break;
      case "open":
        open(core);
        break;
      case "error":
        core.cause = event.error ?? event.message;
        expectClose(core);
        break;
      case "close":
        if (core.turns?.takes(event) !== false) {
          lose(core, readCloseEvent(event));
        }
        break;
      case "control": // It has been answered.
        if (core.bounds?.count() !== false) core.turns?.count();
        break;
      default: // The pong of `ws`, which is no event.
        core.heartbeat?.hearAnswer();
    }
  } catch (error) {
    complain(core, error);
  }
}

function sweep(core: Core, now: number): number {
  return Math.min(
    sweepOutgoing(core, now),
    sweepLine(core, now),
    core.bounds?.sweep(now) ?? Infinity,
  );
}

// A byte order mark, which may stand before a text, once.
const mark = /^\ufeff(?!\ufeff)/;
const array = /^\ufeff?\[/;

// What a mark of the heartbeat is.
const space = 0x20;

/** Takes a frame. */
function receive(core: Core, data: unknown): void {
  const { bounds, heartbeat, limits, sharing } = core;
  if (heartbeat !== undefined) heartbeat.isHeard = true;
  // Looked at here, too, because in a hidden page timers ring only once a minute.
  if (core.backlog?.isHolding) core.backlog.look();
  // A message may come before the open event, but not before onopen.
  if (core.state === "connecting") open(core);
  if (core.state !== "open") return;
  const isShared = sharing?.isShared === true;
  const text = readText(
    data,
    isShared ? sharing.mostLength : limits.messageLength,
  );
  // A single message has the usual limit even if frames are shared.
  if (
    text === undefined ||
    text.length > limits.messageLength && !array.test(text)
  ) {
    if (bounds !== undefined) bounds.refuseLength(data);
    else cut(core, messageTooBig, "Message is too long");
    return;
  }
  const { connection } = core;
  connection.isCharged = false;
  connection.frame++;
  receiveText(core, text, isShared);
}

/** Reads the text of a frame. */
function receiveText(core: Core, text: string, isShared: boolean): void {
  const { sharing, bounds, receiveBatch, limits } = core;
  if (!isShared && sharing?.take(text)) return;
  // The shared frame itself is one more level.
  const isFrame = isShared && array.test(text);
  const depth = limits.depth + (isFrame ? 1 : 0);
  // A shorter text can't be nested too deeply.
  if (text.length > 2 * depth && bounds?.isTooDeep(text, depth)) {
    lookForMark(core, text);
    if (isFrame) sharing!.receiveDeep(text.replace(mark, ""));
    else bounds.refuseDepth(text);
    return;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Some peers write a byte order mark, which is then removed, once. Looked for
    // only now: doing so before would be a twentieth of a small call in one
    // process.
    if (mark.test(text)) {
      return receiveText(core, text.slice(1), isShared);
    }
    const why = unreadable(parseError, "Parse error");
    return dispatch(core, why, text);
  }
  // Not before: what is a rope is flat by now.
  lookForMark(core, text);
  if (isShared) sharing!.receive(value, text);
  else if (receiveBatch !== undefined && Array.isArray(value)) {
    receiveBatch(core, value, text);
  } else dispatch(core, read(core, value, text), text);
}

function lookForMark({ heartbeat }: Core, text: string): void {
  if (
    heartbeat?.isMarked === false && text.charCodeAt(text.length - 1) === space
  ) heartbeat.hearMark(text);
}

/**
 * Calls a function for each message of a frame, over several turns if need be, and
 * then another one.
 *
 * @param text The text of the frame.
 * @param first The index of the first message that is left.
 */
export function eachInTurn<T>(
  core: Core,
  messages: readonly T[],
  text: string,
  take: (message: T) => void,
  finish?: () => void,
  first = 0,
): void {
  const { turns } = core;
  for (let index = first; index < messages.length; index++) {
    if (core.state !== "open") return;
    if (
      index > first && turns?.isOver() &&
      turns.goOn(
        () => eachInTurn(core, messages, text, take, finish, index),
        text.length,
        messages.slice(index),
      )
    ) return;
    try {
      take(messages[index]!);
    } catch (error) {
      complain(core, error); // Caught, so that the others are taken.
    }
  }
  if (core.state === "open") finish?.();
}

/** The text of a frame; `undefined`: it is too long. */
function readText(data: unknown, mostLength: number): string | undefined {
  let text: string;
  if (typeof data === "string") text = data;
  else if ((data as ArrayBuffer).byteLength > mostLength) return undefined;
  else {
    try {
      decoder ??= new TextDecoder("utf-8", { fatal: true });
      text = decoder.decode(data as ArrayBuffer);
    } catch {
      text = "\u{fffd}"; // Not UTF-8, so not JSON: answered as a parse error.
    }
  }
  return text.length > mostLength ? undefined : text;
}

/** Reads a message from parsed JSON. */
export function read(core: Core, value: unknown, text: string): Message {
  const { connection: { spoken }, sharing, versions, limits } = core;
  // Most messages name their version.
  const unnamed = (value as { jsonrpc?: unknown } | null)?.jsonrpc === "2.0"
    ? undefined
    : versions?.unnamed(spoken, sharing?.isShared === true);
  return readMessage(value, text, unnamed ?? "2.0", limits);
}

/** Handles a message. */
export function dispatch(
  core: Core,
  message: Message,
  text: string,
  batch?: IncomingBatch,
): void {
  const { connection, bounds } = core;
  if (message.type === "response" && isEmpty(core, message)) {
    return refuseEmpty(core, message, text, batch);
  }
  if (connection.spoken === undefined && message.type !== "invalid") {
    connection.spoken = message.version;
  }
  switch (message.type) {
    case "request":
    case "notification":
      if (bounds?.admits(message, batch) === false) return;
      connection.observers?.inform(message);
      execute(core, message, text, batch);
      break;
    case "response":
      settle(core, message, text);
      break;
    case "invalid":
      if (bounds?.count() !== false) refuseInvalid(core, message, text, batch);
      break;
  }
}

/**
 * Whether a message with only an id is no response, because no request ever had
 * that id. Otherwise it may be a response whose result was undefined, and so left
 * out.
 */
function isEmpty({ pending }: Core, { id, result, error }: Response): boolean {
  return result === undefined && error === undefined && !pending.hasHad(id);
}

/** Refuses such a message, unless it answers a ping. */
function refuseEmpty(
  core: Core,
  { version, id }: Response,
  text: string,
  batch: IncomingBatch | undefined,
): void {
  if (core.heartbeat?.isAnswer(id)) return;
  const why = "it has no method, and no result or error";
  const isGood = Number.isSafeInteger(id) ||
    typeof id === "string" && id.length <= core.limits.idLength;
  dispatch(core, invalid(version, isGood ? id : null, why), text, batch);
}

/** Answers an invalid message, unless the owner has handled it. */
function refuseInvalid(
  core: Core,
  { version, id, isCall, code, message }: Invalid,
  text: string,
  batch: IncomingBatch | undefined,
): void {
  const error = new RpcError(code, message);
  let isHandled: unknown;
  runHook(core, () => (isHandled = core.owner.oninvalid(text, error)));
  if (
    isHandled === true || core.state === "closed" ||
    /^[ \t\n\r]*$/.test(text)
  ) return;
  // A client doesn't answer other messages of its server, such as events of a
  // protocol of its own, which couldn't read the answer.
  const isOld = core.connection.spoken === "1.0";
  if (core.makeSocket !== undefined && (isOld || !isCall)) return;
  // JSON-RPC 1.0 has no error for it.
  if (isOld) {
    return cut(core, badProtocol, message);
  }
  if (core.bounds?.countInvalid() === false || id === undefined) return;
  refuse(core, version ?? versionOf(core), id, error, batch);
}
