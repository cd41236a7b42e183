/** The client of oRPC. */

import { type Client as ORPCClient, createORPCClient } from "@orpc/client";
import { RPCLink } from "@orpc/client/websocket";
import type { Client } from "../contender.ts";
import type { Item } from "../item.ts";

// Its users have this from the type of their server's router.
interface Calculator {
  add: Procedure<[number, number], number>;
  item: Procedure<number, Item>;
  echo: Procedure<Item, Item>;
  announce: Procedure<number, void>;
  news: Procedure<void, AsyncIterable<number>>;
  count: Procedure<number, AsyncIterable<number>>;
}
type Procedure<Input, Output> = ORPCClient<
  Record<never, never>,
  Input,
  Output,
  Error
>;

export function connect(url: string): Client {
  return call(new WebSocket(url));
}

/** The caller, over any socket. */
export function call(websocket: WebSocket): Client {
  const calculator = createORPCClient(
    new RPCLink({ websocket }),
  ) as object as Calculator;
  return {
    add: (a, b) => calculator.add([a, b]),
    item: (id) => calculator.item(id),
    echo: (item) => calculator.echo(item),
    announce: (n) => calculator.announce(n),
    listen: async (take) => {
      const news = await calculator.news();
      (async () => {
        for await (const n of news) take(n);
      })();
    },
    count: async (to, take) => {
      for await (const n of await calculator.count(to)) take(n);
    },
  };
}
