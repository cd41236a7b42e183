/** Clients that never answer a close: a server waits for them for seconds, not for ever. */

import { assertEquals, assertRejects } from "@std/assert";
import { ConnectionClosedError } from "../../mod.ts";
import { serve } from "../../node.ts";
import { connectOnce as connect } from "../connect_once.ts";
import { RawSocket } from "../interop/raw_socket.ts";
import {
  bothTest,
  cloudflares,
  handshake,
  quiet,
  Recorder,
  serveRecorder,
  until,
  upgradeLines,
} from "../servers.ts";
import { stream } from "../stage.ts";

bothTest(
  "shutdown doesn't wait for ever for a client that never answers",
  async (platform) => {
    const server = await serveRecorder(platform);
    const { conn } = await handshake(server, upgradeLines);
    await until(() => server.peers.size === 1);
    await server.shutdown();
    assertEquals(Recorder.instances[0]!.events, ["open", 1001]);
    conn.close();
  },
);

bothTest(
  "drain takes no longer than within, whatever runs, and says what was left",
  async (platform) => {
    const server = await platform.define({
      local: {
        wait: () => new Promise(() => {}),
        ticks: async function* () {
          for (let n = 0;; n++) yield await Promise.resolve(n);
        },
      },
    });
    await using ann = connect(server.url);
    for await (const _ of stream(ann.remote["ticks"]!())) break;
    const left = assertRejects(
      () => ann.request("wait"),
      ConnectionClosedError,
    );
    const deaf = await handshake(server, upgradeLines);
    await until(() =>
      Array.from(server.peers, ({ running }) => running.length).sort()
        .join() === "0,1"
    );
    // Bun waits for nobody's answer to a close.
    const cut = platform.name === "Bun" ? 0 : 1;
    assertEquals(await server.drain({ within: 2_000 }), {
      closed: 2 - cut,
      cut,
      running: ["wait"],
    });
    assertEquals((await left).code, 1012);
    deaf.conn.close();
    await server.finished;
    // Deno has nothing to cut it with, and waits for its own 5 seconds.
    await Promise.all(Array.from(server.peers, ({ closed }) => closed));
  },
  cloudflares.drain,
);

Deno.test("serve cuts a peer that ignores the close, and shuts down", async () => {
  const server = await serve({ ...quiet, local: {} });
  using socket = await RawSocket.connect(server.url);
  await until(() => server.peers.size === 1);
  const shut = server.shutdown();
  assertEquals(await socket.closeCode(), 1001);
  // It is not answered.
  await shut;
  assertEquals(await socket.receive(), undefined);
  await server.finished;
});
