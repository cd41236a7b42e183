/** What a hostile peer does with its connection: cases_test.ts lists all of it. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect } from "../../client.ts";
import { ConnectionClosedError } from "../../mod.ts";
import { connectOnce } from "../connect_once.ts";
import { Opcode, RawSocket } from "../interop/raw_socket.ts";
import { request, result } from "../scripted_socket.ts";
import {
  bothTest,
  cloudflares,
  handshake,
  Recorder,
  serveRecorder,
  until,
  upgradeLines,
} from "../servers.ts";
import { ask, hear, hostileTest, toText } from "./stage.ts";

hostileTest(
  "A connection cut before a call is sent says that it was not",
  {},
  async ({ victim, hostile }) => {
    hostile[Symbol.dispose]();
    await until(() => victim.ends.length > 0);
    const error = await assertRejects(
      () => victim.request("theirs"),
      ConnectionClosedError,
    );
    assertEquals([error.sent, victim.notify("theirs")], [false, false]);
  },
);

hostileTest(
  "A connection cut after a call was sent says that it may have run",
  {},
  async ({ victim, hostile }) => {
    const calls = ["one", "two"].map((method) =>
      assertRejects(() => victim.request(method), ConnectionClosedError)
    );
    // Each arrives once, and that is all that anybody knows.
    for (const method of ["one", "two"]) {
      const call = await hear(hostile) as { method: string };
      assertEquals(call.method, method);
    }
    hostile[Symbol.dispose]();
    for (const call of calls) assertEquals((await call).sent, true);
  },
);

hostileTest(
  "A connection cut after the answer changes nothing of it",
  {},
  async ({ victim, hostile }) => {
    const call = victim.request("theirs");
    const { id } = await hear(hostile) as { id: number };
    await hostile.say(toText(result(id, "done")));
    assertEquals(await call, "done");
    hostile[Symbol.dispose]();
    await until(() => victim.ends.length > 0);
  },
);

hostileTest(
  "A call whose connection is cut runs once at most, and answers nobody",
  {},
  async ({ victim, hostile }) => {
    await ask(hostile, request("ping", "rpc.ping"));
    await hostile.say(
      toText(request(1, "wait")),
      toText(request(2, "count")),
      toText(request(3, "never")),
    );
    hostile[Symbol.dispose]();
    await until(() => victim.ends.length > 0);
    // Those of the two that count which had arrived by then.
    const { executed } = victim;
    assert(executed <= 2);
    victim.openGate();
    await victim.closed;
    assertEquals([victim.executed, victim.running], [executed, []]);
  },
);

hostileTest(
  "A peer that ignores the close is left after five seconds",
  {},
  async ({ victim, hostile }) => {
    const call = assertRejects(
      () => victim.request("theirs"),
      ConnectionClosedError,
    );
    await hear(hostile);
    const { setTimeout } = globalThis;
    // Its five seconds pass at once; that they are five, a fake clock tells
    // elsewhere.
    globalThis.setTimeout =
      ((run: () => void, delay: number) =>
        setTimeout(run, delay === 5_000 ? 0 : delay)) as typeof setTimeout;
    try {
      victim.close(4000, "enough");
    } finally {
      globalThis.setTimeout = setTimeout;
    }
    // For itself it is closed at once.
    assertEquals([victim.state, victim.ends.length], ["closed", 1]);
    assertEquals((await call).code, 4000);
    assertEquals((await hostile.receive())?.opcode, Opcode.Close);
    await hostile.say(toText(request(1, "count")), "garbage").catch(() => {});
    assertEquals((await victim.closed).code, 4000);
    assertEquals(victim.executed, 0);
  },
);

bothTest(
  "400 silent sockets take nothing from those who speak",
  async (platform) => {
    await using server = await serveRecorder(platform);
    const port = Number(new URL(server.url).port);
    const silent: Disposable[] = [];
    await using neighbour = connectOnce<Recorder["local"]>(server.url);
    assertEquals(await neighbour.remote.echo("before"), "before");
    for (let n = 0; n < 200; n++) {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      silent.push({ [Symbol.dispose]: () => connection.close() });
      silent.push(await RawSocket.connect(server.url));
    }
    await until(() => server.peers.size === 201);
    await using late = connectOnce<Recorder["local"]>(server.url);
    assertEquals(await late.remote.echo("after"), "after");
    assertEquals(await neighbour.remote.echo("after"), "after");
    for (const socket of silent) socket[Symbol.dispose]();
    for (const peer of [late, neighbour]) {
      peer.close();
      await peer.closed;
    }
    await until(() => server.peers.size === 0);
    const ends = Recorder.instances.map(({ events }) => events);
    assertEquals(ends.filter(([, code]) => code === 1006).length, 200);
    assert(ends.every(({ length }) => length === 2));
  },
);

Deno.test("A silent server keeps no client that wants to leave, before and after the handshake", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `ws://127.0.0.1:${listener.addr.port}`;

  const waiting = connect(url);
  const connection = await listener.accept();
  const unsent = assertRejects(
    () => waiting.request("theirs"),
    ConnectionClosedError,
  );
  waiting.close();
  assertEquals((await unsent).sent, false);
  connection.close();
  await waiting.closed;

  const open = connect(url);
  using silent = await RawSocket.accept(await listener.accept());
  await open.opened;
  const sent = assertRejects(
    () => open.request("theirs"),
    ConnectionClosedError,
  );
  await hear(silent);
  open.close();
  assertEquals((await sent).sent, true);
  silent[Symbol.dispose]();
  await open.closed;
  listener.close();
});

bothTest(
  "Foreign pages and rebound names get no connection",
  async (platform) => {
    await using server = await serveRecorder(platform);
    const { host, port } = new URL(server.url);
    const knock = async (...lines: string[]): Promise<number> => {
      const { head, conn } = await handshake(server, [
        ...upgradeLines,
        ...lines,
      ]);
      conn.close();
      return Number(head.split(" ")[1]);
    };
    await using neighbour = connectOnce<Recorder["local"]>(server.url);
    assertEquals(await neighbour.remote.echo("before"), "before");
    const foreign = [
      "Origin: https://evil.example",
      "Origin: null",
      `Origin: http://${host}.evil.example`,
      `Origin: http://evil-${host}`,
      `Origin: http://127.0.0.1.evil.example:${port}`,
      `Origin: http://127.0.0.1:${Number(port) ^ 1}`,
      "Origin: http://127.0.0.1",
      `Origin: http://${host}@evil.example`,
      `Origin: http://${host} http://evil.example`,
      "Host: evil.example",
      `Host: evil.example:${port}`,
      `Host: localhost.evil.example:${port}`,
      `Host: 127.0.0.1.nip.io:${port}`,
    ];
    for (const line of foreign) assertEquals(await knock(line), 403, line);
    // A page of the rebound name, which is its own origin.
    assertEquals(
      await knock(
        `Host: evil.example:${port}`,
        `Origin: http://evil.example:${port}`,
      ),
      403,
    );
    assertEquals(Recorder.instances.length, 1);
    assertEquals(await knock(`Origin: http://${host}`), 101);
    assertEquals(await neighbour.remote.echo("after"), "after");
    neighbour.close();
    await neighbour.closed;
    await until(() => server.peers.size === 0);
  },
);

bothTest(
  "A request whose target is a whole address gets no further than its header Host",
  async (platform) => {
    const seen: string[] = [];
    await using server = await platform.serve(Recorder, {
      hosts: ["good.example"],
      authorize: ({ url }) => {
        seen.push(url);
        return new Response(null, { status: 401 });
      },
    });
    const port = Number(new URL(server.url).port);
    const knock = async (target: string, host: string): Promise<number> => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      const lines = [
        `GET ${target} HTTP/1.1`,
        `Host: ${host}`,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "\r\n",
      ];
      await connection.write(new TextEncoder().encode(lines.join("\r\n")));
      const answer = new Uint8Array(1_024);
      await connection.read(answer);
      return Number(new TextDecoder().decode(answer).split(" ")[1]);
    };
    const targets = [
      "http://evil.example/",
      "http://good.example.evil.example/",
      "http://evil.example:80@good.example/",
      "https://good.example/",
      "ws://good.example/",
      "http:evil.example/",
      "http:/evil.example/",
      "*",
    ];
    // Bun itself takes what Host says instead, and no other scheme.
    const isLenient = platform.name === "Bun";
    for (const target of targets) {
      const isTaken = isLenient && /^https?:\/\//.test(target);
      const status = isTaken ? 401 : 400;
      assertEquals(await knock(target, "good.example"), status, target);
    }
    assertEquals(
      await knock("http://good.example/", "evil.example"),
      isLenient ? 403 : 400,
    );
    assertEquals(await knock("/", "evil.example"), 403);
    const { length } = seen.splice(0).map((url) =>
      assertEquals(url, "http://good.example/")
    );
    assertEquals(length, isLenient ? 4 : 0);
    const good = ["/a", "http://good.example/a", "//evil.example/a"];
    for (const target of good) await knock(target, "good.example");
    assertEquals(seen, [
      "http://good.example/a",
      "http://good.example/a",
      "http://good.example//evil.example/a",
    ]);
  },
  cloudflares.address,
);
