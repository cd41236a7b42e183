/** The chat as people have it: in a real Chromium and a real Firefox, two tabs each. */

/// <reference lib="dom" />

import { assert, assertEquals } from "@std/assert";
import type { Page } from "puppeteer-core";
import { Chat } from "../../examples/chat/chat.ts";
import { serve } from "../../server.ts";
import {
  enterName,
  join,
  say,
  showsMembers,
  showsMessages,
} from "../chat_pages.ts";
import { startChat } from "../chat_process.ts";
import { pageOf, withPage } from "../example_process.ts";
import {
  browsers,
  browserTest,
  isIn,
  isMarked,
  mark,
  shows,
  start,
} from "../pages.ts";
import { TcpProxy } from "../tcp_proxy.ts";

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
    `The chat in ${name} keeps its end in sight where lines break anew, and stays where its reader is`,
    async () => {
      const long = "Maximiliane-Alexandra von Hohe";
      await using chat = await startChat();
      await using browser = await start(launch);
      const ann = await join(browser, chat.url, long);
      await showsMembers(ann, [`${long}*`]);
      const texts = Array.from(
        { length: 8 },
        (_, n) => `${n} ${"a word and another one ".repeat(5)}`.trim(),
      );
      await ann.setViewport({ width: 1200, height: 420 });
      for (const text of texts) await say(ann, text);
      await showsMessages(ann, texts.map((text) => `${long}*: ${text}`));
      const isAtEnd = (page: Page) =>
        page.waitForFunction(() => {
          const log = document.querySelector("#log")!;
          return log.scrollHeight - log.clientHeight - log.scrollTop < 1;
        }, { polling: 100 });
      await isAtEnd(ann);
      for (const width of [390, 1200, 390]) {
        await ann.setViewport({ width, height: 420 });
        await isAtEnd(ann);
      }
      // On a phone the names stand side by side, and none takes the strip.
      const width = await ann.$eval(
        "#members li",
        (it) => it.getBoundingClientRect().width,
      );
      assert(width < 390 / 2, `${width}`);
      const topAfterFrames = () =>
        ann.$eval("#log", async (log) => {
          for (let frame = 0; frame < 3; frame++) {
            await new Promise(requestAnimationFrame);
          }
          return log.scrollTop;
        });
      await ann.$eval("#log", (log) => log.scrollTop = 0);
      assertEquals(await topAfterFrames(), 0);
      await ann.setViewport({ width: 1200, height: 420 });
      assertEquals(await topAfterFrames(), 0);
      assertEquals(browser.complaints, []);
    },
  );

  browserTest(
    `The chat in ${name} renames, refuses a name, and keeps it over a reload`,
    async () => {
      await using chat = await startChat();
      await using browser = await start(launch);
      const ann = await join(browser, chat.url, "ann");
      const twin = await join(browser, chat.url, "ann");
      await showsMembers(ann, ["ann*", "ann"]);
      await showsMembers(twin, ["ann", "ann*"]);

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

      // Who comes reads what was said, and knows its own words again.
      await showsMessages(twin, ["ann: who am I?"]);
      await ann.reload();
      await showsMessages(ann, ["ann*: who am I?"]);
      assertEquals(browser.complaints, []);
    },
  );

  browserTest(
    `The chat in ${name} outlives its server, and says everything once`,
    async () => {
      await using browser = await start(launch);
      const chat = await startChat();
      const ann = await join(browser, chat.url, "ann");
      const ben = await join(browser, chat.url, "ben");
      await showsMembers(ann, ["ann*", "ben"]);
      for (const page of [ann, ben]) await mark(page);
      await say(ann, "before");
      await showsMessages(ben, ["ann: before"]);
      await showsMessages(ann, ["ann*: before"]);
      await ann.bringToFront();
      await ann.type("#text", "half a");
      // On a phone, whatever the connection is called, the log stays where it is.
      await ann.setViewport({ width: 390, height: 760 });
      const top = await topOfLog(ann);

      await chat.kill();
      for (const page of [ann, ben]) {
        await isIn(page, "lost");
        await shows(page, "#status", "Reconnecting…");
      }
      assertEquals(await topOfLog(ann), top);
      await say(ben, "meanwhile");
      await showsMessages(ben, ["ben*: meanwhile"], "#unsent");

      await using _chat = await startChat(chat.url.port);
      await showsMessages(ann, ["ann*: before", "ben: meanwhile"]);
      await showsMessages(ben, [], "#unsent");
      for (const page of [ann, ben]) {
        await shows(page, "#status", "Connected");
        await shows(page, "#count", "2");
      }
      await say(ann, " sentence");
      await showsMessages(ann, [
        "ann*: before",
        "ben: meanwhile",
        "ann*: half a sentence",
      ]);
      await showsMessages(ben, [
        "ann: before",
        "ben*: meanwhile",
        "ann: half a sentence",
      ]);
      for (const page of [ann, ben]) assert(await isMarked(page));
      assertEquals(browser.complaints, []);
    },
  );

  browserTest(
    `The chat in ${name} says why its connection has ended, and connects anew`,
    async () => {
      await using chat = await startChat();
      await using server = serve(Chat, withPage(chat));
      await using browser = await start(launch);
      const url = pageOf(server);
      const ann = await join(browser, url, "ann");
      await showsMembers(ann, ["ann*"]);
      await mark(ann);
      for (const member of server.peers) member.close(4403, "Enough for now");
      await shows(ann, "#status", "Disconnected");
      await shows(ann, "#reason", "The connection was closed: Enough for now.");
      await say(ann, `Hello, ${name}`);
      await showsMessages(ann, [`ann*: Hello, ${name}`], "#unsent");

      await ann.click("#reconnect");
      await shows(ann, "#status", "Connected");
      await showsMembers(ann, ["ann*"]);
      await shows(ann, "#messages .own:last-child .text", `Hello, ${name}`);
      await showsMessages(ann, [], "#unsent");
      assert(await isMarked(ann));
      assertEquals(browser.complaints, []);
    },
  );

  // Told that it is offline, Chromium opens no WebSocket and holds back what open
  // ones send and get, but closes none: the network that is cut is the proxy's.
  browserTest(
    `The chat in ${name} tells that the network is gone, and goes on when it is back`,
    async () => {
      await using chat = await startChat();
      await using proxy = new TcpProxy(Number(chat.url.port));
      await using browser = await start(launch);
      const ben = await join(browser, chat.url, "ben");
      const ann = await join(
        browser,
        new URL(`http://localhost:${proxy.port}`),
        "ann",
      );
      await showsMembers(ann, ["ben", "ann*"]);
      await mark(ann);
      await say(ann, "before");
      await showsMessages(ben, ["ann: before"]);

      await showsMessages(ann, ["ann*: before"]);

      // It is said, and she doesn't know.
      proxy.mute();
      await say(ann, "was that heard?");
      await showsMessages(ben, ["ann: before", "ann: was that heard?"]);
      await showsMessages(ann, ["ann*: was that heard?"], "#unsent");
      proxy.cut();
      await isIn(ann, "lost");
      await ann.setOfflineMode(true);
      await shows(ann, "#status", "No network");
      await say(ann, "meanwhile");
      await showsMessages(
        ann,
        ["ann*: was that heard?", "ann*: meanwhile"],
        "#unsent",
      );
      await say(ben, "it was");
      await showsMessages(ben, [
        "ann: before",
        "ann: was that heard?",
        "ben*: it was",
      ]);
      // The server has not noticed.
      await showsMembers(ben, ["ben*", "ann"]);

      proxy.restore();
      await ann.setOfflineMode(false);
      await shows(ann, "#status", "Connected");
      await showsMessages(ann, [
        "ann*: before",
        "ann*: was that heard?",
        "ben: it was",
        "ann*: meanwhile",
      ]);
      await showsMessages(ben, [
        "ann: before",
        "ann: was that heard?",
        "ben*: it was",
        "ann: meanwhile",
      ]);
      await showsMessages(ann, [], "#unsent");
      // She is one person, not two, and nobody saw her go.
      await showsMembers(ann, ["ben", "ann*"]);
      await showsMembers(ben, ["ben*", "ann"]);
      const news = await ben.$$eval(".news", (rows) => {
        return rows.map((row) => row.textContent);
      });
      assertEquals(news, ["ann joined"]);
      assert(await isMarked(ann));
      assertEquals(browser.complaints, []);
    },
  );
}

/** Where the messages begin, in pixels. */
async function topOfLog(page: Page): Promise<number> {
  return await page.$eval("#log", (log) => log.getBoundingClientRect().top);
}
