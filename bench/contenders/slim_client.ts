/** The small client. */

import { connect as connectSlim, Peer } from "@jsonrpcws/peer/slim";
import type { Client, Connect } from "../contender.ts";
import type { Item } from "../item.ts";
import type { Methods } from "./peer_client.ts";

/** The caller, over any socket. */
export class SlimCaller extends Peer<Methods> implements Client {
  override local = { news: (n: number): void => this.#take?.(n) };
  #take: ((n: number) => void) | undefined;

  add(a: number, b: number): Promise<number> {
    return this.remote.add(a, b);
  }

  item(id: number): Promise<Item> {
    return this.remote.item(id);
  }

  echo(item: Item): Promise<Item> {
    return this.remote.echo(item);
  }

  listen(take: (n: number) => void): void {
    this.#take = take;
  }

  announce(n: number): Promise<void> {
    return this.remote.announce(n);
  }
}

export const connect: Connect = (url) => connectSlim(url, SlimCaller);
