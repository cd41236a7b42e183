/** The small peer with streams and references on both sides: values reach the client as a stream. */

import {
  connect as connectPeer,
  Peer,
  references,
  streams,
} from "@jsonrpcws/peer/slim";
import type { Socket } from "@jsonrpcws/peer/testing";
import type { Client } from "../contender.ts";
import { listen } from "../sockets.ts";

const use = [streams, references];

class Calculator extends Peer {
  override local = {
    add: (a: number, b: number): number => a + b,
    async *count(to: number): AsyncGenerator<number> {
      for (let n = 0; n < to; n++) yield n;
    },
  };
}

class Caller extends Peer<Calculator["local"]> implements Client {
  add(a: number, b: number): Promise<number> {
    return this.remote.add(a, b);
  }

  async count(to: number, take: (n: number) => void): Promise<void> {
    for await (const n of this.remote.count(to)) take(n);
  }
}

export function serve(): Promise<string> {
  return listen((socket) => void new Calculator(socket, { use }));
}

export async function connect(url: string): Promise<Client> {
  const peer = connectPeer(url, Caller, { use });
  await peer.opened;
  return peer;
}

export function pair(server: Socket, client: Socket): Client {
  new Calculator(server, { use });
  return new Caller(client, { use });
}
