/**
 * Distributed traces: a call carries its trace context as members of its message.
 *
 * @see {@link https://www.w3.org/TR/trace-context/}
 * @see {@link https://github.com/microsoft/vs-streamjsonrpc/blob/main/docfx/docs/tracecontext.md}
 *
 * @module
 */

import type { Core, CorePart } from "../peer/core.ts";
import { complain } from "../peer/owner.ts";
import type { Traces } from "../peer/seams.ts";
import type { Trace, TraceContext } from "../peer/trace.ts";
import type { Notification, Request } from "../wire/message.ts";

/**
 * The part that reads the trace context of each call, and writes one if the option
 * `trace` is set.
 */
export const traces: CorePart = {
  name: "traces",
  attach(core) {
    const { trace } = core.options;
    core.traces = trace === undefined ? reading : new Tracing(core, trace);
  },
};

const reading: Traces = {
  isOn: false,
  read,
  write: (text) => text,
  run: (_call, method) => method(),
};

/** The traces of a peer with the option `trace`. */
class Tracing implements Traces {
  readonly isOn = true;
  readonly read = read;
  readonly #core: Core;
  readonly #trace: Trace;

  constructor(core: Core, trace: Trace) {
    this.#core = core;
    this.#trace = trace;
  }

  write(text: string): string {
    try {
      return writeTrace(text, this.#trace.send());
    } catch (error) {
      complain(this.#core, error);
      return text;
    }
  }

  run<T>(call: Request | Notification, method: () => T): T {
    return this.#trace.receive(read(call), method);
  }
}

function read({ source, params }: Request | Notification): TraceContext {
  return readTrace(source, params);
}

const shape = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

// The standard requires no more to be passed on.
const maxStateLength = 512;

/**
 * Reads the context of a message, from its members or from `_meta` of its params,
 * as in MCP.
 */
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
