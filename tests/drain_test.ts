/** How connections and servers are left. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { connectOnce as connect } from "./connect_once.ts";
import { ConnectionClosedError, Peer, RpcError } from "../mod.ts";
import { Acceptor, type ServicePeer } from "../src/server/acceptor.ts";
import { FakeTime } from "./fake_time.ts";
import {
  openScripted,
  request,
  scriptedHandshake,
  ScriptedSocket,
} from "./scripted_socket.ts";
import {
  bothTest,
  cloudflares,
  handshake,
  until,
  upgradeLines,
} from "./servers.ts";

const busy = {
  code: -32009,
  message: "Busy: no more calls are taken, not executed",
};

/** A service whose slow method a test ends. */
class Slow extends Peer<{ ask(name: () => string): Promise<string> }> {
  readonly bell = Promise.withResolvers<string>();
  runs = 0;
  override local = {
    wait: () => (this.runs++, this.bell.promise),
    echo: (value: unknown) => (this.runs++, value),
    askBack: async () => {
      await this.bell.promise;
      return await this.remote.ask(() => "ann");
    },
    ticks: async function* () {
      for (let n = 0;; n++) yield await Promise.resolve(n);
    },
  };
}

Deno.test("finish refuses new calls and resolves when the last has answered", async () => {
  const bell = Promise.withResolvers<void>();
  let runs = 0;
  const local = { wait: () => (runs++, bell.promise), note: () => void runs++ };
  await using scripted = await openScripted({ local });
  const { socket, peer } = scripted;
  socket.receive(request(1, "wait"));
  assertEquals(peer.running, ["wait"]);
  let isFinished = false;
  const finished = peer.finish().then(() => isFinished = true);
  socket.receive(request(2, "wait"));
  socket.receive(request(3, "note"));
  socket.receive(request(4, "unknown"));
  socket.receive({ jsonrpc: "2.0", method: "note" });
  assertEquals(socket.take(), [
    { jsonrpc: "2.0", error: busy, id: 2 },
    { jsonrpc: "2.0", error: busy, id: 3 },
    {
      jsonrpc: "2.0",
      error: { code: -32601, message: "Method not found" },
      id: 4,
    },
  ]);
  assertEquals(runs, 2);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  assertEquals(isFinished, false);
  bell.resolve();
  await finished;
  assertEquals(socket.take(), [{ jsonrpc: "2.0", result: null, id: 1 }]);
  assertEquals(peer.running, []);
  await peer.finish();
});

Deno.test("finish waits for notifications that run, not for what was answered", async () => {
  const bell = Promise.withResolvers<void>();
  const local = {
    save: () => bell.promise,
    hang: () => new Promise<void>(() => {}),
    early() {
      (this as unknown as Peer).respond(3, "now");
      return new Promise<void>(() => {});
    },
  };
  await using scripted = await openScripted({ local });
  const { socket, peer } = scripted;
  socket.receive({ jsonrpc: "2.0", method: "save" });
  socket.receive(request(2, "hang"));
  socket.receive(request(3, "early"));
  assertEquals(peer.running, ["save", "hang"]);
  const finished = peer.finish();
  bell.resolve();
  await until(() => peer.running.length === 1);
  assertEquals(peer.running, ["hang"]);
  socket.receive({ jsonrpc: "2.0", method: "$/cancelRequest", params: [2] });
  // At once, not when somebody next looks at the time.
  let isFinished = false;
  finished.then(() => isFinished = true);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  assert(isFinished);
});

Deno.test("finish resolves when the connection closes, or a method takes too long", async () => {
  using time = new FakeTime();
  const local = { hang: () => new Promise<void>(() => {}) };
  const limits = { handlerTimeout: 1_000 };
  await using first = await openScripted({ local, limits });
  first.socket.receive({ jsonrpc: "2.0", method: "hang" });
  const timedOut = first.peer.finish();
  await time.pass(0);
  await time.pass(2_000);
  await timedOut;

  await using second = await openScripted({ local });
  second.socket.receive(request(1, "hang"));
  const closed = second.peer.finish();
  await time.pass(0);
  second.peer.close();
  await closed;
  await second.peer.finish();
});

Deno.test("finish asked for by a method waits for its answer", async () => {
  const bell = Promise.withResolvers<string>();
  let isFinished = false;
  const local = {
    restart(this: Peer) {
      this.finish().then(() => isFinished = true);
      return bell.promise;
    },
  };
  await using scripted = await openScripted({ local });
  const { socket, peer } = scripted;
  socket.receive(request(1, "restart"));
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  assertEquals(isFinished, false);
  bell.resolve("soon");
  await peer.finish();
  assertEquals(socket.take(), [{ jsonrpc: "2.0", result: "soon", id: 1 }]);
});

bothTest(
  "drain lets what runs finish, refuses what comes, and closes with 1012",
  async (platform) => {
    const server = await platform.serve(Slow);
    await using ann = connect<Slow["local"]>(server.url, {
      local: {
        ask: async (name: () => Promise<string>) => `fine, ${await name()}`,
      },
    });
    await using bob = connect<Slow["local"]>(server.url);
    await bob.opened;
    const calls = [ann.remote.wait(), ann.remote.askBack()];
    await until(() => server.peers.size === 2 && running(server).length === 2);
    const [slow] = Array.from(server.peers).filter((peer) =>
      peer.running.length
    );
    let isDrained = false;
    const drained = server.drain();
    drained.then(() => isDrained = true);

    const { code, reason } = await bob.closed;
    assertEquals(code, 1012);
    assertMatch(reason, /^Server restarts, retry in \d+ ms$/);
    const refused = await assertRejects(() => ann.remote.echo(1), RpcError);
    assertEquals(refused.toJSON(), busy);
    const { head, conn } = await handshake(server, upgradeLines);
    conn.close();
    assertMatch(head, /^HTTP\/1\.1 503 /);
    assertMatch(head, /^retry-after: \d+\r$/im);
    assertEquals([isDrained, server.peers.size], [false, 1]);

    slow!.bell.resolve("done");
    assertEquals(await Promise.all(calls), ["done", "fine, ann"]);
    assertEquals((await ann.closed).code, 1012);
    assertEquals(await drained, { closed: 2, cut: 0, running: [] });
    assertEquals(slow!.runs, 1);
    await server.finished;
    await using late = connect(server.url);
    assertEquals((await late.closed).code, 1006);
  },
  cloudflares.drain,
);

bothTest("drain goes on answering what is no handshake", async (platform) => {
  const server = await platform.serve(Slow, {
    fetch: () => new Response("ok"),
  });
  const url = server.url.replace("ws", "http");
  await using ann = connect<Slow["local"]>(server.url);
  const call = ann.remote.wait();
  await until(() => running(server).length === 1);
  const drained = server.drain();
  const page = await fetch(url, { headers: { connection: "close" } });
  assertEquals(await page.text(), "ok");
  for (const slow of server.peers) slow.bell.resolve("done");
  await Promise.all([call, drained]);
}, cloudflares.drain);

bothTest(
  "drain again is the same drain, and shutdown cuts it short",
  async (platform) => {
    const server = await platform.serve(Slow);
    await using ann = connect<Slow["local"]>(server.url);
    const left = assertRejects(() => ann.remote.wait(), ConnectionClosedError);
    await until(() => running(server).length === 1);
    const drained = server.drain({ within: Infinity });
    assert(server.drain({ within: 1 }) === drained);
    await server.shutdown();
    assertEquals((await left).code, 1001);
    assertEquals(await drained, { closed: 1, cut: 0, running: [] });
    await server.shutdown();
  },
  cloudflares.drain,
);

bothTest("drain after shutdown has nothing to do", async (platform) => {
  const server = await platform.serve(Slow);
  await server.shutdown();
  const report = { closed: 0, cut: 0, running: [] };
  assertEquals(await server.drain(), report);
}, cloudflares.drain);

bothTest(
  "drain refuses a time that is none, and drains when told well",
  async (platform) => {
    const server = await platform.serve(Slow);
    for (const within of [-1, NaN]) {
      assertThrows(
        () => server.drain({ within }),
        RangeError,
        `Cannot set within: it must be 0 or more milliseconds, got ${within}`,
      );
    }
    await using ann = connect<Slow["local"]>(server.url);
    assertEquals(await ann.remote.echo("here"), "here");
    assertEquals((await server.drain()).closed, 1);
  },
  cloudflares.drain,
);

/** Makes an acceptor with connections over scripted sockets. */
async function accepted(count: number): Promise<
  { acceptor: Acceptor<undefined>; sockets: ScriptedSocket[] }
> {
  const acceptor = new Acceptor<undefined>(Slow, {});
  const sockets: ScriptedSocket[] = [];
  for (let index = 0; index < count; index++) {
    const admission = await acceptor.admit(scriptedHandshake());
    assert(!(admission instanceof Response));
    const socket = new ScriptedSocket();
    sockets.push(socket);
    admission.accept(socket);
  }
  return { acceptor, sockets };
}

Deno.test("drain spreads the return of the clients over a time", async () => {
  const { acceptor, sockets } = await accepted(50);
  const drained = acceptor.drain({ spread: 1_000 });
  await until(() => sockets.every(({ closes }) => closes.length === 1));
  for (const socket of sockets) socket.end(1012);
  assertEquals((await drained).closed, 50);
  const pauses = sockets.map(({ closes }) =>
    Number(/retry in (\d+) ms/.exec(closes[0]!.reason!)![1])
  );
  assert(pauses.every((pause) => pause >= 0 && pause < 1_000));
  assert(new Set(pauses).size > 10);
});

Deno.test("drain closes when what was sent has left, or time is up", async () => {
  using time = new FakeTime();
  const { acceptor, sockets } = await accepted(2);
  const [slow, stuck] = sockets as [ScriptedSocket, ScriptedSocket];
  for (const socket of sockets) socket.bufferedAmount = 100;
  let report: unknown;
  acceptor.drain({ within: 10_000 }).then((it) => report = it);
  await time.pass(5_000);
  assertEquals(sockets.map(({ closes }) => closes.length), [0, 0]);
  slow.bufferedAmount = 0;
  await time.pass(20);
  assertEquals(sockets.map(({ closes }) => closes.length), [1, 0]);
  slow.end(1012);
  await time.pass(3_979);
  assertEquals(stuck.closes.length, 0);
  await time.pass(1);
  await time.pass(20);
  assertEquals(stuck.closes.length, 1);
  assertEquals(report, undefined);
  await time.pass(980);
  assertEquals(report, { closed: 1, cut: 1, running: [] });
  await time.pass(5_000);
});

Deno.test("drain terminates sockets that can be, and Peer those that don't close", async () => {
  using time = new FakeTime();
  const { acceptor, sockets } = await accepted(1);
  const terminated: string[] = [];
  Object.assign(sockets[0]!, { terminate: () => terminated.push("drain") });
  const drained = acceptor.drain({ within: 1_000 });
  await time.pass(1_000);
  assertEquals((await drained).cut, 1);
  assertEquals(terminated, ["drain"]);
  await time.pass(5_000);

  const socket = new ScriptedSocket();
  Object.assign(socket, { terminate: () => terminated.push("peer") });
  const peer = new Peer(socket);
  await peer.opened;
  peer.close();
  await time.pass(4_999);
  assertEquals(terminated.includes("peer"), false);
  await time.pass(1);
  assertEquals(terminated.at(-1), "peer");
  await peer.closed;
});

/** The methods that run on a server. */
function running(server: { peers: ReadonlySet<ServicePeer> }): string[] {
  return Array.from(server.peers).flatMap((peer) => peer.running);
}
