/**
 * A client of Chromium, which speaks JSON-RPC in its own version: what
 * puppeteer does, in a dozen lines.
 *
 * @see {@link https://chromedevtools.github.io/devtools-protocol/}
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Protocol } from "devtools-protocol";
import { connect, type ConnectOptions } from "../../client.ts";
import {
  CloseCode,
  ConnectionClosedError,
  notifications,
  type Peer,
  RpcError,
} from "../../mod.ts";
import { type Chromium, startChromium } from "./chromium.ts";
import { runExample } from "./example.ts";

Deno.test("Chromium opens a page, evaluates in it, and streams its console", async () => {
  await using chromium = await startChromium();
  const { url } = chromium;

  // recipe: Chromium, by DevTools
  await using browser = connect(url, { version: "bare", reconnect: false });
  const { targetId } = await browser.request<
    Protocol.Target.CreateTargetResponse
  >("Target.createTarget", { url: "about:blank" });

  // Each page has an address of its own.
  await using page = connect(new URL(`/devtools/page/${targetId}`, url), {
    version: "bare",
    reconnect: false, // It is of this page alone.
  });
  const printed = notifications<Protocol.Runtime.ConsoleAPICalledEvent>(
    page,
    "Runtime.consoleAPICalled",
  );
  await page.request("Runtime.enable");
  const { result } = await page.request<Protocol.Runtime.EvaluateResponse>(
    "Runtime.evaluate",
    { expression: "for (const it of ['a', 'b']) console.log(it); 6 * 7" },
  );
  const lines: unknown[] = [];
  for await (const { args: [first] } of printed) {
    lines.push(first?.value);
    if (lines.length === 2) break;
  }
  await browser.request("Target.closeTarget", { targetId });
  // end

  assertEquals(result, { type: "number", value: 42, description: "42" });
  assertEquals(lines, ["a", "b"]);
  // It closes a socket by cutting it.
  assertEquals((await page.closed).code, CloseCode.Abnormal);
});

Deno.test("Chromium loads a page, and takes a picture of it", async () => {
  await using chromium = await startChromium();
  await using page = await openPage(chromium);

  await using loads = notifications(page, "Page.loadEventFired");
  await page.request("Page.enable");
  await page.request("Page.navigate", {
    url: "data:text/html,<title>Hello</title>",
  });
  await loads.next();
  const { result } = await page.request<Protocol.Runtime.EvaluateResponse>(
    "Runtime.evaluate",
    { expression: "document.title" },
  );
  assertEquals(result.value, "Hello");
  const { data } = await page.request<Protocol.Page.CaptureScreenshotResponse>(
    "Page.captureScreenshot",
  );
  assert(atob(data).startsWith("\x89PNG"));
});

Deno.test("Chromium's sessions share a connection, each by its sessionId", async () => {
  await using chromium = await startChromium();
  const seen: [session: unknown, value: unknown][] = [];
  await using browser = connect(chromium.url, {
    version: "bare",
    reconnect: false,
    local: {
      Runtime: {
        consoleAPICalled(it: Protocol.Runtime.ConsoleAPICalledEvent) {
          seen.push([this.call.members.sessionId, it.args[0]?.value]);
        },
      },
    },
  });
  const open = async (): Promise<{ sessionId: string }> => {
    const { targetId } = await browser.request<
      Protocol.Target.CreateTargetResponse
    >("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await browser.request<
      Protocol.Target.AttachToTargetResponse
    >("Target.attachToTarget", { targetId, flatten: true });
    await browser.request("Runtime.enable", {}, { members: { sessionId } });
    return { sessionId };
  };
  const [first, second] = [await open(), await open()];
  await using ofSecond = notifications<Protocol.Runtime.ConsoleAPICalledEvent>(
    browser,
    "Runtime.consoleAPICalled",
    { members: second },
  );
  for (const [members, name] of [[first, "a"], [second, "b"]] as const) {
    const { result } = await browser.request<Protocol.Runtime.EvaluateResponse>(
      "Runtime.evaluate",
      { expression: `console.log(name = "${name}"); name` },
      { members },
    );
    assertEquals(result.value, name);
  }
  const { value } = await ofSecond.next();
  assertEquals(value?.args[0]?.value, "b");
  assertEquals(seen, [[first.sessionId, "a"], [second.sessionId, "b"]]);

  // One that is not: the browser itself has no such domain.
  const error = await assertRejects(
    () => browser.request("Runtime.evaluate", { expression: "name" }),
    RpcError,
  );
  assertEquals(error.code, -32601);
});

Deno.test("Chromium calls methods in groups that are named as its domains", async () => {
  await using chromium = await startChromium();
  const printed = Promise.withResolvers<unknown>();
  const detached = Promise.withResolvers<unknown>();
  await using page = await openPage(chromium, {
    local: {
      Runtime: {
        consoleAPICalled: (it: Protocol.Runtime.ConsoleAPICalledEvent) =>
          printed.resolve(it.args[0]!.value),
      },
      "Inspector.detached": (it: Protocol.Inspector.DetachedEvent) =>
        detached.resolve(it.reason),
    },
  });
  await page.request("Runtime.enable");
  await page.request("Runtime.evaluate", { expression: "console.log('hi')" });
  assertEquals(await printed.promise, "hi");

  await page.request("Page.close");
  assertEquals(typeof await detached.promise, "string");
  await page.closed;
});

Deno.test("Chromium's errors arrive with and without data, a page's own as results", async () => {
  await using chromium = await startChromium();
  await using page = await openPage(chromium);

  const unknown = await assertRejects(
    () => page.request("Runtime.bake"),
    RpcError,
  );
  assertEquals(
    [unknown.code, unknown.message, unknown.data],
    [-32601, "'Runtime.bake' wasn't found", undefined],
  );
  const invalid = await assertRejects(
    () => page.request("Runtime.evaluate", {}),
    RpcError,
  );
  assertEquals([invalid.code, typeof invalid.data], [-32602, "string"]);
  // The remote's params are by position, and all of this protocol's by name.
  const byPosition = await assertRejects(
    () => page.remote.Runtime!.evaluate!({ expression: "1" }),
    RpcError,
  );
  assertEquals(byPosition.code, -32602);

  const { exceptionDetails } = await page.request<
    Protocol.Runtime.EvaluateResponse
  >("Runtime.evaluate", { expression: "throw new RangeError('too far')" });
  assertEquals(exceptionDetails?.exception?.className, "RangeError");
});

Deno.test("Chromium refuses JSON-RPC 2.0, batches and notifications", async () => {
  await using chromium = await startChromium();
  await using newer = connect(chromium.url);
  const error = await assertRejects(
    () => newer.request("Browser.getVersion"),
    RpcError,
  );
  assertEquals(error.code, -32600);
  assertEquals(
    error.message,
    "Message has property other than 'id', 'method', 'sessionId', 'params'",
  );

  const complaints: unknown[] = [];
  const told = Promise.withResolvers<void>();
  await using browser = connect(chromium.url, {
    onerror(error) {
      complaints.push(error instanceof RpcError ? error.message : error);
      if (complaints.length === 2) told.resolve();
    },
    version: "bare",
  });
  await browser.opened;
  browser.notify("Target.setDiscoverTargets", { discover: true });
  browser.ws!.send('[{"id":1,"method":"Browser.getVersion"}]');
  await told.promise;
  assertEquals(complaints, [
    "Message must have integer 'id' property",
    "Message must be an object",
  ]);
});

Deno.test("Chromium's long messages are read, and where one is too long its call alone rejects", async () => {
  await using chromium = await startChromium();
  const lengthOf = async (page: Peer, expression: string): Promise<number> => {
    const { result } = await page.request<Protocol.Runtime.EvaluateResponse>(
      "Runtime.evaluate",
      { expression, returnByValue: true },
    );
    return result.value.length;
  };
  await using page = await openPage(chromium);
  assertEquals(await lengthOf(page, "'x'.repeat(2 ** 23)"), 2 ** 23);

  const limits = { messageLength: 2 ** 20 };
  await using strict = await openPage(chromium, { limits });
  await assertRejects(
    () => lengthOf(strict, "'x'.repeat(2 ** 20)"),
    RangeError,
    'Cannot read response to request "Runtime.evaluate"',
  );
  assertEquals(await lengthOf(strict, "'x'.repeat(5)"), 5);
});

Deno.test("Chromium ends when it is told to, and every connection with it", async () => {
  await using chromium = await startChromium();
  await using browser = connect(chromium.url, {
    version: "bare",
    reconnect: false,
  });
  await using page = await openPage(chromium);

  const waiting = page.request("Runtime.evaluate", {
    expression: "new Promise(() => {})",
    awaitPromise: true,
  });
  const rejected = assertRejects(() => waiting, ConnectionClosedError);
  assertEquals(await browser.request("Browser.close"), {});
  await browser.closed;
  assertEquals((await rejected).sent, true);
  assertEquals((await chromium.ended).code, 0);
});

Deno.test("examples/devtools.ts drives a Chromium of its own, and one that runs", async () => {
  const picture = "/tmp/devtools.png";
  const says = `log: 6 * 7 = 42\ntitle: Hello\npicture: ${picture}\n`;

  assertEquals(await runExample("examples/devtools.ts"), says);
  const [, ...letters] = (await Deno.readFile(picture)).subarray(0, 4);
  assertEquals(String.fromCharCode(...letters), "PNG");

  await using chromium = await startChromium();
  assertEquals(await runExample("examples/devtools.ts", chromium.url), says);
  await Deno.remove(picture);
});

/** Opens an empty page and connects to it. */
async function openPage(
  { url }: Chromium,
  options: ConnectOptions = {},
): Promise<Peer> {
  await using browser = connect(url, { version: "bare", reconnect: false });
  const { targetId } = await browser.request<
    Protocol.Target.CreateTargetResponse
  >("Target.createTarget", { url: "about:blank" });
  return connect(new URL(`/devtools/page/${targetId}`, url), {
    version: "bare",
    reconnect: false,
    ...options,
  });
}
