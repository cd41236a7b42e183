/** The pages of the chat in a browser: comes in, speaks, and looks at what they show. */

/// <reference lib="dom" />

import type { Page } from "puppeteer-core";
import { inBackground, shows, type Tabs } from "./pages.ts";

/** Opens the chat in a new tab and takes a name. */
export async function join(
  tabs: Tabs,
  url: URL,
  username: string,
): Promise<Page> {
  const page = await tabs.open(url);
  await enterName(page, username);
  await shows(page, "#status", "Connected");
  return page;
}

/** Types a name and presses Enter; first opens the form by a button, if named. */
export async function enterName(
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

/** Says something. */
export async function say(page: Page, text: string): Promise<void> {
  await page.bringToFront();
  await page.type("#text", text);
  await page.keyboard.press("Enter");
}

/**
 * Waits until the list shows exactly these names; a star marks oneself, and the name
 * of a server follows, if any is shown.
 */
export async function showsMembers(
  page: Page,
  expected: string[],
): Promise<void> {
  await page.waitForFunction(
    (expected) => {
      const members = document.querySelectorAll<HTMLElement>("#members > li");
      const shown = Array.from(members, (member) => {
        const you = member.dataset.you === undefined ? "" : "*";
        const node = member.querySelector(".node")?.textContent;
        const name = member.querySelector("bdi")?.textContent + you;
        return node === undefined ? name : `${name} ${node}`;
      });
      return JSON.stringify(shown) === expected;
    },
    inBackground,
    JSON.stringify(expected),
  );
}

/** Waits until the log shows exactly these messages; a star marks one's own. */
export async function showsMessages(
  page: Page,
  expected: string[],
  list = "#messages",
): Promise<void> {
  await page.waitForFunction(
    (expected, list) => {
      const rows = document.querySelectorAll<HTMLElement>(`${list} .message`);
      const shown = Array.from(rows, (row) => {
        const own = row.classList.contains("own") ? "*" : "";
        const text = row.querySelector(".text")?.textContent;
        return `${row.dataset.author}${own}: ${text}`;
      });
      return JSON.stringify(shown) === expected;
    },
    inBackground,
    JSON.stringify(expected),
    list,
  );
}
