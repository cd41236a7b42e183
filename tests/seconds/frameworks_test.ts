/**
 * The client in React, Vue and Svelte: one page each, which Vite serves as in
 * development, in a real Chromium. React's is under StrictMode.
 */

/// <reference lib="dom" />

import { assert, assertEquals } from "@std/assert";
import type { Page } from "puppeteer-core";
import { fileURLToPath } from "node:url";
import { serve } from "../../server.ts";
import { start as startProgram } from "../interop/processes.ts";
import { temporaryFolder } from "../interop/temporary_folder.ts";
import { browsers, browserTest, inBackground, start } from "../pages.ts";
import { service } from "../frameworks/service.ts";
import { listings, plain } from "../recipes.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

interface Framework {
  readonly name: string;
  /** What is installed, beside Vite. */
  readonly packages: readonly string[];
  /** What compiles its files. */
  readonly plugin?: string;
}

const frameworks: readonly Framework[] = [
  { name: "React 18", packages: ["react@18", "react-dom@18"] },
  { name: "React 19", packages: ["react@19", "react-dom@19"] },
  {
    name: "Vue 3",
    packages: ["vue@3", "@vitejs/plugin-vue@6"],
    plugin: "@vitejs/plugin-vue",
  },
  {
    name: "Svelte 5",
    packages: ["svelte@5", "@sveltejs/vite-plugin-svelte@7"],
    plugin: "@sveltejs/vite-plugin-svelte",
  },
];

Deno.test("docs/guide/react.md prints the pages of React, Vue and Svelte", async () => {
  const read = (path: string) => Deno.readTextFile(root + path);
  const sections = listings(await read("docs/guide/react.md"));
  for (
    const [title, path] of [
      ["A page", "react/app.tsx"],
      ["Vue", "vue/App.vue"],
      ["Svelte", "svelte/App.svelte"],
    ] as const
  ) {
    const program = plain(await read(`tests/frameworks/${path}`));
    const [code = "nothing"] = sections.get(title) ?? [];
    assert(program.includes(code), `${path} is printed differently`);
  }
});

for (const { name, packages, plugin } of frameworks) {
  browserTest(
    `A page in ${name} connects once, calls, streams, goes on, and leaves`,
    async () => {
      await using folder = await temporaryFolder("page_");
      const [kind] = name.toLowerCase().split(" ");
      const files = `${root}tests/frameworks`;
      for await (const { name } of Deno.readDir(`${files}/${kind}`)) {
        await Deno.copyFile(
          `${files}/${kind}/${name}`,
          `${folder.path}/${name}`,
        );
      }
      await Deno.copyFile(
        `${files}/vite.config.js`,
        `${folder.path}/vite.config.js`,
      );
      await Deno.writeTextFile(
        `${folder.path}/package.json`,
        '{"type":"module"}',
      );
      const { success, stderr } = await new Deno.Command("npm", {
        args: [
          ...["install", "--no-audit", "--no-fund", "--no-save"],
          ...["vite@8", ...packages],
        ],
        cwd: folder.path,
      }).output();
      assert(success, new TextDecoder().decode(stderr));
      await using vite = await startProgram(
        `${folder.path}/node_modules/.bin/vite`,
        {
          args: ["--host=127.0.0.1", "--port=0"],
          cwd: folder.path,
          env: {
            REPOSITORY: root.slice(0, -1),
            PLUGIN: plugin ?? "",
            NO_COLOR: "1",
          },
          line: /Local: .*http:/,
        },
      );
      const line = await vite.line(/Local: .*http:/);
      const address = new URL(/http\S+/.exec(line)![0]);

      const options = {
        local: service,
        origins: "*" as const,
        onListen() {},
      };
      const server = serve({ ...options, port: 0 });
      address.searchParams.set("url", server.url);
      await using browser = await start(
        browsers.find(({ name }) => name === "Chromium")!.launch,
      );
      const page = await browser.open(address);
      await says(page, "#status", "open");
      await says(page, "#greeting", "Hello, ann");
      await counts(page, 10);
      // Under StrictMode it was mounted twice, and its first connection is closed.
      assertEquals(server.peers.size, 1);

      await page.click("#name", { count: 3 });
      await page.type("#name", "b");
      await says(page, "#greeting", "Hello, b");
      await page.keyboard.press("Backspace");
      await says(page, "#greeting", "Refused");

      // Another server at the same address: the stream goes on where it was.
      const { port } = new URL(server.url);
      await server[Symbol.asyncDispose]();
      await says(page, "#status", "connecting");
      const last = await page.$eval("#count", (it) => Number(it.textContent));
      await using next = serve({ ...options, port: Number(port) });
      await counts(page, last + 10);
      await says(page, "#status", "open");

      await page.click("#toggle");
      await page.waitForFunction(
        () => document.querySelector("#status") === null,
        inBackground,
      );
      for (const peer of next.peers) await peer.closed;
      assertEquals(next.peers.size, 0);
      assertEquals(browser.complaints, []);
    },
  );
}

/** Looks by the clock: a text that is changed in its place is no mutation. */
const often = { polling: 50 } as const;

/** Waits until an element has exactly that text. */
async function says(page: Page, selector: string, text: string): Promise<void> {
  await page.waitForFunction(
    (selector, text) => document.querySelector(selector)?.textContent === text,
    often,
    selector,
    text,
  );
}

/** Waits until the page has counted so far. */
async function counts(
  page: Page,
  least: number,
): Promise<void> {
  await page.waitForFunction(
    (least) => Number(document.querySelector("#count")?.textContent) >= least,
    often,
    least,
  );
}
