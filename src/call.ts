/**
 * A call, as the method that handles it and as the caller see it: its id, its
 * signal, its progress, and the options it is made with.
 *
 * @module
 */

import type { Id, Notification, Request, Version } from "./message.ts";

/** The call that a method is handling. */
export interface Call {
  /** The request's id as the caller wrote it; `undefined` for a notification. */
  readonly id: Id | undefined;
  /** The name that was called. */
  readonly method: string;
  /**
   * Aborts when the caller cancels the call, when the connection closes, and
   * when the method takes longer than `handlerTimeout`. Its reason says which.
   */
  readonly signal: AbortSignal;
  /**
   * Tells the caller how far the method is; see `onprogress` of
   * {@linkcode CallOptions}.
   *
   * @param value Any JSON.
   * @returns Whether it was sent: `false` for a notification, in JSON-RPC 1.0,
   * and once the call was answered.
   */
  progress(value: unknown): boolean;
}

/** How one call is made. */
export interface CallOptions {
  /**
   * Cancels the call: it rejects at once with the signal's reason, the peer is
   * told with `$/cancelRequest`, and an answer that comes late is dropped.
   */
  signal?: AbortSignal;
  /**
   * Milliseconds after which the call is cancelled and rejects with a
   * `TimeoutError`. Default: the peer's `timeout`, 60,000. 0: never.
   */
  timeout?: number;
  /**
   * Called with what the method tells of its progress, in order, each time
   * before the call is settled.
   */
  onprogress?: (value: unknown) => void;
}

/** Sends `$/progress`; what a call needs of its peer. */
export type SendProgress = (token: Id, value: unknown) => boolean;

/** The responses to a batch, on their way to becoming one frame. */
export interface IncomingBatch {
  readonly responses: string[];
  readonly ids: Set<Id>;
  length: number;
  awaited: number;
}

/** A method that runs for the other side. */
export class Running implements Call {
  readonly type: "request" | "notification";
  readonly version: Version;
  readonly id: Id | undefined;
  readonly method: string;
  /** The batch that its response belongs to. */
  readonly batch: IncomingBatch | undefined;
  answered = false;
  /** When it must be answered, in milliseconds of the monotonic clock. */
  deadline: number = Infinity;
  readonly #send: SendProgress;
  // Made only for those who look: most calls never do.
  #controller: AbortController | undefined;

  constructor(
    call: Request | Notification,
    batch: IncomingBatch | undefined,
    send: SendProgress,
  ) {
    this.type = call.type;
    this.version = call.version;
    this.id = call.id;
    this.method = call.method;
    this.batch = batch;
    this.#send = send;
  }

  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  progress(value: unknown): boolean {
    return this.id !== undefined && !this.answered && this.version !== "1.0" &&
      this.#send(this.id, value);
  }

  /** Whether whoever looked at the signal has been told to stop. */
  get isAborted(): boolean {
    return this.#controller?.signal.aborted ?? false;
  }

  abort(reason: unknown): void {
    this.#controller?.abort(reason);
  }
}
