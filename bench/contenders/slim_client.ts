/** The small client. */

import {
  connect as connectSlim,
  type SlimConnectOptions,
  SlimPeer,
} from "@jsonrpcws/peer/slim";
import type { Client, Connect } from "../contender.ts";
import type { Item } from "../item.ts";
import type { Methods } from "./peer_client.ts";

/** The caller, over whatever socket. */
export class SlimCaller extends SlimPeer<Methods> implements Client {
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

/** Connects with these options. */
export function createConnect(options: SlimConnectOptions): Connect {
  return (url) => connectSlim(url, SlimCaller, options);
}

export const connect: Connect = createConnect({});
