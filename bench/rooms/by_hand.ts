/**
 * One of several nodes with the library's `broadcast`, and a room by hand: a node
 * publishes what its members say, and tells them what Redis tells it.
 * `by_hand.ts URL CHANNEL`.
 *
 * @module
 */

import process from "node:process";
import { broadcast, Peer } from "@jsonrpcws/peer";
import { serve } from "@jsonrpcws/peer/node";
import { converse } from "../lines.ts";
import { collect, usage } from "../usage.ts";
import { connections } from "./redis.ts";

const [publisher, subscriber] = await connections(process.argv[2]!);
const channel = process.argv[3]!;

class Member extends Peer<{ show(text: string): void }> {
  static readonly all = new Set<Member>();
  override local = {
    say: (text: string) => void publisher.publish(channel, text),
  };
  override onopen(): void {
    Member.all.add(this);
  }
  override onclose(): void {
    Member.all.delete(this);
  }
}

await subscriber.subscribe(channel, (text) => {
  broadcast(Member.all, "show", [text]);
});
const where = { hostname: "127.0.0.1", port: 0, onListen() {} };
const { url } = await serve(Member, { ...where, sharedFrames: true });

await converse(url, (question) => {
  if (question === "collect") collect();
  return usage();
});
process.exit();
