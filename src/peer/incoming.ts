/**
 * Calls of the other side: admitted, run, answered.
 *
 * @see {@link https://www.jsonrpc.org/specification#response_object}
 *
 * @module
 */

import { Deferred, isThenable } from "../line/deferred.ts";
import { namedError } from "../runtime/errors.ts";
import {
  busy,
  cancelled,
  internalError,
  invalidRequest,
  methodNotFound,
  responseTooLarge,
} from "../wire/codes.ts";
import { type ErrorObject, RpcError } from "../wire/error.ts";
import {
  type Id,
  type Members,
  type Notification,
  type Params,
  readMembers,
  readParam,
  type Request,
  type Version,
  writeError,
  writeId,
  writeResult,
} from "../wire/message.ts";
import type { Connection, Core, RunningCall } from "./core.ts";
import { invoke, type Method, Methods } from "./methods.ts";
import { closedError, isOfOther, report, runHook } from "./owner.ts";
import type { Loan } from "./pending.ts";
import type { IncomingBatch, Lender, Traces, Writing } from "./seams.ts";
import { sendAside, tell } from "./sending.ts";
import type { TraceContext } from "./trace.ts";
import { renew } from "./waiting.ts";

/** A method that runs for the other side. */
class Running implements RunningCall {
  /** Kept for its shape (src/runtime/shapes.ts). */
  static readonly example: Running = /* @__PURE__ */ new Running(
    {} as Core,
    {} as Connection,
    {} as Request,
    undefined,
  );

  readonly batch: IncomingBatch | undefined;
  readonly connection: Connection;
  answered = false;
  deadline: number = Infinity;
  borrowed = 0;
  readonly #call: Request | Notification;
  readonly #core: Core;
  // Made when the signal is read, which few methods do.
  #controller: AbortController | undefined;
  /** Resolves when the method is told to stop; made with the controller. */
  #told: Deferred<void> | undefined;
  /** Makes the reason of the stop, also for a signal that is read later. */
  #why: (() => unknown) | undefined;

  constructor(
    core: Core,
    connection: Connection,
    call: Request | Notification,
    batch: IncomingBatch | undefined,
  ) {
    this.batch = batch;
    this.connection = connection;
    this.#call = call;
    this.#core = core;
  }

  get type(): "request" | "notification" {
    return this.#call.type;
  }

  get version(): Version {
    return this.#call.version;
  }

  get id(): Id | undefined {
    return this.#call.id;
  }

  get method(): string {
    return this.#call.method;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = this.#controller = new AbortController();
      const abort = (): void => controller.abort(this.#why!());
      if (this.#why !== undefined) abort();
      else {
        // A promise's reaction runs in the AsyncLocalStorage context of the code
        // that read the signal. The context of a timer or a socket may be another
        // call's.
        this.#told = new Deferred();
        this.#told.promise.then(abort);
      }
    }
    return this.#controller.signal;
  }

  get isAborted(): boolean {
    return this.#why !== undefined;
  }

  get trace(): TraceContext {
    return this.#core.traces?.read(this.#call) ?? {};
  }

  live(): void {
    const { handlerTimeout } = this.#core.limits;
    if (handlerTimeout < Infinity) {
      this.deadline = this.#core.deadlines.after(handlerTimeout);
    }
  }

  get members(): Members {
    return readMembers(this.#call.source);
  }

  progress(value: unknown): boolean {
    this.live();
    return this.id !== undefined && !this.answered && this.version !== "1.0" &&
      tell(this.#core, "$/progress", { token: this.id, value });
  }

  abort(reason: unknown): void {
    this.stop(() => reason);
  }

  stop(why: () => unknown): void {
    if (this.#why !== undefined) return;
    this.#why = why;
    this.#told?.resolve();
  }
}

/**
 * Runs a call, now or when there is room for it, and answers if it is a request.
 *
 * @param text The text of its frame.
 */
export function execute(
  core: Core,
  call: Request | Notification,
  text: string,
  batch: IncomingBatch | undefined,
): void {
  const { connection } = core;
  const running: RunningCall = new Running(core, connection, call, batch);
  if (call.type === "request" && isTaken(core, call.id)) {
    return answerTaken(core, running, call);
  }
  const method = find(core, call.method);
  if (method === undefined) return control(core, running, call);
  if (mayBegin(core, running, call, text)) {
    start(core, running, call, method, text);
  }
}

/** Whether a call may begin at once. `false`: it waits, or was refused. */
function mayBegin(
  core: Core,
  running: RunningCall,
  call: Request | Notification,
  text: string,
): boolean {
  const { crowd, connection, draining, limits: { incoming } } = core;
  const size = connection.running?.size ?? 0;
  // The usual case: few methods run, and none waits.
  if (
    size < incoming && connection.waiting === undefined &&
    draining === undefined
  ) return true;
  if (crowd !== undefined) return crowd.admits(core, running, call, text);
  // Notifications always begin, because nobody could be told of a lost one. Calls
  // to lent functions get as many places again, since running methods may be
  // waiting for them.
  const most = isLent(running) ? 2 * incoming : incoming;
  if (size < most || call.type === "notification") return true;
  failWith(core, running, busy, tooMany(size, most));
  return false;
}

/** Whether it is a call to a lent function or object. */
export function isLent({ method }: RunningCall): boolean {
  return method.startsWith("$/");
}

/** The message of a call that is not executed. */
export function tooMany(size: number, most: number): string {
  return `Busy: ${size} of at most ${most} methods are running, not executed`;
}

/**
 * Calls a method.
 *
 * @param text The text of its frame.
 */
export function start(
  core: Core,
  running: RunningCall,
  call: Request | Notification,
  method: Method,
  text: string,
): void {
  const { connection: { values }, traces } = core;
  // As within() does, but without a closure for every call.
  const outer = core.current;
  core.current = running;
  let result: unknown;
  let isPromise = false;
  try {
    const params = values === undefined
      ? call.params
      : values.readParams(call.params, text, method.fn);
    result = traces?.isOn
      ? invokeTraced(traces, call, method, params)
      : invoke(method, params);
    isPromise = isThenable(result);
  } catch (error) {
    return fail(core, running, error);
  } finally {
    core.current = outer;
  }
  const { loan } = method;
  if (loan !== undefined) renew(core, loan);
  if (!isPromise) succeed(core, running, result);
  else wait(core, running, result as PromiseLike<unknown>, loan);
}

// Closures are in functions of their own: one within start() or succeed() would
// make V8 allocate a context for every call.

function invokeTraced(
  traces: Traces,
  call: Request | Notification,
  method: Method,
  params: Params | undefined,
): unknown {
  return traces.run(call, () => invoke(method, params));
}

/** Runs code as a part of a call. */
export function within<T>(
  core: Core,
  call: Lender | undefined,
  run: () => T,
): T {
  const outer = core.current;
  core.current = call as RunningCall | undefined;
  try {
    return run();
  } finally {
    core.current = outer;
  }
}

/** Whether a request in flight has this id. */
export function isTaken({ connection, batches }: Core, id: Id): boolean {
  return connection.unanswered?.has(id) === true ||
    batches?.isTaken(id) === true;
}

/** Answers before the method returns; see {@linkcode Peer.respond}. */
export function respond(
  core: Core,
  id: Id,
  result: unknown,
  error: unknown,
): boolean {
  const { current, connection } = core;
  const running = current?.id === id ? current : connection.unanswered?.get(id);
  if (running?.type !== "request" || running.answered) return false;
  if (error === undefined || error === null) succeed(core, running, result);
  else fail(core, running, error);
  return true;
}

/** Answers an invalid message. */
export function refuse(
  core: Core,
  version: Version,
  id: Id,
  error: ErrorObject,
  batch: IncomingBatch | undefined,
): void {
  // With its own id, this would answer the request that has it.
  const answerTo = isTaken(core, id) ? null : id;
  const text = writeErrorIn(core, version, answerTo, error);
  if (batch === undefined) sendAside(core, text);
  else batch.add(text);
}

/**
 * Ends the calls of a connection: their signals abort, and their results are
 * dropped.
 */
export function endCalls(core: Core, connection: Connection): void {
  const { current } = core;
  const all = new Set(connection.running);
  for (const running of connection.unanswered?.values() ?? []) all.add(running);
  if (current?.connection === connection) all.add(current);
  connection.unanswered = undefined;
  connection.running = connection.overdue = undefined;
  for (const running of all) {
    running.answered = true;
    const { method } = running;
    const what = "Cannot answer";
    running.stop(() =>
      closedError(core, what, false, method, false, connection)
    );
  }
  core.crowd?.end(core, connection);
}

/** Finds a method of `local` or of a lent object. */
export function find(core: Core, name: string): Method | undefined {
  const { owner, owner: { local } } = core;
  if (core.methods?.local !== local) {
    // In a definition's methods `this` is the peer, as ThisType says.
    const isDefined = local === core.options.local;
    core.methods = new Methods(local, isDefined ? owner : undefined);
  }
  return core.methods.find(name) ?? core.connection.values?.find(name);
}

/** Runs one of the protocol's own methods, which needs no place. */
export function control(
  core: Core,
  running: RunningCall,
  call: Request | Notification,
): void {
  const { connection } = running;
  try {
    const result = answerOwn(core, call, running);
    if (result === undefined) {
      failWith(core, running, methodNotFound, "Method not found");
      const why = core.hints?.explain(core.owner.local, call.method);
      if (why !== undefined) report(core, why);
    } else if (!isThenable(result)) succeed(core, running, result);
    else {
      // In the table, so that it can be cancelled and its id is in use.
      (connection.unanswered ??= new Map()).set(running.id ?? running, running);
      result.then(
        (value) => succeed(core, running, value),
        (error: unknown) => fail(core, running, error),
      );
    }
  } catch (error) {
    fail(core, running, error);
  }
}

/** The result of one of the protocol's own methods; `undefined`: it is none. */
function answerOwn(
  core: Core,
  { method, params }: Request | Notification,
  running: RunningCall,
): unknown {
  switch (method) {
    case "$/cancelRequest":
      cancelRunning(core, readParam(params, "id", 0));
      return null;
    case "$/progress": {
      const token = readParam(params, "token", 0);
      const pending = core.pending.get(token);
      if (pending === undefined) return null;
      pending.deadline = core.deadlines.after(pending.timeout);
      const { onprogress } = pending;
      if (onprogress !== undefined) {
        runHook(core, () => onprogress(readParam(params, "value", 1)));
      }
      return null;
    }
    case "rpc.ping":
      return null;
    case "rpc.discover":
      return core.options.discover?.(core.owner.local);
  }
  return core.connection.values?.control(method, params, running);
}

/** Refuses a call: answers it with an error, if it is a request. */
export function decline(
  core: Core,
  call: Request | Notification,
  batch: IncomingBatch | undefined,
  error: ErrorObject,
): void {
  const { connection } = core;
  const running = new Running(core, connection, call, batch);
  if (call.type === "request" && isTaken(core, call.id)) {
    return answerTaken(core, running, call);
  }
  writeFailure(core, running, error);
}

/** Refuses a request whose id is in use. */
function answerTaken(core: Core, running: RunningCall, call: Request): void {
  const { id, version } = call;
  const message = `Invalid Request: id ${writeId(id)} is in flight`;
  const error = { code: invalidRequest, message };
  // With the id null, since its own id would answer the first request.
  write(core, running, writeErrorIn(core, version, null, error));
}

/** Cancels a request at its caller's request. */
function cancelRunning(core: Core, id: unknown): void {
  const running = core.connection.unanswered?.get(id as Id);
  if (running === undefined || running.answered) return;
  // Answered first, so that the method's reaction to the signal isn't the answer.
  failWith(core, running, cancelled, "Request was cancelled");
  running.abort(
    namedError("The caller cancelled the call", "AbortError"),
  );
}

function wait(
  core: Core,
  running: RunningCall,
  result: PromiseLike<unknown>,
  loan?: Loan,
): void {
  const { connection } = running;
  if (loan !== undefined) loan.asked++;
  if (connection.ended === undefined) {
    if (running.type === "request" && !running.answered) {
      (connection.unanswered ??= new Map()).set(running.id ?? running, running);
    }
    running.live();
    (connection.running ??= new Set()).add(running);
    core.crowd?.enter(running);
  }
  Promise.resolve(result).then((value) => {
    end(core, running, loan, succeed, value);
  }, (error: unknown) => {
    end(core, running, loan, failUnlessEnded, error);
  });
}

/** Ends a method: its answer is written when the turn has time for it. */
function end(
  core: Core,
  running: RunningCall,
  loan: Loan | undefined,
  tell: Tell,
  outcome: unknown,
): void {
  if (core.turns?.isSpent() && postpone(core, running, loan, tell, outcome)) {
    return;
  }
  finish(core, running, loan, tell, outcome);
}

type Tell = (core: Core, running: RunningCall, outcome: unknown) => void;

/**
 * Lets the method count as running until then; `false`: there is no room to wait.
 */
function postpone(...[core, ...rest]: Parameters<typeof finish>): boolean {
  return core.turns!.goOn(() => finish(core, ...rest), 0, []);
}

function finish(
  core: Core,
  running: RunningCall,
  loan: Loan | undefined,
  tell: Tell,
  outcome: unknown,
): void {
  leave(core, running);
  if (loan !== undefined) answer(core, loan);
  tell(core, running, outcome);
  core.crowd?.next(core, running.connection);
}

function failUnlessEnded(
  core: Core,
  running: RunningCall,
  error: unknown,
): void {
  if (running.connection.ended === undefined) fail(core, running, error);
}

/** Removes a method that has ended, or has run out of time. */
export function leave(core: Core, running: RunningCall): void {
  const { connection } = running;
  if (connection.running?.delete(running)) core.crowd?.leave(running);
  else connection.overdue?.delete(running);
}

/** Notes that this side has answered a question about something it lent. */
export function answer(core: Core, loan: Loan): void {
  loan.asked--;
  renew(core, loan);
}

function succeed(core: Core, running: RunningCall, result: unknown): void {
  const { id, connection, connection: { values } } = running;
  // If nobody waits any more, the result is still written, so that its streams and
  // references are released.
  const answered = running.answered || connection.ended !== undefined;
  const writing = values?.startResult(result, running);
  let response: string;
  try {
    if (writing !== undefined) {
      const turn = answered ? undefined : values?.turn(result, running);
      if (turn !== undefined) {
        return wait(core, running, resolveAfter(turn, result));
      }
      // Written even if there is no answer, so that its streams end.
      response = writeLending(core, running, result, writing);
    }
    if (id === undefined || answered) return values?.release(writing);
    if (writing === undefined) response = writeAnswer(core, running, result);
  } catch (error) {
    values?.release(writing);
    return fail(core, running, error);
  }
  if (isTooLong(core, running, response!)) values?.release(writing);
  else write(core, running, response!);
}

/** Writes a response whose result may hold streams and references. */
function writeLending(
  core: Core,
  running: RunningCall,
  result: unknown,
  writing: Writing,
): string {
  return running.connection.values!.writeResult(
    result,
    writing,
    (written) => writeAnswer(core, running, written),
  );
}

function writeAnswer(
  core: Core,
  { version, id = null }: RunningCall,
  result: unknown,
): string {
  return version === "2.0"
    ? writeResult(id, result)
    : core.versions!.writeResult(version, id, result);
}

async function resolveAfter(
  turn: Promise<void>,
  result: unknown,
): Promise<unknown> {
  await turn;
  return result;
}

/** Answers with an RpcError as it is; hides any other error. */
function fail(core: Core, running: RunningCall, error: unknown): void {
  if (error instanceof RpcError && !isForeign(core, error)) {
    return writeFailure(core, running, error);
  }
  // A method that throws because its signal aborted has not failed.
  if (running.answered && running.isAborted) return;
  failWith(core, running, internalError, "Internal error");
  report(core, error, running);
}

/**
 * Whether an error is a protocol error from a call to another peer. "Not executed"
 * would be wrong about the method that made that call.
 */
function isForeign(core: Core, error: RpcError): boolean {
  const { code } = error;
  return (code === cancelled || code <= -32_000 && code >= -32_768) &&
    isOfOther(core, error);
}

/** Answers with an error of the protocol. */
export function failWith(
  core: Core,
  running: RunningCall,
  code: number,
  message: string,
): void {
  writeFailure(core, running, { code, message });
}

function writeFailure(
  core: Core,
  running: RunningCall,
  error: ErrorObject,
): void {
  const { id, version, answered } = running;
  if (id === undefined || answered) return;
  let text: string;
  try {
    text = writeErrorIn(core, version, id, error);
  } catch (unwritable) {
    return fail(core, running, unwritable);
  }
  if (!isTooLong(core, running, text)) write(core, running, text);
}

function writeErrorIn(
  core: Core,
  version: Version,
  id: Id,
  error: ErrorObject,
): string {
  return version === "2.0"
    ? writeError(id, error)
    : core.versions!.writeError(version, id, error);
}

// Characters: longer answers count in the connection's turn, too.
const longAnswer = 16_384;

/** Whether a response is too long; if so, answers with an error instead. */
function isTooLong(
  core: Core,
  running: RunningCall,
  response: string,
): boolean {
  const { batch } = running;
  const { sentLength } = core.limits;
  if (response.length > longAnswer) core.turns?.spend();
  const length = response.length + (batch?.lengthAround() ?? 0);
  const why = length > sentLength
    ? `${length} of at most ${sentLength} characters`
    : batch?.refuses(response);
  if (why === undefined) return false;
  const message = `Response has ${why}, see limits.sentLength`;
  write(
    core,
    running,
    writeErrorIn(core, running.version, running.id!, {
      code: responseTooLarge,
      message,
    }),
  );
  return true;
}

function write(core: Core, running: RunningCall, response: string): void {
  running.answered = true;
  const { batch, connection: { unanswered } } = running;
  const key = running.id ?? running;
  if (unanswered?.get(key) === running) unanswered.delete(key);
  if (batch === undefined) sendAside(core, response);
  else batch.answer(response);
  core.draining?.look();
}
