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

const shape = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

// The standard asks for no more to be passed on.
const maxStateLength = 512;

/** Takes the context out of a message, or of its `_meta` as MCP puts it there. */
export function readTrace(message: object, params: unknown): TraceContext {
  const { traceparent, tracestate } = message as { [name: string]: unknown };
  if (typeof traceparent === "string") {
    if (!shape.test(traceparent)) return {};
    return typeof tracestate === "string" && tracestate.length <= maxStateLength
      ? { traceparent, tracestate }
      : { traceparent };
  }
  const { _meta } = (params ?? {}) as { _meta?: unknown };
  return typeof _meta === "object" && _meta !== null
    ? readTrace(_meta, undefined)
    : {};
}

/** Adds a context to the text of a message. */
export function writeTrace(
  text: string,
  context: TraceContext | undefined,
): string {
  const { traceparent, tracestate } = context ?? {};
  if (traceparent === undefined) return text;
  const state = tracestate === undefined || tracestate === ""
    ? ""
    : `,"tracestate":${JSON.stringify(tracestate)}`;
  const parent = `,"traceparent":${JSON.stringify(traceparent)}`;
  return `${text.slice(0, -1)}${parent}${state}}`;
}
