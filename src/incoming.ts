/**
 * The calls that arrive: which are admitted, the methods that run for them, and
 * what they are answered with.
 *
 * @see {@link https://www.jsonrpc.org/specification#response_object}
 *
 * @module
 */

import type { Call } from "./call.ts";
import type { Deadlines } from "./deadline.ts";
import { Deferred } from "./deferred.ts";
import { ErrorCode, type ErrorObject, RpcError } from "./error.ts";
import {
  type Asked,
  type Capabilities,
  JsonText,
  type Lender,
  releaseAll,
  withWriting,
} from "./extension.ts";
import type { Limits } from "./limits.ts";
import {
  type Id,
  type Notification,
  type Params,
  type Request,
  type Version,
  writeError,
  writeResult,
} from "./message.ts";
import { arrange, type Method } from "./method.ts";
import { readTrace, type Trace, type TraceContext } from "./trace.ts";

/** What the calls that arrive need of their peer. */
export interface Host {
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly trace: Trace | undefined;
  /** Whether errors in JSON-RPC 1.0 are strings. */
  readonly stringErrors: boolean;
  /** Hands a frame to the socket; `false` if it could not take it. */
  send(text: string): boolean;
  notify(method: string, params: Params): boolean;
  /** Finds a method of the owner's. */
  find(name: string): Method | undefined;
  /** Does what one of the protocol's own methods says; `undefined`: none. */
  control(call: Request | Notification, asked: Asked): unknown;
  /** Tells the owner of an error that is nobody else's. */
  report(error: unknown): void;
}

/** The responses to a batch, on their way to becoming one frame. */
export interface IncomingBatch {
  readonly responses: string[];
  /** Those of its requests, which stay taken until it is answered. */
  readonly ids: Id[];
  length: number;
  awaited: number;
  /** Members that were not answered, or for which that isn't known yet. */
  unanswered: number;
}

const methodNotFound: ErrorObject = {
  code: ErrorCode.MethodNotFound,
  message: "Method not found",
};

// How long a response is that says so little, but for its id.
const refusalLength = 112;

const internalError: ErrorObject = {
  code: ErrorCode.InternalError,
  message: "Internal error",
};

/** A method that runs for the other side. */
class Running implements Call, Lender {
  /** The batch that its response belongs to. */
  readonly batch: IncomingBatch | undefined;
  answered = false;
  /** When it must be answered, in milliseconds of the monotonic clock. */
  deadline: number = Infinity;
  readonly #call: Request | Notification;
  readonly #host: Host;
  // Made only for those who look: most calls never do.
  #controller: AbortController | undefined;
  /** Why it was told to stop; whoever looks later is told, too. */
  #ended: { readonly reason: unknown } | undefined;

  constructor(
    call: Request | Notification,
    batch: IncomingBatch | undefined,
    host: Host,
  ) {
    this.batch = batch;
    this.#call = call;
    this.#host = host;
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
      this.#controller = new AbortController();
      if (this.#ended !== undefined) {
        this.#controller.abort(this.#ended.reason);
      }
    }
    return this.#controller.signal;
  }

  /** Whether it has been told to stop. */
  get isAborted(): boolean {
    return this.#ended !== undefined;
  }

  get trace(): TraceContext {
    return readTrace(this.#call.source, this.#call.params);
  }

  progress(value: unknown): boolean {
    return this.id !== undefined && !this.answered && this.version !== "1.0" &&
      this.#host.notify("$/progress", { token: this.id, value });
  }

  abort(reason: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = { reason };
    this.#controller?.abort(reason);
  }
}

/** The calls that arrive on one connection. */
export class Incoming {
  readonly #host: Host;
  readonly #capabilities: Capabilities | undefined;
  /** The requests that are still to be answered. */
  // The tables are made when there is something to put into them: a server may
  // have thousands of connections on which nothing happens.
  #running: Map<Id | Running, Running> | undefined;
  /** The methods that have not settled, answered or not. */
  #unsettled: Set<Running> | undefined;
  #current: Running | undefined;
  /** Says why methods are told to stop, once the connection has ended. */
  #end: ((method: string) => unknown) | undefined;
  /** There once no more methods may begin; settled when the last has answered. */
  #finished: Deferred<void> | undefined;

  constructor(host: Host, capabilities: Capabilities | undefined) {
    this.#host = host;
    this.#capabilities = capabilities;
  }

  /** The call whose method has not come to its first `await`. */
  get current(): Call | undefined {
    return this.#current;
  }

  /** The names of the methods that run and have not answered. */
  get names(): string[] {
    const unanswered: string[] = [];
    for (const { answered, method } of this.#unsettled ?? []) {
      if (!answered) unanswered.push(method);
    }
    return unanswered;
  }

  /** Lets no more methods begin; resolves when those that run have answered. */
  finish(): Promise<void> {
    this.#finished ??= new Deferred();
    // One that is before its first `await`, which may be who asks, counts too.
    queueMicrotask(() => this.#checkFinished());
    return this.#finished.promise;
  }

  #checkFinished(): void {
    if (this.#finished !== undefined && this.names.length === 0) {
      this.#finished.resolve();
    }
  }

  /** Runs something as part of a call. */
  within<T>(call: Lender | undefined, run: () => T): T {
    const outer = this.#current;
    this.#current = call as Running | undefined;
    try {
      return run();
    } finally {
      this.#current = outer;
    }
  }

  /** Runs a method, and answers if it is a request. */
  execute(
    call: Request | Notification,
    batch: IncomingBatch | undefined,
  ): void {
    const running = new Running(call, batch, this.#host);
    const isRequest = call.type === "request";
    if (batch !== undefined && isRequest) batch.awaited++;
    const method = this.#host.find(call.method);
    if (isRequest && !this.#admitId(running)) return;
    if (method === undefined) return this.#control(running, call);
    if (isRequest && !this.#admit(running)) return;
    // As within() does, without the closure that every call would pay for.
    const outer = this.#current;
    this.#current = running;
    let result: unknown;
    let isPromise = false;
    try {
      const { fn, self } = method;
      const params = this.#capabilities === undefined
        ? call.params
        : this.#capabilities.readParams(call.params);
      const { trace } = this.#host;
      result = trace === undefined ? invoke(fn, self, params) : trace.receive(
        readTrace(call.source, call.params),
        () => invoke(fn, self, params),
      );
      isPromise = isThenable(result);
    } catch (error) {
      return this.#fail(running, error);
    } finally {
      this.#current = outer;
    }
    if (isPromise) this.#wait(running, result as PromiseLike<unknown>);
    else this.#succeed(running, result);
  }

  /** Answers before the method returns; `false` if nobody waits for it. */
  respond(id: Id, result: unknown, error: unknown): boolean {
    const running = this.#current?.id === id
      ? this.#current
      : this.#running?.get(id);
    if (running?.type !== "request" || running.answered) return false;
    if (error === undefined || error === null) this.#succeed(running, result);
    else this.#fail(running, error);
    return true;
  }

  /** Answers what is no request. */
  refuse(
    version: Version,
    id: Id,
    error: ErrorObject,
    batch: IncomingBatch | undefined,
  ): void {
    // Under its id, this would answer the request that has it.
    const answerTo = this.#running?.has(id) ? null : id;
    const { stringErrors } = this.#host;
    const text = writeError(version, answerTo, error, stringErrors);
    if (batch === undefined) this.#host.send(text);
    else addTo(batch, text);
  }

  /** Answers a request that its caller no longer wants. */
  cancel(id: unknown): void {
    const running = this.#running?.get(id as Id);
    if (running === undefined || running.answered) return;
    // First the answer: from a method that hears the signal, too, it is this.
    this.#failWith(running, {
      code: ErrorCode.Cancelled,
      message: "Request was cancelled",
    });
    running.abort(
      new DOMException("The caller cancelled the call", "AbortError"),
    );
  }

  /** Begins a batch. */
  openBatch(members: number): IncomingBatch {
    // It awaits itself, so that it isn't answered before its last member was
    // read.
    return {
      responses: [],
      ids: [],
      length: 2,
      awaited: 1,
      unanswered: members,
    };
  }

  /** One more member needs no answer any more: the last one sends them all. */
  completeBatch(batch: IncomingBatch): void {
    batch.awaited--;
    if (batch.awaited > 0) return;
    for (const id of batch.ids) this.#running?.delete(id);
    if (batch.responses.length > 0) {
      this.#host.send(`[${batch.responses.join(",")}]`);
    }
  }

  /** Ends methods that take too long, and says when the next will have. */
  sweep(now: number): number {
    let next = Infinity;
    for (const running of this.#unsettled ?? []) {
      if (running.deadline > now) {
        next = Math.min(next, running.deadline);
        continue;
      }
      this.#unsettled?.delete(running);
      const message =
        `Method took longer than ${this.#host.limits.handlerTimeout} ms`;
      this.#failWith(running, { code: ErrorCode.HandlerTimeout, message });
      running.abort(
        new DOMException(`${message}: "${running.method}"`, "TimeoutError"),
      );
    }
    this.#checkFinished();
    return next;
  }

  /** The connection closed: aborts the methods that run, and drops what they say. */
  end(reason: (method: string) => unknown): void {
    this.#end = reason;
    const all = new Set(this.#unsettled);
    for (const running of this.#running?.values() ?? []) all.add(running);
    if (this.#current !== undefined) all.add(this.#current);
    this.#running = undefined;
    this.#unsettled = undefined;
    for (const running of all) {
      // The peer's next connection knows nothing of it.
      running.answered = true;
      running.abort(reason(running.method));
    }
    this.#checkFinished();
  }

  /** Whether a request's id is its own; if not, it has been answered. */
  #admitId(running: Running): boolean {
    const { version, batch } = running;
    const id = running.id!;
    const isTaken = this.#running?.has(id) === true;
    if (isTaken) {
      // With id null: under its own id, this would answer the first request.
      const error = {
        code: ErrorCode.InvalidRequest,
        message: `Invalid Request: id ${JSON.stringify(id)} is in flight`,
      };
      const { stringErrors } = this.#host;
      this.#write(running, writeError(version, null, error, stringErrors));
    } else if (batch !== undefined && id !== null) {
      batch.ids.push(id);
      (this.#running ??= new Map()).set(id, running);
    }
    return !isTaken;
  }

  /** Whether there is room for one more method; if not, it has been answered. */
  #admit(running: Running): boolean {
    const { incoming } = this.#host.limits;
    const size = this.#unsettled?.size ?? 0;
    // What was lent to the peer may be what a running method waits for.
    const isFinishing = this.#finished !== undefined &&
      !running.method.startsWith("$/");
    if (size < incoming && !isFinishing) return true;
    const why = isFinishing
      ? "no more calls are taken"
      : `${size} of at most ${incoming} methods are running`;
    this.#failWith(running, {
      code: ErrorCode.Busy,
      message: `Busy: ${why}, not executed`,
    });
    return false;
  }

  /** What the protocol's own methods answer later takes no other's place. */
  #control(running: Running, call: Request | Notification): void {
    try {
      const result = this.#host.control(call, running);
      if (result === undefined) this.#failWith(running, methodNotFound);
      else if (!isThenable(result)) this.#succeed(running, result);
      else {
        // So that it can be cancelled, and its id is taken.
        (this.#running ??= new Map()).set(running.id ?? running, running);
        result.then(
          (value) => this.#succeed(running, value),
          (error: unknown) => this.#fail(running, error),
        );
      }
    } catch (error) {
      this.#fail(running, error);
    }
  }

  #wait(running: Running, result: PromiseLike<unknown>): void {
    if (this.#end === undefined) {
      if (running.type === "request" && !running.answered) {
        (this.#running ??= new Map()).set(running.id ?? running, running);
      }
      const { deadlines, limits } = this.#host;
      running.deadline = deadlines.after(limits.handlerTimeout);
      (this.#unsettled ??= new Set()).add(running);
    }
    Promise.resolve(result).then((value) => {
      this.#unsettled?.delete(running);
      this.#succeed(running, value);
      this.#checkFinished();
    }, (error: unknown) => {
      this.#unsettled?.delete(running);
      if (this.#end === undefined) this.#fail(running, error);
      this.#checkFinished();
    });
  }

  #succeed(running: Running, result: unknown): void {
    const { id, version, batch } = running;
    // Nobody waits any more, but what it would have lent is let go of.
    const answered = running.answered || this.#end !== undefined;
    const writing = this.#capabilities?.startResult(result, running);
    let text: string | undefined;
    try {
      // What nobody will read is told so, even if there is no answer.
      if (writing !== undefined) {
        result = this.#capabilities?.write(result, writing);
      }
      if (id === undefined || answered) return releaseAll(writing);
      text = writing === undefined
        ? JSON.stringify(result)
        : result instanceof JsonText
        ? result.text
        : withWriting(writing, () => JSON.stringify(result));
    } catch (error) {
      releaseAll(writing);
      return this.#fail(running, error);
    }
    const response = writeResult(version, id, text ?? "null");
    const length = response.length + lengthAround(batch);
    const { messageLength } = this.#host.limits;
    if (length > messageLength) {
      releaseAll(writing);
      return this.#failWith(running, responseTooLarge(length, messageLength));
    }
    this.#write(running, response);
  }

  /** Answers with an error if it was made for the caller, else hides it. */
  #fail(running: Running, error: unknown): void {
    if (error instanceof RpcError) return this.#failWith(running, error);
    // A method that stops because it was told to has not failed.
    if (running.answered && running.isAborted) return;
    this.#failWith(running, internalError);
    this.#host.report(error);
  }

  #failWith(running: Running, error: ErrorObject): void {
    const { id, version, answered } = running;
    if (id === undefined || answered) return;
    const { stringErrors } = this.#host;
    const { messageLength } = this.#host.limits;
    let text: string;
    try {
      text = writeError(version, id, error, stringErrors);
      const length = text.length + lengthAround(running.batch);
      if (length > messageLength) {
        text = writeError(
          version,
          id,
          responseTooLarge(length, messageLength),
          stringErrors,
        );
      }
    } catch (unwritable) {
      this.#host.report(unwritable);
      text = writeError(version, id, internalError, stringErrors);
    }
    this.#write(running, text);
  }

  #write(running: Running, response: string): void {
    running.answered = true;
    const { id, batch } = running;
    const key = id ?? running;
    // Whoever sent a batch waits for all of it: until then its ids are taken.
    if (
      (batch === undefined || id === null) &&
      this.#running?.get(key) === running
    ) this.#running.delete(key);
    if (batch === undefined) this.#host.send(response);
    else {
      addTo(batch, response);
      this.completeBatch(batch);
    }
    if (this.#finished !== undefined) this.#checkFinished();
  }
}

/** What shares a frame with one more response to a batch, at most. */
function lengthAround(batch: IncomingBatch | undefined): number {
  if (batch === undefined) return 0;
  // The others may have to be told that there is no room for their results.
  return batch.length + (batch.unanswered - 1) * refusalLength;
}

function addTo(batch: IncomingBatch, response: string): void {
  batch.responses.push(response);
  batch.length += response.length + 1;
  batch.unanswered--;
}

function responseTooLarge(length: number, limit: number): ErrorObject {
  return {
    code: ErrorCode.ResponseTooLarge,
    message: `Response has ${length} of at most ${limit} characters`,
  };
}

function invoke(
  fn: Method["fn"],
  self: object,
  params: Params | undefined,
): unknown {
  if (params === undefined) return fn.call(self);
  return fn.apply(self, Array.isArray(params) ? params : arrange(fn, params));
}

/** Whether a value is to be waited for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
