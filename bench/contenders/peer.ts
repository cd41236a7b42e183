/** The library as its users write it: a class that is served, and a client with a typed remote. */

import { broadcast, Peer, type PeerSettings } from "@jsonrpcws/peer";
import { connect as connectPeer } from "@jsonrpcws/peer/client";
import type { Socket } from "@jsonrpcws/peer/testing";
import type { Contender } from "../contender.ts";
import { createItem, type Item } from "../item.ts";
import { isBun, isDeno } from "../sockets.ts";
import { Caller } from "./peer_client.ts";

type Add = (a: number, b: number) => number;

class Calculator extends Peer<{ news(n: number): void }> {
  static readonly all = new Set<Calculator>();
  /** Further methods, beside those below. */
  static more: { [name: string]: Add } = {};

  override local = Object.assign({
    add: (a: number, b: number) => a + b,
    item: createItem,
    echo: (item: Item) => item,
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

/**
 * The library with these settings on both sides.
 *
 * @param isOnWs True for a server on the sockets of `ws`; Deno and Bun have their own.
 */
export function createContender(
  settings: PeerSettings,
  isOnWs: boolean = !isDeno,
): Required<Contender> {
  return {
    async serve() {
      const options = {
        hostname: "127.0.0.1",
        port: 0,
        onListen() {},
        ...settings,
      };
      if (isBun) {
        const { serve } = await import("@jsonrpcws/peer/bun");
        return serve(Calculator, options).url;
      }
      if (isOnWs) {
        const { serve } = await import("@jsonrpcws/peer/node");
        return (await serve(Calculator, options)).url;
      }
      const { serve } = await import("@jsonrpcws/peer/server");
      return serve(Calculator, options).url;
    },
    connect: (url) => connectPeer(url, Caller, settings),
    pair(server, client, methods = 1) {
      Calculator.more = createMethods(methods);
      new Calculator(server, settings);
      return new Caller(client, settings);
    },
  };
}

const contender = createContender({});
export const serve: Contender["serve"] = contender.serve;
export const connect: Contender["connect"] = contender.connect;
export const pair: Contender["pair"] = contender.pair;

/** Serves the other end of a socket. */
export function answer(socket: Socket): void {
  new Calculator(socket);
}

function createMethods(count: number): { [name: string]: Add } {
  const methods: { [name: string]: Add } = {};
  for (let n = 1; n < count; n++) methods[`add${n}`] = (a, b) => a + b;
  return methods;
}
