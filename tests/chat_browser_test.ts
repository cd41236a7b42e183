/** The chat as people have it: in a real Chromium and a real Firefox, two tabs each. */

/// <reference lib="dom" />

import { assertEquals } from "@std/assert";
import type { Page } from "puppeteer-core";
import { startChat } from "./chat_process.ts";
import {
  browsers,
  browserTest,
  inBackground,
  shows,
  start,
  type Tabs,
} from "./pages.ts";

for (const { name, launch } of browsers) {
  browserTest(`The chat joins two tabs of ${name}`, async () => {
    await using chat = await startChat();
    await using browser = await start(launch);
    const ann = await join(browser, chat.url, "ann");
    await showsMembers(ann, ["ann*"]);
    const ben = await join(browser, chat.url, "ben");
    await showsMembers(ann, ["ann*", "ben"]);
    await showsMembers(ben, ["ann", "ben*"]);

    // Each waits for the other's words, so that there is but one order.
    await say(ann, "hello");
    await showsMessages(ben, ["ann: hello"]);
    await say(ben, "<b>hi</b> & welcome");
    await showsMessages(ann, ["ann*: hello", "ben: <b>hi</b> & welcome"]);
    await say(ann, "one");
    await say(ann, "two");
    await say(ann, "three");
    await showsMessages(ben, [
      "ann: hello",
      "ben*: <b>hi</b> & welcome",
      "ann: one",
      "ann: two",
      "ann: three",
    ]);
    await showsMessages(ann, [
      "ann*: hello",
      "ben: <b>hi</b> & welcome",
      "ann*: one",
      "ann*: two",
      "ann*: three",
    ]);

    await ben.close();
    await showsMembers(ann, ["ann*"]);
    await shows(ann, "#count", "1");
    assertEquals(browser.complaints, []);
  });

  browserTest(
    `The chat in ${name} renames, refuses a name, and keeps it over a reload`,
    async () => {
      await using chat = await startChat();
      await using browser = await start(launch);
      const ann = await join(browser, chat.url, "ann");
      const twin = await join(browser, chat.url, "ann");
      await showsMembers(ann, ["ann*", "ann"]);

      // The names are the same, and still each knows what it said itself.
      await say(ann, "who am I?");
      await showsMessages(ann, ["ann*: who am I?"]);
      await showsMessages(twin, ["ann: who am I?"]);

      await enterName(twin, "a\u202eb", "#rename");
      await shows(
        twin,
        "#name-error",
        "A username must not contain control characters",
      );
      await twin.click("#cancel");
      await enterName(twin, "bea", "#rename");
      await showsMembers(ann, ["ann*", "bea"]);
      await showsMembers(twin, ["ann", "bea*"]);
      await shows(ann, ".news:last-child", "ann is now bea");

      await twin.reload();
      await shows(twin, "#status", "Connected");
      await showsMembers(twin, ["ann", "bea*"]);
      await showsMembers(ann, ["ann*", "bea"]);
      assertEquals(browser.complaints, []);
    },
  );

  browserTest(
    `The chat in ${name} tells a lost connection and connects anew`,
    async () => {
      await using browser = await start(launch);
      let url: URL;
      let ann: Page;
      {
        await using chat = await startChat();
        url = chat.url;
        ann = await join(browser, url, "ann");
        await showsMembers(ann, ["ann*"]);
      }
      await shows(ann, "#status", "Disconnected");
      await showsMembers(ann, []);

      await using _chat = await startChat(url.port);
      await ann.click("#reconnect");
      await shows(ann, "#status", "Connected");
      await showsMembers(ann, ["ann*"]);
      await say(ann, "here again");
      await showsMessages(ann, ["ann*: here again"]);
      assertEquals(browser.complaints, []);
    },
  );
}

/** Opens the chat in a new tab and takes a name. */
async function join(tabs: Tabs, url: URL, username: string): Promise<Page> {
  const page = await tabs.open(url);
  await enterName(page, username);
  await shows(page, "#status", "Connected");
  return page;
}

/** Types a name and presses Enter; first opens the form by a button, if named. */
async function enterName(
  page: Page,
  username: string,
  button?: string,
): Promise<void> {
  await page.bringToFront();
  if (button !== undefined) await page.click(button);
  await page.waitForSelector("#name-dialog[open]");
  // Selects what is there, as the form did for a person already.
  await page.click("#username", { count: 3 });
  await page.type("#username", username);
  await page.keyboard.press("Enter");
}

async function say(page: Page, text: string): Promise<void> {
  await page.bringToFront();
  await page.type("#text", text);
  await page.keyboard.press("Enter");
}

/** Waits until the list shows exactly these names; a star marks oneself. */
async function showsMembers(page: Page, expected: string[]): Promise<void> {
  await page.waitForFunction(
    (expected) => {
      const members = document.querySelectorAll<HTMLElement>("#members > li");
      const shown = Array.from(members, (member) => {
        const you = member.dataset.you === undefined ? "" : "*";
        return member.querySelector("bdi")?.textContent + you;
      });
      return JSON.stringify(shown) === expected;
    },
    inBackground,
    JSON.stringify(expected),
  );
}

/** Waits until the log shows exactly these messages; a star marks one's own. */
async function showsMessages(page: Page, expected: string[]): Promise<void> {
  await page.waitForFunction(
    (expected) => {
      const rows = document.querySelectorAll<HTMLElement>(".message");
      const shown = Array.from(rows, (row) => {
        const own = row.classList.contains("own") ? "*" : "";
        const text = row.querySelector(".text")?.textContent;
        return `${row.dataset.author}${own}: ${text}`;
      });
      return JSON.stringify(shown) === expected;
    },
    inBackground,
    JSON.stringify(expected),
  );
}
