/** The chat as people have it: in a real Chromium and a real Firefox, two tabs each. */

/// <reference lib="dom" />

import { assertEquals } from "@std/assert";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { findBrowsers } from "./browsers.ts";
import { startChat } from "./chat_process.ts";

const { chromium, firefox } = await findBrowsers();

const launchers: { name: string; launch(profile: string): Promise<Browser> }[] =
  [
    {
      name: "Chromium",
      launch: (profile) =>
        puppeteer.launch({
          executablePath: chromium,
          userDataDir: profile,
          args: [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
          ],
        }),
    },
    {
      name: "Firefox",
      launch: (profile) =>
        puppeteer.launch({
          browser: "firefox",
          executablePath: firefox,
          userDataDir: profile,
        }),
    },
  ];

for (const { name, launch } of launchers) {
  browserTest(`The chat joins two tabs of ${name}`, async () => {
    await using chat = await startChat();
    await using browser = await start(launch);
    const ann = await browser.open(chat.url, "ann");
    await showsMembers(ann, ["ann*"]);
    const ben = await browser.open(chat.url, "ben");
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
      const ann = await browser.open(chat.url, "ann");
      const twin = await browser.open(chat.url, "ann");
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
        ann = await browser.open(url, "ann");
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

function browserTest(name: string, fn: () => Promise<void>): void {
  // puppeteer-core 24 leaves a timer of 100 ms behind for each tab that was open
  // when its browser closed.
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

/** A browser with a profile of its own, and what its pages complained of. */
interface Tabs extends AsyncDisposable {
  readonly complaints: string[];
  /** Opens the chat in a new tab and takes a name. */
  open(url: URL, username: string): Promise<Page>;
}

async function start(
  launch: (profile: string) => Promise<Browser>,
): Promise<Tabs> {
  const profile = await Deno.makeTempDir({ prefix: "chat_browser_" });
  const browser = await launch(profile);
  const complaints: string[] = [];

  return {
    complaints,
    async open(url, username) {
      const page = await browser.newPage();
      page.on("console", (message) => {
        if (!["error", "warn"].includes(message.type())) return;
        complaints.push(`console: ${message.text()}`);
      });
      page.on("pageerror", (error) => complaints.push(`page: ${error}`));
      page.on("requestfailed", (request) => {
        complaints.push(`failed: ${request.url()}`);
      });
      page.on("response", (response) => {
        if (response.status() < 400) return;
        complaints.push(`${response.status()}: ${response.url()}`);
      });
      await page.goto(url.href);
      await enterName(page, username);
      await shows(page, "#status", "Connected");
      return page;
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      await Deno.remove(profile, { recursive: true });
    },
  };
}

/** Looks when something changed: a tab that is not in front draws no frames to look at. */
const inBackground = { polling: "mutation" } as const;

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

/** Waits until an element is seen with exactly that text. */
async function shows(
  page: Page,
  selector: string,
  text: string,
): Promise<void> {
  await page.waitForFunction(
    (selector, text) => {
      const found = document.querySelector<HTMLElement>(selector);
      return found?.checkVisibility() && found.textContent === text;
    },
    inBackground,
    selector,
    text,
  );
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
