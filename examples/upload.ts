// deno run --allow-net --allow-read=. --allow-env=PORT,HOSTNAME examples/upload.ts

/**
 * Serves the upload: a page that passes files as streams, and sees them arrive.
 *
 * `PORT` is the port to listen on, 8891 unless given, any free one if 0.
 * `HOSTNAME` is the IP address to listen on, of this machine alone unless given.
 *
 * @module
 */

import { serve } from "../server.ts";
import { listen } from "./listen.ts";
import { serveFiles } from "./static.ts";
import { Upload } from "./upload/upload.ts";

await listen("Upload", 8891, async (address) => {
  const fetch = await serveFiles("examples/upload");
  const limits = { incoming: 8 }; // Files at a time.
  return serve(Upload, { ...address, fetch, limits });
});
