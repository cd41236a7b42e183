/** The server for Node, in real Node. */

import { assert, assertEquals } from "@std/assert";
import { node24 } from "../interop/node_program.ts";
import { resolveWs } from "../node_ws.ts";

Deno.test("serve works in real Node, from its sources", async () => {
  const root = new URL("../../", import.meta.url);
  const script = `
    ${resolveWs}
    const { exercise } = await import(${
    JSON.stringify(new URL("tests/seconds/node_program.ts", root).href)
  });
    console.log(JSON.stringify(await exercise()));
  `;
  const { stdout, stderr, success } = await new Deno.Command(node24, {
    args: ["--input-type=module", "--eval", script],
    cwd: root,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  assertEquals(JSON.parse(new TextDecoder().decode(stdout)), [
    "hello",
    "A page at /about",
    "A page at /form, hello",
    403,
    403,
    101,
    1009,
    64,
    5,
    [-32009, "done", 1012],
    { closed: 2, cut: 0, running: [] },
  ]);
  assertEquals(new TextDecoder().decode(stderr), "");
});
