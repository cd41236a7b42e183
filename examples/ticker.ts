// deno run --allow-net --allow-read=. --allow-env=PORT,HOSTNAME examples/ticker.ts

/**
 * Serves the ticker: a page that draws prices as it reads them from a stream.
 *
 * `PORT` is the port to listen on, 8890 unless given, any free one if 0.
 * `HOSTNAME` is the IP address to listen on, of this machine alone unless given.
 *
 * @module
 */

import { serve } from "../server.ts";
import { listen } from "./listen.ts";
import { serveFiles } from "./static.ts";
import { Ticker } from "./ticker/ticker.ts";

await listen("Ticker", 8890, async (address) => {
  const fetch = await serveFiles("examples/ticker");
  return serve(Ticker, { ...address, fetch });
});
