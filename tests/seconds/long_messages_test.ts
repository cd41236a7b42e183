/** Messages of megabytes, or many at once, over real sockets: they arrive. */

import { assert, assertEquals } from "@std/assert";
import type { CloseInfo } from "../../mod.ts";
import { eachPeer, type Face, faces, whole } from "../faces.ts";
import { bothTest, platforms, until } from "../servers.ts";

bothTest(
  "A message as long as both ends allow leaves and arrives, however long",
  async (platform) => {
    const limits = { messageLength: 12_000_000 };
    await using server = await platform.define({
      local: { echo: (text: string) => text },
      limits,
    });
    await using client = whole.connect(server.url, { limits });
    const text = "x".repeat(11_000_000);
    const echo = (): Promise<string> => client.request("echo", [text]);
    // Before the handshake, and behind others.
    assert(await echo() === text);
    for (const echoed of await Promise.all([echo(), echo(), echo()])) {
      assert(echoed === text);
    }
  },
);

eachPeer(
  "Six and sixty uploads of 900 kB at once arrive with the defaults",
  async (face: Face) => {
    const text = "x".repeat(900_000);
    for (const platform of platforms) {
      const closes: CloseInfo[] = [];
      await using server = await platform.define({
        local: { length: (text: string) => text.length },
        onclose: (info) => void closes.push(info),
      });
      await using client = face.connect(server.url, {
        onclose: (info) => void closes.push(info),
      });
      await client.opened;
      for (const count of [6, 60]) {
        const lengths = await Promise.all(
          Array.from({ length: count }, () => client.request("length", [text])),
        );
        assertEquals(new Set(lengths), new Set([900_000]));
        assertEquals(lengths.length, count);
      }
      assertEquals(closes, []);
    }
  },
);

bothTest(
  "Sixty answers of 900 kB, asked for at once, arrive with the defaults",
  async (platform) => {
    const closes: CloseInfo[] = [];
    await using server = await platform.define({
      local: {
        read: async () => {
          await new Promise((resolve) => setTimeout(resolve, 10));
          return "x".repeat(900_000);
        },
      },
      onclose: (info) => void closes.push(info),
    });
    for (const face of faces) {
      await using client = face.connect(server.url);
      const texts = await Promise.all(
        Array.from({ length: 60 }, () => client.request<string>("read")),
      );
      assertEquals(
        new Set(texts.map(({ length }) => length)),
        new Set([900_000]),
      );
    }
    await until(() => closes.length === faces.length);
    assertEquals(closes.map(({ code }) => code), [1000, 1000]);
  },
);
