/** The library without its capabilities: values reach the client as notifications, one by one, as fast as it reads. */

import { Peer } from "@jsonrpcws/peer";
import { connect as connectPeer } from "@jsonrpcws/peer/client";
import { serve as servePeer } from "@jsonrpcws/peer/server";
import type { Socket } from "@jsonrpcws/peer/testing";
import type { Client } from "../contender.ts";

// A server would have them all.
const use = [] as const;

// What is measured is more calls a second than a server takes.
const limits = { messageRate: 0 };

class Calculator extends Peer {
  override local = {
    add: (a: number, b: number): number => a + b,
    count: async (to: number): Promise<void> => {
      for (let n = 0; n < to; n++) {
        await this.drained();
        this.notify("value", [n]);
      }
    },
  };
}

class Caller extends Peer<Calculator["local"]> implements Client {
  override local = { value: (n: number): void => this.#take?.(n) };
  #take: ((n: number) => void) | undefined;

  add(a: number, b: number): Promise<number> {
    return this.remote.add(a, b);
  }

  async count(to: number, take: (n: number) => void): Promise<void> {
    this.#take = take;
    // The response follows the last value.
    await this.remote.count(to);
  }
}

export function serve(): string {
  return servePeer(Calculator, {
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
    use,
    limits,
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
