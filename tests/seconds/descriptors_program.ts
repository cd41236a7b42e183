/** A server for a process that has few file descriptors. */

import { serve } from "../../server.ts";

const server = serve({
  port: 0,
  hostname: "127.0.0.1",
  onListen() {},
  local: { echo: (value: unknown) => value },
  onerror: (error) => console.log(String(error)),
});
console.log(server.url);
// As long as somebody listens.
await Deno.stdin.read(new Uint8Array(1));
await server.shutdown();
await server.finished;
console.log("finished");
