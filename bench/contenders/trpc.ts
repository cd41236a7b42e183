/** tRPC over `ws`: queries, and subscriptions that yield. */

import { EventEmitter, on } from "node:events";
import { createTRPCClient, createWSClient, wsLink } from "@trpc/client";
import { WebSocket } from "ws";
import type { Client } from "../contender.ts";
import { createItem } from "../item.ts";

type Calculator = Awaited<ReturnType<typeof createRouter>>;

export async function serve(): Promise<string> {
  const { applyWSSHandler } = await import("@trpc/server/adapters/ws");
  const { WebSocketServer } = await import("ws");
  const wss = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  applyWSSHandler({ wss, router: await createRouter() });
  await new Promise((resolve) => wss.on("listening", resolve));
  return `ws://127.0.0.1:${(wss.address() as { port: number }).port}/`;
}

export async function connect(url: string): Promise<Client> {
  const opened = Promise.withResolvers<void>();
  const client = createWSClient({
    url,
    // In Deno too, whose own client lets frames of more than 1,024 bytes wait for
    // 44 ms (seen in 2.9.5), and this one gathers many calls in a frame.
    WebSocket: WebSocket as never,
    onOpen: opened.resolve,
  });
  const calculator = createTRPCClient<Calculator>({
    links: [wsLink({ client })],
  });
  await opened.promise;
  return {
    add: (a, b) => calculator.add.query([a, b]),
    item: (id) => calculator.item.query(id),
    announce: (n) => calculator.announce.mutate(n),
    listen: (take) =>
      new Promise((resolve, reject) => {
        calculator.news.subscribe(undefined, {
          onStarted: () => resolve(),
          onData: ([n]) => take(n),
          onError: reject,
        });
      }),
    count: (to, take) =>
      new Promise((resolve, reject) => {
        calculator.count.subscribe(to, {
          onData: take,
          onComplete: resolve,
          onError: reject,
        });
      }),
  };
}

async function createRouter() {
  const { initTRPC } = await import("@trpc/server");
  const t = initTRPC.create();
  const emitter = new EventEmitter().setMaxListeners(0);
  // A validator that believes everything: the types, and no more work than that.
  const number = (input: unknown) => input as number;
  const numbers = (input: unknown) => input as [number, number];
  return t.router({
    add: t.procedure.input(numbers).query(({ input: [a, b] }) => a + b),
    item: t.procedure.input(number).query(({ input }) => createItem(input)),
    announce: t.procedure.input(number).mutation(({ input }) => {
      emitter.emit("news", input);
    }),
    news: t.procedure.subscription(({ signal }) =>
      on(emitter, "news", { signal: signal! }) as AsyncIterable<[number]>
    ),
    count: t.procedure.input(number).subscription(async function* ({ input }) {
      for (let n = 0; n < input; n++) yield n;
    }),
  });
}
