/**
 * One of several nodes with the library's rooms, through Redis or NATS:
 * `cluster.ts URL PREFIX [history]`, or alone, without.
 *
 * @module
 */

import process from "node:process";
import { Peer } from "@jsonrpcws/peer";
import { cluster, type Engine, type Room } from "@jsonrpcws/peer/cluster";
import { serve } from "@jsonrpcws/peer/node";
import { nats } from "@jsonrpcws/peer/nats";
import { redis } from "@jsonrpcws/peer/redis";
import { connect } from "@nats-io/transport-node";
import { converse } from "../lines.ts";
import { collect, usage } from "../usage.ts";
import { connections } from "./redis.ts";

const [, , address, prefix, kept] = process.argv;
const nodes = await cluster(
  address === undefined
    ? {}
    : { engine: await engineOf(address), prefix: prefix! },
);

async function engineOf(address: string): Promise<Engine> {
  return address.startsWith("nats:")
    ? nats(await connect({ servers: address }))
    : redis(...await connections(address));
}

interface Page {
  show(text: string): void;
}

class Member extends Peer<Page, string> {
  #room: Room<Page> | undefined;
  override local = {
    say: (text: string) => void this.#room!.notify("show", [text]),
  };
  override async onopen(): Promise<void> {
    this.#room = nodes.room<Page>(this.context, {
      history: kept !== undefined,
    });
    await this.#room.join(this);
  }
}

const where = { hostname: "127.0.0.1", port: 0, onListen() {} };
const { url } = await serve(Member, {
  ...where,
  sharedFrames: true,
  authorize: ({ url }) => new URL(url).pathname,
});

await converse(url, (question) => {
  if (question === "collect") collect();
  return usage();
});
process.exit();
