/** The small client. */

import { connect as connectSlim, SlimPeer } from "@jsonrpcws/peer/slim";
import type { Client } from "../contender.ts";
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

  listen(take: (n: number) => void): void {
    this.#take = take;
  }

  announce(n: number): Promise<void> {
    return this.remote.announce(n);
  }
}

export async function connect(url: string): Promise<Client> {
  const peer = connectSlim(url, SlimCaller);
  await peer.opened;
  return peer;
}
