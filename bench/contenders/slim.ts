/** The small client, with the server of `peer.ts`. */

import { connect as connectSlim } from "@jsonrpcws/peer/slim";
import type { Client } from "../contender.ts";
import type { Item } from "../item.ts";
import { ClientSocket, isDeno } from "../sockets.ts";

/** What the server's `local` has. */
interface Calculator {
  add(a: number, b: number): number;
  item(id: number): Item;
  announce(n: number): void;
}

export async function serve(): Promise<string> {
  // A client that begins has nothing of it to load.
  const { serve } = await import("./peer.ts");
  return await serve();
}

export async function connect(url: string): Promise<Client> {
  let take: ((n: number) => void) | undefined;
  const local = { news: (n: number): void => take?.(n) };
  const peer = connectSlim<Calculator>(url, { local }, {
    ...(!isDeno && {
      createSocket: (url, protocols) => new ClientSocket(url, protocols),
    }),
  });
  await peer.opened;
  const { remote } = peer;
  return {
    add: (a, b) => remote.add(a, b),
    item: (id) => remote.item(id),
    announce: (n) => remote.announce(n),
    listen: (listener) => void (take = listener),
  };
}
