// deno run --allow-net --allow-read=. --allow-env=PORT,HOSTNAME examples/server.ts

/**
 * Serves the chat: its page, the library as a browser reads it, and, at the
 * address of the page, the WebSocket.
 *
 * `PORT` is the port to listen on, 8888 unless given, any free one if 0.
 * `HOSTNAME` is the IP address to listen on, of this machine alone unless given.
 *
 * @module
 */

import { serve } from "../server.ts";
import { Chat } from "./chat/chat.ts";
import { listen } from "./listen.ts";
import { serveFiles } from "./static.ts";

await listen("Chat", 8888, async (address) => {
  return serve(Chat, {
    ...address,
    fetch: await serveFiles("examples/chat"),
  });
});
