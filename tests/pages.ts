/** The examples' pages in real browsers: starts one, opens tabs, and looks at them. */

/// <reference lib="dom" />

import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { findBrowsers } from "./browsers.ts";

/** How to start a browser. */
export interface BrowserKind {
  readonly name: string;
  /** Starts it with a new folder of its own. */
  launch(profile: string): Promise<Browser>;
}

const { chromium, firefox } = await findBrowsers();

/** The browsers that the examples are looked at with. */
export const browsers: readonly BrowserKind[] = [
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

/** Defines a test that starts browsers. */
export function browserTest(name: string, fn: () => Promise<void>): void {
  // puppeteer-core 24 leaves a timer of 100 ms behind for each tab that was open
  // when its browser closed.
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

/** A browser with a profile of its own, and what its pages complained of. */
export interface Tabs extends AsyncDisposable {
  /** Errors, warnings and failed requests, but those of lost connections. */
  readonly complaints: string[];
  /** Opens a page in a new tab. */
  open(url: URL): Promise<Page>;
}

/** Starts a browser. */
export async function start(launch: BrowserKind["launch"]): Promise<Tabs> {
  const profile = await Deno.makeTempDir({ prefix: "example_browser_" });
  const browser = await launch(profile);
  const complaints: string[] = [];

  return {
    complaints,
    async open(url) {
      const page = await browser.newPage();
      // A page that waits to connect again, on a machine that has much to do.
      page.setDefaultTimeout(90_000);
      // Of attempts to connect that failed, the page is to tell.
      const complain = (complaint: string) => {
        if (!/\bws:\/\//.test(complaint)) complaints.push(complaint);
      };
      page.on("console", (message) => {
        if (!["error", "warn"].includes(message.type())) return;
        complain(`console: ${message.text()}`);
      });
      // Where Firefox tells of them, too.
      page.on("pageerror", (error) => complain(`page: ${error}`));
      page.on("requestfailed", (request) => {
        // Firefox counts them among the requests.
        if ("sec-websocket-key" in request.headers()) return;
        complaints.push(`failed: ${request.url()}`);
      });
      page.on("response", (response) => {
        if (response.status() < 400) return;
        complaints.push(`${response.status()}: ${response.url()}`);
      });
      await page.goto(url.href);
      return page;
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      await Deno.remove(profile, { recursive: true });
    },
  };
}

/** Looks when something changed: a tab that is not in front draws no frames to look at. */
export const inBackground = { polling: "mutation" } as const;

/** Waits until an element is seen with exactly that text. */
export async function shows(
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

/** Waits until the page says that its connection is in that state. */
export async function isIn(page: Page, state: string): Promise<void> {
  await page.waitForSelector(`#status[data-state="${state}"]`);
}

/** Marks a page; a reload would take the mark away. */
export async function mark(page: Page): Promise<void> {
  await page.evaluate(() => document.body.dataset.mark = "");
}

/** Whether a page is the one that was marked. */
export async function isMarked(page: Page): Promise<boolean> {
  return await page.$("[data-mark]") !== null;
}
