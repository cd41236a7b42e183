/** A Chromium without a window, with a profile of its own, that can be driven. */

import { findBrowsers } from "../browsers.ts";
import { start } from "./processes.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** A running Chromium; disposing of it ends it and removes its profile. */
export interface Chromium extends AsyncDisposable {
  /** The WebSocket address of the browser, as it printed it. */
  readonly url: string;
  /** Settles when it has ended. */
  readonly ended: Promise<Deno.CommandStatus>;
}

/** Starts one on a free port, and waits until it says where. */
export async function startChromium(): Promise<Chromium> {
  const { chromium } = await findBrowsers();
  const profile = await temporaryFolder("chromium_");
  const line = "DevTools listening on ";
  const program = await start(chromium, {
    args: [
      "--headless",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile.path}`,
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    env: { TMPDIR: profile.path }, // What it leaves behind is removed with it.
    line,
  });
  return {
    url: (await program.line(line)).slice(line.length),
    ended: program.ended,
    async [Symbol.asyncDispose]() {
      await program.stop();
      await profile[Symbol.asyncDispose]();
    },
  };
}
