/**
 * The ticker, the upload and the callback: their services, and the programs as
 * people have them, in a real Chromium and a real Firefox.
 */

/// <reference lib="dom" />

import { assert, assertEquals, assertRejects } from "@std/assert";
import { STATUS_CODE } from "@std/http";
import type { ElementHandle, Page } from "puppeteer-core";
import { connect } from "../../client.ts";
import { connectOnce } from "../connect_once.ts";
import { Ticker } from "../../examples/ticker/ticker.ts";
import {
  MAX_SIZE,
  type Progress,
  Upload,
} from "../../examples/upload/upload.ts";
import { ConnectionClosedError, RpcError } from "../../mod.ts";
import { serve } from "../../server.ts";
import {
  exampleCommand,
  pageOf,
  startExample,
  withPage,
} from "../example_process.ts";
import {
  browsers,
  browserTest,
  inBackground,
  isIn,
  isMarked,
  mark,
  shows,
  start,
} from "../pages.ts";

const address = { port: 0, hostname: "127.0.0.1", onListen() {} };

const startTicker = (port?: string) =>
  startExample("examples/ticker.ts", "Ticker", port);
const startAuthorization = (port?: string) =>
  startExample("examples/authorization.ts", "Authorization", port);
const startUpload = (port?: string) =>
  startExample("examples/upload.ts", "Upload", port);

Deno.test("Ticker walks the same way each time, at the pace that it is told", async () => {
  await using server = serve(Ticker, address);
  await using client = connect<Ticker["local"]>(server.url);
  await client.remote.pace(200);
  assertEquals(await client.remote.symbols(), ["ACME", "GLOBEX", "INITECH"]);
  const walks: number[][] = [];
  for (const symbol of ["ACME", "ACME", "GLOBEX"]) {
    const walk: number[] = [];
    for await (const price of client.remote.prices(symbol)) {
      if (walk.push(price) === 20) break;
    }
    walks.push(walk);
  }
  assertEquals(walks[0], walks[1]);
  assertEquals([walks[0]![0], walks[2]![0]], [120, 48]);
  assertEquals(new Set(walks[0]).size > 15, true);
});

Deno.test("Ticker goes on after a price as if it had never stopped there", async () => {
  await using server = serve(Ticker, address);
  await using client = connect<Ticker["local"]>(server.url);
  await client.remote.pace(200);
  for (const last of [120, 57.31]) {
    const walk: number[] = [last];
    for await (const price of client.remote.prices("ACME", last)) {
      if (walk.push(price) === 20) break;
    }
    // A step is half a percent, and a cent, at most.
    for (const [index, price] of walk.slice(1).entries()) {
      const before = walk[index]!;
      assert(Math.abs(price - before) <= before / 200 + 0.01, `${walk}`);
    }
    assert(walk[1] !== last, `${walk}`);
  }
});

Deno.test("Ticker tells that a stream has ended when its reader leaves it", async () => {
  await using server = serve(Ticker, address);
  const told: [string, number][] = [];
  const ended = Promise.withResolvers<void>();
  await using client = connect<Ticker["local"]>(server.url, {
    local: {
      made: (symbol: string, count: number) => void told.push([symbol, count]),
      ended(symbol: string, count: number) {
        told.push([`${symbol} ended`, count]);
        ended.resolve();
      },
    },
  });
  await client.remote.pace(1);
  for await (const _ of client.remote.prices("ACME")) break;
  // Not after the second that it would have waited: the wait is cut.
  await ended.promise;
  assertEquals(told, [["ACME", 1], ["ACME ended", 1]]);
});

Deno.test("Ticker refuses a symbol and a pace that it doesn't know", async () => {
  await using server = serve(Ticker, address);
  await using client = connect(server.url);
  for (const symbol of ["acme", "", "__proto__", null, 1]) {
    await refuses(client.request("prices", [symbol]), "no such symbol");
  }
  for (const pace of [0, 201, 1.5, -1, "10", null, NaN]) {
    await refuses(client.request("pace", [pace]), "from 1 to 200");
  }
  for (const last of [0, -1, "120", null, {}]) {
    await refuses(client.request("prices", ["ACME", last]), "above 0");
  }
});

Deno.test("Upload answers the length and the SHA-256, and tells its progress", async () => {
  await using server = serve(Upload, address);
  await using client = connect<Upload["local"]>(server.url);
  for (const size of [0, 1, 120_000, 100_001]) {
    const data = randomBytes(size);
    const progress: number[] = [];
    const onprogress = (value: unknown) =>
      void progress.push((value as Progress).received);
    const remote = client.with({ onprogress });
    const receipt = await remote.upload(
      "data",
      data.length,
      chunksOf(data, 20_000),
    );
    assertEquals(receipt, {
      received: data.length,
      sha256: await sha256Of(data),
    });
    assertEquals(progress.length, Math.ceil(data.length / 20_000));
    assertEquals(progress, progress.toSorted((a, b) => a - b));
    assertEquals(progress.at(-1) ?? 0, data.length);
  }
});

async function* never() {
  yield btoa("first");
  await new Promise(() => {});
}

Deno.test("An example at SIGTERM lets a call finish, refuses others, and ends with 0", async () => {
  const child = exampleCommand("examples/upload.ts", "0", "inherit").spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await output.read();
  const [address = ""] = /http:\/\/localhost:\d+/.exec(value) ?? [];
  await using client = connectOnce<Upload["local"]>(address);
  const bell = Promise.withResolvers<void>();
  async function* chunks() {
    yield btoa("first");
    await bell.promise;
    yield btoa("last");
  }
  const begun = Promise.withResolvers<void>();
  const onprogress = () => begun.resolve();
  const upload = client.with({ onprogress }).upload("data", 9, chunks());
  await begun.promise;

  child.kill("SIGTERM");
  // Once it drains, it refuses.
  let refused: Error | undefined;
  while (refused === undefined) {
    await client.remote.upload("x", 1.5, never()).catch((error) => {
      if (error.code === -32009) refused = error;
    });
  }
  const late = connectOnce(address);
  await assertRejects(() => late.opened, ConnectionClosedError);
  bell.resolve();
  assertEquals((await upload).received, 9);
  assertEquals((await client.closed).code, 1012);
  assertEquals((await output.read()).done, true);
  assertEquals((await child.status).code, 0);
});

Deno.test("An example at a second SIGINT ends at once", async () => {
  const child = exampleCommand("examples/upload.ts", "0", "inherit").spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await output.read();
  const [address = ""] = /http:\/\/localhost:\d+/.exec(value) ?? [];
  const client = connectOnce<Upload["local"]>(address);
  const begun = Promise.withResolvers<void>();
  const onprogress = () => begun.resolve();
  const cut = assertRejects(
    () => client.with({ onprogress }).upload("data", 9, never()),
    ConnectionClosedError,
  );
  await begun.promise;
  child.kill("SIGINT");
  let isDraining = false;
  while (!isDraining) {
    await client.remote.upload("x", 1.5, never()).catch((error) => {
      isDraining = error.code === -32009;
    });
  }
  child.kill("SIGINT");
  await cut;
  assertEquals((await output.read()).done, true);
  assertEquals((await child.status).signal, "SIGINT");
});

Deno.test("Upload refuses what is too large, or not what it is said to be", async () => {
  await using server = serve(Upload, address);
  await using client = connect(server.url);
  const chunks = () => chunksOf(new Uint8Array(10), 4);
  const refused: [params: unknown[], message: string][] = [
    [["x", MAX_SIZE + 1, chunks()], "at most 64 MiB"],
    [["x", 9, chunks()], "more bytes"],
    [["x", 11, chunks()], "fewer bytes"],
    [["x", 1.5, chunks()], "a name and a size"],
    [["x", -1, chunks()], "a name and a size"],
    [["x", "10", chunks()], "a name and a size"],
    [[1, 10, chunks()], "a name and a size"],
    [["x", 10], "must be a stream"],
    [["x", 10, "AAAA"], "must be a stream"],
    [["x", 10, {}], "must be a stream"],
    [["x", 10, ReadableStream.from(["!"])], "base64"],
    [["x", 10, ReadableStream.from([null])], "base64"],
  ];
  for (const [params, message] of refused) {
    await refuses(client.request("upload", params), message);
  }
});

Deno.test("Upload stops reading when its call is cancelled, and says where", async () => {
  await using server = serve(Upload, address);
  const stopped = Promise.withResolvers<[string, number]>();
  await using client = connect<Upload["local"]>(server.url, {
    local: {
      stopped: (name: string, received: number) =>
        stopped.resolve([name, received]),
    },
  });
  const left = Promise.withResolvers<number>();
  async function* endless() {
    let count = 0;
    try {
      for (;;) {
        count++;
        yield btoa("x".repeat(30_000));
        await Promise.resolve();
      }
    } finally {
      left.resolve(count);
    }
  }
  const controller = new AbortController();
  const remote = client.with({
    signal: controller.signal,
    onprogress(value) {
      if ((value as Progress).received >= 90_000) controller.abort();
    },
  });
  await assertRejects(
    () => remote.upload("endless", MAX_SIZE, endless()),
    DOMException,
    "abort",
  );
  const [name, received] = await stopped.promise;
  assertEquals(name, "endless");
  assert(received >= 90_000 && received < 1_000_000, `${received}`);
  assert(await left.promise < 50);
});

Deno.test("The callback is called back, and says so", async () => {
  const { stdout, stderr, success } = await exampleCommand(
    "examples/callback.ts",
    "0",
  ).output();
  const decoder = new TextDecoder();
  assertEquals(decoder.decode(stderr), "");
  assertEquals(
    decoder.decode(stdout),
    `small before large? yes
huge before large? no
medium before large? yes
medium before small? no
small, medium, large, huge
`,
  );
  assert(success);
});

for (
  const [name, start] of [["ticker", startTicker], [
    "upload",
    startUpload,
  ]] as const
) {
  Deno.test(`The ${name} serves its page and the library, and nothing else`, async () => {
    await using example = await start();
    const other = name === "ticker" ? "upload" : "ticker";
    const targets: [path: string, type: string | undefined][] = [
      ["/", "text/html"],
      [`/examples/${name}/page.ts`, "text/javascript"],
      [`/examples/${name}/style.css`, "text/css"],
      [`/examples/${name}/icon.svg`, "image/svg+xml"],
      ["/examples/style.css", "text/css"],
      ["/examples/element.ts", "text/javascript"],
      ["/client.ts", "text/javascript"],
      ["/src/parts/streams.ts", "text/javascript"],
      [`/examples/${name}.ts`, undefined],
      [`/examples/${name}/${name}.ts`, undefined],
      [`/examples/${name}/index.html`, undefined],
      [`/examples/${other}/page.ts`, undefined],
      ["/examples/static.ts", undefined],
      ["/server.ts", undefined],
      ["/deno.json", undefined],
    ];
    for (const [path, type] of targets) {
      const response = await fetch(new URL(path, example.url));
      const text = await response.text();
      if (type === undefined) {
        assertEquals(response.status, STATUS_CODE.NotFound, path);
        continue;
      }
      assertEquals(response.status, STATUS_CODE.OK, path);
      assertEquals(
        response.headers.get("content-type"),
        `${type}; charset=utf-8`,
      );
      if (type === "text/javascript") assert(!text.includes("import type"));
    }
  });
}

for (const { name, launch } of browsers) {
  browserTest(
    `The ticker in ${name} draws a stream, and leaves it for another`,
    async () => {
      await using ticker = await startTicker();
      await using browser = await start(launch);
      const page = await browser.open(ticker.url);
      await shows(page, "#status", "Connected");
      await reaches(page, "#read", 5);
      await page.click(`#paces label:has([value="100"])`);
      await reaches(page, "#read", 100);
      await drawsPoints(page, 100);
      assert(await distance(page, "#high", "top") < 3);
      assert(await distance(page, "#low", "bottom") < 3);
      await page.click(`#symbols label:has([value="GLOBEX"])`);
      await page.waitForFunction(() => {
        const row = document.querySelector("#ended li")?.textContent ?? "";
        return /^ACME after \d+ prices$/.test(row);
      }, inBackground);
      // The price of the one, not of the other, once the page has drawn it.
      await page.waitForFunction(() => {
        const price = Number(document.querySelector("#price")?.textContent);
        return price > 40 && price < 56;
      }, inBackground);
      await reaches(page, "#read", 10);

      // By keyboard, too.
      await page.focus(`#symbols [value="GLOBEX"]`);
      await page.keyboard.press("ArrowRight");
      await page.waitForFunction(() => {
        const row = document.querySelector("#ended li")?.textContent ?? "";
        return /^GLOBEX after \d+ prices$/.test(row);
      }, inBackground);
      await reaches(page, "#read", 10);
      assertEquals(browser.complaints, []);
    },
  );

  browserTest(
    `The ticker in ${name} lets the server wait while it is paused`,
    async () => {
      await using ticker = await startTicker();
      await using browser = await start(launch);
      const page = await browser.open(ticker.url);
      await page.click(`#paces label:has([value="100"])`);
      await reaches(page, "#read", 20);
      await page.click("#pause");
      await shows(page, "#pause", "Resume");
      const read = await count(page, "#read");
      await reaches(page, "#ahead", 250);

      // Another reader's prices are the clock by which nothing more is made.
      const other = await browser.open(ticker.url);
      await other.click(`#paces label:has([value="100"])`);
      await reaches(other, "#read", 100);
      await page.bringToFront();
      const ahead = await count(page, "#ahead");
      assert(ahead >= 250 && ahead < 300, `${ahead}`);
      assert(await count(page, "#read") - read < 3);

      // Nothing is lost: all that was made is read, and then more.
      await page.click("#pause");
      await shows(page, "#pause", "Pause");
      await reaches(page, "#read", read + ahead + 20);
      assertEquals(browser.complaints, []);
    },
  );

  browserTest(
    `The ticker in ${name} outlives its server, and goes on where it was`,
    async () => {
      await using browser = await start(launch);
      const ticker = await startTicker();
      const page = await browser.open(ticker.url);
      await page.waitForSelector(`#symbols [value="GLOBEX"]`);
      await page.click(`#symbols label:has([value="GLOBEX"])`);
      await page.click(`#paces label:has([value="100"])`);
      await reaches(page, "#read", 100);
      await mark(page);

      await ticker.kill();
      await isIn(page, "lost");
      const read = await count(page, "#read");
      // What is asked for meanwhile waits, too.
      await page.click(`#paces label:has([value="10"])`);

      await using _ticker = await startTicker(ticker.url.port);
      await shows(page, "#status", "Connected");
      await reaches(page, "#read", read + 5);
      await drawsPoints(page, 105);
      assert(await count(page, "#made") >= read + 5);
      assert(await count(page, "#ahead") < 100);
      const symbol = await page.$eval("#symbols :checked", (it) => {
        return it instanceof HTMLInputElement && it.value;
      });
      assertEquals(symbol, "GLOBEX");
      assert(await isMarked(page));
      assertEquals(browser.complaints, []);
    },
  );

  browserTest(
    `The ticker in ${name} says why its connection has ended, and connects anew`,
    async () => {
      await using ticker = await startTicker();
      await using server = serve(Ticker, withPage(ticker));
      await using browser = await start(launch);
      const page = await browser.open(pageOf(server));
      await reaches(page, "#read", 5);
      for (const peer of server.peers) peer.close(4403);
      await shows(page, "#status", "Disconnected");
      await shows(
        page,
        "#reason",
        "The connection was closed with code 4403.",
      );
      await page.click("#reconnect");
      await shows(page, "#status", "Connected");
      await reaches(page, "#read", 1);
      assertEquals(await page.$("#closed:not([hidden])"), null);
      assertEquals(browser.complaints, []);
    },
  );

  browserTest(
    `The authorization in ${name} signs in by cookie, by ticket and by the first call`,
    async () => {
      await using example = await startAuthorization();
      await using browser = await start(launch);
      const page = await browser.open(example.url);
      for (const way of ["cookie", "ticket", "call"]) {
        await page.waitForSelector("#way:not(:empty)");
        await page.click(`#ways label:has([value="${way}"])`);
        await signIn(page, "bob", "guess");
        await shows(page, "#sign-in-error", "Wrong name or password");
        await signIn(page, "bob", "battery staple");
        await shows(page, "#who", "bob");
        await shows(page, "#status", "Connected");
        await page.click("#clear");
        await shows(page, "#board-error", "The server refuses: Forbidden");
        await signedOut(page);
      }

      // A moderator in another tab wipes what somebody wrote.
      const ann = await browser.open(example.url);
      for (const [tab, name] of [[page, "bob"], [ann, "ann"]] as const) {
        await tab.bringToFront();
        await tab.waitForSelector("#way:not(:empty)");
        await tab.click(`#ways label:has([value="ticket"])`);
        await signIn(tab, name, passwords[name]);
        await shows(tab, "#who", name);
      }
      await page.bringToFront();
      await page.type("#note", "hello");
      await page.keyboard.press("Enter");
      for (const tab of [page, ann]) await shows(tab, "#notes", "bob: hello");
      await ann.bringToFront();
      await ann.click("#clear");
      for (const tab of [page, ann]) {
        await tab.waitForSelector("#notes:empty");
      }
      // A browser tells of what it was refused by HTTP: a wrong password, twice.
      assertEquals(
        new Set(browser.complaints.map((it) => it.slice(0, 4))),
        new Set(["401:", ...name === "Chromium" ? ["cons"] : []]),
      );
    },
  );

  browserTest(
    `The authorization in ${name} asks again when its server has forgotten who it is`,
    async () => {
      await using browser = await start(launch);
      const example = await startAuthorization();
      const page = await browser.open(example.url);
      await page.waitForSelector("#way:not(:empty)");
      await signIn(page, "ann", passwords.ann);
      await shows(page, "#who", "ann");
      await example.kill();
      await isIn(page, "lost");
      await using _example = await startAuthorization(example.url.port);
      await shows(page, "#sign-in-error", "Sign in first");
      await signIn(page, "ann", passwords.ann);
      await shows(page, "#who", "ann");
      await shows(page, "#status", "Connected");
    },
  );

  browserTest(
    `The upload in ${name} sends a file, and shows its progress and its SHA-256`,
    async () => {
      await using upload = await startUpload();
      await using browser = await start(launch);
      await using folder = await temporaryFolder();
      const data = new Uint8Array(1_000_000);
      for (let start = 0; start < data.length; start += 65_536) {
        crypto.getRandomValues(data.subarray(start, start + 65_536));
      }
      await Deno.writeFile(`${folder.path}/data.bin`, data);
      const page = await browser.open(upload.url);
      await observeProgress(page, false);
      await choose(page, `${folder.path}/data.bin`);
      await shows(
        page,
        "#uploads .state",
        "Received, the SHA-256 is that of the file here",
      );
      await shows(page, "#uploads .name", "data.bin");
      await shows(page, "#uploads .sha256", await sha256Of(data));
      await shows(page, "#uploads .size", "1,000,000 of 1,000,000 bytes");
      const progress = await progressOf(page);
      assert(progress.length > 3, `${progress}`);
      assertEquals(progress, progress.toSorted((a, b) => a - b));
      assertEquals(progress.at(-1), data.length);
      assertEquals(browser.complaints, []);
    },
  );

  browserTest(
    `The upload in ${name} is cancelled, and refused beyond the limit`,
    async () => {
      await using upload = await startUpload();
      await using browser = await start(launch);
      await using folder = await temporaryFolder();
      for (const [name, size] of [["most", MAX_SIZE], ["more", MAX_SIZE + 1]]) {
        using file = await Deno.create(`${folder.path}/${name}`);
        await file.truncate(Number(size));
      }
      const page = await browser.open(upload.url);
      const about = await page.$eval(".about", (it) => it.textContent);
      assert(about?.includes(`at most ${MAX_SIZE / 2 ** 20} MiB`));
      await observeProgress(page, true);
      await choose(page, `${folder.path}/most`);
      await shows(
        page,
        "#uploads .state",
        "Cancelled: the server has stopped reading",
      );
      const received = (await progressOf(page)).at(-1) ?? 0;
      assert(received > 0 && received < MAX_SIZE / 2, `${received}`);

      await choose(page, `${folder.path}/more`);
      await shows(
        page,
        "#uploads li:first-child .state",
        "A file must have at most 64 MiB",
      );
      assertEquals(browser.complaints, []);
    },
  );

  browserTest(
    `The upload in ${name} fails with its connection, and is sent again`,
    async () => {
      await using browser = await start(launch);
      const upload = await startUpload();
      await using folder = await temporaryFolder();
      const files = ["one", "two"].map((name) => `${folder.path}/${name}`);
      const data = randomBytes(500_000);
      for (const path of files) await Deno.writeFile(path, data);
      const page = await browser.open(upload.url);
      await holdChunks(page, 3);
      await choose(page, files[0]!);
      await page.waitForFunction(
        () => document.body.dataset.held !== undefined,
        inBackground,
      );
      assertEquals(await page.$("#uploads .again:not([hidden])"), null);

      await upload.kill();
      await isIn(page, "lost");
      await shows(
        page,
        "#uploads .state",
        "The connection was lost before the end",
      );
      // What is chosen meanwhile waits.
      await choose(page, files[1]!);
      await shows(page, "#uploads .state", "Waiting for the connection");

      await using _upload = await startUpload(upload.url.port);
      const done = "Received, the SHA-256 is that of the file here";
      await shows(page, "#uploads li:first-child .state", done);
      await page.click("#uploads li:last-child .again");
      await shows(page, "#uploads li:last-child .state", done);
      await shows(page, "#uploads li:last-child .sha256", await sha256Of(data));
      assertEquals(browser.complaints, []);
    },
  );
}

const passwords = { ann: "correct horse", bob: "battery staple" };

async function signIn(
  page: Page,
  name: string,
  password: string,
): Promise<void> {
  for (const [field, text] of Object.entries({ name, password })) {
    await page.click(`#${field}`, { count: 3 });
    await page.type(`#${field}`, text);
  }
  await page.keyboard.press("Enter");
}

/** Signs out, and waits until the page is a new one. */
async function signedOut(page: Page): Promise<void> {
  await Promise.all([page.waitForNavigation(), page.click("#leave")]);
}

async function refuses(call: Promise<unknown>, message: string): Promise<void> {
  const error = await assertRejects(() => call, RpcError, message);
  assertEquals(error.code, -32602);
}

async function* chunksOf(
  data: Uint8Array,
  length: number,
): AsyncGenerator<string> {
  for (let start = 0; start < data.length; start += length) {
    // As slow as a disk: it is asked for again and again.
    await Promise.resolve();
    yield data.subarray(start, start + length).toBase64();
  }
}

function randomBytes(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  // As many as are given at a time.
  for (let start = 0; start < size; start += 65_536) {
    crypto.getRandomValues(bytes.subarray(start, start + 65_536));
  }
  return bytes;
}

async function sha256Of(data: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", data);
  return new Uint8Array(hash).toHex();
}

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "upload_" });
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Waits until a counter of the page is at least so high. */
async function reaches(
  page: Page,
  selector: string,
  least: number,
): Promise<void> {
  await page.waitForFunction(
    (selector, least) =>
      Number(document.querySelector(selector)?.textContent) >= least,
    inBackground,
    selector,
    least,
  );
}

/** How far a label of the chart is from the end of the line that it names, in pixels. */
async function distance(
  page: Page,
  label: string,
  end: "top" | "bottom",
): Promise<number> {
  return await page.evaluate(
    (label, end) => {
      const box = document.querySelector(label)!.getBoundingClientRect();
      const line = document.querySelector("#line")!.getBoundingClientRect();
      return Math.abs((box.top + box.bottom) / 2 - line[end]);
    },
    label,
    end,
  );
}

async function count(page: Page, selector: string): Promise<number> {
  return await page.$eval(selector, (shown) => Number(shown.textContent));
}

/** Waits until the chart's line has at least so many points. */
async function drawsPoints(page: Page, least: number): Promise<void> {
  await page.waitForFunction(
    (least) => {
      const path = document.getElementById("line")?.getAttribute("d") ?? "";
      return path.split("L").length >= least && !path.includes("NaN");
    },
    inBackground,
    least,
  );
}

async function choose(page: Page, path: string): Promise<void> {
  const input = await page.waitForSelector("#files:not(:disabled)");
  await (input as ElementHandle<HTMLInputElement>).uploadFile(path);
}

/** Lets so many chunks be read of the first file, and no more: its upload hangs. */
async function holdChunks(page: Page, count: number): Promise<void> {
  await page.evaluate((count) => {
    const { arrayBuffer } = Blob.prototype;
    Blob.prototype.arrayBuffer = function () {
      if (count-- !== 0) return arrayBuffer.call(this);
      document.body.dataset.held = "";
      return new Promise(() => {});
    };
  }, count);
}

/** Notes every value of every progress bar; if told, cancels at the first that is not 0. */
async function observeProgress(page: Page, cancels: boolean): Promise<void> {
  await page.evaluate((cancels) => {
    new MutationObserver((changes) => {
      for (const { target } of changes) {
        if (!(target instanceof HTMLProgressElement)) continue;
        document.body.dataset.progress = `${
          document.body.dataset.progress ?? ""
        } ${target.value}`;
        if (!cancels || target.value === 0) continue;
        target.closest("li")?.querySelector<HTMLElement>(".cancel")?.click();
      }
    }).observe(document.getElementById("uploads")!, {
      attributeFilter: ["value"],
      subtree: true,
    });
  }, cancels);
}

async function progressOf(page: Page): Promise<number[]> {
  const noted = await page.$eval("body", ({ dataset }) => dataset.progress);
  return (noted ?? "").trim().split(" ").map(Number);
}
