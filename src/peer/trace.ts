/**
 * Trace context: the distributed trace that a call belongs to, as members of its
 * message.
 *
 * @see {@link https://www.w3.org/TR/trace-context/}
 * @see {@link https://github.com/microsoft/vs-streamjsonrpc/blob/main/docfx/docs/tracecontext.md}
 *
 * @module
 */

/** The trace context of a call. */
export interface TraceContext {
  /**
   * The trace and the span of the caller, in the form of the header of this name.
   *
   * @see {@link https://www.w3.org/TR/trace-context/#traceparent-header}
   */
  traceparent?: string;
  /**
   * Data of vendors; only beside a `traceparent`.
   *
   * @see {@link https://www.w3.org/TR/trace-context/#tracestate-header}
   */
  tracestate?: string;
}

/** The option `trace`: two functions that connect a peer to a tracing library. */
export interface Trace {
  /** Returns the context of the code that makes a call; asked for each call. */
  send(): TraceContext | undefined;
  /**
   * Runs a method within its caller's trace; `context` is empty if the call had
   * none.
   */
  receive<Result>(context: TraceContext, run: () => Result): Result;
}
