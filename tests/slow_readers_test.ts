/**
 * Readers that are slow, and readers that have stopped: what this side sends faster
 * than it is read waits, and who reads nothing is closed with 4008. One that
 * has stopped for real is in seconds/stopped_reader_test.ts; pacing by `drained` is
 * tested in backlog_test.ts.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { CloseInfo, Peer, PeerOptions } from "../mod.ts";
import { whole } from "./faces.ts";
import { FakeTime } from "./fake_time.ts";
import {
  openScripted as open,
  request,
  result,
  type ScriptedSocket,
} from "./scripted_socket.ts";
import { lab } from "./stage.ts";

const soft = 1_048_576;

/** A peer over a socket that says how much waits in it. */
interface Scene extends AsyncDisposable {
  readonly socket: ScriptedSocket;
  readonly peer: Peer;
  readonly closes: CloseInfo[];
  /** Sends so much that it looks, and finds that so much waits. */
  fill(amount: number): void;
  /** The methods of what was sent. */
  take(): unknown[];
}

async function openSlow(options: PeerOptions = {}): Promise<Scene> {
  const closes: CloseInfo[] = [];
  const it = await open({
    ...options,
    onclose: (info) => void closes.push(info),
  });
  const { socket, peer } = it;
  return {
    ...it,
    closes,
    fill(amount) {
      socket.bufferedAmount = amount;
      peer.notify("fill", ["x".repeat(65_536)]);
    },
    take: () =>
      socket.take().map((it) => {
        const { method, result } = it as { method?: string; result?: unknown };
        return method ?? result;
      }),
  };
}

Deno.test("Peer lets wait what its socket has no room for, and sends it in order", async () => {
  using time = new FakeTime();
  await using it = await openSlow({ local: { echo: (text: string) => text } });
  const { socket, peer } = it;
  it.fill(soft);
  peer.notify("within the limit");
  it.fill(soft + 1);
  assertEquals(it.take(), ["fill", "within the limit", "fill"]);

  assert(peer.notify("one"));
  const calls = [peer.request("two"), peer.batch(() => peer.request("three"))];
  socket.receive(request(1, "echo", ["four"]));
  await time.flow(1_000);
  assertEquals(it.take(), []);
  socket.bufferedAmount = soft;
  await time.pass(64);
  const [one, two, batch, four] = socket.take() as { method?: string }[];
  assertEquals([one!.method, two!.method], ["one", "two"]);
  const [{ id }] = batch as unknown as [{ id: number }];
  assertEquals(four, result(1, "four"));
  socket.receive(result((two as { id: number }).id, 2));
  socket.receive([result(id, 3)]);
  assertEquals(await Promise.all(calls), [2, 3]);
  assertEquals(it.closes, []);
});

Deno.test("Peer sends what waits message by message, as its socket has room", async () => {
  using time = new FakeTime();
  await using it = await openSlow();
  const { socket, peer } = it;
  const text = "x".repeat(900_000);
  socket.onsend = (data): void => void (socket.bufferedAmount += data.length);
  for (let n = 0; n < 6; n++) peer.notify("take", [text]);
  const counts: number[] = [];
  for (let n = 0; n < 8; n++) {
    counts.push(socket.sent.length);
    socket.bufferedAmount = Math.max(socket.bufferedAmount - 900_000, 0);
    await time.pass(64);
  }
  assertEquals(counts, [2, 3, 4, 5, 6, 6, 6, 6]);
  // What is idle is not looked at.
  Object.defineProperty(socket, "bufferedAmount", {
    get: () => assert(false),
  });
  await time.flow(1_000);
});

Deno.test("Peer looks at what waits in its socket once for 65,536 characters", async () => {
  await using it = await open({ local: { echo: (text: string) => text } });
  const { socket, peer } = it;
  let looks = 0;
  Object.defineProperty(socket, "bufferedAmount", {
    get: () => (looks++, 0),
  });
  const text = "x".repeat(900);
  const requests: Promise<unknown>[] = [];
  for (let n = 0; n < 24; n++) {
    peer.notify("m", [text]);
    requests.push(peer.request("m", [text]));
    socket.receive(request(n, "echo", [text]));
  }
  const sent = socket.sent.join("").length;
  assert(sent > 65_536 && sent < 131_072);
  assertEquals(looks, 1);
  for (const { id } of socket.take() as { id: number }[]) {
    socket.receive(result(id, 1));
  }
  await Promise.all(requests);
});

Deno.test("Peer looks whether there is room when it hears something, whatever its timers do", async () => {
  using _time = new FakeTime();
  await using it = await openSlow({ local: { echo: (text: string) => text } });
  it.fill(soft + 1);
  it.peer.notify("waits");
  it.socket.bufferedAmount = 0;
  it.socket.receive(request(1, "echo", ["heard"]));
  assertEquals(it.take(), ["fill", "waits", "heard"]);
});

Deno.test("Peer never closes for slowness while the other side reads", async () => {
  using time = new FakeTime();
  await using it = await openSlow({ limits: { pingAfter: Infinity } });
  it.fill(20_000_000);
  it.peer.notify("more");
  for (let n = 0; n < 100; n++) {
    it.socket.bufferedAmount -= 65_536;
    await time.flow(9_500);
  }
  assertEquals(it.closes, []);
});

Deno.test("Peer takes it for a sign of life that the other side reads", async () => {
  using time = new FakeTime();
  await using it = await openSlow();
  it.fill(20_000_000);
  it.peer.notify("more");
  for (let n = 0; n < 20; n++) {
    it.socket.bufferedAmount -= 65_536;
    await time.flow(9_500);
  }
  assertEquals([it.closes, it.take()], [[], ["fill"]]);
});

Deno.test("Peer closes with 4008 when nothing leaves for bufferedTime", async () => {
  using time = new FakeTime();
  for (const more of [true, false]) {
    await using it = await openSlow();
    it.fill(soft + 1);
    await time.flow(9_000);
    // Once there is room again, all is forgiven.
    it.socket.bufferedAmount = soft;
    await time.pass(64);
    it.fill(soft + 2);
    if (more) it.peer.notify("more");
    await time.flow(9_900);
    // Less than something.
    it.socket.bufferedAmount--;
    assertEquals(it.closes, []);
    await time.flow(100);
    assertEquals(it.closes, [{
      code: 4008,
      reason:
        "Slow consumer: less than 65536 of 1048577 bytes left in 10000 ms, see limits.bufferedTime",
      wasClean: true,
    }]);
    assertEquals(it.take(), ["fill", "fill"]);
  }
});

Deno.test("Peer gives a long message as much more time as it is longer than half of buffered", async () => {
  using time = new FakeTime();
  const limits = { messageLength: 8 * soft };
  await using it = await openSlow({ limits });
  it.socket.bufferedAmount = 4 * soft;
  it.peer.notify("long", ["x".repeat(4 * soft - 47)]);
  assertEquals(it.socket.sent[0]!.length, 4 * soft);
  await time.flow(79_900);
  assertEquals(it.closes, []);
  await time.flow(200);
  assertEquals(it.closes[0]?.code, 4008);
});

Deno.test("Peer is given time to send after the process slept", async () => {
  using time = new FakeTime();
  await using it = await openSlow({ limits: { pingAfter: Infinity } });
  it.fill(soft + 1);
  await time.flow(1_000);
  await time.pass(3_600_000);
  await time.flow(9_000);
  assertEquals(it.closes, []);
  await time.flow(2_500);
  assertEquals(it.closes[0]?.code, 4008);
});

Deno.test("Peer rejects a request, and closes for anything else, when bufferedMost wait", async () => {
  using time = new FakeTime();
  const limits = { bufferedMost: 1_000 };
  const local = { answer: () => "x".repeat(900) };
  const text = "x".repeat(500);
  for (const what of ["a notification", "an answer"]) {
    await using it = await openSlow({ limits, local });
    const { peer, socket } = it;
    it.fill(soft + 1);
    const controller = new AbortController();
    const given = peer.request("given up", [text], {
      signal: controller.signal,
    });
    const waits = peer.request("waits", ["x".repeat(380)]);
    for (
      const call of [
        () => peer.request("one too many", [text]),
        () => peer.batch(() => peer.request("one too many", [text])),
      ]
    ) {
      await assertRejects(
        call,
        RangeError,
        "of at most 1000 characters wait to be sent, see limits.bufferedMost",
      );
    }
    assertEquals(it.closes, []);
    // What was given up waits no more.
    controller.abort();
    await assertRejects(() => given, DOMException);
    const room = peer.request("there is room", ["x".repeat(400)]);
    const rejections = [waits, room].map((call) =>
      assertRejects(() => call, Error, "is closed (code 4008")
    );
    if (what === "an answer") socket.receive(request(1, "answer"));
    else peer.notify("one too many", [text]);
    for (const error of await Promise.all(rejections)) {
      assertEquals((error as Error & { sent: boolean }).sent, false);
    }
    const [{ code, reason }] = it.closes as [CloseInfo];
    assertEquals(code, 4008);
    assert(
      /^Slow consumer: \d+ of at most 1000 characters wait, see limits\.bufferedMost$/
        .test(reason),
      reason,
    );
    assertEquals(it.take(), ["fill"]);
  }
  await time.pass(0);
});

Deno.test("Peer hands what waits to its socket before it closes, but for its own requests", async () => {
  await using it = await openSlow({ local: { echo: (text: string) => text } });
  it.fill(soft + 1);
  it.peer.notify("first");
  const call = it.peer.request("call");
  it.socket.receive(request(1, "echo", ["second"]));
  it.peer.close();
  const error = await assertRejects(() => call, Error);
  assertEquals((error as Error & { sent: boolean }).sent, false);
  assertEquals(it.take(), ["fill", "first", "second"]);
});

Deno.test("connect sends by the next connection the calls that waited for the last one's socket", async () => {
  await using it = lab<Peer>(whole);
  it.socket.open();
  it.socket.bufferedAmount = soft + 1;
  it.client.notify("fill", ["x".repeat(65_536)]);
  const calls = [
    it.client.request("one"),
    it.client.batch(() => it.client.request("two")),
  ];
  it.client.notify("of this connection");
  it.socket.end(1006);
  const later = it.client.request("three");
  await it.time.pass(250);
  it.socket.open();
  const [one, [two], three] = it.socket.take() as [
    { id: number; method: string },
    [{ id: number; method: string }],
    { id: number; method: string },
  ];
  assertEquals([one, two, three].map(({ method }) => method), [
    "one",
    "two",
    "three",
  ]);
  it.socket.receive(result(one.id, 1));
  it.socket.receive([result(two.id, 2)]);
  it.socket.receive(result(three.id, 3));
  assertEquals(await Promise.all([...calls, later]), [1, 2, 3]);
});
