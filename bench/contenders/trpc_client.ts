/** The client of tRPC. */

import { createTRPCClient, createWSClient, wsLink } from "@trpc/client";
import type { AnyTRPCRouter } from "@trpc/server";
import { WebSocket } from "ws";
import type { Client } from "../contender.ts";
import type { Item } from "../item.ts";

// Its users have all of this from the type of their server's router.
interface Query<Input, Output> {
  query(input: Input): Promise<Output>;
}
interface Subscription<Input, Output> {
  subscribe(input: Input, options: {
    onStarted?: () => void;
    onData: (value: Output) => void;
    onComplete?: () => void;
    onError: (error: unknown) => void;
  }): unknown;
}
interface Calculator {
  add: Query<[number, number], number>;
  item: Query<number, Item>;
  echo: Query<Item, Item>;
  announce: { mutate(n: number): Promise<void> };
  news: Subscription<undefined, [number]>;
  count: Subscription<number, number>;
}

export function connect(url: string): Client {
  const client = createWSClient({
    url,
    // Also in Deno: its own client delays frames of more than 1,024 bytes by 44 ms
    // (seen in 2.9.5), and this contender gathers many calls in a frame.
    WebSocket: WebSocket as never,
  });
  const calculator = createTRPCClient<AnyTRPCRouter>({
    links: [wsLink({ client })],
  }) as object as Calculator;
  return {
    add: (a, b) => calculator.add.query([a, b]),
    item: (id) => calculator.item.query(id),
    echo: (item) => calculator.echo.query(item),
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
