/**
 * One of several nodes with the library's rooms, through Redis: `cluster.ts URL PREFIX`,
 * or alone, without.
 *
 * @module
 */

import process from "node:process";
import { Peer } from "@jsonrpcws/peer";
import { cluster, type Room } from "@jsonrpcws/peer/cluster";
import { serve } from "@jsonrpcws/peer/node";
import { redis } from "@jsonrpcws/peer/redis";
import { converse } from "../lines.ts";
import { collect, usage } from "../usage.ts";
import { connections } from "./redis.ts";

const [, , address, prefix] = process.argv;
const nodes = await cluster(
  address === undefined
    ? {}
    : { engine: redis(...await connections(address)), prefix: prefix! },
);

interface Page {
  show(text: string): void;
}

class Member extends Peer<Page, string> {
  #room: Room<Page> | undefined;
  override local = {
    say: (text: string) => void this.#room!.notify("show", [text]),
  };
  override async onopen(): Promise<void> {
    this.#room = nodes.room<Page>(this.context);
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
