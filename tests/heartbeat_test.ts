import { assert, assertEquals, assertRejects } from "@std/assert";
import { type CloseInfo, Peer, type PeerOptions, RpcError } from "../mod.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { FakeTime } from "./fake_time.ts";
import {
  failure,
  openScripted as open,
  request,
  result,
  ScriptedSocket,
} from "./scripted_socket.ts";
import { connect } from "../node.ts";
import { type Frame, frame, Opcode, RawSocket } from "./interop/raw_socket.ts";
import { bothTest, cloudflares } from "./servers.ts";

const lost: CloseInfo = {
  code: 4009,
  reason: "No sign of life within 10000 ms of a ping",
  wasClean: true,
};

/** The id of a ping, which no call has. */
const ping = "rpc.ping";

/** Takes what was sent, of which each must be a ping; returns how many. */
function takePings(socket: ScriptedSocket): number {
  const sent = socket.take();
  for (const message of sent) assertEquals(message, request(ping, ping));
  return sent.length;
}

/** The answer to a ping. */
const pong = result(ping, null);

/** A peer that keeps how it was closed; the other end is known to answer pings. */
async function openMortal(options: PeerOptions = {}): Promise<
  AsyncDisposable & {
    socket: ScriptedSocket;
    peer: Peer;
    closes: CloseInfo[];
    errors: unknown[];
  }
> {
  const closes: CloseInfo[] = [];
  const errors: unknown[] = [];
  const it = await open({
    sharedFrames: true,
    onclose: (info) => void closes.push(info),
    onerror: (error) => void errors.push(error),
    ...options,
  });
  it.socket.sent.length = 0; // The word that frames are shared.
  return { ...it, closes, errors };
}

/** One that is known by no more than an answer to a ping of its owner's. */
async function openKnown(
  options: PeerOptions = {},
): ReturnType<typeof openMortal> {
  const it = await openMortal({ sharedFrames: false, ...options });
  const known = it.peer.request(ping);
  it.socket.receive(result(1, null));
  await known;
  it.socket.take();
  return it;
}

Deno.test("Peer notices within 35 seconds that the other side has died, whenever it does", async () => {
  for (let last = 0; last <= 7_500; last += 250) {
    using time = new FakeTime();
    await using it = await openMortal();
    await time.flow(last);
    it.socket.receive(request("last", "words"));
    it.socket.take();
    await time.flow(17_249);
    assertEquals([it.socket.sent, it.closes], [[], []]);
    // It is asked in time, and has its 10 seconds.
    await time.flow(7_751);
    assertEquals(takePings(it.socket), 1);
    await time.flow(2_500);
    assertEquals(it.closes, []);
    await time.flow(7_500);
    assertEquals(it.closes, [lost]);
  }
});

Deno.test("Both ends notice within 35 seconds that nothing arrives any more", async () => {
  using time = new FakeTime();
  const closes: CloseInfo[] = [];
  const onclose = (info: CloseInfo): void => void closes.push(info);
  const [left, right] = socketPair();
  const one = new Peer(left, { onclose, sharedFrames: true });
  const other = new Peer(right, { onclose, sharedFrames: true });
  await Promise.all([one.opened, other.opened]);
  await time.flow(120_000);
  assertEquals(closes, []);
  left.pause();
  right.pause();
  await time.flow(35_000);
  assertEquals(closes, [lost, lost]);
  // Neither has an answer to its close frame.
  await time.flow(5_000);
  assertEquals([await one.closed, await other.closed], [lost, lost]);
});

Deno.test("Peer keeps to its own times beside peers with other ones", async () => {
  const rows = [[25_000, 10_000], [7_000, 3_000], [2_000, 2_500], [
    3_000,
    19_000,
  ]];
  for (const [pingAfter, pingWithin] of [...rows, ...rows.toReversed()]) {
    using time = new FakeTime();
    const others = await Promise.all(
      rows.map(([pingAfter, pingWithin]) =>
        openMortal({
          limits: { pingAfter: pingAfter!, pingWithin: pingWithin! },
        })
      ),
    );
    const limits = { pingAfter: pingAfter!, pingWithin: pingWithin! };
    await using it = await openMortal({ limits });
    let asked: number | undefined;
    it.socket.onsend = (): void => void (asked ??= performance.now());
    await time.flow(pingAfter! + pingWithin!);
    assertEquals(it.closes.length, 1);
    assert(asked! >= pingAfter! / 4 && asked! <= pingAfter!);
    for (const other of others) await other[Symbol.asyncDispose]();
  }
});

Deno.test("Peer is never asked while it says something every 15 seconds", async () => {
  using time = new FakeTime();
  await using it = await openMortal();
  for (let n = 0; n < 50; n++) {
    await time.flow(15_000);
    it.socket.receive({ jsonrpc: "2.0", method: "unknown" });
  }
  assertEquals([it.socket.sent, it.closes], [[], []]);
});

Deno.test("Any frame is a sign of life", async () => {
  const signs: unknown[] = [
    pong,
    failure(ping, -32601, "Method not found"),
    failure(null, -32601, "Method not found"),
    result(9_999, "of nobody"),
    "no JSON-RPC at all",
    "",
    new Uint8Array([0xff]).buffer,
  ];
  for (const sign of signs) {
    using time = new FakeTime();
    await using it = await openMortal({ oninvalid: () => true });
    for (let n = 0; n < 5; n++) {
      await time.flow(30_000);
      assertEquals(takePings(it.socket), 1);
      it.socket.receive(sign);
    }
    await time.flow(17_250);
    assertEquals(it.closes, []);
    await time.flow(17_750);
    assertEquals(it.closes, [lost], `${sign}`);
  }
});

Deno.test("Peer tells nobody of a ping's answer", async () => {
  for (
    const answer of [
      pong,
      failure(ping, -32601, "Method not found"),
      failure(null, -32601, "Method not found"),
      failure(null, -32600, "Invalid Request"),
    ]
  ) {
    using time = new FakeTime();
    await using it = await openMortal({ timeout: Infinity });
    const { socket, peer, errors } = it;
    const call = peer.request("slow");
    socket.take();
    for (let n = 0; n < 3; n++) {
      await time.flow(22_500);
      assertEquals(takePings(socket), 1);
      socket.receive(answer);
    }
    assertEquals([peer.unmatched, errors], [0, []]);
    socket.receive(result(1, "here"));
    assertEquals(await call, "here");
  }
});

Deno.test("A ping disturbs no call that is refused without an id", async () => {
  using time = new FakeTime();
  await using it = await openKnown();
  const { socket, peer, errors } = it;
  await time.flow(22_500);
  // Other words first: the ping's answer is not the next error without an id.
  socket.receive(pong);
  const only = peer.request("a");
  socket.receive(failure(null, -32600, "No"));
  await assertRejects(() => only, RpcError, "No");
  // Nor is it for a peer that never answers any.
  await time.flow(22_500);
  socket.receive({ jsonrpc: "2.0", method: "unknown" });
  await time.flow(2_500);
  const other = peer.request("b");
  socket.receive(failure(null, -32600, "Nor this"));
  await assertRejects(() => other, RpcError, "Nor this");
  // Of what comes first, one error is the ping's.
  await time.flow(22_500);
  const last = peer.request("c");
  socket.receive(failure(null, -32600, "The ping"));
  socket.receive(failure(null, -32600, "The call"));
  await assertRejects(() => last, RpcError, "The call");
  // A batch's members tell of which batch it is.
  await time.flow(22_500);
  const batch = peer.batch(() => [peer.request("d"), peer.request("e")]);
  const [first] = JSON.parse(socket.sent.at(-1)!) as [{ id: number }];
  socket.receive([failure(null, -32600, "The batch"), result(first.id, "d")]);
  assertEquals(await batch[0], "d");
  await assertRejects(() => batch[1]!, RpcError, "The batch");
  assertEquals(errors, []);
});

Deno.test("Who still reads what was sent before the ping is not given up", async () => {
  using time = new FakeTime();
  await using it = await openMortal();
  // A result that takes a minute to leave.
  for (let left = 60; left >= 0; left--) {
    it.socket.bufferedAmount = left * 10_000;
    await time.flow(1_000);
  }
  assertEquals(it.closes, []);
  await time.flow(35_000);
  assertEquals(it.closes, [lost]);
});

Deno.test("Peer that wakes up asks first, and gives its whole time", async () => {
  for (const awake of [0, 1_000, 17_500, 20_000, 22_500, 25_000, 29_000]) {
    using time = new FakeTime();
    await using it = await openMortal();
    await time.flow(awake);
    await time.pass(3_600_000);
    // Asked before it slept, or now.
    assertEquals([takePings(it.socket), it.closes], [1, []]);
    await time.flow(9_999);
    assertEquals(it.closes, []);
    await time.flow(2_501);
    assertEquals(it.closes, [lost]);
  }
});

Deno.test("Peer that wakes up believes whoever answers", async () => {
  using time = new FakeTime();
  await using it = await openMortal();
  for (let n = 0; n < 20; n++) {
    await time.flow(5_000);
    await time.pass(600_000);
    assertEquals(takePings(it.socket), 1);
    // What came meanwhile is handled after the timer.
    it.socket.receive(pong);
  }
  assertEquals(it.closes, []);
});

Deno.test("Peer whose timers run once a minute gives nobody up who answers, and others in minutes", async () => {
  using time = new FakeTime();
  await using living = await openMortal();
  await using dead = await openMortal();
  living.socket.onsend = (): void =>
    queueMicrotask(() => living.socket.receive(pong));
  let minutes = 0;
  for (; dead.closes.length === 0; minutes++) await time.pass(60_000);
  assertEquals([dead.closes, minutes], [[lost], 5]);
  for (let n = 0; n < 60; n++) await time.pass(60_000);
  assertEquals(living.closes, []);
});

Deno.test("Who may not know what a ping is is never asked, nor given up", async () => {
  for (const version of ["1.0", "bare", "2.0", undefined] as const) {
    using time = new FakeTime();
    const options = { sharedFrames: false, ...(version && { version }) };
    await using it = await openMortal(options);
    await time.flow(120_000);
    assertEquals([it.socket.sent, it.closes], [[], []]);
  }
  // Whoever is told to speak 1.0 shares no frames.
  using time = new FakeTime();
  await using it = await openMortal({ version: "1.0" });
  await time.flow(120_000);
  assertEquals([it.socket.sent, it.closes], [[], []]);
});

Deno.test("Who has answered a ping of its owner's is asked from then on", async () => {
  for (const answer of [result(1, null), failure(1, -32601, "No")]) {
    using time = new FakeTime();
    await using it = await openMortal({ sharedFrames: false });
    const { socket, peer } = it;
    const answered = peer.request(ping).catch(() => {});
    socket.take();
    await time.flow(30_000);
    assertEquals(socket.sent, []);
    socket.receive(answer);
    await answered;
    await time.flow(25_000);
    assertEquals(takePings(socket), 1);
    await time.flow(10_000);
    assertEquals(it.closes, [lost]);
  }
  // But not in a version that has no word for it.
  using time = new FakeTime();
  await using it = await openMortal({ sharedFrames: false, version: "1.0" });
  const answered = it.peer.request(ping);
  it.socket.receive({ id: 1, result: null, error: null });
  await answered;
  it.socket.take();
  await time.flow(120_000);
  assertEquals([it.socket.sent, it.closes], [[], []]);
});

Deno.test("A client that can't ping shows a space, and asks who shows one, too", async () => {
  for (const answer of ["", " "]) {
    using time = new FakeTime();
    const socket = new ScriptedSocket(0);
    const closes: CloseInfo[] = [];
    await using peer = new Peer(() => socket, {
      reconnect: false,
      onclose: (info) => void closes.push(info),
    });
    socket.open();
    peer.notify("long", ["x".repeat(70_000)]);
    peer.notify("short");
    peer.notify("short");
    assertEquals(socket.sent.map((text) => text.endsWith(" ")), [
      false,
      true,
      false,
    ]);
    socket.take();
    socket.receive(`{"jsonrpc":"2.0","method":"news"}${answer}`);
    await time.flow(17_250);
    assertEquals(socket.sent, []);
    await time.flow(7_750);
    assertEquals(takePings(socket), answer === "" ? 0 : 1);
    await time.flow(10_000);
    assertEquals(closes, answer === "" ? [] : [lost]);
    peer.close();
    socket.end();
  }
});

Deno.test("A peer shows the space to who has shown it, once, and to nobody else", async () => {
  await using it = await open();
  const { socket } = it;
  const lengths = (): number[] =>
    socket.sent.splice(0).map((text) => text.length - text.trimEnd().length);
  socket.receive(request(1, ping));
  assertEquals(lengths(), [0]);
  // White space that is no mark: two, a tab, nothing else.
  for (const [before, after] of [[" ", "  "], ["", "\t "], ["", " \n"]]) {
    socket.receive(`${before}${JSON.stringify(request(2, ping))}${after}`);
    assertEquals(lengths(), [0]);
  }
  socket.receive(" ");
  socket.receive(JSON.stringify(request(2, ping)));
  assertEquals(lengths(), [0]);
  for (const spaces of [1, 0, 0]) {
    socket.receive(JSON.stringify(request(2, ping)) + " ");
    assertEquals(lengths(), [spaces]);
  }
});

Deno.test("A client asks nobody by a space who is asked otherwise, or in 1.0", async () => {
  for (const options of [{ sharedFrames: true }, { version: "1.0" as const }]) {
    const socket = new ScriptedSocket(0);
    const peer = new Peer(() => socket, { ...options, reconnect: false });
    socket.open();
    peer.notify("hello", []);
    assertEquals(socket.sent.map((text) => text.endsWith(" ")), [false]);
    peer.close();
    socket.end();
    await peer.closed;
  }
});

Deno.test("A call that runs excuses silence, until it is settled", async () => {
  using time = new FakeTime();
  await using it = await openKnown();
  const { socket, peer } = it;
  const slow = peer.request("slow", [], { timeout: 120_000 });
  const next = peer.request("next", [], { timeout: 120_000 });
  socket.take();
  await time.flow(90_000);
  assertEquals([takePings(socket), it.closes], [1, []]);
  socket.receive(result(2, "slow"));
  socket.receive(pong);
  socket.receive(result(3, "next"));
  assertEquals(await Promise.all([slow, next]), ["slow", "next"]);
  // One that came to nothing, and those that were made meanwhile, do not.
  const lost = assertRejects(() => peer.request("lost"), DOMException);
  await time.flow(45_000);
  const late = assertRejects(() => peer.request("late"), Error);
  await time.flow(30_000);
  await lost;
  assertEquals(it.closes.length, 1);
  await late;
});

Deno.test("A call that ran while pings were answered excuses nothing", async () => {
  using time = new FakeTime();
  await using it = await openKnown();
  const { socket, peer } = it;
  const listening = peer.request("listen", [], { timeout: Infinity });
  socket.take();
  await time.flow(25_000);
  assertEquals(takePings(socket), 1);
  socket.receive(pong);
  await time.flow(34_750);
  assertEquals([takePings(socket), it.closes], [1, [lost]]);
  await assertRejects(() => listening, Error);
});

/** A socket that can ping, as those of `ws` can. */
class PingingSocket extends ScriptedSocket {
  pings = 0;
  /** Whether the other end answers them. */
  isAnswering = true;
  readonly #onpong = new Set<(data: Uint8Array) => void>();

  ping(): void {
    this.pings++;
    if (this.isAnswering) queueMicrotask(() => this.pong());
  }

  pong(): void {
    for (const listener of this.#onpong) listener(new Uint8Array());
  }

  on(_type: "pong", listener: (data: Uint8Array) => void): void {
    this.#onpong.add(listener);
  }

  off(_type: "pong", listener: (data: Uint8Array) => void): void {
    this.#onpong.delete(listener);
  }

  override get listenerCount(): number {
    return super.listenerCount + this.#onpong.size;
  }
}

Deno.test("A socket that can ping asks whoever is there, in every version", async () => {
  for (const version of ["2.0", "1.0", "bare"] as const) {
    using time = new FakeTime();
    const closes: CloseInfo[] = [];
    const socket = new PingingSocket();
    await using it = await open(
      {
        version,
        onclose: (info) => void closes.push(info),
        oninvalid: () => true,
      },
      socket,
    );
    await time.flow(120_000);
    assertEquals([socket.sent, closes], [[], []]);
    assert(socket.pings >= 4 && socket.pings <= 7, `${socket.pings}`);
    // Messages are signs of life, too.
    const { pings } = socket;
    for (let n = 0; n < 10; n++) {
      socket.receive("{}");
      await time.flow(15_000);
    }
    assertEquals(socket.pings, pings);
    socket.isAnswering = false;
    await time.flow(35_000);
    assertEquals([closes, it.peer.state], [[lost], "closed"]);
  }
});

/** A client that makes sockets which can ping, and keeps how they were closed. */
async function connectPinging(
  options: PeerOptions = {},
  isAnswering = true,
): Promise<
  AsyncDisposable & {
    peer: Peer;
    sockets: PingingSocket[];
    closes: (number | undefined)[];
  }
> {
  const sockets: PingingSocket[] = [];
  const closes: (number | undefined)[] = [];
  const peer = new Peer(() => {
    const socket = new PingingSocket();
    socket.isAnswering = isAnswering;
    sockets.push(socket);
    return socket;
  }, { onclose: ({ code }) => void closes.push(code), ...options });
  await peer.opened;
  return {
    peer,
    sockets,
    closes,
    async [Symbol.asyncDispose]() {
      peer.close();
      const last = sockets.at(-1)!;
      last.end();
      await peer.closed;
      assertEquals(last.listenerCount, 0);
    },
  };
}

Deno.test("A server that has spoken, but never answers pings, is not given up", async () => {
  using time = new FakeTime();
  await using it = await connectPinging({ oninvalid: () => true }, false);
  const [socket] = it.sockets;
  await time.flow(25_000);
  assertEquals(socket!.pings, 1);
  socket!.receive("");
  await time.flow(120_000);
  assertEquals([socket!.pings, it.closes], [2, []]);
  // Another one is.
  await using other = await connectPinging({}, false);
  await time.flow(35_000);
  assertEquals(other.closes, [4009]);
});

Deno.test("A client asks no more whose connection ended for the question", async () => {
  using time = new FakeTime();
  await using it = await connectPinging({}, false);
  await time.flow(22_500);
  const [first] = it.sockets;
  assertEquals(first!.pings, 1);
  first!.end(1006, "", false);
  await time.flow(120_000);
  assertEquals(it.sockets.map(({ pings }) => pings), [1, 0]);
  assertEquals(it.closes, [1006]);
});

Deno.test("A client that was answered once asks on the next connection, too", async () => {
  using time = new FakeTime();
  await using it = await connectPinging();
  await time.flow(22_500);
  const [first] = it.sockets;
  assertEquals(first!.pings, 1);
  first!.isAnswering = false;
  await time.flow(22_500);
  first!.end(1006, "", false);
  await time.flow(1_000);
  assertEquals([it.sockets.length, it.closes], [2, [1006]]);
  // A late word of the old one would be none of the new one.
  assertEquals(first!.listenerCount, 0);
  it.sockets[1]!.isAnswering = false;
  await time.flow(35_000);
  assertEquals(it.closes, [1006, 4009]);
});

Deno.test("A client that speaks bare pings nobody: Node's inspector would close", async () => {
  using time = new FakeTime();
  await using it = await connectPinging({ version: "bare" });
  await time.flow(120_000);
  assertEquals([it.sockets[0]!.pings, it.closes], [0, []]);
});

Deno.test("An error without an id after a pong is about the ping, as aria2's is", async () => {
  using time = new FakeTime();
  const errors: unknown[] = [];
  await using it = await connectPinging({
    onerror: (error) => void errors.push(error),
  });
  const [socket] = it.sockets;
  const call = it.peer.request("slow");
  await time.flow(22_500);
  assertEquals(socket!.pings, 1);
  socket!.receive(failure(null, -32600, "Invalid Request."));
  socket!.receive(result(1, "done"));
  assertEquals([await call, errors], ["done", []]);
});

Deno.test("A call of 45 seconds to a server that takes one at a time is waited for", async () => {
  using time = new FakeTime();
  await using it = await connectPinging();
  const [socket] = it.sockets;
  const slow = it.peer.request("slow");
  socket!.isAnswering = false;
  await time.flow(45_000);
  assertEquals([socket!.pings, it.closes], [1, []]);
  socket!.receive(result(1, "done"));
  socket!.pong();
  assertEquals(await slow, "done");
  // With nothing to do it has no excuse.
  await time.flow(35_000);
  assertEquals(it.closes, [4009]);
});

/** Takes what a server sends to who says nothing, until it closes. */
async function hearClose(socket: RawSocket): Promise<Frame[]> {
  const frames: Frame[] = [];
  for (;;) {
    const it = await socket.receive();
    if (it === undefined || it.opcode === Opcode.Close) return frames;
    frames.push(it);
  }
}

function textOf({ payload }: Frame): string {
  return new TextDecoder().decode(payload);
}

bothTest(
  "serve asks a stranger by the WebSocket's own ping, and ends who doesn't answer it",
  async (platform) => {
    for (const version of ["2.0", "1.0"] as const) {
      const ends: number[] = [];
      await using server = await platform.define({
        version,
        limits: { pingAfter: 200, pingWithin: 200 },
        onclose: ({ code }) => void ends.push(code),
      });
      using lively = await RawSocket.connect(server.url);
      using mute = await RawSocket.connect(server.url);
      for (let n = 0; n < 4; n++) {
        const asked = await lively.receive();
        assertEquals(asked?.opcode, Opcode.Ping);
        await lively.send(frame(Opcode.Pong, asked!.payload));
      }
      const frames = await hearClose(mute);
      assertEquals(frames.map(({ opcode }) => opcode), [Opcode.Ping]);
      assertEquals([ends.length, server.peers.size >= 1], [1, true]);
    }
  },
  cloudflares.ping,
);

bothTest(
  "serve ends who shares frames and gives no sign of life",
  async (platform) => {
    const ends: number[] = [];
    await using server = await platform.define({
      limits: { pingAfter: 200, pingWithin: 200 },
      onclose: ({ code }) => void ends.push(code),
    });
    using mute = await RawSocket.connect(server.url, "jsonrpcws.v1");
    const [word, asked, ...more] = await hearClose(mute);
    assertEquals([textOf(word!), more], ["[]", []]);
    // The runtimes of these let nobody send a ping.
    if (!["Deno", "workerd"].includes(platform.name)) {
      assertEquals(asked!.opcode, Opcode.Ping);
    } else assertEquals(JSON.parse(textOf(asked!)), request(ping, ping));
    assertEquals(ends, [4009]);
  },
);

Deno.test("connect for Node notices that a server of whoever's has died", async () => {
  const { promise: died, resolve } = Promise.withResolvers<number>();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const client = connect(`ws://127.0.0.1:${port}`, {
    limits: { pingAfter: 200, pingWithin: 200 },
    reconnect: false,
    onclose: ({ code }) => resolve(code),
  });
  using server = await RawSocket.accept(await listener.accept());
  for (let n = 0; n < 3; n++) {
    const asked = await server.receive();
    assertEquals([asked?.opcode, textOf(asked!)], [Opcode.Ping, ""]);
    await server.send(frame(Opcode.Pong, asked!.payload, true, false));
  }
  // From now on it says nothing.
  assertEquals(await died, 4009);
  server[Symbol.dispose]();
  await client.closed;
  listener.close();
});

Deno.test("Peer is not asked where pingAfter is Infinity, and not given up where pingWithin is", async () => {
  using time = new FakeTime();
  await using silent = await openMortal({ limits: { pingAfter: Infinity } });
  await using patient = await openMortal({ limits: { pingWithin: Infinity } });
  // Longer than a timer can be.
  const limits = {
    pingAfter: 2 ** 40,
    pingWithin: Infinity,
    bufferedTime: Infinity,
  };
  await using forEver = await openMortal({ limits });
  const never = { ...limits, pingAfter: Infinity };
  await using unwatched = await openMortal({ limits: never });
  await time.flow(120_000);
  for (const { socket, closes } of [silent, forEver, unwatched]) {
    assertEquals([socket.sent, closes], [[], []]);
  }
  assertEquals([takePings(patient.socket), patient.closes], [1, []]);
});

Deno.test("Peer is asked at once where pingAfter is 0, and given up at once where pingWithin is", async () => {
  using time = new FakeTime();
  await using asked = await openMortal({ limits: { pingAfter: 0 } });
  await using hurried = await openMortal({
    limits: { pingAfter: 0, pingWithin: 0 },
  });
  await time.pass(10);
  for (const { socket, closes } of [asked, hurried]) {
    assertEquals([takePings(socket), closes], [1, []]);
  }
  await time.pass(10);
  assertEquals(asked.closes, []);
  assertEquals(hurried.closes, [{
    ...lost,
    reason: "No sign of life within 0 ms of a ping",
  }]);
  // Who answers is asked again, at every look.
  asked.socket.receive(pong);
  await time.pass(10);
  assertEquals([takePings(asked.socket), asked.closes], [1, []]);
});

Deno.test("Peer answers a ping whatever else it has to do, and no notified one", async () => {
  await using it = await openMortal({
    sharedFrames: false,
    limits: { incoming: 1, held: 0 },
    local: { slow: () => new Promise(() => {}) },
  });
  const { socket } = it;
  socket.receive(request(1, "slow"));
  socket.receive(request(2, "slow"));
  assertEquals(socket.take().length, 1);
  socket.receive(request(3, "rpc.ping"));
  socket.receive({ jsonrpc: "2.0", method: "rpc.ping" });
  socket.receive({ method: "rpc.ping", params: [], id: 4 });
  assertEquals(socket.take(), [
    result(3, null),
    { id: 4, result: null, error: null },
  ]);
});

Deno.test("Peer asks while as many calls wait as may, and takes no call's place", async () => {
  using time = new FakeTime();
  await using it = await openMortal({ timeout: Infinity });
  const { socket, peer } = it;
  const calls = Array.from({ length: 1_024 }, (_, n) => peer.request("m", [n]));
  await time.flow(1);
  socket.take();
  await time.flow(25_000);
  assertEquals(takePings(socket), 1);
  socket.receive(pong);
  for (let id = 1; id <= 1_024; id++) socket.receive(result(id, id));
  assertEquals(
    await Promise.all(calls),
    Array.from({ length: 1_024 }, (_, n) => n + 1),
  );
  assertEquals(peer.unmatched, 0);
});

Deno.test("One timer looks after all peers, from the first one's opening to the last one's end", async () => {
  using _time = new FakeTime();
  const { setTimeout, clearTimeout } = globalThis;
  const timers = new Set<unknown>();
  globalThis.setTimeout = ((run: () => void, ms?: number) => {
    const id = setTimeout(run, ms);
    timers.add(id);
    return id;
  }) as typeof setTimeout;
  globalThis.clearTimeout = (id): void => {
    timers.delete(id);
    clearTimeout(id);
  };
  try {
    const connecting = new ScriptedSocket(0);
    const early = new Peer(connecting);
    assertEquals(timers.size, 0);
    const all = await Promise.all(
      Array.from(
        { length: 100 },
        (_, n) => openMortal({ limits: { pingAfter: 25_000 - n } }),
      ),
    );
    assertEquals(timers.size, 1);
    const [first, ...others] = all;
    for (const { socket } of others) socket.end();
    assertEquals(timers.size, 1);
    first!.socket.end();
    assertEquals(timers.size, 0);
    connecting.end();
    await early.closed;
    assertEquals(timers.size, 0);
  } finally {
    globalThis.setTimeout = setTimeout;
    globalThis.clearTimeout = clearTimeout;
  }
});

Deno.test("The timer wakes as seldom as those who are there allow", async () => {
  using time = new FakeTime();
  const { setTimeout } = globalThis;
  const delays: unknown[] = [];
  globalThis.setTimeout = ((run: () => void, ms?: number) => {
    delays.push(ms);
    return setTimeout(run, ms);
  }) as typeof setTimeout;
  try {
    await using _slow = await openMortal({ timeout: Infinity });
    await time.flow(1_000);
    const quick = await openMortal({ limits: { pingWithin: 4_000 } });
    await time.flow(1_000);
    // Beside it, one that would be looked at later is not.
    await using _other = await openMortal();
    await time.flow(1_000);
    quick.socket.end();
    await time.flow(7_500);
    assertEquals(delays, [2_500, 1_000, 1_000, 1_000, 2_500, 2_500, 2_500]);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

Deno.test("One peer's broken socket stops no other's heart", async () => {
  using time = new FakeTime();
  const errors: unknown[] = [];
  await using broken = await openMortal({
    onerror: (error) => void errors.push(error),
  });
  await using it = await openMortal();
  broken.peer.notify("m");
  Object.defineProperty(broken.socket, "bufferedAmount", {
    get: () => {
      throw new Error("broken");
    },
  });
  broken.socket.close = (): void => {
    throw new Error("can't even close");
  };
  await time.flow(35_000);
  assertEquals(it.closes, [lost]);
  assert(errors.length > 0);
  broken.socket.close = (): void => {};
});
