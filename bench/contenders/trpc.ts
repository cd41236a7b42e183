/** tRPC over `ws`: queries, and subscriptions that yield. */

import { EventEmitter, on } from "node:events";
import { initTRPC } from "@trpc/server";
import { applyWSSHandler } from "@trpc/server/adapters/ws";
import { WebSocketServer } from "ws";
import { createItem, type Item } from "../item.ts";

export { connect } from "./trpc_client.ts";

export async function serve(): Promise<string> {
  const wss = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  applyWSSHandler({ wss, router: createRouter() });
  await new Promise((resolve) => wss.on("listening", resolve));
  return `ws://127.0.0.1:${(wss.address() as { port: number }).port}/`;
}

function createRouter() {
  const t = initTRPC.create();
  const emitter = new EventEmitter().setMaxListeners(0);
  // A validator that accepts everything: types without work.
  const number = (input: unknown) => input as number;
  const item = (input: unknown) => input as Item;
  const numbers = (input: unknown) => input as [number, number];
  return t.router({
    add: t.procedure.input(numbers).query(({ input: [a, b] }) => a + b),
    item: t.procedure.input(number).query(({ input }) => createItem(input)),
    echo: t.procedure.input(item).query(({ input }) => input),
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
