import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { STATUS_CODE } from "@std/http";
import { setImmediate as immediate } from "node:timers/promises";
import { generate } from "selfsigned";
// @ts-types="@types/ws"
import { WebSocket as NodeWebSocket } from "ws";
import { connect } from "../client.ts";
import {
  type CloseInfo,
  ConnectionClosedError,
  Peer,
  type PeerOptions,
} from "../mod.ts";
import { serve, type Server, upgrade, type UpgradeOptions } from "../server.ts";
import { FakeTime } from "./fake_time.ts";

const quiet = { port: 0, hostname: "127.0.0.1", onListen() {} } as const;

/** Lives and deaths of a service's instances. */
class Recorder extends Peer<unknown, { user: string } | undefined> {
  static instances: Recorder[] = [];
  readonly events: unknown[] = [];
  override local = {
    user: () => this.context?.user ?? null,
    count: () => Recorder.instances.length,
    echo: (value: unknown) => value,
    never: () => new Promise(() => {}),
    closeMe: () => this.close(4000, "as you wish"),
  };
  constructor(
    ws: Peer["ws"],
    options: PeerOptions<{ user: string } | undefined>,
  ) {
    super(ws, options);
    Recorder.instances.push(this);
  }
  override onopen(): void {
    this.events.push("open");
  }
  override onclose(event: CloseInfo): void {
    this.events.push(event.code);
  }
}

function serveRecorder(
  options:
    & UpgradeOptions<{ user: string } | undefined>
    & Partial<Deno.ServeTcpOptions> = {},
): Server<Recorder> {
  Recorder.instances = [];
  return serve(Recorder, { ...quiet, ...options });
}

/** An HTTP address of a server. */
function http(server: { url: string }, path = ""): string {
  return server.url.replace("ws", "http") + path;
}

/** Speaks HTTP by hand, and leaves the socket open. */
async function ask(
  server: { readonly addr: Deno.Addr },
  lines: string[],
): Promise<Deno.TcpConn> {
  const { port } = server.addr as Deno.NetAddr;
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const text = ["GET / HTTP/1.1", `Host: 127.0.0.1:${port}`, ...lines, "", ""];
  await conn.write(new TextEncoder().encode(text.join("\r\n")));
  return conn;
}

/** Speaks HTTP by hand, returns the answer's head and leaves the socket open. */
async function handshake(
  server: Server<Recorder>,
  lines: string[],
): Promise<{ head: string; conn: Deno.TcpConn }> {
  const conn = await ask(server, lines);
  const buffer = new Uint8Array(4096);
  const length = await conn.read(buffer) ?? 0;
  return { head: new TextDecoder().decode(buffer.subarray(0, length)), conn };
}

const upgradeLines = [
  "Connection: keep-alive, Upgrade",
  "Upgrade: WebSocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/** Waits until a recorder's events are these. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("serve makes a new instance for each connection", async () => {
  await using server = serveRecorder();
  await using ann = connect<Recorder["local"]>(server.url);
  assertEquals(await ann.remote.count(), 1);
  await using bob = connect<Recorder["local"]>(server.url);
  assertEquals(await bob.remote.count(), 2);
  assertEquals(server.peers.size, 2);
  assert(Recorder.instances[0] !== Recorder.instances[1]);
  assert(server.peers.has(Recorder.instances[0]!));
});

Deno.test("serve calls onopen once and onclose once, however it ends", async () => {
  await using server = serveRecorder();
  const ends: ((client: Peer, instance: Recorder) => unknown)[] = [
    (client) => client.close(4001),
    (_, instance) => instance.close(4002),
    (client, instance) => {
      client.close(4003);
      instance.close(4003);
    },
    (client) => client.request("closeMe").catch(() => {}),
  ];
  const codes = [4001, 4002, 4003, 4000];
  for (const [index, end] of ends.entries()) {
    await using client = connect(server.url);
    await client.opened;
    const instance = Recorder.instances[index]!;
    end(client, instance);
    await Promise.all([client.closed, instance.closed]);
    assertEquals(instance.events, ["open", codes[index]]);
  }
  const { conn } = await handshake(server, upgradeLines);
  await until(() => Recorder.instances.length === 5);
  conn.close();
  const cut = Recorder.instances[4]!;
  await cut.closed;
  assertEquals(cut.events, ["open", 1006]);
  assertEquals(server.peers.size, 0);
});

Deno.test("serve gives a definition a peer of its own for each connection", async () => {
  const opened: Peer[] = [];
  await using server = serve({
    local: {
      isMine(): boolean {
        return opened.includes(this);
      },
    },
    onopen() {
      opened.push(this);
    },
  }, quiet);
  await using ann = connect(server.url);
  await using bob = connect(server.url);
  assertEquals(await ann.request("isMine"), true);
  assertEquals(await bob.request("isMine"), true);
  assertEquals(opened.length, 2);
  assert(opened[0] !== opened[1]);
});

Deno.test("authorize gives its answer to the instance as context", async () => {
  const asked: string[] = [];
  await using server = serveRecorder({
    authorize: async (request, info) => {
      await Promise.resolve();
      asked.push(`${(info.remoteAddr as Deno.NetAddr).hostname}`);
      return { user: new URL(request.url).searchParams.get("user")! };
    },
  });
  await using ann = connect<Recorder["local"]>(`${server.url}?user=ann`);
  await using bob = connect<Recorder["local"]>(`${server.url}?user=bob`);
  assertEquals(await ann.remote.user(), "ann");
  assertEquals(await bob.remote.user(), "bob");
  assertEquals(asked, ["127.0.0.1", "127.0.0.1"]);
});

Deno.test("authorize refuses with a Response, before the upgrade", async () => {
  await using server = serveRecorder({
    authorize: (request) =>
      request.headers.has("cookie")
        ? { user: "ann" }
        : new Response("Who are you?\n", { status: STATUS_CODE.Unauthorized }),
  });
  const { head, conn } = await handshake(server, upgradeLines);
  conn.close();
  assertMatch(head, /^HTTP\/1\.1 401 /);
  assertMatch(head, /Who are you\?/);
  const refused = connect(server.url, {}, { reconnect: false });
  await assertRejects(() => refused.opened, ConnectionClosedError);
  await refused.closed;
  assertEquals(Recorder.instances.length, 0);

  const accepted = await handshake(server, [...upgradeLines, "Cookie: a=b"]);
  accepted.conn.close();
  assertMatch(accepted.head, /^HTTP\/1\.1 101 /);
  await Promise.all(Recorder.instances.map((instance) => instance.closed));
});

Deno.test("authorize and fetch that throw are answered like any handler's throw", async () => {
  const thrown: string[] = [];
  await using server = serveRecorder({
    authorize: () => Promise.reject(new Error("authorize")),
    fetch: () => {
      throw new Error("fetch");
    },
    onError(error) {
      thrown.push((error as Error).message);
      return new Response("Sorry\n", { status: 500 });
    },
  });
  const page = await fetch(http(server));
  assertEquals([page.status, await page.text()], [500, "Sorry\n"]);
  const { head, conn } = await handshake(server, upgradeLines);
  conn.close();
  assertMatch(head, /^HTTP\/1\.1 500 /);
  assertEquals(thrown, ["fetch", "authorize"]);
});

Deno.test("serve answers what is no handshake with 426, or with fetch", async () => {
  await using plain = serveRecorder();
  for (const method of ["GET", "POST", "HEAD"]) {
    const response = await fetch(http(plain), { method });
    await response.body?.cancel();
    assertEquals(response.status, STATUS_CODE.UpgradeRequired);
    assertEquals(response.headers.get("upgrade"), "websocket");
    assertEquals(response.headers.get("connection"), "Upgrade");
    assertEquals(response.headers.get("sec-websocket-version"), "13");
  }
  await using paged = serveRecorder({
    fetch: (request) =>
      new Response(`A page at ${new URL(request.url).pathname}`),
  });
  const page = await fetch(http(paged, "about"));
  assertEquals(await page.text(), "A page at /about");
  await using client = connect(paged.url);
  assertEquals(await client.request("echo", [1]), 1);
});

Deno.test("serve outlives handshakes that are none", async () => {
  await using server = serveRecorder();
  const broken: [lines: string[], status: number][] = [
    [["Connection: Upgrade", "Upgrade: websocket"], 426],
    [
      ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 8"],
      426,
    ],
    [
      [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
      ],
      400,
    ],
    [
      ["Upgrade: websocket", "Sec-WebSocket-Version: 13", upgradeLines[3]!],
      400,
    ],
    [["Connection: Upgrade", "Upgrade: h2c"], 426],
  ];
  for (const [lines, status] of broken) {
    const { head, conn } = await handshake(server, lines);
    conn.close();
    assertEquals(head.split(" ")[1], `${status}`, lines.join());
  }
  assertEquals(Recorder.instances.length, 0);
  await using client = connect(server.url);
  assertEquals(await client.request("echo", ["alive"]), "alive");
});

Deno.test("serve outlives a service whose constructor throws", async () => {
  const errors: unknown[] = [];
  const { error } = console;
  console.error = (thrown: unknown): void => void errors.push(thrown);
  try {
    let count = 0;
    class Fragile extends Peer {
      override local = { echo: (value: unknown) => value };
      constructor(ws: Peer["ws"], options: PeerOptions) {
        super(ws, options);
        if (count++ === 0) throw new Error("not today");
      }
    }
    await using server = serve(Fragile, quiet);
    const first = connect(server.url, {}, { reconnect: false });
    assertEquals((await first.closed).code, 1011);
    await using second = connect(server.url);
    assertEquals(await second.request("echo", ["alive"]), "alive");
    assertEquals(errors.map(String), ["Error: not today"]);
  } finally {
    console.error = error;
  }
});

Deno.test("serve selects the first of its subprotocols that is offered", async () => {
  await using server = serveRecorder({ protocols: ["v2", "v1"] });
  const offers: [offer: string, selected: string | undefined][] = [
    ["v1", "v1"],
    ["v1, v2", "v2"],
    ["v1,v2", "v2"],
    ["other ,v1", "v1"],
    ["other", undefined],
    ["V1", undefined],
  ];
  for (const [offer, selected] of offers) {
    const line = `Sec-WebSocket-Protocol: ${offer}`;
    const { head, conn } = await handshake(server, [...upgradeLines, line]);
    conn.close();
    assertMatch(head, /^HTTP\/1\.1 101 /);
    const match = /sec-websocket-protocol: (.*)\r\n/i.exec(head);
    assertEquals(match?.[1], selected, offer);
  }
  await using client = connect(server.url, {}, { protocols: ["x", "v1"] });
  await client.opened;
  assertEquals((client.ws as WebSocket).protocol, "v1");
  await until(() => server.peers.size === 1);
});

Deno.test("serve hands version, limits and stringErrors to every instance", async () => {
  await using server = serveRecorder({
    version: "1.0",
    stringErrors: true,
    limits: { messageLength: 100 },
  });
  const ws = new WebSocket(server.url);
  const messages: string[] = [];
  ws.onmessage = ({ data }): void => void messages.push(data as string);
  await new Promise((resolve) => ws.onopen = resolve);
  ws.send('{"jsonrpc":"2.0","method":"echo","params":["2.0"],"id":1}');
  ws.send('{"id":2,"method":"unknown","params":[]}');
  await until(() => messages.length === 2);
  assertEquals(messages, [
    '{"jsonrpc":"2.0","result":"2.0","id":1}',
    '{"id":2,"result":null,"error":"Method not found"}',
  ]);
  Recorder.instances[0]!.notify("n");
  await until(() => messages.length === 3);
  assertEquals(messages[2], '{"id":null,"method":"n","params":[]}');
  ws.send("x".repeat(101));
  const code = await new Promise<number>((resolve) =>
    ws.onclose = ({ code }): void => resolve(code)
  );
  assertEquals(code, 1009);
  await Promise.all(Recorder.instances.map((instance) => instance.closed));
});

Deno.test("upgrade is a handler to mount under any router", async () => {
  const echo = upgrade({ local: { echo: (value: unknown) => value } });
  await using server = Deno.serve(
    quiet,
    (request, info) =>
      new URL(request.url).pathname === "/rpc"
        ? echo(request, info)
        : new Response("A page"),
  );
  const { port } = server.addr;
  const page = await fetch(`http://127.0.0.1:${port}/`);
  assertEquals(await page.text(), "A page");
  const client = connect(`ws://127.0.0.1:${port}/rpc`);
  assertEquals(await client.request("echo", [1]), 1);
  await client[Symbol.asyncDispose]();
});

Deno.test("upgrade works without connection info", async () => {
  const hosts: unknown[] = [];
  const handle = upgrade({ local: {} }, {
    fetch: (_, info) => {
      hosts.push(info.remoteAddr);
      return new Response("ok");
    },
  });
  const response = await handle(new Request("http://localhost/"));
  assertEquals(await response.text(), "ok");
  assertEquals(hosts, [{ transport: "tcp", hostname: "", port: 0 }]);
});

Deno.test("shutdown closes every connection with 1001 and listens no more", async () => {
  const server = serveRecorder();
  const clients = [1, 2, 3].map(() =>
    connect(server.url, {}, { reconnect: false })
  );
  await Promise.all(clients.map((client) => client.opened));
  const never = assertRejects(
    () => clients[0]!.request("never"),
    ConnectionClosedError,
  );
  await Promise.all([server.shutdown(), server.shutdown()]);
  await server.finished;
  for (const client of clients) {
    const { code, reason } = await client.closed;
    assertEquals([code, reason], [1001, "Server is shutting down"]);
  }
  assertEquals((await never).code, 1001);
  assertEquals(Recorder.instances.map(({ events }) => events), [
    ["open", 1001],
    ["open", 1001],
    ["open", 1001],
  ]);
  assertEquals(server.peers.size, 0);
  const late = connect(server.url, {}, { reconnect: false });
  assertEquals((await late.closed).code, 1006);
});

Deno.test("shutdown doesn't wait for ever for a client that never answers", async () => {
  const server = serveRecorder();
  const { conn } = await handshake(server, upgradeLines);
  await until(() => server.peers.size === 1);
  await server.shutdown();
  assertEquals(Recorder.instances[0]!.events, ["open", 1001]);
  conn.close();
});

// Deno never tells of such a connection, nor lets go of it (seen in 2.9.5).
Deno.test({
  name: "serve gives up a client who left before its handshake was answered",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const closes: CloseInfo[] = [];
    const asked = Promise.withResolvers<void>();
    const server = serve({ onclose: (info) => void closes.push(info) }, {
      ...quiet,
      async authorize({ signal }) {
        asked.resolve();
        await new Promise((left) => signal.addEventListener("abort", left));
      },
    });
    const conn = await ask(server, upgradeLines);
    await asked.promise;
    using time = new FakeTime();
    conn.close();
    while (server.peers.size === 0) await immediate();
    await time.pass(10_000);
    assertEquals(closes.map(({ code }) => code), [1001]);
    await time.pass(5_000);
    assertEquals(server.peers.size, 0);
    await server.shutdown();
  },
});

Deno.test("serve passes the options of Deno.serve on: signal, onListen, Unix socket", async () => {
  const controller = new AbortController();
  let heard: Deno.Addr | undefined;
  const server = serveRecorder({
    signal: controller.signal,
    onListen: (addr) => heard = addr,
  });
  assertEquals(heard, server.addr as typeof heard);
  assertMatch(server.url, /^ws:\/\/127\.0\.0\.1:\d+\/$/);
  controller.abort();
  await server.finished;

  const path = await Deno.makeTempFile();
  await Deno.remove(path);
  await using unix = serve({ local: {} }, { path, onListen() {} });
  assertEquals(unix.url, `ws+unix:${path}`);
  const conn = await Deno.connect({ transport: "unix", path });
  await conn.write(
    new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
  );
  const buffer = new Uint8Array(100);
  await conn.read(buffer);
  assertMatch(new TextDecoder().decode(buffer), /^HTTP\/1\.1 426 /);
  conn.close();
});

Deno.test("serve speaks TLS with a certificate", async () => {
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
  await using server = serve(
    { local: { echo: (value: unknown) => value } },
    { ...quiet, hostname: "localhost", cert, key },
  );
  assertMatch(server.url, /^wss:\/\//);
  const url = `wss://localhost:${(server.addr as Deno.NetAddr).port}/`;
  await using client = connect(url, {}, {
    createSocket: (url) => new NodeWebSocket(url, { ca: cert }),
  });
  assertEquals(await client.request("echo", ["secret"]), "secret");
});
