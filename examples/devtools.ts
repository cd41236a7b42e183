// deno run --allow-net=127.0.0.1 --allow-run=chromium --allow-sys=uid --allow-write=/tmp examples/devtools.ts
// Drives a Chromium by its DevTools protocol: one that it starts, or one whose
// WebSocket address is its argument.
import { notifications } from "@jsonrpcws/peer";
import { connect } from "@jsonrpcws/peer/client";
import type { Protocol } from "devtools-protocol";

const html =
  `<title>Hello</title><script>console.log("6 * 7 =", 6 * 7)</script>`;
const picture = "/tmp/devtools.png";

const [given] = Deno.args;
await using chromium = given === undefined ? await startChromium() : null;
const url = chromium?.url ?? given!;

// Chrome's version of JSON-RPC: it refuses the member "jsonrpc". Its pages call the
// functions of `local`.
await using browser = connect(url, {
  local: {
    Runtime: {
      consoleAPICalled({ type, args }: Protocol.Runtime.ConsoleAPICalledEvent) {
        console.log(`${type}:`, ...args.map((arg) => arg.value));
      },
    },
  },
  version: "bare",
  reconnect: false,
});
const { targetId } = await browser.request<
  Protocol.Target.CreateTargetResponse
>("Target.createTarget", { url: "about:blank" });

// All pages share the connection; a session names the page.
const { sessionId } = await browser.request<
  Protocol.Target.AttachToTargetResponse
>("Target.attachToTarget", { targetId, flatten: true });
const page = { members: { sessionId } };
await browser.request("Runtime.enable", {}, page);
await browser.request("Page.enable", {}, page);

await using loads = notifications(browser, "Page.loadEventFired", page);
await browser.request("Page.navigate", {
  url: `data:text/html,${encodeURIComponent(html)}`,
}, page);
await loads.next();

const { result } = await browser.request<Protocol.Runtime.EvaluateResponse>(
  "Runtime.evaluate",
  { expression: "document.title" },
  page,
);
console.log("title:", result.value);

const { data } = await browser.request<Protocol.Page.CaptureScreenshotResponse>(
  "Page.captureScreenshot",
  {},
  page,
);
await Deno.writeFile(picture, Uint8Array.fromBase64(data));
console.log("picture:", picture);

await browser.request("Target.closeTarget", { targetId });

/** Starts a Chromium without a window; disposing of it ends it. */
async function startChromium() {
  const profile = await Deno.makeTempDir({ dir: "/tmp" });
  const child = new Deno.Command("chromium", {
    args: [
      "--headless",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
      // It would not start as root.
      ...(Deno.uid() === 0 ? ["--no-sandbox"] : []),
    ],
    env: { TMPDIR: profile }, // Its temporary files are removed with the profile.
    stdout: "null",
    stderr: "piped",
  }).spawn();

  let printed = "";
  let address: string | undefined;
  const stderr = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  while (address === undefined) {
    const { value, done } = await stderr.read();
    if (done) throw new Error(`Chromium has ended:\n${printed}`);
    printed += value;
    address = /DevTools listening on (ws:\S+)\s/.exec(printed)?.[1];
  }
  return {
    url: address,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.status;
      // Chromium's child processes hold the pipe until they have ended.
      while (!(await stderr.read()).done);
      await Deno.remove(profile, { recursive: true });
    },
  };
}
