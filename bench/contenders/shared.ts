/** The library with messages that share frames. */

import { Peer } from "@jsonrpcws/peer";
import { connect as connectPeer } from "@jsonrpcws/peer/client";
import { serve as servePeer } from "@jsonrpcws/peer/server";
import type { Socket } from "@jsonrpcws/peer/testing";
import type { Client } from "../contender.ts";

class Calculator extends Peer {
  override local = { add: (a: number, b: number): number => a + b };
}

export function serve(): string {
  return servePeer(Calculator, {
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
  }).url;
}

export async function connect(url: string): Promise<Client> {
  const peer = connectPeer<Calculator["local"]>(url, {}, {
    sharedFrames: true,
  });
  await peer.opened;
  return { add: (a, b) => peer.remote.add(a, b) };
}

export function pair(server: Socket, client: Socket): Client {
  new Calculator(server, { sharedFrames: true });
  const peer = new Peer<Calculator["local"]>(client, { sharedFrames: true });
  return { add: (a, b) => peer.remote.add(a, b) };
}
