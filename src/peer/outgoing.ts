/**
 * Calls to the other side: written, sent, settled by a response, or given up.
 *
 * @see {@link https://www.jsonrpc.org/specification#request_object}
 *
 * @module
 */

import { namedError, reasonOf } from "../runtime/errors.ts";
import { readAmount } from "../wire/amount.ts";
import {
  batchTooLarge,
  invalidRequest,
  parseError,
  requestTooLarge,
} from "../wire/codes.ts";
import { hide, RpcError } from "../wire/error.ts";
import {
  type Members,
  type Params,
  readError,
  type Response,
  writeMembers,
  writeNotification,
  writeRequest,
} from "../wire/message.ts";
import type { CallOptions } from "./call.ts";
import type { Core } from "./core.ts";
import {
  closedError,
  complain,
  entrusted,
  isLeaving,
  isReady,
} from "./owner.ts";
import type { Pending } from "./pending.ts";
import type { Writing } from "./seams.ts";
import {
  cannotNotify,
  checkLength,
  sendNow,
  tell,
  versionOf,
} from "./sending.ts";
import {
  advance,
  awaited,
  cannotRequest,
  isFree,
  letGo,
  post,
  sendRequest,
  take,
} from "./waiting.ts";

// The codes of errors about a message that the other side could not read. An error
// without an id and with another code isn't about a call: some peers answer unknown
// notifications so.
const unreadable: readonly number[] = [
  0,
  parseError,
  invalidRequest,
  requestTooLarge,
  batchTooLarge,
];

// Characters: longer texts are not kept to be sent again, since all requests in
// flight would be.
const mostKept = 65_536;

// The functions that settle the last promise that was made. One executor for all
// promises: a closure for each costs 2 % of a call (bench/, "one process").
let resolveLast: ((result: unknown) => void) | undefined;
let rejectLast: ((error: unknown) => void) | undefined;

function keepHands(
  resolve: (result: unknown) => void,
  reject: (error: unknown) => void,
): void {
  resolveLast = resolve;
  rejectLast = reject;
}

/** Sends a request, and settles with its response; see {@linkcode Peer.request}. */
export function request(
  core: Core,
  method: string,
  params?: Params,
  options?: CallOptions,
): Promise<unknown> {
  const promise = new Promise<unknown>(keepHands);
  const resolve = resolveLast!;
  const reject = rejectLast!;
  // Cleared, or they would keep the last call in memory.
  resolveLast = rejectLast = undefined;
  try {
    begin(core, method, params, options, resolve, reject);
  } catch (error) {
    reject(error);
  }
  if (core.batches?.isCollecting) core.batches.note(promise);
  return promise;
}

/** Sends a request, or puts it into the queue. */
function begin(
  core: Core,
  method: string,
  params: Params | undefined,
  options: CallOptions | undefined,
  resolve: (result: unknown) => void,
  reject: (error: unknown) => void,
): void {
  if (isLeaving(core)) throw closedError(core, cannotRequest, false, method);
  checkMethod(cannotRequest, method);
  const { pending: table } = core;
  const signal = options?.signal;
  if (signal?.aborted) throw reasonOf(signal);
  const timeout = options?.timeout === undefined
    ? core.timeout
    : readAmount("timeout", options.timeout);
  const id = table.takeId();
  const { values } = core.connection;
  const writing = values?.startParams(params);
  let text: string;
  try {
    const more = options?.members;
    text = writeCall(core, cannotRequest, method, params, writing, id, more);
    // A toJSON of the params may have closed the peer.
    if (isLeaving(core)) {
      throw closedError(core, cannotRequest, false, method);
    }
  } catch (error) {
    values?.release(writing);
    throw error;
  }
  const loan = writing !== undefined && writing.releases.length > 0
    ? writing
    : undefined;
  const idempotent = options?.idempotent ?? false;
  // A call of onopen: after its answer, calls count as onopen's, too.
  const own = core.opening?.isOwn ? core.opening : undefined;
  const pending: Pending = {
    id,
    method,
    timeout,
    resolve: own === undefined ? resolve : own.follow(resolve),
    reject: own === undefined ? reject : own.follow(reject),
    deadline: core.deadlines.after(timeout),
    onprogress: options?.onprogress,
    idempotent,
    text: idempotent && loan === undefined ||
        core.pace !== undefined && text.length <= mostKept
      ? text
      : undefined,
    loan,
    places: method.startsWith("$/") ? 0 : 1,
    sent: false,
    wasSent: false,
    settled: false,
    queued: 0,
    release: signal === undefined && loan === undefined
      ? undefined
      : holdSignal(core, id, signal, loan),
  };
  if (loan !== undefined) loan.pending = pending;
  // Added before it is sent, because a socket may answer from within send().
  table.add(pending);
  own?.count();
  if (core.batches?.isCollecting) core.batches.collect(text, pending);
  else if (isReady(core, method) && isFree(core, pending)) {
    sendRequest(core, pending, text, sendNow);
  } else {
    const why = post(core, cannotRequest, method, [{ text, pending }]);
    if (why !== undefined) table.take(id)?.reject(entrusted(core, why));
  }
}

/**
 * Listens to the signal of a call; returns a function that removes the listener and
 * releases the loan.
 */
function holdSignal(
  core: Core,
  id: number,
  signal: AbortSignal | undefined,
  loan: Writing | undefined,
): (succeeded: boolean) => void {
  const { values } = core.connection;
  const abort = (): void => cancel(core, id, reasonOf(signal!));
  signal?.addEventListener("abort", abort);
  return (succeeded) => {
    signal?.removeEventListener("abort", abort);
    values?.release(loan, succeeded);
  };
}

/** Sends a notification; see {@linkcode Peer.notify}. */
export function notify(core: Core, method: string, params?: Params): boolean {
  return deliver(core, method, writeNotice(core, method, params));
}

/** Writes a notification, for one peer or many. */
export function writeNotice(
  core: Core,
  method: string,
  params: Params | undefined,
): string {
  checkMethod(cannotNotify, method);
  const { values } = core.connection;
  const writing = values?.startParams(params);
  try {
    const text = writeCall(core, cannotNotify, method, params, writing);
    if (writing === undefined || writing.releases.length === 0) return text;
    throw new TypeError(
      `${cannotNotify} "${method}": it carries a stream or a function, send a request`,
    );
  } finally {
    values?.release(writing);
  }
}

/** Sends a written notification; `false`: it was not taken. */
export function deliver(core: Core, method: string, text: string): boolean {
  text = traced(core, text);
  checkLength(core, cannotNotify, method, text);
  if (isLeaving(core)) return false;
  if (core.batches?.isCollecting) {
    core.batches.collect(text, undefined);
    return true;
  }
  core.connection.suspect = core.pending.nextId;
  // A notification doesn't overtake a call that was made before it.
  return isReady(core, method) && core.pause === undefined &&
      core.queue.isPassable(false)
    ? sendNow(core, text)
    : post(core, cannotNotify, method, [{ text, pending: undefined }]) ===
      undefined;
}

/** @throws {TypeError} The method's name is no string. */
export function checkMethod(what: string, method: unknown): void {
  if (typeof method === "string") return;
  throw new TypeError(
    `${what} "${method}": method must be a string, got ${typeof method}`,
  );
}

/**
 * Writes a request; without an id, a notification.
 *
 * @throws {TypeError} The params can't be written as JSON.
 * @throws {RangeError} The request is too long.
 */
function writeCall(
  core: Core,
  what: string,
  method: string,
  params: Params | undefined,
  writing: Writing | undefined,
  id?: number,
  members?: Members,
): string {
  let text: string;
  let more: string;
  try {
    more = writeMembers(members);
    text = writing === undefined
      ? writeMessage(core, method, params, id)
      : writeLending(core, method, params, writing, id);
  } catch (error) {
    if (error instanceof RpcError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new TypeError(`${what} "${method}": ${why}`, { cause: error });
  }
  if (id === undefined) return text;
  text = traced(core, text);
  if (more !== "") text = `${text.slice(0, -1)}${more}}`;
  checkLength(core, what, method, text);
  return text;
}

/** The same with params that may hold streams and references. */
function writeLending(
  core: Core,
  method: string,
  params: Params | undefined,
  writing: Writing,
  id: number | undefined,
): string {
  return core.connection.values!.writeParams(
    params,
    writing,
    (written) => writeMessage(core, method, written, id),
  );
}

function writeMessage(
  core: Core,
  method: string,
  params: Params | undefined,
  id: number | undefined,
): string {
  const version = versionOf(core);
  if (id === undefined) {
    return version === "2.0"
      ? writeNotification(method, params)
      : core.versions!.writeNotification(version, method, params);
  }
  const wireId = wireIdOf(core, id);
  return version === "2.0"
    ? writeRequest(wireId, method, params)
    : core.versions!.writeRequest(version, wireId, method, params);
}

/** The id as it is sent: a number, or a string with `stringIds`. */
function wireIdOf({ options }: Core, id: number): number | string {
  return options.stringIds ? `${id}` : id;
}

/** Adds the trace context to a call, if this side has traces. */
function traced(core: Core, text: string): string {
  return core.traces?.isOn && versionOf(core) === "2.0"
    ? core.traces.write(text)
    : text;
}

/** Cancels a request: rejects it, and tells the other side if it was sent. */
export function cancel(core: Core, id: number, reason: unknown): void {
  giveUp(core, id, reason);
  // Only now, so that the cancel leaves before the requests that take its place.
  advance(core);
}

function giveUp(core: Core, id: number, reason: unknown): void {
  const pending = core.pending.take(id);
  if (pending === undefined) return;
  pending.reject(reason);
  if (pending.sent) {
    tell(core, "$/cancelRequest", { id: wireIdOf(core, id) });
  }
}

/** Gives up the requests that are due; returns the time of the next deadline. */
export function sweepOutgoing(core: Core, now: number): number {
  const due: Pending[] = [];
  let next = core.pending.sweep(now, due);
  for (const pending of due) {
    if (pending.loan?.asked) {
      // The other side waits for an answer of this one.
      pending.deadline = core.deadlines.after(pending.timeout);
      next = Math.min(next, pending.deadline);
    } else giveUp(core, pending.id, timeoutError(core, pending));
  }
  if (due.length > 0) advance(core);
  return next;
}

/**
 * The error of a call that timed out. If it was never sent, the message has the
 * reason.
 */
function timeoutError(core: Core, pending: Pending): Error {
  const { method, timeout, sent, wasSent } = pending;
  const left = sent || wasSent;
  const what = left ? "No sign of life from request" : cannotRequest;
  const why = left ? "" : `: it waits for ${awaited(core)}`;
  const error = namedError(
    `${what} "${method}" within ${timeout} ms${why}`,
    "TimeoutError",
  );
  const cause = core.last?.cause;
  if (!left && cause !== undefined) {
    hide(error, "cause", cause);
  }
  return entrusted(core, error);
}

/**
 * Settles a request with its response.
 *
 * @param text The text of its frame.
 */
export function settle(core: Core, response: Response, text: string): void {
  const { id, error } = response;
  const { connection } = core;
  const pending = core.pending.get(id);
  if (pending === undefined) return settleUnknown(core, response, text);
  if (connection.suspect !== 0 && pending.id >= connection.suspect) {
    connection.suspect = 0;
  }
  if (pending.method === "rpc.ping") core.heartbeat?.hearAnswer();
  const { values } = connection;
  // Read before the loan is released, since the result may have its handles.
  let result: unknown = response.result;
  let failure: unknown;
  if (error !== undefined) {
    if (core.pace?.postpone(core, pending, error)) return;
    letGo(core, pending, false);
    return pending.resolve(rejected(core, error, pending.method));
  }
  if (values !== undefined) {
    try {
      result = values.read(result, text);
    } catch (unreadable) {
      failure = unreadable;
    }
  }
  letGo(core, pending, true);
  if (failure === undefined) pending.resolve(result);
  else pending.reject(entrusted(core, failure as Error));
}

/** A promise that rejects with a response's error. */
function rejected(
  core: Core,
  error: unknown,
  method: string,
): Promise<never> {
  return rejectLate(() => {
    const failure = entrusted(core, readError(error));
    hide(failure, "method", method);
    return failure;
  });
}

/**
 * A promise that rejects two microtasks later. By then the call's promise waits for
 * this one, so V8 finds the code that awaits it, and the error has the caller's
 * stack. Calls that succeed cost nothing. Taking a stack for each call would cost
 * 1.1 µs of the 2.7 that a small call takes in one process.
 *
 * @param makeError Makes the error, after the microtasks.
 */
export async function rejectLate(makeError: () => Error): Promise<never> {
  await undefined;
  await undefined;
  throw makeError();
}

/** Handles a response whose id no request has. */
export function settleUnknown(
  core: Core,
  { id, error, result }: Response,
  text: string,
): void {
  if (error !== undefined && (id === undefined || id === null)) {
    settleUnidentified(core, entrusted(core, readError(error)));
  } else if (!core.heartbeat?.isAnswer(id)) {
    core.unmatched++;
    if (core.bounds?.count() !== false) {
      core.connection.values?.discard(result, text);
    }
  }
}

/**
 * Handles an error without an id. By its code it may say that the other side could
 * not read a message. Then it is taken for the answer to a batch if one waits, else
 * to a call if only one waits. If there are several, or a notification or an answer
 * may be meant, no call is rejected, since it could be the wrong one.
 */
function settleUnidentified(core: Core, error: RpcError): void {
  const isNamed = core.batches?.isNamed === true;
  if (!isNamed && core.heartbeat?.isBlamed()) return;
  // No guess while a notification or an answer may be meant.
  const isGuess = core.connection.suspect === 0;
  if (unreadable.includes(error.code)) {
    if (core.batches?.settle(error, isGuess)) return;
    const [only, another] = isGuess && !isNamed
      ? core.pending.all().filter(({ sent }) => sent)
      : [];
    if (only !== undefined && another === undefined) {
      return take(core, only.id)?.reject(error);
    }
  }
  if (core.bounds?.count() !== false) complain(core, error);
}
