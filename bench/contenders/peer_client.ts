/** The client of the library: a class with a typed remote. */

import { Peer } from "@jsonrpcws/peer";
import { connect as connectPeer } from "@jsonrpcws/peer/client";
import type { Client, Connect } from "../contender.ts";
import type { Item } from "../item.ts";

/** The methods of the server's `local`. */
export interface Methods {
  add(a: number, b: number): number;
  item(id: number): Item;
  echo(item: Item): Item;
  count(to: number): AsyncIterable<number>;
  announce(n: number): void;
}

/** The caller, over any socket. */
export class Caller extends Peer<Methods> implements Client {
  override local = { news: (n: number): void => this.#take?.(n) };
  #take: ((n: number) => void) | undefined;

  add(a: number, b: number): Promise<number> {
    return this.remote.add(a, b);
  }

  addBy(name: string, a: number, b: number): Promise<number> {
    return this.request<number>(name, [a, b]);
  }

  item(id: number): Promise<Item> {
    return this.remote.item(id);
  }

  echo(item: Item): Promise<Item> {
    return this.remote.echo(item);
  }

  async count(to: number, take: (n: number) => void): Promise<void> {
    for await (const n of this.remote.count(to)) take(n);
  }

  listen(take: (n: number) => void): void {
    this.#take = take;
  }

  announce(n: number): Promise<void> {
    return this.remote.announce(n);
  }
}

export const connect: Connect = (url) => connectPeer(url, Caller);
