/** What the server for Node does beyond what both do, in Deno. */

import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { generate } from "selfsigned";
// @ts-types="@types/ws"
import { WebSocket as NodeWebSocket, WebSocketServer } from "ws";
import { connectOnce as connect } from "./connect_once.ts";
import { type CloseInfo, Peer } from "../mod.ts";
import { connect as connectByWs, serve, upgrade } from "../node.ts";
import { frame, Opcode, RawSocket } from "./interop/raw_socket.ts";
import { quiet, until, upgradeLines } from "./servers.ts";

/** Tells what arrives, and how it ends. */
class Witness extends Peer {
  static last: Witness | undefined;
  readonly seen: unknown[] = [];
  end: CloseInfo | undefined;
  override local = {
    see: (value: unknown) => void this.seen.push(value),
    echo: (value: unknown) => value,
  };
  override onopen(): void {
    Witness.last = this;
  }
  override oninvalid(text: string): void {
    this.seen.push(text.length);
  }
  override onclose(end: CloseInfo): void {
    this.end = end;
  }
}

Deno.test("serve refuses a message before it has arrived whole, in fragments too", async () => {
  await using server = await serve(Witness, quiet);
  using socket = await RawSocket.connect(server.url);
  // Never the last one: there would be no end of them.
  const chunk = "x".repeat(0x10_000);
  await socket.send(frame(Opcode.Text, chunk, false));
  for (let count = 0; count < 47; count++) {
    await socket.send(frame(Opcode.Continuation, chunk, false));
  }
  await until(() => Witness.last !== undefined);
  assertEquals(Witness.last!.end, undefined);
  await socket.send(frame(Opcode.Continuation, "x", false));
  assertEquals(await socket.closeCode(), 1009);
  await until(() => Witness.last!.end !== undefined);
  assertEquals(Witness.last!.end!.code, 1009);
  assertEquals(Witness.last!.seen, []);
});

Deno.test("serve takes what the limit allows in characters of three bytes", async () => {
  const limits = { messageLength: 1_000 };
  await using server = await serve(Witness, { ...quiet, limits });
  await using client = connect<Witness["local"]>(server.url);
  assertEquals(await client.remote.echo("€".repeat(900)), "€".repeat(900));
  const closed = client.closed;
  (client.ws as WebSocket).send("x".repeat(1_001));
  assertEquals((await closed).code, 1009);
});

Deno.test("serve bounds fragments and what is no UTF-8, and tells its own side", async () => {
  await using server = await serve(Witness, quiet);
  const fragments = Array.from(
    { length: 4_096 },
    () => frame(Opcode.Continuation, "x", false),
  );
  const hostile: [code: number, frames: Uint8Array[]][] = [
    [1008, [frame(Opcode.Text, "x", false), ...fragments]],
    [1007, [frame(Opcode.Text, Uint8Array.of(0xff))]],
    [1002, [frame(Opcode.Continuation, "x")]],
  ];
  for (const [code, frames] of hostile) {
    Witness.last = undefined;
    using socket = await RawSocket.connect(server.url);
    await socket.send(...frames);
    assertEquals(await socket.closeCode(), code);
    await until(() => Witness.last?.end !== undefined);
    assertEquals([Witness.last!.end!.code, Witness.last!.seen], [code, []]);
  }
  await using client = connect<Witness["local"]>(server.url);
  assertEquals(await client.remote.echo("alive"), "alive");
});

Deno.test("The socket of a served peer tells who listens, each once, until it isn't to", async () => {
  Witness.last = undefined;
  await using server = await serve(Witness, quiet);
  await using client = connect<Witness["local"]>(server.url);
  await client.opened;
  await until(() => Witness.last !== undefined);
  const witness = Witness.last!;
  const ws = witness.ws as NodeWebSocket;
  const heard: unknown[] = [];
  const hear = ({ type, data }: { type: string; data?: unknown }): void =>
    void heard.push(type, JSON.parse(data as string).params);
  ws.addEventListener("message", hear);
  ws.addEventListener("message", hear);
  ws.addEventListener("message", () => heard.push("once"), { once: true });
  await client.remote.see(1);
  await client.remote.see(2);
  assertEquals(heard.splice(0), ["message", [1], "once", "message", [2]]);
  ws.removeEventListener("message", hear);
  await client.remote.see(3);
  assertEquals([heard, witness.seen], [[], [1, 2, 3]]);

  const closed = Promise.withResolvers<unknown[]>();
  ws.addEventListener("close", ({ code, reason, wasClean }) => {
    closed.resolve([code, reason, wasClean]);
  });
  client.close(4000, "enough");
  assertEquals(await closed.promise, [4000, "enough", true]);
  await until(() => witness.end !== undefined);
  assertEquals(
    { ...witness.end },
    { code: 4000, reason: "enough", wasClean: true },
  );
  assertEquals(ws.listeners("message").length, 0);
});

Deno.test("The socket of a served peer tells of an end without a close", async () => {
  Witness.last = undefined;
  await using server = await serve(Witness, quiet);
  using socket = await RawSocket.connect(server.url);
  await until(() => Witness.last !== undefined);
  socket[Symbol.dispose]();
  await until(() => Witness.last!.end !== undefined);
  const { code, wasClean } = Witness.last!.end!;
  assertEquals([code, wasClean], [1006, false]);
});

Deno.test("serve cuts a peer that answers no ping", async () => {
  await using server = await serve(Witness, { ...quiet, idleTimeout: 0.4 });
  Witness.last = undefined;
  await using client = connect<Witness["local"]>(server.url);
  await client.opened;
  const lively = Witness.last!;
  using socket = await RawSocket.connect(server.url);
  await until(() => Witness.last !== lively);
  const mute = Witness.last!;
  assertEquals((await socket.receive())?.opcode, Opcode.Ping);
  await until(() => mute.end !== undefined);
  assertEquals(mute.end!.code, 4009);
  assertEquals(await client.remote.echo("alive"), "alive");
  assertEquals(lively.end, undefined);
});

Deno.test("serve compresses nothing unless it is told to", async () => {
  for (const perMessageDeflate of [undefined, true]) {
    const options = perMessageDeflate === undefined
      ? {}
      : { perMessageDeflate };
    await using server = await serve(Witness, { ...quiet, ...options });
    const ws = new NodeWebSocket(server.url);
    await once(ws, "open");
    const extensions = perMessageDeflate ? "permessage-deflate" : "";
    assertEquals(ws.extensions, extensions);
    ws.close();
    await once(ws, "close");
  }
});

Deno.test("serve answers requests with fetch: bodies, headers, cookies", async () => {
  const addresses: string[] = [];
  await using server = await serve(Witness, {
    ...quiet,
    async fetch(request, { remoteAddr, incoming }) {
      addresses.push(remoteAddr.hostname, incoming.method!);
      const { pathname } = new URL(request.url);
      const headers = new Headers({ "x-path": pathname });
      headers.append("set-cookie", "a=1");
      headers.append("set-cookie", "b=2");
      return new Response(await request.text(), { status: 201, headers });
    },
  });
  const url = server.url.replace("ws", "http");
  const body = "x".repeat(200_000);
  const posted = await fetch(`${url}//evil.net/a?b`, { method: "POST", body });
  assertEquals([posted.status, (await posted.text()).length], [201, 200_000]);
  assertEquals(posted.headers.get("x-path"), "///evil.net/a");
  assertEquals(posted.headers.getSetCookie(), ["a=1", "b=2"]);
  const head = await fetch(url, { method: "HEAD" });
  assertEquals([head.status, await head.text()], [201, ""]);
  assertEquals(addresses, ["127.0.0.1", "POST", "127.0.0.1", "HEAD"]);
});

Deno.test("serve outlives requests that are none", async () => {
  const errors: unknown[] = [];
  const refused: unknown[] = [];
  await using server = await serve(Witness, {
    ...quiet,
    onerror: (error) => void errors.push(error),
    onrefuse: ({ reason, status, request }) => {
      refused.push([reason, status, request.url]);
    },
  });
  const upgrade = upgradeLines.join("\r\n");
  const port = Number(new URL(server.url).port);
  for (
    const text of [
      "nonsense\r\n\r\n",
      "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      `TRACE / HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\n\r\n`,
      // Which of them it is about, a proxy may see otherwise.
      "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.net\r\n\r\n",
      `GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.net\r\n${upgrade}\r\n\r\n`,
      `GET http://a:b@localhost/ HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\n\r\n`,
      `GET http://[ HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\n\r\n`,
      "GET / HTTP/1.1\r\nHost: x/admin?\r\n\r\n",
      `GET / HTTP/1.1\r\nHost: x/admin?\r\n${upgrade}\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\nSec-WebSocket-Protocol: a b\r\n\r\n`,
    ]
  ) {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new TextEncoder().encode(text));
    const buffer = new Uint8Array(1_000);
    const length = await conn.read(buffer) ?? 0;
    const answer = new TextDecoder().decode(buffer.subarray(0, length));
    assertMatch(answer, /^HTTP\/1\.1 4\d\d /, text);
    conn.close();
  }
  assertEquals(errors, []);
  // Those that were to be handshakes.
  const url = "http://localhost/";
  assertEquals(refused, [
    ["handshake", 405, url],
    ["handshake", 400, url],
    ["handshake", 400, url],
    ["handshake", 400, url],
    ["handshake", 400, url],
    ["handshake", 400, url],
  ]);
  await using client = connect<Witness["local"]>(server.url);
  assertEquals(await client.remote.echo("alive"), "alive");
});

Deno.test("What is offered another protocol is answered as it is read, and let go of with its client", async () => {
  let reads = 0;
  const ended = Promise.withResolvers<boolean>();
  await using server = await serve(Witness, {
    ...quiet,
    fetch: ({ signal }) =>
      new Response(
        new ReadableStream({
          pull(controller) {
            controller.enqueue(new Uint8Array(65_536));
            if (++reads < 2_000) return;
            controller.close();
            ended.reject(new Error("It was read to its end"));
          },
          cancel: () => ended.resolve(signal.aborted),
        }),
      ),
  });
  const port = Number(new URL(server.url).port);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(new TextEncoder().encode(
    "GET /events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n",
  ));
  const buffer = new Uint8Array(1_000);
  await conn.read(buffer);
  assertMatch(new TextDecoder().decode(buffer), /^HTTP\/1\.1 200 /);
  // Nobody reads on: the system's buffers are full before long.
  let before: number;
  do {
    before = reads;
    await new Promise((resolve) => setTimeout(resolve, 100));
  } while (reads > before);
  conn.close();
  await ended.promise;
});

Deno.test("serve rejects where it can't listen, and obeys a signal", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const server = await serve(Witness, { ...quiet, signal });
  const port = Number(new URL(server.url).port);
  await assertRejects(
    () => serve(Witness, { ...quiet, port }),
    Error,
    "in use",
  );
  controller.abort();
  await server.finished;
  await assertRejects(() => serve(Witness, { ...quiet, signal }), DOMException);

  const early = new AbortController();
  const starting = serve(Witness, { ...quiet, signal: early.signal });
  early.abort(); // It doesn't listen yet.
  await (await starting).finished;
});

Deno.test("serve listens on a Unix socket", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/rpc`;
  {
    await using server = await serve(Witness, { path });
    assertEquals(server.url, `ws+unix:${path}`);
    assertEquals(server.addr.transport, "unix");
    const ws = new NodeWebSocket(`ws+unix:${path}`);
    await once(ws, "open");
    ws.close();
    await once(ws, "close");
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("serve speaks TLS with a certificate, in Node's way", async () => {
  const { cert, private: key } = await generate(
    [{ name: "commonName", value: "localhost" }],
    {
      algorithm: "sha256",
      keyType: "ec",
      extensions: [
        { name: "basicConstraints", cA: false },
        { name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] },
      ],
    },
  );
  const urls: string[] = [];
  await using server = await serve(Witness, {
    ...quiet,
    cert,
    key,
    authorize: ({ url }) => void urls.push(new URL(url).protocol),
  });
  assertMatch(server.url, /^wss:/);
  const url = `wss://localhost:${server.addr.port}/`;
  await using client = connectByWs<Witness["local"]>(url, {
    webSocketOptions: { ca: cert },
  });
  assertEquals(await client.remote.echo("secret"), "secret");
  assertEquals(urls, ["https:"]);
});

/** An HTTP server that exists. */
async function listening(): Promise<[http: HttpServer, url: string]> {
  const http = createServer((_, response) => response.end("A page"));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as { port: number };
  return [http, `ws://127.0.0.1:${port}/`];
}

Deno.test("upgrade joins an HTTP server that exists, and is drained alone", async () => {
  const [http, url] = await listening();
  const witness = upgrade(Witness);
  http.on("upgrade", witness);
  const page = await fetch(url.replace("ws", "http"), {
    headers: { connection: "close" },
  });
  assertEquals(await page.text(), "A page");
  const client = connect<Witness["local"]>(url);
  assertEquals(await client.remote.echo("hello"), "hello");
  assertEquals(witness.peers.size, 1);
  assertEquals((await witness.drain()).closed, 1);
  const late = connect(url);
  assertEquals((await late.closed).code, 1006);
  http.close();
  await once(http, "close");
});

Deno.test("upgrade refuses on the raw socket, and survives its end", async () => {
  const [http, url] = await listening();
  const refuse = upgrade(Witness, {
    authorize: () =>
      new Response("Who are you?\n", {
        status: 401,
        headers: { "www-authenticate": "Basic", "set-cookie": "a=b" },
      }),
  });
  http.on("upgrade", refuse);
  const ws = new NodeWebSocket(url);
  ws.on("error", () => {});
  const [, response] = await once(ws, "unexpected-response");
  assertEquals(response.statusCode, 401);
  assertEquals(response.headers["www-authenticate"], "Basic");
  assertEquals(response.headers["set-cookie"], ["a=b"]);
  const chunks: string[] = [];
  response.setEncoding("utf8");
  for await (const chunk of response) chunks.push(chunk);
  assertEquals(chunks.join(""), "Who are you?\n");
  http.close();
  await once(http, "close");
});

/** What is answered to a request to connect to a path. */
async function statusOf(url: string): Promise<number | string> {
  const ws = new NodeWebSocket(url);
  return await new Promise((resolve) => {
    ws.on("unexpected-response", (_, { statusCode = 0 }) => {
      ws.terminate();
      resolve(statusCode);
    });
    ws.on("error", ({ message }) => resolve(message));
    ws.on("open", () => {
      ws.close();
      ws.on("close", () => resolve(101));
    });
  });
}

Deno.test("upgrade with a path takes what is its own, and refuses the rest where nobody else listens", async () => {
  const [http, url] = await listening();
  const one = upgrade({ path: "/one", local: {} });
  const two = upgrade({ path: "/one/two", local: {} });
  http.on("upgrade", one);
  assertEquals(await statusOf(`${url}one/two`), 404);
  http.on("upgrade", two);
  const rows: [path: string, status: number][] = [
    ["one", 101],
    ["one?token=1", 101],
    ["one/two", 101],
    ["one/", 404],
    ["On%65", 404],
    ["", 404],
  ];
  for (const [path, status] of rows) {
    assertEquals(await statusOf(url + path), status, path);
  }
  await Promise.all([one.drain(), two.drain()]);
  http.close();
  await once(http, "close");
  for (const path of ["rpc", "", "/rpc?a", "/rpc#a", "https://a/rpc"]) {
    assertThrows(
      () => upgrade({ path, local: {} }),
      TypeError,
      `Cannot take path "${path}": write it as "/rpc"`,
    );
  }
});

Deno.test("upgrade leaves alone what others take, now or later, and never writes to it", async () => {
  const [http, url] = await listening();
  const others = new WebSocketServer({ noServer: true });
  others.on("connection", (ws) => ws.send("theirs"));
  const rpc = upgrade({ path: "/rpc", local: {} });
  const late = Promise.withResolvers<null>();
  const refusing = upgrade({
    local: {},
    authorize: async () => {
      await late.promise;
      return new Response(null, { status: 401 });
    },
  });
  http.on("upgrade", rpc);
  http.on("upgrade", refusing);
  http.on("upgrade", (request, socket, head) => {
    if (request.url === "/rpc") return;
    setTimeout(
      () =>
        others.handleUpgrade(
          request,
          socket,
          head,
          (ws) => others.emit("connection", ws),
        ),
      20,
    );
  });
  const ws = new NodeWebSocket(`${url}theirs`);
  const [said] = await once(ws, "message");
  assertEquals(String(said), "theirs");
  // It is refused only now, and the one of before by nobody.
  late.resolve(null);
  const client = connect(`${url}rpc`);
  assertEquals(await client.request("rpc.ping"), null);
  ws.ping();
  await once(ws, "pong");
  ws.close();
  await once(ws, "close");
  client.close();
  await client.closed;
  await until(() => rpc.peers.size === 0);
  assertEquals(refusing.peers.size, 0);
  http.close();
  await once(http, "close");
});
