/**
 * Trace context on the wire, and through OpenTelemetry's own SDK.
 */

import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { assert, assertEquals } from "@std/assert";
import { openTelemetry } from "../examples/opentelemetry.ts";
import { Peer, type Trace, type TraceContext } from "../mod.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { openScripted as open, settle } from "./scripted_socket.ts";

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const tracestate = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

/** A hook that sends what it is told, and keeps what it receives. */
function recorder(
  sent?: TraceContext,
): { hook: Trace; received: TraceContext[] } {
  const received: TraceContext[] = [];
  return {
    received,
    hook: {
      send: () => sent,
      receive(context, run) {
        received.push(context);
        return run();
      },
    },
  };
}

Deno.test("A call is sent with the members that its context has", async () => {
  const rows: [TraceContext | undefined, object][] = [
    [{ traceparent, tracestate }, { traceparent, tracestate }],
    [{ traceparent, tracestate: "" }, { traceparent }],
    [{ traceparent }, { traceparent }],
    [{ tracestate }, {}],
    [{}, {}],
    [undefined, {}],
  ];
  for (const [sent, members] of rows) {
    await using it = await open({ trace: recorder(sent).hook });
    void it.peer.request("pick", []).catch(() => {});
    it.peer.notify("n");
    assertEquals(it.socket.take(), [
      { jsonrpc: "2.0", method: "pick", params: [], id: 1, ...members },
      { jsonrpc: "2.0", method: "n", ...members },
    ]);
  }
  // Foreign members are nothing for the other versions.
  await using bare = await open({
    trace: recorder({ traceparent }).hook,
    version: "bare",
  });
  bare.peer.notify("n");
  assertEquals(bare.socket.sent, ['{"method":"n"}']);
});

Deno.test("A method runs within its caller's context, if that is one", async () => {
  const { hook, received } = recorder();
  await using it = await open({
    trace: hook,
    local: { pick: (...params: unknown[]) => params.length },
  });
  const rows: [members: object, TraceContext][] = [
    [{ traceparent, tracestate }, { traceparent, tracestate }],
    [{ traceparent }, { traceparent }],
    [{}, {}],
    [{ tracestate }, {}],
    [{ params: { a: 1, _meta: { traceparent, tracestate } } }, {
      traceparent,
      tracestate,
    }],
    [{ params: { _meta: "x" } }, {}],
    [{ params: { _meta: { _meta: { traceparent } } } }, {}],
    [{ traceparent: "nonsense", tracestate }, {}],
    [{ traceparent: traceparent.toUpperCase() }, {}],
    [{ traceparent: 5 }, {}],
    [{ traceparent, tracestate: "x".repeat(512) }, {
      traceparent,
      tracestate: "x".repeat(512),
    }],
    [{ traceparent, tracestate: "x".repeat(513) }, { traceparent }],
    [{ traceparent, tracestate: {} }, { traceparent }],
  ];
  for (const [members, context] of rows) {
    it.socket.receive({ jsonrpc: "2.0", method: "pick", id: 1, ...members });
    assertEquals(received.pop(), context, JSON.stringify(members));
    assertEquals(it.socket.take().length, 1);
  }
  it.socket.receive({ jsonrpc: "2.0", method: "pick", traceparent });
  assertEquals(received.pop(), { traceparent });
});

Deno.test("A method finds its caller's context in its call, without any hook", async () => {
  const seen: TraceContext[] = [];
  await using it = await open({
    local: {
      pick(this: Peer) {
        seen.push(this.call.trace);
      },
    },
  });
  it.socket.receive({ jsonrpc: "2.0", method: "pick", id: 1, traceparent });
  it.socket.receive({ jsonrpc: "2.0", method: "pick", id: 2 });
  assertEquals(seen, [{ traceparent }, {}]);
});

Deno.test("A hook that throws is its owner's to know of, and stops no call", async () => {
  const thrown: unknown[] = [];
  await using it = await open({
    trace: {
      send: () => {
        throw new Error("send");
      },
      receive: () => {
        throw new Error("receive");
      },
    },
    local: { pick: () => 1 },
    onerror: (error) => void thrown.push(error),
  });
  const call = it.peer.request("m");
  assertEquals(it.socket.take(), [{ jsonrpc: "2.0", method: "m", id: 1 }]);
  it.socket.receive({ jsonrpc: "2.0", result: "answered", id: 1 });
  assertEquals(await call, "answered");
  it.socket.receive({ jsonrpc: "2.0", method: "pick", id: 1 });
  assertEquals(it.socket.take().length, 1);
  assertEquals(thrown.map(String), ["Error: send", "Error: receive"]);
});

Deno.test("OpenTelemetry's spans on both sides are of one trace, across awaits and calls back", async () => {
  const exporter = new InMemorySpanExporter();
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  trace.setGlobalTracerProvider(provider);
  const tracer = trace.getTracer("test");
  function span<T>(name: string, run: () => Promise<T>): Promise<T> {
    return tracer.startActiveSpan(name, async (span) => {
      try {
        return await run();
      } finally {
        span.end();
      }
    });
  }

  const [left, right] = socketPair();
  const options = { trace: openTelemetry };
  await using _server = new Peer(left, {
    ...options,
    local: {
      greet(this: Peer, name: string) {
        return span("greet", async () => {
          await Promise.resolve();
          return `hi, ${await this.request<string>("ask", [name])}`;
        });
      },
    },
  });
  await using client = new Peer(right, {
    ...options,
    local: { ask: (name: string) => span("ask", () => Promise.resolve(name)) },
  });
  const greetings = await Promise.all(
    ["ann", "bob"].map((name) =>
      span(name, () => client.request("greet", [name]))
    ),
  );
  assertEquals(greetings, ["hi, ann", "hi, bob"]);

  await provider.forceFlush();
  await settle(); // It tells of each span in a turn of its own.
  const spans = exporter.getFinishedSpans();
  assertEquals(spans.length, 6);
  for (const name of ["ann", "bob"]) {
    const root = spans.find((span) => span.name === name)!;
    const { traceId, spanId } = root.spanContext();
    const own = spans.filter((span) => span.spanContext().traceId === traceId);
    const greet = own.find((span) => span.name === "greet");
    const ask = own.find((span) => span.name === "ask");
    assertEquals(own.length, 3);
    assertEquals(greet?.parentSpanContext?.spanId, spanId);
    assertEquals(ask?.parentSpanContext?.spanId, greet?.spanContext().spanId);
  }
  assert(spans.every((span) => span.ended));
  await provider.shutdown();
  trace.disable();
  context.disable();
  propagation.disable();
});
