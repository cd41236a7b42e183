/** The library: `broadcast` to all connections; `library.ts deno|bun|ws`. */

import process from "node:process";
import { broadcast, Peer } from "@jsonrpcws/peer";
import { converse } from "../lines.ts";
import { collect, usage } from "../usage.ts";

class Member extends Peer<{ show(text: string): void }> {
  static readonly all = new Set<Member>();
  override local = {
    say: (text: string) => void broadcast(Member.all, "show", [text]),
  };
  override onopen(): void {
    Member.all.add(this);
  }
  override onclose(): void {
    Member.all.delete(this);
  }
}

const settings = {
  hostname: "127.0.0.1",
  port: 0,
  onListen() {},
  sharedFrames: true,
};
async function start(): Promise<string> {
  switch (process.argv[2]) {
    case "deno": {
      const { serve } = await import("@jsonrpcws/peer/server");
      return serve(Member, settings).url;
    }
    case "bun": {
      const { serve } = await import("@jsonrpcws/peer/bun");
      return serve(Member, settings).url;
    }
    default: {
      const { serve } = await import("@jsonrpcws/peer/node");
      return (await serve(Member, settings)).url;
    }
  }
}

await converse(await start(), (question) => {
  if (question === "collect") collect();
  return usage();
});
process.exit();
