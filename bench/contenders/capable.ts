/** The library with streams and references on both sides: values reach the client as a stream. */

import { Peer } from "@jsonrpcws/peer";
import { connect as connectPeer } from "@jsonrpcws/peer/client";
import { references } from "@jsonrpcws/peer/reference";
import { serve as servePeer } from "@jsonrpcws/peer/server";
import { streams } from "@jsonrpcws/peer/stream";
import type { Socket } from "@jsonrpcws/peer/testing";
import type { Client } from "../contender.ts";

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

export function serve(): string {
  return servePeer(Calculator, {
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
    use,
    // What is measured is more calls a second than a server takes.
    limits: { messageRate: 0 },
  }).url;
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
