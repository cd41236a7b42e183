/** birpc, which leaves the socket to its users. */

import type { Socket } from "@jsonrpcws/peer/testing";
import {
  type BirpcGroup,
  type BirpcReturn,
  type ChannelOptions,
  createBirpc,
  createBirpcGroup,
} from "birpc";
import type { Client } from "../contender.ts";
import { createItem, type Item } from "../item.ts";
import { listen, open } from "../sockets.ts";

interface Page extends Record<string, unknown> {
  value(n: number): void;
  news(n: number): void;
}

type Calculator = ReturnType<typeof createCalculator>;

export async function serve(): Promise<string> {
  const group: BirpcGroup<Page> = createBirpcGroup<Page>(
    createCalculator((n) => group.broadcast.news.asEvent(n)),
    [],
  );
  return await listen((socket) => {
    group.updateChannels((channels) => channels.push(over(socket)));
  });
}

export async function connect(url: string): Promise<Client> {
  return call(await open(url));
}

export function pair(server: Socket, client: Socket): Client {
  createBirpc<Page>(createCalculator(() => {}), over(server));
  return call(client);
}

function over(socket: Socket): ChannelOptions {
  return {
    post: (text) => socket.send(text),
    on: (take) => socket.addEventListener("message", ({ data }) => take(data)),
    serialize: JSON.stringify,
    deserialize: JSON.parse,
  };
}

function createCalculator(tellAll: (n: number) => unknown) {
  return {
    add: (a: number, b: number) => a + b,
    item: createItem,
    echo: (item: Item) => item,
    async count(to: number): Promise<void> {
      // "this" has the methods that the caller serves; the types don't know it.
      const page = this as unknown as BirpcReturn<Page>;
      const sent: Promise<void>[] = [];
      for (let n = 0; n < to; n++) sent.push(page.value.asEvent(n));
      await Promise.all(sent);
    },
    async announce(n: number): Promise<void> {
      await tellAll(n);
    },
  };
}

function call(socket: Socket): Client {
  const page: Page = { value: () => {}, news: () => {} };
  const calculator = createBirpc<Calculator, Page>(page, over(socket));
  return {
    add: (a, b) => calculator.add(a, b),
    item: (id) => calculator.item(id),
    echo: (item) => calculator.echo(item),
    announce: (n) => calculator.announce(n),
    listen: (take) => void (page.news = take),
    count: (to, take) => {
      page.value = take;
      return calculator.count(to);
    },
  };
}
