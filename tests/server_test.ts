import { AsyncLocalStorage } from "node:async_hooks";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { STATUS_CODE } from "@std/http";
import { generate } from "selfsigned";
import { connectOnce as connect } from "./connect_once.ts";
import {
  ConnectionClosedError,
  Peer,
  type PeerOptions,
  RpcError,
  type Socket,
  type SocketMaker,
} from "../mod.ts";
import * as node from "../node.ts";
import * as deno from "../server.ts";
import { socketPair } from "../testing.ts";
import {
  addressIn,
  addressOn,
  bothTest,
  type DefinitionOptions,
  handshake,
  quiet,
  Recorder,
  serveRecorder,
  until,
  upgradeLines,
} from "./servers.ts";

/** An HTTP address of a server. */
function http(server: { url: string }, path = ""): string {
  return server.url.replace("ws", "http") + path;
}

bothTest("serve makes a new instance for each connection", async (platform) => {
  await using server = await serveRecorder(platform);
  await using ann = connect<Recorder["local"]>(server.url);
  assertEquals(await ann.remote.count(), 1);
  await using bob = connect<Recorder["local"]>(server.url);
  assertEquals(await bob.remote.count(), 2);
  assertEquals(server.peers.size, 2);
  assert(Recorder.instances[0] !== Recorder.instances[1]);
  assert(server.peers.has(Recorder.instances[0]!));
});

bothTest(
  "serve calls onopen once and onclose once, however it ends",
  async (platform) => {
    await using server = await serveRecorder(platform);
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
  },
);

Deno.test("serve gives a definition a peer of its own for each connection", async () => {
  const opened: Peer[] = [];
  await using server = deno.serve({
    local: {
      isMine(): boolean {
        return opened.includes(this);
      },
    },
    onopen() {
      opened.push(this);
    },
    ...quiet,
  });
  await using ann = connect(server.url);
  await using bob = connect(server.url);
  assertEquals(await ann.request("isMine"), true);
  assertEquals(await bob.request("isMine"), true);
  assertEquals(opened.length, 2);
  assert(opened[0] !== opened[1]);
});

bothTest(
  "authorize gives its answer to the instance as context",
  async (platform) => {
    const asked: (string | undefined)[] = [];
    await using server = await serveRecorder(platform, {
      authorize: async (request, info) => {
        await Promise.resolve();
        asked.push(addressIn(info));
        return { user: new URL(request.url).searchParams.get("user")! };
      },
    });
    await using ann = connect<Recorder["local"]>(`${server.url}?user=ann`);
    await using bob = connect<Recorder["local"]>(`${server.url}?user=bob`);
    assertEquals(await ann.remote.user(), "ann");
    assertEquals(await bob.remote.user(), "bob");
    const address = addressOn(platform);
    assertEquals(asked, [address, address]);
  },
);

bothTest(
  "authorize refuses with a Response, before the upgrade",
  async (platform) => {
    await using server = await serveRecorder(platform, {
      authorize: (request) =>
        request.headers.has("cookie")
          ? { user: "ann" }
          : new Response("Who are you?\n", {
            status: STATUS_CODE.Unauthorized,
          }),
    });
    const { head, conn } = await handshake(server, upgradeLines);
    conn.close();
    assertMatch(head, /^HTTP\/1\.1 401 /);
    assertMatch(head, /Who are you\?/);
    const refused = connect(server.url);
    await assertRejects(() => refused.opened, ConnectionClosedError);
    await refused.closed;
    assertEquals(Recorder.instances.length, 0);

    const accepted = await handshake(server, [...upgradeLines, "Cookie: a=b"]);
    accepted.conn.close();
    assertMatch(accepted.head, /^HTTP\/1\.1 101 /);
    await Promise.all(Recorder.instances.map((instance) => instance.closed));
  },
);

bothTest("fetch that throws is answered 500, bare", async (platform) => {
  const thrown: unknown[] = [];
  await using server = await serveRecorder(platform, {
    fetch() {
      throw new Error("secret");
    },
    onerror: (error) => void thrown.push(error),
    ...{
      onError(error: unknown): Response {
        thrown.push(error);
        return new Response("Sorry\n", { status: 500 });
      },
    },
  });
  const page = await fetch(http(server));
  const text = platform.name === "Deno" ? "Sorry\n" : "Internal server error\n";
  // Cloudflare's runtime answers by itself, and writes into its own log.
  const isOwn = platform.name === "workerd";
  assertEquals(
    [page.status, await page.text()],
    [500, isOwn ? "Internal Server Error" : text],
  );
  assertEquals(thrown.map(String), isOwn ? [] : ["Error: secret"]);
});

bothTest(
  "serve answers what is no handshake with 426, or with fetch",
  async (platform) => {
    await using plain = await serveRecorder(platform);
    for (const method of ["GET", "POST", "HEAD"]) {
      const response = await fetch(http(plain), { method });
      await response.body?.cancel();
      assertEquals(response.status, STATUS_CODE.UpgradeRequired);
      // Those of the connection are the runtime's at Cloudflare.
      if (platform.name !== "workerd") {
        assertEquals(response.headers.get("upgrade"), "websocket");
        assertEquals(response.headers.get("connection"), "Upgrade");
      }
      assertEquals(response.headers.get("sec-websocket-version"), "13");
    }
    await using paged = await serveRecorder(platform, {
      fetch: (request) =>
        new Response(`A page at ${new URL(request.url).pathname}`),
    });
    const page = await fetch(http(paged, "about"));
    const { pathname } = new URL("about", paged.url);
    assertEquals(await page.text(), `A page at ${pathname}`);
    await using client = connect(paged.url);
    assertEquals(await client.request("echo", [1]), 1);
  },
);

bothTest("serve outlives handshakes that are none", async (platform) => {
  await using server = await serveRecorder(platform);
  const broken: [lines: readonly string[], status: number][] = [
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
      426,
    ],
    [["Connection: Upgrade", "Upgrade: h2c"], 426],
  ];
  for (const [lines, status] of broken) {
    // Cloudflare's runtime takes it without.
    const isTaken = !lines.includes("Connection: Upgrade");
    if (isTaken && platform.name === "workerd") continue;
    const { head, conn } = await handshake(server, lines);
    conn.close();
    assertEquals(head.split(" ")[1], `${status}`, lines.join());
  }
  // Cloudflare's runtime looks at a handshake once it is accepted.
  await until(() => server.peers.size === 0);
  if (platform.name !== "workerd") assertEquals(Recorder.instances.length, 0);
  await using client = connect(server.url);
  assertEquals(await client.request("echo", ["alive"]), "alive");
});

bothTest(
  "serve outlives a service whose constructor throws",
  async (platform) => {
    const errors: unknown[] = [];
    const { error } = console;
    console.error = (thrown: unknown): void => void errors.push(thrown);
    try {
      let count = 0;
      class Fragile extends Peer {
        override local = { echo: (value: unknown) => value };
        constructor(ws: Socket | SocketMaker, options: PeerOptions) {
          super(ws, options);
          if (count++ === 0) throw new Error("not today");
        }
      }
      await using server = await platform.serve(Fragile);
      const first = connect(server.url);
      assertEquals((await first.closed).code, 1011);
      await using second = connect(server.url);
      assertEquals(await second.request("echo", ["alive"]), "alive");
      assertEquals(errors.map(String), ["Error: not today"]);
    } finally {
      console.error = error;
    }
  },
);

bothTest(
  "serve selects the first of its subprotocols that is offered",
  async (platform) => {
    await using server = await serveRecorder(platform, {
      protocols: ["v2", "v1"],
    });
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
    await using client = connect(server.url, { protocols: ["x", "v1"] });
    await client.opened;
    assertEquals((client.ws as WebSocket).protocol, "v1");
    await until(() => server.peers.size === 1);
  },
);

bothTest(
  "serve hands version, limits and stringErrors to every instance",
  async (platform) => {
    await using server = await serveRecorder(platform, {
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
  },
);

Deno.test("upgrade is a handler to mount under any router", async () => {
  const echo = deno.upgrade({ local: { echo: (value: unknown) => value } });
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

bothTest(
  "A definition's onerror hears its peers, and of nobody what authorize throws",
  async (platform) => {
    const told: [error: string, peer: unknown][] = [];
    let count = 0;
    await using server = await platform.define({
      authorize() {
        if (count++ === 0) throw new Error("not today");
        return "ann";
      },
      local: {
        fail(): never {
          throw new Error("in a method");
        },
      },
      onerror(error) {
        told.push([String(error), this?.context]);
      },
    });
    assertEquals((await connect(server.url).closed).code, 1006);
    await using client = connect(server.url);
    await assertRejects(() => client.request("fail"), RpcError);
    assertEquals(told, [
      ["Error: not today", undefined],
      ["Error: in a method", "ann"],
    ]);
  },
);

bothTest(
  "serve refuses an instance, and a time that is none",
  async (platform) => {
    const [left] = socketPair();
    await using peer = new Peer(left);
    await assertRejects(
      () => platform.serve(peer as never),
      TypeError,
      "Cannot serve an instance of Peer: it has its connection",
    );
    const wrong: [options: DefinitionOptions, why: string][] = [
      [{ idleTimeout: -1 }, "Cannot set idleTimeout"],
      [{ timeout: NaN }, "Cannot set timeout: it must be 0 or more"],
      [{ limits: { authorizationTime: -1 } }, "Cannot set limit"],
    ];
    for (const [options, why] of wrong) {
      // Cloudflare's runtime ends what is dead: it is no option there.
      if (platform.name === "workerd" && "idleTimeout" in options) continue;
      await assertRejects(() => platform.define(options), RangeError, why);
    }
  },
);

Deno.test("upgrade works without connection info", async () => {
  const hosts: unknown[] = [];
  const handle = deno.upgrade({
    local: {},
    fetch: (_, info) => {
      hosts.push(info.remoteAddr);
      return new Response("ok");
    },
  });
  const response = await handle(new Request("http://localhost/"));
  assertEquals(await response.text(), "ok");
  assertEquals(hosts, [{ transport: "tcp", hostname: "", port: 0 }]);
});

bothTest(
  "shutdown closes every connection with 1001 and listens no more",
  async (platform) => {
    const server = await serveRecorder(platform);
    const clients = [1, 2, 3].map(() => connect(server.url));
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
    const late = connect(server.url);
    assertEquals((await late.closed).code, 1006);
  },
);

Deno.test("serve passes the options of Deno.serve on: signal, onListen, Unix socket", async () => {
  const controller = new AbortController();
  let heard: Deno.Addr | undefined;
  const server = deno.serve(Recorder, {
    ...quiet,
    signal: controller.signal,
    onListen: (addr) => heard = addr,
  });
  assertEquals(heard, server.addr as typeof heard);
  assertMatch(server.url, /^ws:\/\/127\.0\.0\.1:\d+\/$/);
  controller.abort();
  await server.finished;

  const path = await Deno.makeTempFile();
  await Deno.remove(path);
  await using unix = deno.serve({ local: {}, path, onListen() {} });
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
  await using server = deno.serve({
    local: { echo: (value: unknown) => value },
    ...quiet,
    hostname: "localhost",
    cert,
    key,
  });
  assertMatch(server.url, /^wss:\/\//);
  const url = `wss://localhost:${(server.addr as Deno.NetAddr).port}/`;
  await using client = node.connect(url, {
    webSocketOptions: { ca: cert },
    reconnect: false,
  });
  assertEquals(await client.request("echo", ["secret"]), "secret");
});

bothTest(
  "A call's signal aborts in the AsyncLocalStorage of who asked for it, whoever's timer or socket ends the call",
  async (platform) => {
    const store = new AsyncLocalStorage<string>();
    for (
      const [reason, handlerTimeout] of [
        ["TimeoutError", 50],
        ["AbortError", Infinity],
        ["ConnectionClosedError", Infinity],
      ] as const
    ) {
      const heard: unknown[] = [];
      class Service extends Peer<{ ask(): void }> {
        override local = {
          wait: (name: string) =>
            store.run(name, () => {
              const { signal } = this.call;
              signal.addEventListener("abort", () => {
                heard.push([name, store.getStore(), signal.reason.name]);
              });
              // The time-outs of all are looked for by one timer.
              this.remote.ask().catch(() => {});
              return new Promise(() => {});
            }),
        };
      }
      const limits = { handlerTimeout };
      await using server = await platform.serve(Service, { limits });
      const controller = new AbortController();
      const clients = ["ann", "bob", "eve"].map((name) => {
        const client = connect<Service["local"]>(server.url, {
          local: { ask: () => new Promise<void>(() => {}) },
        });
        client.request("wait", [name], { signal: controller.signal })
          .catch(() => {});
        return client;
      });
      await until(() =>
        [...server.peers].filter(({ running }) => running.length > 0)
            .length === 3 || heard.length === 3
      );
      if (reason === "AbortError") controller.abort();
      if (reason === "ConnectionClosedError") {
        for (const client of clients) client.close();
      }
      await until(() => heard.length === 3);
      assertEquals(
        heard.toSorted(),
        ["ann", "bob", "eve"].map((name) => [name, name, reason]),
      );
      for (const client of clients) await client[Symbol.asyncDispose]();
    }
  },
);
