import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  ConnectionClosedError,
  ethereum,
  type EventOptions,
  notifications,
  RpcError,
  subscribe,
} from "../mod.ts";
import { ReadyState } from "../src/line/socket.ts";
import { eachPeer, type Face } from "./faces.ts";
import { request, result, settle } from "./scripted_socket.ts";
import { lab, notification, open, type Scene } from "./stage.ts";

/** A peer to whom events are told. */
interface Listening extends Scene {
  /** Lets a notification arrive. */
  notify(method: string, params: unknown): void;
  /** Lets an Ethereum event arrive. */
  event(subscription: unknown, result: unknown): void;
  /** Lets the response to a request arrive. */
  answer(id: number, result: unknown): Promise<void>;
}

async function listen(face: Face): Promise<Listening> {
  const it = await open(face);
  const { socket } = it;
  const notify = (method: string, params: unknown): void =>
    socket.receive({ jsonrpc: "2.0", method, params });
  return {
    ...it,
    notify,
    event: (subscription, result) =>
      notify("eth_subscription", { subscription, result }),
    async answer(id, value) {
      socket.receive(result(id, value));
      await settle();
    },
  };
}

/** Takes the next values of an iterable, as far as there are any. */
async function takeEvents<T>(
  events: AsyncIterator<T>,
  count: number,
): Promise<T[]> {
  const values: T[] = [];
  while (values.length < count) {
    const { value, done } = await events.next();
    if (done === true) break;
    values.push(value);
  }
  return values;
}

eachPeer(
  "notifications gives the params of each, those before the first read too",
  async (face) => {
    await using it = await listen(face);
    const ticks = notifications<[number]>(it.peer, "tick");
    it.notify("tick", [1]);
    it.notify("tock", [0]);
    it.notify("tick", [2]);
    const seen: unknown[] = [];
    for await (const [tick] of ticks) {
      seen.push(tick);
      if (tick === 2) it.notify("tick", [3]);
      if (tick === 3) break;
    }
    it.notify("tick", [4]);
    assertEquals(seen, [1, 2, 3]);
    assertEquals(await ticks.next(), { value: undefined, done: true });
    assertEquals(it.socket.sent, []);
  },
);

eachPeer(
  "notifications tells several listeners, and a method of local besides",
  async (face) => {
    const called: unknown[] = [];
    await using it = await listen(face);
    it.peer.local = { tick: (value: unknown) => void called.push(value) };
    const first = notifications(it.peer, "tick");
    const second = notifications(it.peer, "tick");
    const waiting = first.next();
    it.notify("tick", [1]);
    assertEquals(await waiting, { value: [1], done: false });
    await first.return();
    it.notify("tick", [2]);
    assertEquals(await takeEvents(second, 2), [[1], [2]]);
    assertEquals(called, [1, 2]);
    // A request of that name is no event.
    it.socket.receive({ jsonrpc: "2.0", method: "tick", params: [3], id: 1 });
    await second.return();
    assertEquals(await takeEvents(second, 1), []);
  },
);

eachPeer(
  "notifications keeps what it may and says what happens to the rest",
  async (face) => {
    const rows: [EventOptions, unknown[]][] = [
      [{ limit: 2, overflow: "drop-oldest" }, [3, 4]],
      [{ overflow: "latest" }, [4]],
      [{ limit: 4 }, [1, 2, 3, 4]],
    ];
    for (const [options, expected] of rows) {
      await using it = await listen(face);
      await using events = notifications<number[]>(it.peer, "n", options);
      for (const n of [1, 2, 3, 4]) it.notify("n", [n]);
      const values = await takeEvents(events, expected.length);
      assertEquals(values.flat(), expected);
    }
    await using it = await listen(face);
    const events = notifications<number[]>(it.peer, "n", { limit: 2 });
    for (const n of [1, 2, 3]) it.notify("n", [n]);
    assertEquals(await takeEvents(events, 2), [[1], [2]]);
    await assertRejects(
      () => events.next(),
      RangeError,
      'Cannot take "n": 2 of at most 2 events wait to be read',
    );
    assertEquals((await events.next()).done, true);
    assertThrows(() => notifications(it.peer, "n", { limit: 0 }), RangeError);
  },
);

eachPeer(
  "notifications ends with the connection, after what waits",
  async (face) => {
    await using it = await listen(face);
    const waiting = notifications(it.peer, "n");
    const reading = notifications(it.peer, "n");
    const reader = assertRejects(() => reading.next(), ConnectionClosedError);
    const alsoReading = reading.next();
    it.peer.close(4000, "bye");
    const error = await reader;
    assertEquals(error.code, 4000);
    assertEquals((await alsoReading).done, true);
    await assertRejects(() => waiting.next(), ConnectionClosedError);
    assertEquals((await waiting.next()).done, true);
    const late = notifications(it.peer, "n");
    await assertRejects(() => late.next(), ConnectionClosedError);
  },
);

eachPeer(
  "subscribe asks, gives the results of its own subscription, and unsubscribes",
  async (face) => {
    await using it = await listen(face);
    const { socket } = it;
    const heads = subscribe<number>(it.peer, ethereum, ["newHeads"]);
    assertEquals(socket.take(), [
      { jsonrpc: "2.0", method: "eth_subscribe", params: ["newHeads"], id: 1 },
    ]);
    // Before the response, and between it and the first read: nothing is lost.
    it.event("0xa", 1);
    it.event("0xb", "somebody else's");
    await it.answer(1, "0xa");
    it.event("0xa", 2);
    it.event("0xb", "somebody else's");
    it.notify("eth_subscription", undefined);
    const seen: number[] = [];
    for await (const head of heads) {
      seen.push(head);
      if (head === 2) break;
    }
    assertEquals(seen, [1, 2]);
    assertEquals(socket.take(), [
      { jsonrpc: "2.0", method: "eth_unsubscribe", params: ["0xa"], id: 2 },
    ]);
    await it.answer(2, true);
    it.event("0xa", 3);
    assertEquals((await heads.next()).done, true);
  },
);

eachPeer(
  "subscribe that is left before its response unsubscribes once it knows the id",
  async (face) => {
    await using it = await listen(face);
    const events = subscribe(it.peer, ethereum, ["logs"]);
    await events.return();
    assertEquals(it.socket.take().length, 1);
    await it.answer(1, 7);
    assertEquals(it.socket.take(), [
      { jsonrpc: "2.0", method: "eth_unsubscribe", params: [7], id: 2 },
    ]);
    it.socket.receive({ jsonrpc: "2.0", error: "no such id", id: 2 });
    await settle();
  },
);

eachPeer(
  "subscribe throws what the call that subscribes rejects with",
  async (face) => {
    await using it = await listen(face);
    const events = subscribe(it.peer, ethereum, ["nonsense"]);
    const reading = assertRejects(
      () => events.next(),
      RpcError,
      "no such thing",
    );
    it.socket.receive({
      jsonrpc: "2.0",
      error: { code: -32602, message: "no such thing" },
      id: 1,
    });
    assertEquals((await reading).code, -32602);
    assertEquals((await events.next()).done, true);
    assertEquals(it.socket.sent.length, 1);
  },
);

eachPeer(
  "subscribe ends with the error that a subscription tells",
  async (face) => {
    await using it = await listen(face);
    const events = subscribe(it.peer, ethereum, ["newHeads"]);
    await it.answer(1, "0xa");
    it.event("0xa", 1);
    it.notify("eth_subscription", {
      subscription: "0xa",
      error: { code: 5, message: "lagging" },
    });
    assertEquals(await takeEvents(events, 1), [1]);
    await assertRejects(() => events.next(), RpcError, "lagging");
  },
);

eachPeer(
  "subscribe is bounded before and after its response, and releases what it holds",
  async (face) => {
    for (const isEarly of [true, false]) {
      await using it = await listen(face);
      const events = subscribe(it.peer, ethereum, [], { limit: 2 });
      if (!isEarly) await it.answer(1, "0xa");
      for (const n of [1, 2, 3]) it.event("0xa", n);
      if (isEarly) await it.answer(1, "0xa");
      assertEquals(await takeEvents(events, 2), [1, 2]);
      await assertRejects(() => events.next(), RangeError, "at most 2 events");
      const methods = (it.socket.take() as { method: string }[]).map((
        { method },
      ) => method);
      assertEquals(methods, ["eth_subscribe", "eth_unsubscribe"]);
    }
  },
);

eachPeer("subscribe ends with the connection", async (face) => {
  await using it = await listen(face);
  const events = subscribe(it.peer, ethereum, ["newHeads"]);
  await it.answer(1, "0xa");
  it.event("0xa", 1);
  it.socket.end(1006, "", false);
  assertEquals(await takeEvents(events, 1), [1]);
  await assertRejects(() => events.next(), ConnectionClosedError);

  await using pending = await listen(face);
  const never = subscribe(pending.peer, ethereum, ["newHeads"]);
  const reading = assertRejects(() => never.next(), ConnectionClosedError);
  pending.socket.end(1006, "", false);
  assert((await reading).wasClean === false);
});

eachPeer(
  "notifications and subscribe share a connection, and end with it in its words",
  async (face) => {
    await using it = await open(face);
    const { peer, socket } = it;
    const ticks = notifications<[number]>(peer, "tick");
    const methods = {
      subscribe: "subscribe",
      unsubscribe: "unsubscribe",
      notification: "event",
    };
    const events = subscribe<string>(peer, methods, ["all"]);
    const event = (subscription: number, result: string): object => ({
      jsonrpc: "2.0",
      method: "event",
      params: { subscription, result },
    });
    socket.receive(event(7, "early"));
    socket.receive(event(8, "not ours"));
    socket.receive(result(1, 7));
    socket.receive({ jsonrpc: "2.0", method: "tick", params: [1] });
    socket.receive(request(1, "tick", [2])); // A call is no event.
    assertEquals((await events.next()).value, "early");
    assertEquals((await ticks.next()).value, [1]);
    await events.return();
    await ticks.return();
    assertEquals(
      socket.take().map((it) => (it as { method?: string }).method),
      ["subscribe", undefined, "unsubscribe"],
    );

    const last = notifications(peer, "tick");
    peer.close(4000);
    await assertRejects(
      () => last.next(),
      ConnectionClosedError,
      'No more of "tick": the connection is closed (code 4000)',
    );
    await assertRejects(
      () => notifications(peer, "tick").next(),
      ConnectionClosedError,
      'No more of "tick"',
    );
  },
);

eachPeer(
  "subscribe overflows by its own events alone, and keeps the newest",
  async (face) => {
    const event = (subscription: string, result: unknown): object =>
      notification("eth_subscription", { subscription, result });

    await using few = await open(face);
    const oldest = subscribe(few.peer, ethereum, [], {
      limit: 2,
      overflow: "drop-oldest",
    });
    for (let n = 0; n < 5; n++) few.socket.receive(event("other", n));
    few.socket.receive(result(1, "mine"));
    await settle();
    few.socket.receive(event("mine", "hello"));
    assertEquals((await oldest.next()).value, "hello");
    await oldest.return();

    await using many = await open(face);
    const latest = subscribe(many.peer, ethereum, [], { overflow: "latest" });
    for (let n = 0; n < 1_100; n++) many.socket.receive(event("mine", n));
    many.socket.receive(result(1, "mine"));
    await settle();
    assertEquals((await latest.next()).value, 1_099);
    await latest.return();
  },
);

eachPeer(
  "A subscription that nobody waits for any more ends, on the next connection too",
  async (face) => {
    await using it = lab(face);
    it.socket.open();
    it.socket.readyState = ReadyState.Closing;
    const heads = subscribe(it.client, ethereum, ["newHeads"]);
    const ended = assertRejects(() => heads.next(), ConnectionClosedError);
    it.socket.end(1012);
    await ended;
    await it.time.pass(250);
    it.socket.open();
    const [{ method, id }] = it.socket.take() as [
      { method: string; id: number },
    ];
    assertEquals(method, "eth_subscribe");
    it.socket.receive(result(id, "0x1"));
    await it.time.pass(0);
    assertEquals(
      it.socket.take().map((sent) => (sent as { params: unknown }).params),
      [["0x1"]],
    );
  },
);
