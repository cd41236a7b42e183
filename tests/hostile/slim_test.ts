/** What a hostile server does to the small client: it outlives it. */

import { assertEquals } from "@std/assert";
import { connect } from "../../slim.ts";
import { RawSocket } from "../interop/raw_socket.ts";
import { request, result } from "../scripted_socket.ts";

Deno.test("A small client outlives what a hostile server sends over a real socket", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let notes = 0;
  const client = connect(`ws://127.0.0.1:${listener.addr.port}`, {
    local: {
      echo: (value: unknown) => value,
      note: () => void notes++,
      never: () => new Promise(() => {}),
    },
    reconnect: false,
  });
  using hostile = await RawSocket.accept(await listener.accept());
  await client.opened;
  const call = client.request("m");
  assertEquals(JSON.parse((await hostile.text())!).id, 1);

  const note = JSON.stringify({ jsonrpc: "2.0", method: "note" });
  for (let round = 0; round < 100; round++) {
    await hostile.say(...new Array(1_000).fill(note));
  }
  const unknown = JSON.stringify(result(99, "x"));
  await hostile.say(...new Array(10_000).fill(unknown));
  const twice = JSON.stringify(result(1, "once"));
  await hostile.say(twice, twice.replace("once", "twice"));
  assertEquals(await call, "once");
  // Deep, and no deeper than a message is long.
  await hostile.say(
    "[".repeat(500_000),
    "[".repeat(500_000) + "]".repeat(500_000),
  );
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  await hostile.say(
    `{"jsonrpc":"2.0","method":"echo","params":[${deep}],"id":1}`,
  );
  assertEquals(JSON.parse((await hostile.text())!).id, 1);
  await hostile.say(JSON.stringify(request(2, "echo", ["after"])));
  assertEquals(JSON.parse((await hostile.text())!), result(2, "after"));
  assertEquals(notes, 100_000);

  await hostile.say(
    "x".repeat(1_048_577),
    JSON.stringify(request(3, "echo", ["at last"])),
  );
  assertEquals(JSON.parse((await hostile.text())!), result(3, "at last"));
  hostile[Symbol.dispose]();
  await client.closed;
  listener.close();
});
