/**
 * The chat without a browser: the frames that its first clients sent and
 * received in 2011, its visitors of ill will, and the files that it serves.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { STATUS_CODE } from "@std/http";
import { serve, type Server } from "../../server.ts";
import { connect } from "../../client.ts";
import { Chat } from "../../examples/chat/chat.ts";
import type { CloseInfo } from "../../mod.ts";
import { chatCommand, startChat } from "../chat_process.ts";

const decoder = new TextDecoder();

/** A client that knows nothing of the library: frames as they are. */
class Client implements AsyncDisposable {
  readonly #ws: WebSocket;
  readonly #frames: unknown[] = [];
  #waiting: ((frame: unknown) => void) | undefined;

  private constructor(ws: WebSocket) {
    this.#ws = ws;
    ws.onmessage = ({ data }) => {
      const frame: unknown = JSON.parse(data);
      if (this.#waiting === undefined) this.#frames.push(frame);
      else this.#waiting(frame);
      this.#waiting = undefined;
    };
  }

  static async open(url: string): Promise<Client> {
    const ws = new WebSocket(url);
    const client = new Client(ws);
    await new Promise((resolve, reject) => {
      ws.onopen = resolve;
      ws.onerror = reject;
    });
    return client;
  }

  send(frame: string): void {
    this.#ws.send(frame);
  }

  /** The next frame that arrived or arrives. */
  next(): Promise<unknown> {
    return new Promise((resolve) => {
      if (this.#frames.length > 0) resolve(this.#frames.shift());
      else this.#waiting = resolve;
    });
  }

  /** Sends a 2.0 request; its answer is the next frame but notifications. */
  async request(method: string, ...params: unknown[]): Promise<unknown> {
    this.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
    while (true) {
      const frame = await this.next();
      if (Object.hasOwn(Object(frame), "id")) return frame;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#ws.onclose = resolve);
    this.#ws.close();
    await closed;
    // What nobody waited for should not have come.
    assertEquals(this.#frames, []);
  }
}

function serveChat(): Server<Chat> {
  return serve(Chat, {
    port: 0,
    hostname: "127.0.0.1",
    onListen() {},
  });
}

Deno.test("Chat exchanges with a client of 1.0 the frames of the original", async () => {
  await using server = serveChat();
  await using ann = await Client.open(server.url);
  const joinpart = { id: null, method: "joinpart", params: [] };

  ann.send('{"id":null,"method":"set_username","params":["ann"]}');
  ann.send('{"id":1,"method":"clients","params":[]}');
  assertEquals(await ann.next(), joinpart);
  assertEquals(await ann.next(), { id: 1, result: ["ann"], error: null });

  {
    await using ben = await Client.open(server.url);
    assertEquals(await ann.next(), joinpart);
    ann.send('{"id":2,"method":"clients","params":[]}');
    assertEquals(await ann.next(), {
      id: 2,
      result: ["ann", "anon"],
      error: null,
    });

    ben.send('{"id":null,"method":"set_username","params":["ben"]}');
    assertEquals(await ben.next(), joinpart);
    assertEquals(await ann.next(), joinpart);

    const message = { id: null, method: "message", params: ["ann", "hello"] };
    ann.send('{"id":null,"method":"say","params":["hello"]}');
    assertEquals(await ann.next(), message);
    assertEquals(await ben.next(), message);

    ann.send('{"id":3,"method":"say","params":["hello"]}');
    assertEquals(await ann.next(), message);
    assertEquals(await ann.next(), { id: 3, result: null, error: null });
    assertEquals(await ben.next(), message);
  }

  assertEquals(await ann.next(), joinpart);
  ann.send('{"id":4,"method":"clients","params":[]}');
  assertEquals(await ann.next(), { id: 4, result: ["ann"], error: null });
});

Deno.test("Chat puts clients of 1.0 and 2.0 into one room", async () => {
  await using server = serveChat();
  await using ann = await Client.open(server.url);
  ann.send('{"id":1,"method":"set_username","params":["ann"]}');
  assertEquals(await ann.next(), { id: null, method: "joinpart", params: [] });
  assertEquals(await ann.next(), { id: 1, result: null, error: null });

  {
    await using cy = await Client.open(server.url);
    assertEquals(await ann.next(), {
      id: null,
      method: "joinpart",
      params: [],
    });
    cy.send('{"jsonrpc":"2.0","method":"set_username","params":["cy"]}');
    cy.send('{"jsonrpc":"2.0","id":"a","method":"clients"}');
    assertEquals(await cy.next(), { jsonrpc: "2.0", method: "joinpart" });
    assertEquals(await cy.next(), {
      jsonrpc: "2.0",
      id: "a",
      result: ["ann", "cy"],
    });
    assertEquals(await ann.next(), {
      id: null,
      method: "joinpart",
      params: [],
    });

    cy.send('{"jsonrpc":"2.0","method":"say","params":["hello"]}');
    assertEquals(await ann.next(), {
      id: null,
      method: "message",
      params: ["cy", "hello"],
    });
    assertEquals(await cy.next(), {
      jsonrpc: "2.0",
      method: "message",
      params: ["cy", "hello"],
    });

    ann.send('{"id":null,"method":"say","params":["welcome"]}');
    assertEquals(await ann.next(), {
      id: null,
      method: "message",
      params: ["ann", "welcome"],
    });
    assertEquals(await cy.next(), {
      jsonrpc: "2.0",
      method: "message",
      params: ["ann", "welcome"],
    });
  }
  assertEquals(await ann.next(), { id: null, method: "joinpart", params: [] });
});

const refusedUsernames: [what: string, username: unknown, message: string][] = [
  ["a number", 1, "A username must be a string"],
  ["null", null, "A username must be a string"],
  ["an object", { toString: "x" }, "A username must be a string"],
  ["an array", ["ann"], "A username must be a string"],
  ["nothing", "", "A username must not be empty"],
  ["white space", " \t\n", "A username must not be empty"],
  ["the invisible", "\u200b\u2060\u3164", "A username must not be empty"],
  [
    "33 characters",
    "x".repeat(33),
    "A username must have at most 32 characters",
  ],
  ["a NUL", "a\0b", "A username must not contain control characters"],
  ["a line feed", "a\nb", "A username must not contain control characters"],
  [
    "an escape",
    "\x1b[31mred",
    "A username must not contain control characters",
  ],
  ["a C1 control", "a\x9bb", "A username must not contain control characters"],
  [
    "a line separator",
    "a\u2028b",
    "A username must not contain control characters",
  ],
  [
    "a turned direction",
    "a\u202eb",
    "A username must not contain control characters",
  ],
];

for (const [what, username, message] of refusedUsernames) {
  Deno.test(`Chat refuses a username that is or has ${what}`, async () => {
    await using server = serveChat();
    await using client = await Client.open(server.url);
    assertEquals(await client.request("set_username", username), {
      jsonrpc: "2.0",
      id: 1,
      error: { code: 1, message },
    });
    assertEquals(await client.request("clients"), {
      jsonrpc: "2.0",
      id: 1,
      result: ["anon"],
    });
  });
}

Deno.test("Chat takes usernames of 1 to 32 characters and trims them", async () => {
  await using server = serveChat();
  await using client = await Client.open(server.url);
  const names: [sent: string, taken: string][] = [
    ["x", "x"],
    ["x".repeat(32), "x".repeat(32)],
    [`\n ${"x".repeat(32)}\t `, "x".repeat(32)],
    ["Zoë 你好 👩‍🚀", "Zoë 你好 👩‍🚀"],
    ["<b>__proto__</b>", "<b>__proto__</b>"],
    ["constructor", "constructor"],
  ];
  for (const [sent, taken] of names) {
    assertEquals(await client.request("set_username", sent), {
      jsonrpc: "2.0",
      id: 1,
      result: null,
    });
    assertEquals(await client.request("clients"), {
      jsonrpc: "2.0",
      id: 1,
      result: [taken],
    });
  }
});

Deno.test("Chat refuses texts that are no strings, empty or too long, and tells nobody", async () => {
  await using server = serveChat();
  await using ann = await Client.open(server.url);
  const joinpart = { jsonrpc: "2.0", method: "joinpart" };
  {
    await using ben = await Client.open(server.url);
    assertEquals(await ann.next(), joinpart);

    const refused: [text: unknown, message: string][] = [
      [undefined, "A text must be a string"],
      [0, "A text must be a string"],
      [{ text: "x" }, "A text must be a string"],
      ["", "A text must not be empty"],
      ["\n \u200b", "A text must not be empty"],
      ["x".repeat(2001), "A text must have at most 2,000 characters"],
    ];
    for (const [text, message] of refused) {
      assertEquals(
        await ben.request("say", ...text === undefined ? [] : [text]),
        {
          jsonrpc: "2.0",
          id: 1,
          error: { code: 2, message },
        },
      );
    }

    for (
      const text of ["x", "x".repeat(2000), " two\nlines ", "<i>\u0007</i>"]
    ) {
      const message = {
        jsonrpc: "2.0",
        method: "message",
        params: ["anon", text],
      };
      ben.send(
        JSON.stringify({ jsonrpc: "2.0", method: "say", params: [text] }),
      );
      assertEquals(await ben.next(), message);
      assertEquals(await ann.next(), message);
    }
  }
  assertEquals(await ann.next(), joinpart);
});

Deno.test("Chat says once what is said twice under one id, and tells it who comes later", async () => {
  await using server = serveChat();
  await using ann = await Client.open(server.url);
  const nothing = { jsonrpc: "2.0", id: 1, result: null };
  const before = await ann.request("messages") as { result: unknown[] };

  ann.send('{"jsonrpc":"2.0","method":"say","params":["hello","once"]}');
  const told = await ann.next();
  const { params: [, , , time] } = told as { params: unknown[] };
  const message = ["anon", "hello", "once", time];
  assertEquals(told, { jsonrpc: "2.0", method: "message", params: message });
  assert(Math.abs(Date.now() - Number(time)) < 60_000);
  assertEquals(await ann.request("say", "hello", "once"), nothing);

  {
    await using ben = await Client.open(server.url);
    const { result } = await ben.request("messages") as { result: unknown[] };
    assertEquals(result, [...before.result, message]);
  }
  assertEquals(await ann.next(), { jsonrpc: "2.0", method: "joinpart" });
  assertEquals(await ann.next(), { jsonrpc: "2.0", method: "joinpart" });
});

Deno.test("Chat keeps the last 50 messages that have an id, which one answer can carry", async () => {
  await using server = serveChat();
  await using ann = await Client.open(server.url);
  // What is longest in JSON.
  const text = `${"\u0007".repeat(1999)}x`;
  const ids = Array.from({ length: 51 }, (_, index) => `kept ${index}`);
  for (const id of ids) {
    ann.send(JSON.stringify({
      jsonrpc: "2.0",
      method: "say",
      params: [text, id],
    }));
  }
  for (const _ of ids) await ann.next();
  const { result } = await ann.request("messages") as { result: string[][] };
  assertEquals(result.map(([, , id]) => id), ids.slice(1));
});

Deno.test("Chat replaces a connection by the next one that has its key", async () => {
  await using server = serveChat();
  const closed = Promise.withResolvers<CloseInfo>();
  const lost = connect<Chat["local"]>(server.url, {
    onclose: (info) => closed.resolve(info),
  });
  await lost.remote.set_username("ann", "secret");
  await using ben = connect<Chat["local"]>(server.url);
  await ben.remote.set_username("ben", "other");
  await using cy = connect<Chat["local"]>(server.url);
  await cy.remote.set_username("cy");
  await using dan = connect<Chat["local"]>(server.url);
  await dan.remote.set_username("dan");

  await using next = connect<Chat["local"]>(server.url);
  await next.remote.set_username("ann", "secret");
  // Twice by the same one is no other.
  await next.remote.set_username("anna", "secret");
  assertEquals(await ben.remote.clients(), ["ben", "cy", "dan", "anna"]);
  const { code, retryIn } = await closed.promise;
  assertEquals({ code, retryIn }, { code: 4010, retryIn: undefined });
});

Deno.test("Chat tells people of one name which of them they are", async () => {
  await using server = serveChat();
  await using one = connect<Chat["local"]>(server.url);
  await one.remote.set_username("ann");
  await using other = connect<Chat["local"]>(server.url);
  await other.remote.set_username("ann");
  const names = ["ann", "ann"];
  assertEquals(await one.remote.people(), { names, own: 0 });
  assertEquals(await other.remote.people(), { names, own: 1 });
});

Deno.test("Chat refuses ids and keys that are no strings, or too long", async () => {
  await using server = serveChat();
  await using client = await Client.open(server.url);
  const error = {
    code: -32602,
    message: "An id must be a string of at most 64 characters",
  };
  for (const id of [1, null, {}, "x".repeat(65)]) {
    for (const method of ["say", "set_username"]) {
      assertEquals(await client.request(method, "hello", id), {
        jsonrpc: "2.0",
        id: 1,
        error,
      });
    }
  }
  assertEquals(await client.request("clients"), {
    jsonrpc: "2.0",
    id: 1,
    result: ["anon"],
  });
});

Deno.test("Chat shows to a client nothing but its five methods", async () => {
  await using server = serveChat();
  await using client = await Client.open(server.url);
  for (
    const method of [
      "constructor",
      "username",
      "toString",
      "local.say",
      "onclose",
    ]
  ) {
    const { error } = await client.request(method) as {
      error: { code: number };
    };
    assertEquals(error.code, -32601);
  }
});

Deno.test("Chat keeps nobody when its server has ended", async () => {
  const server = serveChat();
  const clients = await Promise.all(
    [1, 2, 3].map(() => Client.open(server.url)),
  );
  assertEquals(await clients[2]!.request("clients"), {
    jsonrpc: "2.0",
    id: 1,
    result: ["anon", "anon", "anon"],
  });
  await server.shutdown();
  assertEquals(Chat.members.size, 0);
});

Deno.test("The chat serves its page, and the library without its types", async () => {
  await using chat = await startChat();
  const served: [path: string, type: string, content: RegExp][] = [
    ["/", "text/html", /^<!doctype html>[^]*<title>Chat<\/title>/i],
    ["/?a=b", "text/html", /^<!doctype html>/i],
    ["/examples/chat/page.ts", "text/javascript", /from "..\/..\/client.ts"/],
    ["/examples/chat/style.css", "text/css", /color-scheme/],
    ["/examples/chat/icon.svg", "image/svg+xml", /<svg/],
    ["/mod.ts", "text/javascript", /from "\.\/src\/methods\/guard\.ts"/],
    ["/client.ts", "text/javascript", /from "\.\/src\/presets\/connect\.ts"/],
    [
      "/examples/status.ts",
      "text/javascript",
      /export function showConnection/,
    ],
    ["/src/presets/everything.ts", "text/javascript", /export class Peer/],
  ];
  for (const [path, type, content] of served) {
    const got = await fetch(new URL(path, chat.url));
    const text = await got.text();
    assertEquals(got.status, STATUS_CODE.OK, path);
    assertEquals(got.headers.get("content-type"), `${type}; charset=utf-8`);
    assertEquals(got.headers.get("cache-control"), "no-cache");
    assertEquals(got.headers.get("x-content-type-options"), "nosniff");
    assertMatch(
      got.headers.get("content-security-policy") ?? "",
      /^default-src 'none'; script-src 'self'; /,
    );
    assertMatch(text, content);
    if (type === "text/javascript") assert(!text.includes("import type"));

    const head = await fetch(new URL(path, chat.url), { method: "HEAD" });
    assertEquals(head.status, STATUS_CODE.OK, path);
    assertEquals(await head.text(), "");
    assertEquals(
      head.headers.get("content-length"),
      String(new TextEncoder().encode(text).length),
    );
    assertEquals(
      head.headers.get("content-type"),
      got.headers.get("content-type"),
    );
  }
});

Deno.test("The chat serves nothing else of the disk", async () => {
  await using chat = await startChat();
  const targets = [
    "/deno.json",
    "/server.ts",
    "/README.md",
    "/examples/server.ts",
    "/examples/chat/",
    "/examples/chat/chat.ts",
    "/examples/chat/page.ts/",
    "/tests/seconds/chat_test.ts",
    "/.git/config",
    "/etc/passwd",
    "//etc/passwd",
    "/../../../../../../etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/src",
    "/src/",
    "/src/peer/",
    "/src/peer/.ts",
    "/src/peer/nothing.ts",
    "/src/peer/Base.ts",
    "/src/base.ts",
    "/src/peer/base.ts%00",
    "/src/peer/base.ts%00.ts",
    "/src/../deno.json",
    "/src/../server.ts",
    "/src/..%2fserver.ts",
    "/src/%2e%2e%2fserver.ts",
    "/src/%2e%2e/server.ts",
    "/src/..%5cserver.ts",
    "/src/..\\server.ts",
    "/src/%252e%252e%252fserver.ts",
    "/src//base.ts",
    "/src//peer/base.ts",
    "/src/peer//base.ts",
    "/src/peer/../../server.ts",
    "/%73rc/peer/base.ts",
    `/src/peer/${"x".repeat(5000)}.ts`,
    `/src/${"x".repeat(5000)}/base.ts`,
    "/__proto__",
    "/constructor",
  ];
  for (const target of targets) {
    const status = await statusOf(chat.url, target);
    assertEquals(status, STATUS_CODE.NotFound, target);
  }
});

/** Asks for a path without mending it as fetch() does. */
async function statusOf({ host, port }: URL, target: string): Promise<number> {
  using connection = await Deno.connect({
    hostname: "127.0.0.1",
    port: Number(port),
  });
  const request =
    `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const head = new Uint8Array(64);
  await connection.read(head);
  return Number(decoder.decode(head).split(" ")[1]);
}

Deno.test("The chat answers no method but GET and HEAD", async () => {
  await using chat = await startChat();
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    for (const path of ["/", "/nothing"]) {
      const response = await fetch(new URL(path, chat.url), { method });
      await response.body?.cancel();
      assertEquals(response.status, STATUS_CODE.MethodNotAllowed);
      assertEquals(response.headers.get("allow"), "GET, HEAD");
    }
  }
});

Deno.test("The chat has its WebSocket at the address of its page", async () => {
  await using chat = await startChat();
  const url = new URL(chat.url);
  url.protocol = "ws:";
  await using client = await Client.open(url.href);
  assertEquals(await client.request("clients"), {
    jsonrpc: "2.0",
    id: 1,
    result: ["anon"],
  });
});

Deno.test("The chat says that its port is taken", async () => {
  await using chat = await startChat();
  const { code, stderr } = await chatCommand(chat.url.port).output();
  assertEquals(
    decoder.decode(stderr),
    "Cannot listen: another program has that PORT\n",
  );
  assertEquals(code, 1);
});

for (const port of ["http", "-1", "65536", "80.5", "0x50", "8 8"]) {
  Deno.test(`The chat refuses PORT=${port} in one sentence`, async () => {
    const { code, stdout, stderr } = await chatCommand(port).output();
    assertEquals(
      decoder.decode(stderr),
      `Cannot listen on port "${port}": PORT must be a number from 0 to 65535\n`,
    );
    assertEquals(decoder.decode(stdout), "");
    assertEquals(code, 1);
  });
}
