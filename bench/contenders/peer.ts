/** The library as its users write it: a class that is served, and a client with a typed remote. */

import { broadcast, Peer, type PeerSettings } from "@jsonrpcws/peer";
import { connect as connectPeer } from "@jsonrpcws/peer/client";
import { streams } from "@jsonrpcws/peer/stream";
import type { Socket } from "@jsonrpcws/peer/testing";
import type { Client, Contender } from "../contender.ts";
import { createItem, type Item } from "../item.ts";
import { ClientSocket, isDeno } from "../sockets.ts";

type Add = (a: number, b: number) => number;

class Calculator extends Peer<{ news(n: number): void }> {
  static readonly all = new Set<Calculator>();
  /** What to serve beside the methods below. */
  static more: { [name: string]: Add } = {};

  override local = Object.assign({
    add: (a: number, b: number) => a + b,
    item: createItem,
    async *count(to: number): AsyncGenerator<number> {
      for (let n = 0; n < to; n++) yield n;
    },
    announce: (n: number): void => {
      broadcast(Calculator.all, "news", [n]);
    },
  }, Calculator.more as object);

  override onopen(): void {
    Calculator.all.add(this);
  }
  override onclose(): void {
    Calculator.all.delete(this);
  }
}

class Caller extends Peer<Calculator["local"]> implements Client {
  override local = { news: (n: number): void => this.#take?.(n) };
  #take: ((n: number) => void) | undefined;

  add(a: number, b: number): Promise<number> {
    return this.remote.add(a, b);
  }

  addBy(name: string, a: number, b: number): Promise<number> {
    const remote = this.remote as unknown as {
      [name: string]: (a: number, b: number) => Promise<number>;
    };
    return remote[name]!(a, b);
  }

  item(id: number): Promise<Item> {
    return this.remote.item(id);
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

/** The library with these settings on both sides. */
export function createContender(settings: PeerSettings): Required<Contender> {
  async function serve(): Promise<string> {
    const options = {
      hostname: "127.0.0.1",
      port: 0,
      onListen() {},
      ...settings,
      // What is measured is more calls a second than a server takes.
      limits: { ...settings.limits, messageRate: 0 },
    };
    if (isDeno) {
      const { serve } = await import("@jsonrpcws/peer/server");
      return serve(Calculator, options).url;
    }
    const { serve } = await import("@jsonrpcws/peer/node");
    return (await serve(Calculator, options)).url;
  }

  async function connect(url: string): Promise<Client> {
    const peer = connectPeer(url, Caller, {
      ...(!isDeno && {
        createSocket: (url, protocols) => new ClientSocket(url, protocols),
      }),
      use: [streams],
      ...settings,
    });
    await peer.opened;
    return peer;
  }

  function pair(server: Socket, client: Socket, methods = 1): Client {
    Calculator.more = createMethods(methods);
    new Calculator(server, settings);
    return new Caller(client, settings);
  }

  return { serve, connect, pair };
}

const contender = createContender({});
export const serve: Contender["serve"] = contender.serve;
export const connect: Contender["connect"] = contender.connect;
export const pair: Contender["pair"] = contender.pair;

function createMethods(count: number): { [name: string]: Add } {
  const methods: { [name: string]: Add } = {};
  for (let n = 1; n < count; n++) methods[`add${n}`] = (a, b) => a + b;
  return methods;
}
