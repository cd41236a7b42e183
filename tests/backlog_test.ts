/**
 * Pacing: `drained`. The limits of what may wait are tested in limits_test.ts, a
 * reader that stops in hostile/messages_test.ts.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type CloseInfo, ConnectionClosedError, Peer } from "../mod.ts";
import { ReadyState } from "../src/line/socket.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { FakeTime } from "./fake_time.ts";
import { openScripted as open, ScriptedSocket } from "./scripted_socket.ts";

/** Whether a promise has settled by the end of this turn's microtasks. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  promise.then(() => isSettled = true, () => isSettled = true);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  return isSettled;
}

Deno.test("Peer has drained in the same turn when at most 65,536 bytes wait", async () => {
  using _time = new FakeTime();
  await using it = await open();
  for (
    const [buffered, isDrained] of [
      [0, true],
      [65_535, true],
      [65_536, true],
      [65_537, false],
    ] as const
  ) {
    it.socket.bufferedAmount = buffered;
    const drained = it.peer.drained();
    drained.catch(() => {});
    assertEquals(await isSettled(drained), isDrained, `${buffered}`);
  }
});

Deno.test("Peer looks for what has drained more and more seldom, while somebody waits", async () => {
  using time = new FakeTime();
  await using it = await open();
  const { socket, peer } = it;
  let buffered = 100_000;
  const looks: number[] = [];
  Object.defineProperty(socket, "bufferedAmount", {
    get: () => (looks.push(performance.now()), buffered),
  });
  const all = [peer.drained(), peer.drained()];
  for (let now = 1; now <= 70; now++) await time.pass(1);
  assertEquals(looks, [0, 0, 1, 3, 7, 15, 31, 47, 63]);
  assertEquals(await isSettled(Promise.race(all)), false);
  buffered = 65_536;
  await time.pass(9);
  await Promise.all(all);
  assertEquals(looks.splice(0).at(-1), 79);
  await time.flow(1_000);
  assertEquals(looks, []);
});

Deno.test("Peer drains when its peer reads on, and is not closed meanwhile", async () => {
  const [left, right] = socketPair();
  const closes: CloseInfo[] = [];
  const onclose = (info: CloseInfo): void => void closes.push(info);
  let count = 0;
  await using reader = new Peer(left, { local: { take: () => void count++ } });
  await using writer = new Peer(right, { onclose });
  await writer.opened;
  left.pause();
  const text = "x".repeat(1_000);
  let sent = 0;
  let most = 0;
  const writing = (async () => {
    for (; sent < 10_000; sent++) {
      await writer.drained();
      assert(writer.notify("take", [text]));
      most = Math.max(most, right.bufferedAmount);
    }
  })();
  assertEquals(await isSettled(writing), false);
  for (let turn = 0; turn < 1_000; turn++) await Promise.resolve();
  // It waits: one more than what is little.
  assert(sent > 60 && sent < 70 && most > 65_536 && most < 70_000);
  left.resume();
  await writing;
  await writer.request("rpc.ping");
  assertEquals([count, closes], [10_000, []]);
  assertEquals(reader.unmatched, 0);
});

Deno.test("Peer that closes before it has drained says so, and looks no more", async () => {
  const it = await open();
  const { socket, peer } = it;
  socket.bufferedAmount = 65_537;
  const waiting = peer.drained();
  peer.close(4000, "enough");
  for (const drained of [waiting, peer.drained()]) {
    const error = await assertRejects(
      () => drained,
      ConnectionClosedError,
      "Cannot drain: the connection is closed (code 4000, enough)",
    );
    assertEquals([error.code, error.sent], [4000, true]);
  }
  await it[Symbol.asyncDispose]();

  // Nor is what never waited drained any more.
  await using other = await open();
  other.peer.close();
  await assertRejects(() => other.peer.drained(), ConnectionClosedError);
});

Deno.test("Peer has not drained while messages wait for the handshake", async () => {
  using time = new FakeTime();
  const socket = new ScriptedSocket(ReadyState.Connecting);
  const peer = new Peer(socket);
  assertEquals(await isSettled(peer.drained()), true);
  peer.notify("first");
  const drained = peer.drained();
  await time.pass(10_000);
  assertEquals(await isSettled(drained), false);
  socket.open();
  await time.pass(16);
  await drained;

  const never = new ScriptedSocket(ReadyState.Connecting);
  const unopened = new Peer(never);
  unopened.notify("first");
  const waiting = unopened.drained();
  never.end(1006);
  const error = await assertRejects(() => waiting, ConnectionClosedError);
  assertEquals(error.sent, false);
  peer.close();
  socket.end();
});
