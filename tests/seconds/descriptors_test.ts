/** The end of file descriptors: who listened listens again. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { connect } from "../../client.ts";
import { connectOnce } from "../connect_once.ts";

Deno.test("serve tells of the end of file descriptors, and listens again", async () => {
  const program = import.meta.resolve("./descriptors_program.ts");
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      `ulimit -n 200; exec "$0" run --no-check --allow-net ${
        JSON.stringify(program)
      }`,
      Deno.execPath(),
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).values();
  const read = async (): Promise<string> => (await lines.next()).value ?? "";
  const url = (await read()).trim();
  // Deno (2.9.5) opens descriptors of its own by then, and panics if it can't.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await using before = connectOnce(url);
  assertEquals(await before.request("echo", [1]), 1);

  const { hostname, port } = new URL(url);
  const silent: Deno.Conn[] = [];
  try {
    while (silent.length < 250) {
      silent.push(await Deno.connect({ hostname, port: Number(port) }));
    }
  } catch { /* It listens no more. */ }
  assertStringIncludes(await read(), "Too many open files");
  assertEquals(await before.request("echo", [2]), 2);
  for (const connection of silent) connection.close();

  await using after = connect(url, {
    reconnect: { delay: 200, maxDelay: 200 },
    onattempt() {},
  });
  assertEquals(await after.request("echo", [3]), 3);
  before.close();
  after.close();
  await Promise.all([before.closed, after.closed]);
  const writer = child.stdin.getWriter();
  await writer.write(new Uint8Array(1));
  await writer.close();
  assertEquals((await read()).trim(), "finished");
  assertEquals((await lines.next()).done, true);
  assertEquals((await child.status).success, true);
});
