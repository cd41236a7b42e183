/** A reader that has stopped, for the usual ten seconds. */

import { assert, assertEquals } from "@std/assert";
import { broadcast, type CloseInfo, Peer } from "../../mod.ts";
import { whole } from "../faces.ts";
import { RawSocket } from "../interop/raw_socket.ts";
import { platforms, until } from "../servers.ts";

Deno.test("A tab that reads nothing while a room is told much costs no more than bufferedMost, and is closed with 4008 in ten seconds", async () => {
  await Promise.all(platforms.map(async (platform) => {
    const closes: CloseInfo[] = [];
    class Member extends Peer {
      override onclose(info: CloseInfo): void {
        closes.push(info);
      }
    }
    await using server = await platform.serve(Member);
    using _frozen = await RawSocket.connect(server.url);
    const heard: number[] = [];
    await using client = whole.connect(server.url, {
      local: { news: ({ length }: string) => void heard.push(length) },
    });
    await client.opened;
    await until(() => server.peers.size === 2);
    const start = performance.now();
    const text = "x".repeat(500_000);
    let told = 0;
    // 20 MB at once, and then 1 MB a second.
    while (closes.length === 0) {
      const count = told === 0 ? 40 : 2;
      for (let n = 0; n < count; n++) {
        assertEquals(broadcast(server.peers, "news", [text]), 2);
        told++;
      }
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    const [{ code, reason }] = closes as [CloseInfo];
    assertEquals(code, 4008);
    assert(reason.endsWith("see limits.bufferedTime"), reason);
    assert(performance.now() - start > 10_000);
    // The others have noticed nothing.
    await until(() => heard.length === told);
  }));
});
