import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import {
  type BasePeer,
  type CloseInfo,
  ConnectionClosedError,
  type Peer,
} from "../mod.ts";
import { serve } from "../server.ts";
import { ReadyState } from "../src/line/socket.ts";
import { eachPeer, whole } from "./faces.ts";
import {
  openShared,
  request,
  result,
  type ScriptedSocket,
  settle,
} from "./scripted_socket.ts";
import { echo, lab } from "./stage.ts";

eachPeer(
  "What a lost connection is still asked for tells of its own end, and no other",
  async (face) => {
    await using it = lab(face);
    it.socket.open();
    const call = it.client.request<() => Promise<unknown>>("borrow");
    it.socket.receive(result(1, { __jsonrpc_marshaled: 1, handle: 1 }));
    const borrowed = await call;
    it.socket.end(1006, "", false);
    await it.time.pass(250);
    it.socket.dispatch({ type: "error", message: "refused" });
    const error = await assertRejects(() => borrowed(), ConnectionClosedError);
    assertEquals([error.code, error.cause], [1006, undefined]);
  },
);

eachPeer(
  "connect replaces a lost connection, and calls onopen and onclose each time",
  async (face) => {
    await using it = lab(face);
    assertEquals(it.client.state, "connecting");
    it.socket.open();
    assertEquals([it.client.state, it.log], ["open", ["open"]]);

    it.socket.end(1006, "", false);
    const lost = { code: 1006, reason: "", wasClean: false, retryIn: 250 };
    assertEquals(it.log.splice(0), ["open", lost]);
    assertEquals(it.client.state, "connecting");
    await it.time.pass(249);
    assertEquals(it.sockets.length, 1);
    await it.time.pass(1);
    assertEquals(it.sockets.length, 2);
    assertEquals(it.client.state, "connecting");
    it.socket.open();
    assertEquals([it.client.state, it.log.splice(0)], ["open", ["open"]]);

    it.client.close(4000, "enough");
    assertEquals(it.log.splice(0), [
      { code: 4000, reason: "enough", wasClean: true },
    ]);
    assertEquals(it.socket.closes, [{ code: 4000, reason: "enough" }]);
    assertEquals(it.client.state, "closed");
    await it.time.pass(100_000);
    assertEquals(it.sockets.length, 2);
  },
);

eachPeer(
  "Peer stops what ran for a lost connection, and answers on none",
  async (face) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    let signal: AbortSignal | undefined;
    let progress: (() => boolean) | undefined;
    await using it = lab(face, {
      local: {
        slow(this: BasePeer) {
          const { call } = this;
          signal = call.signal;
          progress = (): boolean => call.progress(1);
          return promise;
        },
      },
    });
    it.socket.open();
    it.socket.receive(request(7, "slow"));
    assertEquals(progress!(), true);
    it.socket.end(1006);
    await it.time.pass(0);
    assertInstanceOf(signal!.reason, ConnectionClosedError);
    await it.time.pass(250);
    it.socket.open();
    it.socket.receive(request(7, "slow"));
    it.socket.take();
    resolve("late");
    await it.time.pass(0);
    // The one that was asked for on this connection.
    assertEquals(it.socket.take(), [result(7, "late")]);
  },
);

Deno.test("Peer reads the version of each connection anew", async () => {
  await using it = lab<Peer>(whole, { local: { echo } });
  it.socket.open();
  it.socket.receive({ id: 1, method: "echo", params: [1] });
  assertEquals(it.client.version, "1.0");
  it.socket.end(1006);
  assertEquals(it.client.version, "2.0");
});

eachPeer(
  "opened is the promise of the next connection, closed that of the end",
  async (face) => {
    await using it = lab(face);
    const first = it.client.opened;
    it.socket.open();
    await first;
    assertEquals(it.client.opened, first);
    it.socket.end(1006);
    const second = it.client.opened;
    assert(second !== first);
    await it.time.pass(250);
    it.socket.open();
    await second;
    it.socket.end(1006);
    const never = assertRejects(() => it.client.opened, ConnectionClosedError);
    let isClosed = false;
    it.client.closed.then(() => isClosed = true);
    await it.time.pass(0);
    assertEquals(isClosed, false);
    it.client.close();
    await never;
    assertEquals((await it.client.closed).code, 1000);
  },
);

Deno.test("connect replaces a connection whose other end has died", async () => {
  await using it = lab<Peer>(whole, { sharedFrames: true });
  openShared(it.socket);
  const lost = assertRejects(
    () => it.client.request("m", [], { timeout: Infinity }),
    ConnectionClosedError,
  );
  const drained = it.client.drained();
  for (let second = 0; second < 35; second++) await it.time.pass(1_000);
  const [, info] = it.log as CloseInfo[];
  assertEquals([info!.code, info!.wasClean, info!.retryIn], [4009, true, 250]);
  assertEquals((await lost).code, 4009);
  await drained;
  assertEquals(it.sockets[0]!.closes[0]!.code, 4009);
  assertEquals(it.client.state, "connecting");
  // What the dead one says now is nobody's.
  it.sockets[0]!.receive(request(1, "m"));
  it.sockets[0]!.end(4009);
  await it.time.pass(250);
  openShared(it.socket);
  assertEquals([it.sockets.length, it.socket.sent], [2, []]);
  // The new one's time begins anew.
  for (let second = 0; second < 15; second++) await it.time.pass(1_000);
  assertEquals([it.client.state, it.socket.sent], ["open", []]);
});

Deno.test("connect replaces a connection that reads too slowly, or says too much", async () => {
  await using it = lab<Peer>(whole, {
    limits: {
      buffered: 0,
      bufferedMost: 0,
      messageRate: 1,
      messageBurst: 1,
    },
    local: { m: () => 1 },
  });
  it.socket.open();
  it.socket.bufferedAmount = 2_000;
  it.client.notify("m");
  it.client.notify("m");
  assertEquals((it.log.at(-1) as CloseInfo).code, 4008);
  await it.time.pass(250);
  it.socket.open();
  for (let id = 0; id < 1_100; id++) it.socket.receive(request(id, "m"));
  assertEquals((it.log.at(-1) as CloseInfo).code, 4429);
  assertEquals(it.client.state, "connecting");
});

Deno.test("connect replaces a connection once that is lost for two reasons at a time", async () => {
  for (let start = 15_000; start <= 25_000; start += 250) {
    await using it = lab<Peer>(whole);
    it.socket.open();
    await it.time.flow(start);
    // Neither reads nor speaks any more.
    it.socket.bufferedAmount = 2_000_000;
    it.client.notify("m", ["x".repeat(70_000)]);
    while (it.client.state === "open") await it.time.flow(250);
    assertEquals([start, it.client.state], [start, "connecting"]);
    await it.time.flow(250);
    assertEquals(it.sockets.length, 2);
  }
});

Deno.test("Peer executes nothing of a connection that its own words have lost", async () => {
  let runs = 0;
  await using it = lab<Peer>(whole, {
    limits: { buffered: 0, bufferedMost: 0 },
    local: {
      loud: () => void (it.client.notify("m"), it.client.notify("m")),
      run: () => void runs++,
    },
  });
  it.socket.open();
  it.socket.bufferedAmount = 2_000;
  it.socket.receive([request(1, "loud"), request(2, "run")]);
  assertEquals([it.client.state, runs], ["connecting", 0]);

  await it.time.pass(250);
  it.client.notify("m");
  it.socket.onsend = (): void => it.socket.end(1006);
  it.socket.readyState = ReadyState.Open;
  it.socket.receive(request(1, "run")); // Before the event "open".
  assertEquals([it.client.state, runs], ["connecting", 0]);
});

/** Says so much to one with a burst of 1 that the next word is the last. */
function beImpatient(socket: ScriptedSocket): void {
  const notification = { jsonrpc: "2.0", method: "m" };
  for (let n = 0; n < 1 + 1 + 1_024; n++) socket.receive(notification);
}

Deno.test("Peer sends what was gathered before it gives a connection up", async () => {
  const limits = { messageRate: 1, messageBurst: 1 };
  await using it = lab<Peer>(whole, { limits, sharedFrames: true });
  const { socket } = it;
  openShared(socket);
  beImpatient(socket);
  for (const word of ["one", "two", "three"]) it.client.notify(word);
  let sent: unknown[] = [];
  socket.close = (): void => void (sent = socket.take().flat());
  socket.receive([request(1, "m"), request(2, "m")]);
  assertEquals(it.client.state, "connecting");
  assertEquals(sent.map((it) => (it as { method?: string }).method), [
    "one",
    "two",
    "three",
  ]);
});

Deno.test("Peer gives up once a connection that is lost while what was gathered leaves", async () => {
  const limits = { messageRate: 1, messageBurst: 1 };
  await using it = lab<Peer>(whole, { limits, sharedFrames: true });
  openShared(it.socket);
  beImpatient(it.socket);
  it.client.notify("one");
  it.client.notify("two");
  const { socket } = it;
  socket.onsend = (): void => it.client.close();
  it.socket.receive([request(1, "m"), request(2, "m")]);
  assertEquals([it.client.state, socket.sent.length], ["closed", 2]);
  assertEquals(socket.closes.map(({ code }) => code), [1000]);
});

Deno.test("connect stays with a server that says what is no JSON-RPC 1.0", async () => {
  await using it = lab<Peer>(whole, { version: "1.0" });
  it.socket.open();
  it.socket.receive("no JSON");
  assertEquals(it.client.state, "open");
  assertEquals([it.socket.sent, it.socket.closes], [[], []]);
});

eachPeer(
  "connect without reconnection ends with its connection",
  async (face) => {
    await using it = lab(face, { reconnect: false });
    it.socket.open();
    it.socket.end(1001, "going");
    assertEquals(it.log, ["open", {
      code: 1001,
      reason: "going",
      wasClean: true,
    }]);
    assertEquals(it.client.state, "closed");
  },
);

eachPeer(
  "connect finds a server that was restarted, and goes on",
  async (face) => {
    const local = { echo: (value: unknown) => value };
    const options = { hostname: "127.0.0.1", onListen() {} };
    const first = serve({ ...options, local, port: 0 });
    const { port } = first.addr as Deno.NetAddr;
    const states: string[] = [];
    await using client = face.connect<typeof local>(`ws://127.0.0.1:${port}`, {
      onopen() {
        states.push(this.state);
      },
      onclose() {
        states.push(this.state);
      },
      reconnect: { delay: 100 },
    });
    assertEquals(await client.remote.echo(1), 1);
    await first.shutdown();
    await settle();
    const call = client.remote.echo(2);
    await using _second = serve({ ...options, local, port });
    assertEquals(await call, 2);
    assertEquals(states, ["open", "connecting", "open"]);
  },
);

eachPeer(
  "ws is the socket of the connection or the attempt, and undefined between them",
  async (face) => {
    await using it = lab(face);
    assertEquals(it.client.ws, it.socket);
    it.socket.open();
    assertEquals(it.client.ws, it.socket);
    it.socket.end(1006);
    assertEquals(it.client.ws, undefined);
    await it.time.pass(250);
    assertEquals([it.sockets.length, it.client.ws], [2, it.sockets[1]]);
    it.socket.end(1006);
    assertEquals(it.client.ws, undefined);
  },
);
