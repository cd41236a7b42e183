/** The small peer without parts, on both sides: values reach the client as notifications, one by one. */

import { connect as connectPeer, Peer } from "@jsonrpcws/peer/slim";
import type { Socket } from "@jsonrpcws/peer/testing";
import type { Client } from "../contender.ts";
import { listen } from "../sockets.ts";

class Calculator extends Peer {
  override local = {
    add: (a: number, b: number): number => a + b,
    count: (to: number): void => {
      for (let n = 0; n < to; n++) this.notify("value", [n]);
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

export function serve(): Promise<string> {
  return listen((socket) => void new Calculator(socket));
}

export async function connect(url: string): Promise<Client> {
  const peer = connectPeer(url, Caller);
  await peer.opened;
  return peer;
}

export function pair(server: Socket, client: Socket): Client {
  new Calculator(server);
  return new Caller(client);
}
