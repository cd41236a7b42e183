// deno run --allow-net --allow-env examples/opentelemetry.ts

/**
 * Calls as parts of distributed traces, by OpenTelemetry: the two functions that
 * a peer's option `trace` asks for, and a call that crosses from client to server
 * and back within one trace.
 *
 * @module
 */

import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  BasicTracerProvider,
  ConsoleSpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import type { Trace } from "@jsonrpcws/peer";
import { connect } from "@jsonrpcws/peer/client";
import { serve } from "@jsonrpcws/peer/server";

/** The options of every peer. */
export const openTelemetry: Trace = {
  send() {
    const carrier = {};
    propagation.inject(context.active(), carrier);
    return carrier;
  },
  receive: (carrier, run) =>
    context.with(propagation.extract(context.active(), carrier), run),
};

if (import.meta.main) {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(new ConsoleSpanExporter())],
    }),
  );
  const tracer = trace.getTracer("example");

  const local = {
    greet: (name: string) =>
      tracer.startActiveSpan("greet", (span) => {
        span.end();
        return `hi, ${name}`;
      }),
  };
  await using server = serve({
    local,
    trace: openTelemetry,
    port: 0,
    hostname: "127.0.0.1",
    onListen() {},
  });
  await using client = connect<typeof local>(server.url, {
    trace: openTelemetry,
  });
  await tracer.startActiveSpan("page", async (span) => {
    console.log(await client.remote.greet("ann"));
    span.end();
  });
}
