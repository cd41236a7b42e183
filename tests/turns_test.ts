/** Connections that share a process's time: what counts is the work, not the clock. */

import { assert, assertEquals } from "@std/assert";
import { Peer, type PeerOptions } from "../mod.ts";
import { coreOf } from "../src/peer/base.ts";
import { shareTurns } from "../src/server/turns.ts";
import {
  request,
  result,
  type Scripted,
  scripted,
  ScriptedSocket,
} from "./scripted_socket.ts";
import { until } from "./servers.ts";

/** A socket that can be paused, as those of `ws`. */
class PausableSocket extends ScriptedSocket {
  readonly pauses: string[] = [];

  pause(): void {
    this.pauses.push("pause");
  }

  resume(): void {
    this.pauses.push("resume");
  }
}

/** A clock that only work moves on. */
class WorkClock implements Disposable {
  readonly #now = performance.now;
  #time = 1_000;

  constructor() {
    performance.now = (): number => this.#time;
  }

  work(milliseconds: number): void {
    this.#time += milliseconds;
  }

  [Symbol.dispose](): void {
    performance.now = this.#now;
  }
}

/** A peer of a server's, that takes its turns. */
async function openServed<One extends ScriptedSocket>(
  socket: One,
  options: PeerOptions,
): Promise<Scripted & { readonly socket: One }> {
  const peer = new Peer(socket, options);
  shareTurns(peer);
  await peer.opened;
  return scripted(
    socket,
    peer,
    () => assertEquals(coreOf(peer).connection.held, 0),
  );
}

/** Lets a number of calls arrive at once, with ids from 0. */
function flood(socket: ScriptedSocket, calls: number, method: string): void {
  for (let id = 0; id < calls; id++) socket.receive(request(id, method));
}

function idsOf(socket: ScriptedSocket): number[] {
  return socket.take().map((answer) => (answer as { id: number }).id);
}

const ids = (to: number): number[] => Array.from({ length: to }, (_, id) => id);

Deno.test("What a connection sends beyond its share waits its turn, in order, and its neighbour doesn't", async () => {
  using clock = new WorkClock();
  const local = { work: () => clock.work(5), quick: () => 1 };
  await using busy = await openServed(new ScriptedSocket(), { local });
  await using neighbour = await openServed(new ScriptedSocket(), { local });
  flood(busy.socket, 100, "work");
  const first = idsOf(busy.socket);
  assert(first.length >= 16 && first.length < 50);
  flood(neighbour.socket, 1, "quick");
  assertEquals(idsOf(neighbour.socket), [0]);
  const all = [...first];
  await until(() => {
    const more = idsOf(busy.socket);
    // A turn has an end.
    assert(more.length <= 10);
    all.push(...more);
    flood(neighbour.socket, 1, "quick");
    assertEquals(idsOf(neighbour.socket), [0]);
    return all.length === 100;
  });
  assertEquals(all, ids(100));
});

Deno.test("Two connections that send more than their share have their turns by turns", async () => {
  using clock = new WorkClock();
  const order: string[] = [];
  const options = (name: string): PeerOptions => ({
    local: {
      work: () => {
        order.push(name);
        clock.work(5);
      },
    },
  });
  await using left = await openServed(new ScriptedSocket(), options("left"));
  await using right = await openServed(new ScriptedSocket(), options("right"));
  flood(left.socket, 60, "work");
  flood(right.socket, 60, "work");
  const done = order.length;
  await until(() => order.length === 120);
  const counts = { left: 0, right: 0 };
  for (const name of order.slice(done, done + 20)) {
    counts[name as keyof typeof counts]++;
  }
  assert(counts.left >= 8 && counts.right >= 8);
});

Deno.test("A connection that sends little and a lot at once is handled at once while the process has time", async () => {
  using _clock = new WorkClock();
  const local = { quick: () => 1 };
  await using it = await openServed(new ScriptedSocket(), { local });
  flood(it.socket, 5_000, "quick");
  assertEquals(idsOf(it.socket), ids(5_000));
});

Deno.test("A socket that can be paused is, as long as something of it waits", async () => {
  using clock = new WorkClock();
  const local = { work: () => clock.work(5) };
  await using it = await openServed(new PausableSocket(), { local });
  flood(it.socket, 100, "work");
  assertEquals(it.socket.pauses, ["pause"]);
  await until(() => it.socket.sent.length === 100);
  assertEquals(it.socket.pauses, ["pause", "resume"]);
  // It must hear that its close is answered.
  flood(it.socket, 100, "work");
  assertEquals(it.socket.pauses.at(-1), "pause");
  it.peer.close();
  assertEquals(it.socket.pauses.at(-1), "resume");
});

Deno.test("What was sent before a connection's end is handled before it is told", async () => {
  using clock = new WorkClock();
  const log: unknown[] = [];
  const it = await openServed(new ScriptedSocket(), {
    local: {
      work: (n: number) => {
        log.push(n);
        clock.work(5);
      },
    },
    onclose: ({ code }) => void log.push(code),
  });
  for (let n = 0; n < 100; n++) {
    it.socket.receive({ jsonrpc: "2.0", method: "work", params: [n] });
  }
  it.socket.end(4_000);
  await it.peer.closed;
  assertEquals(log, [...ids(100), 4_000]);
  assertEquals(coreOf(it.peer).connection.held, 0);
});

Deno.test("Notifications that wait their turn when this side closes are told once, with their number", async () => {
  using clock = new WorkClock();
  const told: string[] = [];
  let done = 0;
  const it = await openServed(new ScriptedSocket(), {
    local: {
      work: () => {
        done++;
        clock.work(5);
      },
    },
    onerror: (error) => void told.push(`${error}`),
  });
  const notice = { jsonrpc: "2.0", method: "work" };
  for (let n = 0; n < 100; n++) it.socket.receive(notice);
  const lost = 100 - done;
  assert(lost > 0);
  // What is no notification is told by whoever asked, or nobody's loss.
  flood(it.socket, 10, "work");
  it.socket.receive({ jsonrpc: "2.0", method: "$/cancelRequest", params: [1] });
  it.socket.receive("nonsense");
  it.socket.receive([notice, request("a", "work"), notice]);
  it.peer.close(4_000, "enough");
  assertEquals(told, [
    `ConnectionClosedError: Cannot take ${
      lost + 2
    } notifications: the connection is closed (code 4000, enough)`,
  ]);
  it.socket.end();
  await it.peer.closed;
  assertEquals([told.length, coreOf(it.peer).connection.held], [1, 0]);
});

Deno.test("What a socket that can't be paused sends beyond what may wait is handled as it arrives, in order", async () => {
  using clock = new WorkClock();
  const local = { work: () => clock.work(50) };
  const limits = { held: 100_000 };
  await using it = await openServed(new ScriptedSocket(), { local, limits });
  flood(it.socket, 200, "work");
  const { held } = coreOf(it.peer).connection;
  assert(held > 90_000 && held <= 100_000);
  assert(it.socket.sent.length > 100);
  await until(() => it.socket.sent.length === 200);
  assertEquals([idsOf(it.socket), it.socket.closes], [ids(200), []]);
});

Deno.test("A message that is longer than may wait is closed with 4429 where it has to", async () => {
  using clock = new WorkClock();
  const local = { work: () => clock.work(50) };
  const limits = { held: 10_000 };
  await using it = await openServed(new ScriptedSocket(), { local, limits });
  flood(it.socket, 40, "work");
  it.socket.receive(request("long", "work", ["x".repeat(10_000)]));
  const { length } = it.socket.sent;
  assertEquals(it.socket.closes, [{
    code: 4429,
    reason: "More than 10000 characters wait for their turn",
  }]);
  // Nothing of it is handled any more.
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(it.socket.sent.length, length);
});

Deno.test("A burst of 5,000 small calls is no more than may wait for its turn", async () => {
  using clock = new WorkClock();
  const local = { work: () => clock.work(1) };
  await using it = await openServed(new ScriptedSocket(), { local });
  flood(it.socket, 5_000, "work");
  assert(it.socket.sent.length < 100);
  await until(() => it.socket.sent.length === 5_000);
  assertEquals([idsOf(it.socket), it.socket.closes], [ids(5_000), []]);
});

Deno.test("Of long messages one is handled in a turn, however many connections send them", async () => {
  using clock = new WorkClock();
  let done = 0;
  // Within one turn nothing comes between.
  let together = 0;
  const options: PeerOptions = {
    local: {
      work: () => {
        done++;
        assertEquals(++together, 1);
        queueMicrotask(() => together = 0);
        clock.work(2);
      },
    },
  };
  await using left = await openServed(new PausableSocket(), options);
  await using right = await openServed(new PausableSocket(), options);
  for (let id = 0; id < 10; id++) {
    for (const { socket } of [left, right]) {
      socket.receive(request(id, "work", ["x".repeat(100_000)]));
    }
  }
  assertEquals(done, 1);
  await until(() => done === 20);
  for (const { socket } of [left, right]) {
    const answers = Array.from(
      { length: 10 },
      (_, id) => ({ jsonrpc: "2.0", result: null, id }),
    );
    assertEquals(socket.take(), answers);
  }
});

Deno.test("Short messages that are answered at length wait their turn as long ones do", async () => {
  using clock = new WorkClock();
  const local = {
    long: () => {
      clock.work(100);
      return "x".repeat(20_000);
    },
  };
  await using busy = await openServed(new ScriptedSocket(), { local });
  flood(busy.socket, 12, "long");
  const all = idsOf(busy.socket);
  assertEquals(all.length, 2);
  await until(() => {
    const more = idsOf(busy.socket);
    assert(more.length <= 1);
    all.push(...more);
    return all.length === 12;
  });
  assertEquals(all, ids(12));
});

/** A peer that takes its turns, and whose calls say when they ran. */
async function openWorking(
  milliseconds: number,
): Promise<
  Scripted & {
    readonly socket: ScriptedSocket;
    readonly clock: WorkClock;
    readonly ran: unknown[];
  }
> {
  const clock = new WorkClock();
  const ran: unknown[] = [];
  const it = await openServed(new ScriptedSocket(), {
    local: {
      work: (n: unknown) => {
        ran.push(n);
        clock.work(milliseconds);
        return n;
      },
    },
  });
  return Object.assign(it, { clock, ran });
}

Deno.test("A batch whose members take longer than a turn goes on in the next, ahead of what is sent after it, and is answered by one array", async () => {
  await using it = await openWorking(5);
  using _ = it.clock;
  const members = ids(100);
  it.socket.receive(members.map((n) => request(n, "work", [n])));
  it.socket.receive(request("after", "work", ["after"]));
  const first = it.ran.length;
  assert(first >= 16 && first < 50, `${first}`);
  assertEquals(it.socket.sent, []);
  await until(() => it.socket.sent.length === 2);
  assertEquals(it.ran, [...members, "after"]);
  assertEquals(it.socket.take(), [
    members.map((n) => result(n, n)),
    result("after", "after"),
  ]);
});

Deno.test("Between two pieces of a batch its neighbours are heard", async () => {
  await using it = await openWorking(5);
  using _ = it.clock;
  const local = { quick: () => 1 };
  await using neighbour = await openServed(new ScriptedSocket(), { local });
  it.socket.receive(ids(100).map((n) => request(n, "work", [n])));
  let pieces = 0;
  await until(() => {
    flood(neighbour.socket, 1, "quick");
    assertEquals(idsOf(neighbour.socket), [0]);
    pieces++;
    return it.socket.sent.length === 1;
  });
  assert(pieces >= 5, `${pieces}`);
  it.socket.take();
});

Deno.test("Messages that share a frame and take longer than a turn go on in the next, in order, a batch among them, too", async () => {
  using clock = new WorkClock();
  const ran: unknown[] = [];
  const socket = Object.assign(new ScriptedSocket(), {
    protocol: "jsonrpcws.v1",
  });
  await using it = await openServed(socket, {
    sharedFrames: true,
    local: {
      work: (n: number) => {
        ran.push(n);
        clock.work(5);
      },
    },
  });
  const all = ids(100).map((n) => ({
    jsonrpc: "2.0",
    method: "work",
    params: [n],
  }));
  assertEquals(it.socket.take(), [[]]); // A server's word that it shares them.
  socket.receive([...all.slice(0, 30), all.slice(30, 70), ...all.slice(70)]);
  assert(ran.length >= 16 && ran.length < 50, `${ran.length}`);
  await until(() => ran.length === 100);
  assertEquals([ran, socket.sent], [ids(100), []]);
});

Deno.test("Methods that come to long answers together are answered in turns, and their neighbours between them", async () => {
  using clock = new WorkClock();
  const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
  let written = 0;
  const long = {
    toJSON: () => {
      written++;
      clock.work(5);
      return "x".repeat(20_000);
    },
  };
  const local = { long: () => gate.then(() => long) };
  await using it = await openServed(new ScriptedSocket(), { local });
  flood(it.socket, 100, "long");
  openGate();
  let turns = 0;
  await until(() => {
    turns++;
    return written > 0;
  });
  // To be looked at between two turns, never within one.
  let before = 0;
  await until(() => {
    const more = written - before;
    before = written;
    turns++;
    assert(more <= 8, `${more}`);
    return written === 100;
  });
  assert(turns > 10, `${turns}`);
  assertEquals(idsOf(it.socket), ids(100));
});

Deno.test("A message for which there is no room to wait is handled where only pings came before it", async () => {
  using clock = new WorkClock();
  const local = { quick: () => 1 };
  const limits = { held: 0 };
  await using it = await openServed(new PausableSocket(), { local, limits });
  const { listener } = coreOf(it.peer);
  it.socket.addEventListener("control", listener);
  const ping = (): void => it.socket.dispatch({ type: "control" });
  for (let n = 0; n < 100; n++) ping();
  clock.work(10);
  for (let n = 0; n < 100; n++) ping();
  assertEquals(it.socket.pauses, ["pause"]);
  flood(it.socket, 1, "quick");
  assertEquals(it.socket.pauses, ["pause", "resume"]);
  assertEquals([idsOf(it.socket), it.socket.closes], [[0], []]);
  it.socket.removeEventListener("control", listener);
});

Deno.test("The notifications of a batch that waits its turn when this side closes are told with their number, and none runs", async () => {
  using clock = new WorkClock();
  const told: string[] = [];
  let done = 0;
  const it = await openServed(new ScriptedSocket(), {
    local: {
      work: () => {
        done++;
        clock.work(5);
      },
    },
    onerror: (error) => void told.push(`${error}`),
  });
  it.socket.receive(
    ids(100).map(() => ({ jsonrpc: "2.0", method: "work" })),
  );
  const lost = 100 - done;
  assert(lost > 0);
  it.peer.close(4_000, "enough");
  it.socket.end();
  await it.peer.closed;
  await until(() => coreOf(it.peer).connection.held === 0);
  assertEquals(told, [
    `ConnectionClosedError: Cannot take ${lost} notifications: the connection is closed (code 4000, enough)`,
  ]);
  assertEquals(done, 100 - lost);
});

Deno.test("Pings beyond a connection's share pause its socket until its turn, and what follows them waits", async () => {
  using clock = new WorkClock();
  const local = { quick: () => 1 };
  await using it = await openServed(new PausableSocket(), { local });
  const ping = (count: number): void => {
    for (let n = 0; n < count; n++) it.socket.dispatch({ type: "control" });
  };
  // Those of the platforms tell whoever hears messages.
  const { listener } = coreOf(it.peer);
  it.socket.addEventListener("control", listener);
  ping(1_000);
  assertEquals(it.socket.pauses, []);
  clock.work(10);
  ping(1_000);
  assertEquals(it.socket.pauses, ["pause"]);
  flood(it.socket, 1, "quick");
  assertEquals(it.socket.sent, []);
  await until(() => it.socket.sent.length === 1);
  assertEquals(it.socket.pauses, ["pause", "resume"]);
  assertEquals(idsOf(it.socket), [0]);
  it.socket.removeEventListener("control", listener);
});
