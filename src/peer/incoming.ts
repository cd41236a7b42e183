/**
 * The calls that arrive: which are admitted, the methods that run for them, and
 * what they are answered with.
 *
 * @see {@link https://www.jsonrpc.org/specification#response_object}
 *
 * @module
 */

import type { Call } from "./call.ts";
import type { Deadlines } from "../line/deadlines.ts";
import { isThenable } from "./deferred.ts";
import { ErrorCode, type ErrorObject, RpcError } from "../wire/error.ts";
import type { Asked, Capabilities, Lender } from "./extension.ts";
import type { Limits } from "../wire/limits.ts";
import {
  type Id,
  type Notification,
  type Params,
  type Request,
  type Version,
  writeError,
  writeResult,
  writeValue,
} from "../wire/message.ts";
import type { Method } from "../methods/methods.ts";
import { keepShape } from "../runtime/shapes.ts";
import type { TraceContext } from "../parts/trace.ts";

/** What the calls that arrive need of their peer. */
export interface Host {
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  /** Whether errors in JSON-RPC 1.0 are strings. */
  readonly stringErrors: boolean;
  /** Sends one of the protocol's own notifications. */
  tell(method: string, params: Params): boolean;
  /** Finds a method of the owner's. */
  find(name: string): Method | undefined;
  /** Does what one of the protocol's own methods says; `undefined`: none. */
  control(call: Request | Notification, asked: Asked): unknown;
  /** Calls a method. */
  invoke(
    method: Method,
    params: Params | undefined,
    call: Request | Notification,
  ): unknown;
  /** The place in a trace that a call names. */
  traceOf(call: Request | Notification): TraceContext;
  /** Whether an id is still another's, though no method runs for it. */
  isTaken(id: Id): boolean;
  /** Why a method may not begin; `undefined`: it may. */
  isBusy(method: string): string | undefined;
  /** Sends the response to a call. */
  answer(call: Running, text: string): void;
  /** What shares a frame with one more response to a call, at most. */
  lengthAround(call: Running): number;
  /** Hears that a method has answered, or never will. */
  onsettled(): void;
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

const internalError: ErrorObject = {
  code: ErrorCode.InternalError,
  message: "Internal error",
};

/** A method that runs for the other side. */
export class Running implements Call, Lender {
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
    return this.#host.traceOf(this.#call);
  }

  progress(value: unknown): boolean {
    return this.id !== undefined && !this.answered && this.version !== "1.0" &&
      this.#host.tell("$/progress", { token: this.id, value });
  }

  abort(reason: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = { reason };
    this.#controller?.abort(reason);
  }
}

keepShape(
  new Running({ type: "notification" } as Notification, undefined, {} as Host),
);

/** The calls that arrive on one connection. */
export class Incoming {
  readonly #host: Host;
  readonly #capabilities: Capabilities | undefined;
  /** The requests that are still to be answered. */
  // The tables are made when there is something to put into them: a server may
  // have thousands of connections on which nothing happens.
  #running: Map<Id | Running, Running> | undefined;
  /** The methods that have not settled, answered or not. */
  unsettled: Set<Running> | undefined;
  #current: Running | undefined;
  /** Says why methods are told to stop, once the connection has ended. */
  #end: ((method: string) => unknown) | undefined;

  constructor(host: Host, capabilities: Capabilities | undefined) {
    this.#host = host;
    this.#capabilities = capabilities;
  }

  /** The call whose method has not come to its first `await`. */
  get current(): Call | undefined {
    return this.#current;
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
    const host = this.#host;
    const running = new Running(call, batch, host);
    const isRequest = call.type === "request";
    if (isRequest && this.isTaken(call.id)) {
      // With id null: under its own id, this would answer the first request.
      return this.#write(
        running,
        writeError(call.version, null, {
          code: ErrorCode.InvalidRequest,
          message: `Invalid Request: id ${
            JSON.stringify(call.id)
          } is in flight`,
        }, host.stringErrors),
      );
    }
    const method = host.find(call.method);
    if (method === undefined) return this.#control(running, call);
    if (isRequest && !this.#admit(running)) return;
    // As within() does, without the closure that every call would pay for.
    const outer = this.#current;
    this.#current = running;
    let result: unknown;
    let isPromise = false;
    try {
      const params = this.#capabilities === undefined
        ? call.params
        : this.#capabilities.readParams(call.params);
      result = host.invoke(method, params, call);
      isPromise = isThenable(result);
    } catch (error) {
      return this.#fail(running, error);
    } finally {
      this.#current = outer;
    }
    if (isPromise) this.#wait(running, result as PromiseLike<unknown>);
    else this.#succeed(running, result);
  }

  /** Whether a request's id can't be told from that of one in flight. */
  isTaken(id: Id): boolean {
    return this.#running?.has(id) === true || this.#host.isTaken(id);
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

  /** The text of an answer to what is no request. */
  writeRefusal(version: Version, id: Id, error: ErrorObject): string {
    // Under its id, this would answer the request that has it.
    const answerTo = this.isTaken(id) ? null : id;
    return writeError(version, answerTo, error, this.#host.stringErrors);
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

  /** Ends methods that take too long, and says when the next will have. */
  sweep(now: number): number {
    let next = Infinity;
    for (const running of this.unsettled ?? []) {
      if (running.deadline > now) {
        next = Math.min(next, running.deadline);
        continue;
      }
      this.unsettled?.delete(running);
      const message =
        `Method took longer than ${this.#host.limits.handlerTimeout} ms`;
      this.#failWith(running, { code: ErrorCode.HandlerTimeout, message });
      running.abort(
        new DOMException(`${message}: "${running.method}"`, "TimeoutError"),
      );
    }
    this.#host.onsettled();
    return next;
  }

  /** The connection closed: aborts the methods that run, and drops what they say. */
  end(reason: (method: string) => unknown): void {
    this.#end = reason;
    const all = new Set(this.unsettled);
    for (const running of this.#running?.values() ?? []) all.add(running);
    if (this.#current !== undefined) all.add(this.#current);
    this.#running = undefined;
    this.unsettled = undefined;
    for (const running of all) {
      // The peer's next connection knows nothing of it.
      running.answered = true;
      running.abort(reason(running.method));
    }
    this.#host.onsettled();
  }

  /** Whether a method may begin; if not, its request has been answered. */
  #admit(running: Running): boolean {
    const { incoming } = this.#host.limits;
    const size = this.unsettled?.size ?? 0;
    const why = size < incoming
      ? this.#host.isBusy(running.method)
      : `${size} of at most ${incoming} methods are running`;
    if (why === undefined) return true;
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
      (this.unsettled ??= new Set()).add(running);
    }
    Promise.resolve(result).then((value) => {
      this.unsettled?.delete(running);
      this.#succeed(running, value);
      this.#host.onsettled();
    }, (error: unknown) => {
      this.unsettled?.delete(running);
      if (this.#end === undefined) this.#fail(running, error);
      this.#host.onsettled();
    });
  }

  #succeed(running: Running, result: unknown): void {
    const { id, version } = running;
    const capabilities = this.#capabilities;
    // Nobody waits any more, but what it would have lent is let go of.
    const answered = running.answered || this.#end !== undefined;
    const writing = capabilities?.startResult(result, running);
    let text: string | undefined;
    try {
      if (writing !== undefined) {
        // What nobody will read is told so, even if there is no answer.
        text = capabilities?.writeResult(result, writing);
      }
      if (id === undefined || answered) return capabilities?.release(writing);
      if (writing === undefined) text = writeValue(result);
    } catch (error) {
      capabilities?.release(writing);
      return this.#fail(running, error);
    }
    const response = writeResult(version, id, text ?? "null");
    const tooLarge = this.#refuseLength(running, response);
    if (tooLarge === undefined) return this.#write(running, response);
    capabilities?.release(writing);
    this.#failWith(running, tooLarge);
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
    const write = (error: ErrorObject): string =>
      writeError(version, id, error, this.#host.stringErrors);
    let text: string;
    try {
      text = write(error);
      const tooLarge = this.#refuseLength(running, text);
      if (tooLarge !== undefined) text = write(tooLarge);
    } catch (unwritable) {
      this.#host.report(unwritable);
      text = write(internalError);
    }
    this.#write(running, text);
  }

  /** What to answer instead of a response that is too long. */
  #refuseLength(running: Running, response: string): ErrorObject | undefined {
    const { messageLength } = this.#host.limits;
    const length = response.length + this.#host.lengthAround(running);
    return length <= messageLength ? undefined : {
      code: ErrorCode.ResponseTooLarge,
      message: `Response has ${length} of at most ${messageLength} characters`,
    };
  }

  #write(running: Running, response: string): void {
    running.answered = true;
    const key = running.id ?? running;
    if (this.#running?.get(key) === running) this.#running.delete(key);
    this.#host.answer(running, response);
    this.#host.onsettled();
  }
}
