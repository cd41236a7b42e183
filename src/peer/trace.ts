/**
 * Trace context: which distributed trace a call belongs to, as members of its
 * message.
 *
 * @see {@link https://www.w3.org/TR/trace-context/}
 * @see {@link https://github.com/microsoft/vs-streamjsonrpc/blob/main/docfx/docs/tracecontext.md}
 *
 * @module
 */

/** A call's place in a distributed trace. */
export interface TraceContext {
  /**
   * The trace and the span that called, as the header of that name says it.
   *
   * @see {@link https://www.w3.org/TR/trace-context/#traceparent-header}
   */
  traceparent?: string;
  /**
   * What vendors add to it; nothing without a `traceparent`.
   *
   * @see {@link https://www.w3.org/TR/trace-context/#tracestate-header}
   */
  tracestate?: string;
}

/** How a peer takes part in distributed traces: two functions to fill in. */
export interface Trace {
  /** Says where in a trace a call is made from; asked for each call. */
  send(): TraceContext | undefined;
  /**
   * Runs a method as a part of its caller's trace, which is empty if the call had
   * none.
   */
  receive<Result>(context: TraceContext, run: () => Result): Result;
}
