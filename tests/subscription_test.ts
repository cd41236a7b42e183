import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConnectionClosedError, Peer, RpcError } from "../mod.ts";
import {
  ethereum,
  type EventOptions,
  notifications,
  subscribe,
} from "../src/parts/subscriptions.ts";
import { ScriptedSocket, settle } from "./scripted_socket.ts";

async function open(): Promise<
  & {
    socket: ScriptedSocket;
    peer: Peer;
    /** Lets a notification arrive. */
    notify(method: string, params: unknown): void;
    /** Lets an Ethereum event arrive. */
    event(subscription: unknown, result: unknown): void;
    /** Lets the response to a request arrive. */
    answer(id: number, result: unknown): Promise<void>;
  }
  & Disposable
> {
  const socket = new ScriptedSocket();
  const peer = new Peer(socket);
  await peer.opened;
  const notify = (method: string, params: unknown): void =>
    socket.receive({ jsonrpc: "2.0", method, params });
  return {
    socket,
    peer,
    notify,
    event: (subscription, result) =>
      notify("eth_subscription", { subscription, result }),
    async answer(id, result) {
      socket.receive({ jsonrpc: "2.0", result, id });
      await settle();
    },
    [Symbol.dispose]() {
      peer.close();
      socket.end();
    },
  };
}

/** Takes the next values of an iterable, as far as there are any. */
async function take<T>(events: AsyncIterator<T>, count: number): Promise<T[]> {
  const values: T[] = [];
  while (values.length < count) {
    const { value, done } = await events.next();
    if (done === true) break;
    values.push(value);
  }
  return values;
}

Deno.test("notifications gives the params of each, those before the first read too", async () => {
  using it = await open();
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
});

Deno.test("notifications tells several listeners, and a method of local besides", async () => {
  const called: unknown[] = [];
  using it = await open();
  it.peer.local = { tick: (value: unknown) => void called.push(value) };
  const first = notifications(it.peer, "tick");
  const second = notifications(it.peer, "tick");
  const waiting = first.next();
  it.notify("tick", [1]);
  assertEquals(await waiting, { value: [1], done: false });
  await first.return();
  it.notify("tick", [2]);
  assertEquals(await take(second, 2), [[1], [2]]);
  assertEquals(called, [1, 2]);
  // A request of that name is no event.
  it.socket.receive({ jsonrpc: "2.0", method: "tick", params: [3], id: 1 });
  await second.return();
  assertEquals(await take(second, 1), []);
});

Deno.test("notifications keeps what it may and says what happens to the rest", async () => {
  const rows: [EventOptions, unknown[]][] = [
    [{ limit: 2, overflow: "drop-oldest" }, [3, 4]],
    [{ overflow: "latest" }, [4]],
    [{ limit: 4 }, [1, 2, 3, 4]],
  ];
  for (const [options, expected] of rows) {
    using it = await open();
    await using events = notifications<number[]>(it.peer, "n", options);
    for (const n of [1, 2, 3, 4]) it.notify("n", [n]);
    const values = await take(events, expected.length);
    assertEquals(values.flat(), expected);
  }
  using it = await open();
  const events = notifications<number[]>(it.peer, "n", { limit: 2 });
  for (const n of [1, 2, 3]) it.notify("n", [n]);
  assertEquals(await take(events, 2), [[1], [2]]);
  await assertRejects(
    () => events.next(),
    RangeError,
    'Cannot take "n": 2 of at most 2 events wait to be read',
  );
  assertEquals((await events.next()).done, true);
  assertThrows(() => notifications(it.peer, "n", { limit: 0 }), RangeError);
});

Deno.test("notifications ends with the connection, after what waits", async () => {
  const it = await open();
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
  it.socket.end();
});

Deno.test("subscribe asks, gives the results of its own subscription, and unsubscribes", async () => {
  using it = await open();
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
});

Deno.test("subscribe that is left before its response unsubscribes once it knows the id", async () => {
  using it = await open();
  const events = subscribe(it.peer, ethereum, ["logs"]);
  await events.return();
  assertEquals(it.socket.take().length, 1);
  await it.answer(1, 7);
  assertEquals(it.socket.take(), [
    { jsonrpc: "2.0", method: "eth_unsubscribe", params: [7], id: 2 },
  ]);
  it.socket.receive({ jsonrpc: "2.0", error: "no such id", id: 2 });
  await settle();
});

Deno.test("subscribe throws what the call that subscribes rejects with", async () => {
  using it = await open();
  const events = subscribe(it.peer, ethereum, ["nonsense"]);
  const reading = assertRejects(() => events.next(), RpcError, "no such thing");
  it.socket.receive({
    jsonrpc: "2.0",
    error: { code: -32602, message: "no such thing" },
    id: 1,
  });
  assertEquals((await reading).code, -32602);
  assertEquals((await events.next()).done, true);
  assertEquals(it.socket.sent.length, 1);
});

Deno.test("subscribe ends with the error that a subscription tells", async () => {
  using it = await open();
  const events = subscribe(it.peer, ethereum, ["newHeads"]);
  await it.answer(1, "0xa");
  it.event("0xa", 1);
  it.notify("eth_subscription", {
    subscription: "0xa",
    error: { code: 5, message: "lagging" },
  });
  assertEquals(await take(events, 1), [1]);
  await assertRejects(() => events.next(), RpcError, "lagging");
});

Deno.test("subscribe is bounded before and after its response, and releases what it holds", async () => {
  for (const isEarly of [true, false]) {
    using it = await open();
    const events = subscribe(it.peer, ethereum, [], { limit: 2 });
    if (!isEarly) await it.answer(1, "0xa");
    for (const n of [1, 2, 3]) it.event("0xa", n);
    if (isEarly) await it.answer(1, "0xa");
    assertEquals(await take(events, 2), [1, 2]);
    await assertRejects(() => events.next(), RangeError, "at most 2 events");
    const methods = (it.socket.take() as { method: string }[]).map((
      { method },
    ) => method);
    assertEquals(methods, ["eth_subscribe", "eth_unsubscribe"]);
  }
});

Deno.test("subscribe ends with the connection", async () => {
  const it = await open();
  const events = subscribe(it.peer, ethereum, ["newHeads"]);
  await it.answer(1, "0xa");
  it.event("0xa", 1);
  it.socket.end(1006, "", false);
  assertEquals(await take(events, 1), [1]);
  await assertRejects(() => events.next(), ConnectionClosedError);

  const pending = await open();
  const never = subscribe(pending.peer, ethereum, ["newHeads"]);
  const reading = assertRejects(() => never.next(), ConnectionClosedError);
  pending.socket.end(1006, "", false);
  assert((await reading).wasClean === false);
});
