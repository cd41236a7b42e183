/** The small client. */

import { connect as connectSlim } from "@jsonrpcws/peer/slim";
import type { Client } from "../contender.ts";
import { ClientSocket, isDeno } from "../sockets.ts";
import type { Methods } from "./peer_client.ts";

export async function connect(url: string): Promise<Client> {
  let take: ((n: number) => void) | undefined;
  const local = { news: (n: number): void => take?.(n) };
  const peer = connectSlim<Methods>(url, { local }, {
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
