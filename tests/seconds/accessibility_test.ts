/**
 * The examples' pages as axe-core sees them: nothing to complain of, by day and by
 * night, whatever is on them.
 */

/// <reference lib="dom" />

import { assertEquals } from "@std/assert";
import axe from "axe-core";
import type { ElementHandle, Page } from "puppeteer-core";
import { Chat } from "../../examples/chat/chat.ts";
import { Ticker } from "../../examples/ticker/ticker.ts";
import { MAX_SIZE, Upload } from "../../examples/upload/upload.ts";
import { pageOf, startExample, withPage } from "../example_process.ts";
import { serve } from "../../server.ts";
import {
  browsers,
  browserTest,
  inBackground,
  isIn,
  shows,
  start,
} from "../pages.ts";

const { launch } = browsers.find(({ name }) => name === "Chromium")!;

/** Everything axe-core complains of, by day and by night, on a desk and on a phone. */
async function complaints(page: Page): Promise<string[]> {
  const all: string[] = [];
  await page.evaluate(axe.source);
  for (const width of [390, 1000]) {
    await page.setViewport({ width, height: 760 });
    for (const value of ["light", "dark"]) {
      await page.emulateMediaFeatures([
        { name: "prefers-color-scheme", value },
        { name: "prefers-reduced-motion", value: "reduce" },
      ]);
      const { violations } = await page.evaluate(() => axe.run());
      for (const { id, nodes } of violations) {
        for (const { target, failureSummary } of nodes) {
          all.push(`${value}, ${width}: ${id}: ${target}: ${failureSummary}`);
        }
      }
    }
  }
  return all;
}

/** Ends every connection for good, and says why. */
function refuse(
  { peers }: { peers: Iterable<{ close(code: number, reason: string): void }> },
): void {
  for (const peer of peers) peer.close(4403, "Enough for now");
}

browserTest("axe-core finds nothing on the chat", async () => {
  await using browser = await start(launch);
  await using example = await startExample("examples/server.ts", "Chat");
  await using server = serve(Chat, withPage(example));
  const url = pageOf(server);
  const page = await browser.open(url);

  // The dialog, and a name that is refused.
  await page.waitForSelector("#name-dialog[open]");
  assertEquals(await complaints(page), []);
  await page.type("#username", "a\u202eb");
  await page.keyboard.press("Enter");
  await shows(
    page,
    "#name-error",
    "A username must not contain control characters",
  );
  assertEquals(await complaints(page), []);

  await page.click("#username", { count: 3 });
  await page.type("#username", "ann");
  await page.keyboard.press("Enter");
  await shows(page, "#status", "Connected");
  assertEquals(await complaints(page), []);

  // Messages of both, news, and a text that is refused.
  const ben = await browser.open(url);
  await ben.waitForSelector("#name-dialog[open]");
  await ben.type("#username", "ben");
  await ben.keyboard.press("Enter");
  await shows(ben, "#status", "Connected");
  await say(ben, "hello");
  await page.bringToFront();
  await say(page, "hi");
  await say(page, "x".repeat(2001));
  await shows(page, "#say-error", "A text must have at most 2,000 characters");
  await page.waitForFunction(
    () => document.querySelectorAll("#messages .message").length === 2,
    inBackground,
  );
  assertEquals(await complaints(page), []);

  // Ended for good, and something waits to be said.
  refuse(server);
  await shows(page, "#status", "Disconnected");
  await say(page, "is anybody there?");
  assertEquals(await complaints(page), []);

  // Lost.
  await page.click("#reconnect");
  await shows(page, "#status", "Connected");
  await server[Symbol.asyncDispose]();
  await isIn(page, "lost");
  await say(page, "is anybody here?");
  assertEquals(await complaints(page), []);
});

browserTest("axe-core finds nothing on the ticker", async () => {
  await using browser = await start(launch);
  await using example = await startExample("examples/ticker.ts", "Ticker");
  await using server = serve(Ticker, withPage(example));
  const url = pageOf(server);
  const page = await browser.open(url);
  await page.waitForSelector(`#symbols [value="GLOBEX"]`);
  await page.click(`#paces label:has([value="100"])`);
  await page.click(`#symbols label:has([value="GLOBEX"])`);
  await page.waitForSelector("#ended li");
  assertEquals(await complaints(page), []);
  await page.click("#pause");
  assertEquals(await complaints(page), []);

  refuse(server);
  await shows(page, "#status", "Disconnected");
  assertEquals(await complaints(page), []);
  await page.click("#reconnect");
  await shows(page, "#status", "Connected");
  await server[Symbol.asyncDispose]();
  await isIn(page, "lost");
  assertEquals(await complaints(page), []);
});

browserTest("axe-core finds nothing on the authorization", async () => {
  await using browser = await start(launch);
  const example = await startExample(
    "examples/authorization.ts",
    "Authorization",
  );
  const page = await browser.open(example.url);
  await page.waitForSelector("#way:not(:empty)");
  assertEquals(await complaints(page), []);

  const signIn = async (password: string) => {
    await page.click("#password", { count: 3 });
    await page.type("#password", password);
    await page.keyboard.press("Enter");
  };
  await page.type("#name", "bob");
  await signIn("guess");
  await shows(page, "#sign-in-error", "Wrong name or password");
  assertEquals(await complaints(page), []);

  await signIn("battery staple");
  await shows(page, "#who", "bob");
  await page.type("#note", "hello");
  await page.keyboard.press("Enter");
  await shows(page, "#notes li", "bob: hello");
  await page.click("#clear");
  await shows(page, "#board-error", "The server refuses: Forbidden");
  assertEquals(await complaints(page), []);

  await example.kill();
  await isIn(page, "lost");
  assertEquals(await complaints(page), []);
});

browserTest("axe-core finds nothing on the upload", async () => {
  await using browser = await start(launch);
  await using example = await startExample("examples/upload.ts", "Upload");
  await using server = serve(Upload, withPage(example));
  const url = pageOf(server);
  const folder = await Deno.makeTempDir({ prefix: "upload_" });
  const page = await browser.open(url);
  await shows(page, "#status", "Connected");
  assertEquals(await complaints(page), []);

  // Received, refused.
  for (const [name, size] of [["small", 10], ["big", MAX_SIZE + 1]] as const) {
    using file = await Deno.create(`${folder}/${name}`);
    await file.truncate(size);
    const input = await page.waitForSelector("#files:not(:disabled)");
    await (input as ElementHandle<HTMLInputElement>).uploadFile(
      `${folder}/${name}`,
    );
  }
  await page.waitForSelector(`li[data-state="done"]`);
  await page.waitForSelector(`li[data-state="failed"]`);
  assertEquals(await complaints(page), []);

  refuse(server);
  await shows(page, "#status", "Disconnected");
  assertEquals(await complaints(page), []);
  await page.click("#reconnect");
  await shows(page, "#status", "Connected");
  await server[Symbol.asyncDispose]();
  await isIn(page, "lost");
  // What waits.
  const input = await page.waitForSelector("#files");
  await (input as ElementHandle<HTMLInputElement>).uploadFile(
    `${folder}/small`,
  );
  await page.waitForSelector(`li[data-state="running"]`);
  assertEquals(await complaints(page), []);
  await Deno.remove(folder, { recursive: true });
});

/** Writes a message, at once however long it is, and sends it. */
async function say(page: Page, text: string): Promise<void> {
  await page.bringToFront();
  await page.$eval("#text", (it, text) => {
    (it as HTMLTextAreaElement).value = text;
  }, text);
  await page.focus("#text");
  await page.keyboard.press("Enter");
}
