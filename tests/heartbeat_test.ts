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

const lost: CloseInfo = {
  code: 4009,
  reason: "No sign of life within 10000 ms of a ping",
  wasClean: true,
};

/** Takes what was sent, of which each must be a ping. */
function takePings(socket: ScriptedSocket): number[] {
  return socket.take().map((message) => {
    const { id } = message as { id: number };
    assertEquals(message, { jsonrpc: "2.0", method: "rpc.ping", id });
    return id;
  });
}

/** A peer that keeps how it was closed. */
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
    onclose: (info) => void closes.push(info),
    onerror: (error) => void errors.push(error),
    ...options,
  });
  return { ...it, closes, errors };
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
    assertEquals(takePings(it.socket).length, 1);
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
  const one = new Peer(left, { onclose });
  const other = new Peer(right, { onclose });
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
  const signs: ((id: number) => unknown)[] = [
    (id) => result(id, null),
    (id) => failure(id, -32601, "Method not found"),
    () => failure(null, -32601, "Method not found"),
    () => result(9_999, "of nobody"),
    () => "no JSON-RPC at all",
    () => "",
    () => new Uint8Array([0xff]).buffer,
  ];
  for (const sign of signs) {
    using time = new FakeTime();
    await using it = await openMortal({ oninvalid: () => true });
    for (let n = 0; n < 5; n++) {
      await time.flow(30_000);
      const [id, ...rest] = takePings(it.socket);
      assertEquals(rest, []);
      it.socket.receive(sign(id!));
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
      (id: number) => result(id, null),
      (id: number) => failure(id, -32601, "Method not found"),
      () => failure(null, -32601, "Method not found"),
      () => failure(null, -32600, "Invalid Request"),
    ]
  ) {
    using time = new FakeTime();
    await using it = await openMortal({ timeout: Infinity });
    const { socket, peer, errors } = it;
    const call = peer.request("slow");
    socket.take();
    for (let n = 0; n < 3; n++) {
      await time.flow(22_500);
      socket.receive(answer(takePings(socket)[0]!));
    }
    assertEquals([peer.unmatched, errors], [0, []]);
    socket.receive(result(1, "here"));
    assertEquals(await call, "here");
  }
});

Deno.test("A ping disturbs no call that is refused without an id", async () => {
  using time = new FakeTime();
  await using it = await openMortal();
  const { socket, peer, errors } = it;
  await time.flow(22_500);
  const [id] = takePings(socket);
  // Other words first: the ping's answer is not the next error without an id.
  socket.receive(result(id, null));
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
  const id1 = (JSON.parse(socket.sent.at(-1)!) as [{ id: number }])[0].id;
  socket.receive([failure(null, -32600, "The batch"), result(id1, "d")]);
  assertEquals(await batch[0], "d");
  await assertRejects(() => batch[1]!, RpcError, "The batch");
  assertEquals(errors, []);
});

Deno.test("Peer that wakes up asks first, and gives its whole time", async () => {
  for (const awake of [0, 1_000, 17_500, 20_000, 22_500, 25_000, 29_000]) {
    using time = new FakeTime();
    await using it = await openMortal();
    await time.flow(awake);
    await time.pass(3_600_000);
    // Asked before it slept, or now.
    assertEquals([takePings(it.socket).length, it.closes], [1, []]);
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
    const [id] = takePings(it.socket);
    // What came meanwhile is handled after the timer.
    it.socket.receive(result(id, null));
  }
  assertEquals(it.closes, []);
});

Deno.test("Peer whose timers run once a minute gives nobody up who answers, and others in minutes", async () => {
  using time = new FakeTime();
  await using living = await openMortal();
  await using dead = await openMortal();
  living.socket.onsend = (text): void => {
    const { id } = JSON.parse(text);
    queueMicrotask(() => living.socket.receive(result(id, null)));
  };
  let minutes = 0;
  for (; dead.closes.length === 0; minutes++) await time.pass(60_000);
  assertEquals([dead.closes, minutes], [[lost], 5]);
  for (let n = 0; n < 60; n++) await time.pass(60_000);
  assertEquals(living.closes, []);
});

Deno.test("Peer of another version than 2.0 is never asked, nor given up", async () => {
  for (const version of ["1.0", "bare"] as const) {
    using time = new FakeTime();
    await using it = await openMortal({ version });
    await time.flow(120_000);
    assertEquals([it.socket.sent, it.closes], [[], []]);
  }
  // One that turns out to be such is no longer.
  using time = new FakeTime();
  await using it = await openMortal();
  await time.flow(22_500);
  it.socket.receive({ method: "unknown", params: [], id: null });
  takePings(it.socket);
  await time.flow(120_000);
  assertEquals([it.socket.sent, it.closes], [[], []]);
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
  assertEquals([takePings(patient.socket).length, patient.closes], [1, []]);
});

Deno.test("Peer is asked at once where pingAfter is 0, and given up at once where pingWithin is", async () => {
  using time = new FakeTime();
  await using asked = await openMortal({ limits: { pingAfter: 0 } });
  await using hurried = await openMortal({
    limits: { pingAfter: 0, pingWithin: 0 },
  });
  await time.pass(10);
  for (const { socket, closes } of [asked, hurried]) {
    assertEquals([takePings(socket).length, closes], [1, []]);
  }
  await time.pass(10);
  assertEquals(asked.closes, []);
  assertEquals(hurried.closes, [{
    ...lost,
    reason: "No sign of life within 0 ms of a ping",
  }]);
  // Who answers is asked again, at every look.
  asked.socket.receive(result(1, null));
  await time.pass(10);
  assertEquals([takePings(asked.socket).length, asked.closes], [1, []]);
});

Deno.test("Peer answers a ping whatever else it has to do, and no notified one", async () => {
  await using it = await openMortal({
    limits: { incoming: 1 },
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
  const calls = Array.from({ length: 1_023 }, (_, n) => peer.request("m", [n]));
  socket.take();
  await time.flow(22_500);
  assertEquals(takePings(socket), [1_024]);
  calls.push(peer.request("m"));
  await assertRejects(() => peer.request("m"), RangeError, "1024 of at most");
  socket.receive(result(1_024, null));
  await time.flow(22_500);
  socket.take();
  for (let id = 1; id <= 1_026; id++) {
    if (id !== 1_024) socket.receive(result(id, id));
  }
  assertEquals(
    await Promise.all(calls),
    Array.from({ length: 1_024 }, (_, n) => n < 1_023 ? n + 1 : 1_025),
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
});
