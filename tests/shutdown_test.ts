import { assert, assertEquals } from "@std/assert";
import { serve } from "../server.ts";
import { settle } from "./scripted_socket.ts";
import { quiet } from "./servers.ts";
import { askForUpgrade } from "./stage.ts";

Deno.test("shutdown lets a fetch in flight be answered", async () => {
  const entered = Promise.withResolvers<void>();
  const { promise, resolve } = Promise.withResolvers<Response>();
  const server = serve({
    ...quiet,
    fetch() {
      entered.resolve();
      return promise;
    },
  });
  const page = fetch(server.url.replace("ws", "http"));
  await entered.promise;
  const shutdown = server.shutdown();
  await settle();
  resolve(new Response("page"));
  assertEquals(await (await page).text(), "page");
  await shutdown;
});

Deno.test("shutdown lets an authorize in flight be answered", async () => {
  const entered = Promise.withResolvers<void>();
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const server = serve({
    ...quiet,
    authorize() {
      entered.resolve();
      return promise;
    },
  });
  const { port } = server.addr as Deno.NetAddr;
  const conn = await Deno.connect({ port, hostname: "127.0.0.1" });
  await askForUpgrade(conn);
  await entered.promise;
  const shutdown = server.shutdown();
  await settle();
  resolve(undefined);
  const buffer = new Uint8Array(4_096);
  const length = await conn.read(buffer) ?? 0;
  const answer = new TextDecoder().decode(buffer.subarray(0, length));
  assert(answer.startsWith("HTTP/1.1 503 "), answer);
  conn.close();
  await shutdown;
  assertEquals(server.peers.size, 0);
});
