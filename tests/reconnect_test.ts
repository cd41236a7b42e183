import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
// @ts-types="@types/ws"
import { WebSocket as NodeWebSocket } from "ws";
import { type Address, connect, type ConnectOptions } from "../client.ts";
import {
  type CloseInfo,
  ConnectionClosedError,
  type Link,
  Peer,
  type PeerOptions,
} from "../mod.ts";
import { serve } from "../server.ts";
import * as slim from "../slim.ts";
import { extension } from "../src/peer/extension.ts";
import { Retries } from "../src/line/retry.ts";
import { ReadyState } from "../src/line/socket.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { streams } from "../src/parts/streams.ts";
import { ethereum, subscribe } from "../src/parts/subscriptions.ts";
import { FakeTime } from "./fake_time.ts";
import { request, result, ScriptedSocket, settle } from "./scripted_socket.ts";

const address = "ws://localhost/";

/** A client whose sockets are scripted, in a time that stands still. */
interface Lab extends AsyncDisposable {
  readonly time: FakeTime;
  readonly sockets: ScriptedSocket[];
  readonly opened: string[];
  readonly client: Peer;
  /** What the hooks were told. */
  readonly log: (string | CloseInfo)[];
  /** The newest socket. */
  readonly socket: ScriptedSocket;
}

type MakeLab = (
  options?: ConnectOptions & { url?: Address },
  local?: object,
) => Lab;

function lab(
  { url = address, ...options }: ConnectOptions & { url?: Address } = {},
  local: object = {},
  connectWith = connect,
): Lab {
  const time = new FakeTime();
  const { random } = Math;
  Math.random = (): number => 0.5;
  const sockets: ScriptedSocket[] = [];
  const opened: string[] = [];
  const log: (string | CloseInfo)[] = [];
  const client = connectWith(url, {
    local,
    onopen: () => void log.push("open"),
    onclose: (info) => void log.push(info),
  }, {
    createSocket(url, protocols) {
      const socket = new ScriptedSocket(ReadyState.Connecting);
      sockets.push(socket);
      opened.push([url, ...protocols].join(" "));
      return socket;
    },
    ...options,
  });
  return {
    time,
    sockets,
    opened,
    client,
    log,
    get socket() {
      return sockets.at(-1)!;
    },
    async [Symbol.asyncDispose]() {
      client.close();
      for (const socket of sockets) {
        if (socket.readyState !== ReadyState.Closed) socket.end();
      }
      await client.closed;
      Math.random = random;
      time[Symbol.dispose]();
      // One that was given up keeps a listener to errors that concern nobody.
      for (const socket of sockets) assert(socket.listenerCount <= 1);
    },
  };
}

/** A test of both clients: what they share means the same. */
function eachTest(
  title: string,
  test: (lab: MakeLab, connectWith: typeof connect) => Promise<void> | void,
): void {
  Deno.test(title, () => test(lab, connect));
  const connectSlim = slim.connect as unknown as typeof connect;
  Deno.test(
    `${title}, slim`,
    () =>
      test(
        (options, local) => lab(options, local, connectSlim),
        connectSlim,
      ),
  );
}

eachTest(
  "What a lost connection is still asked for tells of its own end, and no other",
  async (lab) => {
    const links: Link[] = [];
    const recorder = extension((link) => {
      links.push(link);
      return {
        write: (value) => value,
        read: (value) => value,
        discard() {},
        control: () => undefined,
        end() {},
      };
    });
    await using it = lab({ use: [recorder] });
    it.socket.open();
    it.socket.end(1006, "", false);
    await it.time.pass(250);
    it.socket.dispatch({ type: "error", message: "refused" });
    const error = await assertRejects(
      () => links[0]!.request("late"),
      ConnectionClosedError,
    );
    assertEquals([error.code, error.cause], [1006, undefined]);
  },
);

eachTest(
  "A subscription that nobody waits for any more ends, on the next connection too",
  async (lab) => {
    await using it = lab();
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

eachTest("A call whose params close the peer rejects", async (lab) => {
  for (const isOpen of [false, true]) {
    await using it = lab();
    if (isOpen) it.socket.open();
    const fatal = { toJSON: () => (it.client.close(), 1) };
    await assertRejects(
      () => it.client.request("m", [fatal]),
      ConnectionClosedError,
      'Cannot send request "m"',
    );
    assertEquals(it.socket.sent, []);
  }
});

eachTest(
  "close is the last word, to a socket that ends within it, too",
  async (lab) => {
    class Hasty extends ScriptedSocket {
      override close(): void {
        this.end(1006, "", false);
      }
    }
    const sockets: Hasty[] = [];
    await using it = lab({
      createSocket() {
        sockets.push(new Hasty(ReadyState.Connecting));
        return sockets.at(-1)!;
      },
    });
    sockets[0]!.open();
    it.client.close();
    await it.client.closed;
    await it.time.pass(60_000);
    assertEquals(
      it.log.map((entry) => typeof entry === "string" || entry.code),
      [
        true,
        1000,
      ],
    );
    assertEquals(sockets.length, 1);
  },
);

Deno.test("No delay is too short or too long for a timer, however many attempts failed", () => {
  const lost = { code: 1006, reason: "" };
  const none = new Retries({ delay: 0 });
  const endless = new Retries({ maxDelay: Infinity });
  for (let attempt = 0; attempt < 1_100; attempt++) {
    assertEquals(none.delayAfter(lost, false), 100);
    const delay = endless.delayAfter(lost, false)!;
    assert(delay >= 100 && delay <= 0x7fff_ffff, `${delay}`);
  }
});

eachTest(
  "connect replaces a lost connection, and calls onopen and onclose each time",
  async (lab) => {
    await using it = lab();
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

eachTest(
  "connect waits longer after each attempt that fails, up to 30 s",
  async (lab) => {
    await using it = lab();
    const delays: number[] = [];
    let last = 0;
    let now = 0;
    it.socket.end(1006, "", false);
    while (delays.length < 9) {
      await it.time.pass(50);
      now += 50;
      if (it.sockets.length - 2 < delays.length) continue;
      delays.push(now - last);
      last = now;
      it.socket.end(1006, "", false);
    }
    assertEquals(delays, [
      250,
      500,
      1_000,
      2_000,
      4_000,
      8_000,
      15_000,
      15_000,
      15_000,
    ]);
    // Nothing was lost that had been there.
    assertEquals(it.log, []);
  },
);

eachTest(
  "connect begins anew after a connection that lasted for 5 s",
  async (lab) => {
    await using it = lab();
    it.socket.end(1006);
    await it.time.pass(250);
    it.socket.open();
    await it.time.pass(4_999);
    it.socket.end(1006);
    assertEquals((it.log.at(-1) as CloseInfo).retryIn, 500);
    await it.time.pass(500);
    it.socket.open();
    await it.time.pass(5_000);
    it.socket.end(1006);
    assertEquals((it.log.at(-1) as CloseInfo).retryIn, 250);
  },
);

eachTest(
  "connect never waits less than 100 ms, and takes its own delays",
  async (lab) => {
    await using it = lab({ reconnect: { delay: 20, maxDelay: 400 } });
    const delays: unknown[] = [];
    for (let row = 0; row < 6; row++) {
      it.socket.open();
      it.socket.end(1006);
      const { retryIn } = it.log.at(-1) as CloseInfo;
      delays.push(retryIn);
      await it.time.pass(retryIn!);
    }
    // Half of 20, 40, 80, 160, 320, 400.
    assertEquals(delays, [100, 100, 100, 100, 160, 200]);
  },
);

const finalCodes = [1000, 1002, 1003, 1007, 1009, 3000, 4000, 4010, 4400, 4401]
  .concat([4403, 4409, 4999]);
const transientCodes = [0, 1001, 1005, 1006, 1011, 1012, 1013, 4008, 4009]
  .concat([4408, 4429]);

for (const code of finalCodes) {
  eachTest(
    `connect takes close code ${code} as final, and says why`,
    async (lab) => {
      await using it = lab();
      it.socket.open();
      const call = assertRejects(
        () => it.client.request("m"),
        ConnectionClosedError,
      );
      it.socket.end(code, "that is why");
      const error = await call;
      assertEquals([error.code, error.reason, error.sent], [
        code,
        "that is why",
        true,
      ]);
      assertEquals(it.log, ["open", {
        code,
        reason: "that is why",
        wasClean: true,
      }]);
      assertEquals(it.client.state, "closed");
      await it.time.pass(100_000);
      assertEquals(it.sockets.length, 1);
    },
  );
}

for (const code of transientCodes) {
  eachTest(`connect connects again after close code ${code}`, async (lab) => {
    await using it = lab();
    it.socket.open();
    it.socket.end(code);
    assertEquals(it.client.state, "connecting");
    const { retryIn } = it.log.at(-1) as CloseInfo;
    assertEquals(retryIn, code === 1013 ? 5_250 : 250);
    await it.time.pass(retryIn!);
    assertEquals(it.sockets.length, 2);
  });
}

Deno.test("connect goes on after a batch that says too much in one go", async () => {
  const limits = { messageRate: 1, messageBurst: 2 };
  let count = 0;
  await using it = lab({ limits }, { count: () => ++count });
  it.socket.open();
  it.socket.receive([1, 2, 3, 4, 5].map((id) => request(id, "count")));
  assertEquals([count, it.client.state, it.log.length], [2, "connecting", 2]);
  assertEquals(it.socket.closes.map(({ code }) => code), [4429]);
  await it.time.pass(250);
  assertEquals(it.sockets.length, 2);
});

eachTest(
  "connect waits as long as a server that leaves asks it to, at most a minute",
  async (lab) => {
    await using it = lab();
    it.socket.open();
    it.socket.end(1012, "Server restarts, retry in 3210 ms");
    assertEquals((it.log.at(-1) as CloseInfo).retryIn, 3_210);
    await it.time.pass(3_210);
    it.socket.open();
    it.socket.end(1012, "retry in 99999999999 ms");
    assertEquals((it.log.at(-1) as CloseInfo).retryIn, 60_000);
    await it.time.pass(60_000);
    it.socket.open();
    it.socket.end(1012, "retry in 0 ms");
    assertEquals((it.log.at(-1) as CloseInfo).retryIn, 100);
  },
);

eachTest(
  "connect asks for the address and the protocols before each attempt",
  async (lab) => {
    let tickets = 0;
    await using it = lab({
      url: () => Promise.resolve(`http://localhost/${tickets}`),
      protocols: () => ["chat", `ticket.${++tickets}`],
    });
    await it.time.pass(0);
    it.socket.open();
    it.socket.end(1006);
    await it.time.pass(250);
    assertEquals(it.opened, [
      "ws://localhost/0 chat ticket.1",
      "ws://localhost/1 chat ticket.2",
    ]);
  },
);

eachTest(
  "connect tries once more with fresh credentials, if it has any",
  async (lab) => {
    let tickets = 0;
    await using it = lab({ protocols: () => `ticket.${++tickets}` });
    await it.time.pass(0);
    it.socket.open();
    it.socket.end(4401, "Ticket has expired");
    await it.time.pass(250);
    assertEquals(it.opened.length, 2);
    it.socket.open();
    it.socket.end(4401, "Ticket has expired");
    assertEquals(it.client.state, "closed");
    assertEquals((await it.client.closed).code, 4401);
  },
);

eachTest(
  "connect outlives an address that can't be told, and attempts that hang",
  async (lab) => {
    let asked = 0;
    let answer: (url: string) => void = () => {};
    await using it = lab({
      url: () => {
        asked++;
        if (asked === 1) throw new Error("offline");
        return asked === 2
          ? new Promise<string>((resolve) => answer = resolve)
          : address;
      },
      handshakeTimeout: 1_000,
    });
    const call = it.client.request("m", [], { timeout: 0 });
    await it.time.pass(0);
    await it.time.pass(250);
    assertEquals([asked, it.sockets.length], [2, 0]);
    await it.time.pass(1_000); // No address within the time for an attempt.
    await it.time.pass(500);
    assertEquals([asked, it.sockets.length], [3, 1]);
    answer(address); // Too late: its socket is nobody's.
    await it.time.pass(0);
    assertEquals(it.sockets.length, 2);
    assertEquals(it.sockets[1]!.closes.length, 1);
    it.sockets[1]!.end();

    await it.time.pass(1_000); // No handshake.
    assertEquals(it.sockets[0]!.closes.length, 1);
    it.sockets[0]!.end();
    await it.time.pass(1_000);
    it.socket.open();
    it.socket.receive(result(1, "at last"));
    assertEquals(await call, "at last");
  },
);

eachTest(
  "connect gives up after as many attempts as it was given",
  async (lab) => {
    await using it = lab({ reconnect: { attempts: 2 } });
    const call = assertRejects(
      () => it.client.request("m"),
      ConnectionClosedError,
    );
    for (const delay of [250, 500]) {
      it.socket.end(1006, "", false);
      await it.time.pass(delay);
    }
    assertEquals(it.sockets.length, 3);
    it.socket.end(1006, "", false);
    assertEquals(it.log, [{ code: 1006, reason: "", wasClean: false }]);
    const error = await call;
    assertEquals([error.code, error.sent], [1006, false]);
  },
);

Deno.test("connect keeps the calls that are made meanwhile, in their order", async () => {
  await using it = lab();
  it.socket.open();
  it.socket.end(1006);
  const first = it.client.request("a");
  it.client.batch(() => {
    it.client.request("b").catch(() => {});
    it.client.notify("c");
  });
  assertEquals(it.client.notify("d"), true);
  await it.time.pass(250);
  it.socket.open();
  const names = it.socket.take().flat().map((it) =>
    (it as { method: string }).method
  );
  assertEquals(names, ["a", "b", "c", "d"]);
  it.socket.receive(result(1, 7));
  assertEquals(await first, 7);
});

Deno.test("connect keeps the calls that are made while a connection is closing", async () => {
  await using it = lab();
  it.socket.open();
  it.socket.readyState = ReadyState.Closing;
  const call = it.client.request("a");
  assertEquals(it.client.notify("b"), true);
  const [batched] = it.client.batch(() => [it.client.request("c")]);
  it.socket.end(1012);
  assertEquals(it.sockets[0]!.sent, []);
  await it.time.pass(250);
  it.socket.open();
  assertEquals(it.socket.take().length, 3);
  it.socket.receive(result(1, 1));
  it.socket.receive([result(2, 2)]);
  assertEquals([await call, await batched], [1, 2]);
});

eachTest(
  "Peer sends no stream on another connection than it was lent to",
  async (lab) => {
    await using it = lab({ use: [streams] });
    async function* upload(): AsyncGenerator<number> {
      yield 1;
    }
    it.socket.open();
    // It is going to tell of its close soon.
    it.socket.readyState = ReadyState.Closing;
    const call = assertRejects(
      () => it.client.request("m", [upload()]),
      ConnectionClosedError,
    );
    const plain = it.client.request("m", [1]);
    it.socket.end(1006);
    const error = await call;
    assertEquals([error.sent, error.retryIn], [false, 250]);
    await it.time.pass(250);
    it.socket.open();
    assertEquals(it.socket.take(), [request(2, "m", [1])]);
    it.socket.receive(result(2, null));
    assertEquals(await plain, null);
  },
);

eachTest(
  "Peer lets onopen speak before the calls that waited",
  async (_, connect) => {
    const time = new FakeTime();
    const sockets: ScriptedSocket[] = [];
    const client = connect(address, {
      onopen() {
        this.notify("hello");
      },
    }, {
      createSocket() {
        sockets.push(new ScriptedSocket(ReadyState.Connecting));
        return sockets.at(-1)!;
      },
    });
    for (const round of [0, 1, 2]) {
      client.notify("waited", [round]);
      sockets.at(-1)!.open();
      const names = sockets.at(-1)!.take().map((it) =>
        (it as { method: string }).method
      );
      assertEquals(names, ["hello", "waited"]);
      sockets.at(-1)!.end(1006);
      await time.pass(30_000);
    }
    client.close();
    sockets.at(-1)!.end();
    await client.closed;
    time[Symbol.dispose]();
  },
);

Deno.test("Peer tells each caller the truth when a connection is lost", async () => {
  await using it = lab();
  const early = it.client.request("early");
  it.socket.open();
  it.socket.receive(result(1, "done"));
  assertEquals(await early, "done");

  const sent = assertRejects(
    () => it.client.request("sent"),
    ConnectionClosedError,
  );
  const batched = it.client.batch(() => [it.client.request("batched")]);
  const rejected = assertRejects(() => batched[0]!, ConnectionClosedError);
  it.socket.end(1006, "", false);
  for (const error of [await sent, await rejected]) {
    assertEquals([error.sent, error.idempotent], [true, false]);
    assertEquals(error.retryIn, 250);
  }
  const waits = it.client.request("waits", [], { timeout: 100 });
  const error = assertRejects(() => waits, DOMException, "within 100 ms");
  await it.time.pass(120);
  await error;
  await it.time.pass(130);
  it.socket.open();
  // Given up before it was sent: neither it nor its cancel is.
  assertEquals(it.socket.take(), []);
});

eachTest(
  "Peer sends idempotent calls again, before the calls that waited",
  async (lab) => {
    await using it = lab();
    it.socket.open();
    const options = { idempotent: true };
    const again = it.client.request("again", [1], options);
    const once = assertRejects(
      () => it.client.request("once"),
      ConnectionClosedError,
    );
    const answered = it.client.request("answered", [], options);
    it.socket.receive(result(3, "ok"));
    assertEquals(await answered, "ok");
    it.socket.end(1006);
    await once;
    it.client.notify("later");

    await it.time.pass(250);
    it.socket.open();
    assertEquals(it.socket.take(), [
      request(1, "again", [1]),
      { jsonrpc: "2.0", method: "later" },
    ]);
    it.socket.end(1006);
    await it.time.pass(500);
    it.socket.open();
    it.socket.receive(result(1, "once more"));
    assertEquals(await again, "once more");
    assertEquals(it.client.unmatched ?? 0, 0);
  },
);

Deno.test("Peer keeps the order of what waits when a connection is lost while it is sent", async () => {
  await using it = lab({ limits: { bufferedMost: 1_000, buffered: 500 } });
  const calls = [["a", "x".repeat(1_000)], ["b"], ["c"]].map((params) =>
    assertRejects(
      () => it.client.request("m", params, { idempotent: true }),
      ConnectionClosedError,
    )
  );
  it.socket.bufferedAmount = 2_000;
  it.socket.open();
  assertEquals([it.client.state, it.socket.take().length], ["connecting", 1]);
  await it.time.pass(250);
  it.socket.readyState = ReadyState.Closing;
  it.socket.dispatch({ type: "open" }); // It closes as it opens.
  assertEquals(it.socket.sent, []);
  it.socket.end(1012);
  await it.time.pass(500);
  it.socket.open();
  assertEquals(
    it.socket.take().map((it) => (it as { params: string[] }).params[0]![0]),
    ["a", "b", "c"],
  );
  it.client.close();
  const errors = await Promise.all(calls);
  assertEquals(errors.map(({ sent }) => sent), [true, true, true]);
});

Deno.test("opened resolves though onopen closes, or what it says loses the connection", async () => {
  const socket = new ScriptedSocket();
  const peer = new Peer(socket, {
    onopen(this: Peer) {
      this.close();
    },
  } as PeerOptions);
  await peer.opened;
  assertEquals(peer.state, "closed");
  socket.end();

  await using it = lab({ limits: { bufferedMost: 1_000, buffered: 500 } });
  const { opened } = it.client;
  assert(it.client.notify("m", ["x".repeat(1_000)]));
  it.socket.bufferedAmount = 2_000;
  it.socket.open();
  await opened;
  assertEquals(it.client.state, "connecting");
});

eachTest(
  "Peer gives an idempotent call up in its time, however often it was sent",
  async (lab) => {
    await using it = lab({ timeout: 2_000 });
    it.socket.open();
    const call = assertRejects(
      () => it.client.request("m", [], { idempotent: true }),
      DOMException,
      "within 2000 ms",
    );
    it.socket.end(1006);
    await it.time.pass(250);
    it.socket.open();
    assertEquals(it.socket.take(), [request(1, "m")]);
    await it.time.pass(1_000);
    await it.time.pass(1_000);
    await call;
    assertEquals(it.socket.take(), [
      { jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 1 } },
    ]);
  },
);

eachTest("Peer sends no idempotent call again that is final", async (lab) => {
  await using it = lab();
  it.socket.open();
  const call = assertRejects(
    () => it.client.request("m", [], { idempotent: true }),
    ConnectionClosedError,
  );
  it.socket.end(4403, "not you");
  const error = await call;
  assertEquals([error.sent, error.idempotent], [true, true]);
});

eachTest(
  "Peer knows of a call that waits to be sent again that it was sent",
  async (lab) => {
    await using it = lab();
    it.socket.open();
    const calls = [true, false].map((idempotent) => {
      const call = assertRejects(
        () => it.client.request("m", [], { idempotent }),
        ConnectionClosedError,
      );
      if (idempotent) it.socket.end(1006);
      return call;
    });
    it.client.close();
    const [again, waiting] = await Promise.all(calls);
    assertEquals([again!.sent, again!.idempotent], [true, true]);
    assertEquals([waiting!.sent, waiting!.idempotent], [false, false]);
  },
);

eachTest(
  "Peer knows of a call that could not be sent again that it was sent",
  async (lab) => {
    await using it = lab();
    it.socket.open();
    const call = assertRejects(
      () => it.client.request("m", [], { idempotent: true }),
      ConnectionClosedError,
    );
    it.socket.end(1006);
    await it.time.pass(250);
    it.socket.sendError = new Error("full");
    it.socket.open();
    const error = await call;
    assertEquals([error.sent, error.idempotent], [true, true]);
  },
);

Deno.test("Peer keeps what waits within its limit, without what was given up", async () => {
  await using it = lab({ limits: { queued: 3 } });
  it.socket.open();
  it.socket.end(1006);
  const controller = new AbortController();
  const { signal } = controller;
  const given = [1, 2].map((n) =>
    assertRejects(
      () => it.client.request("m", [n], { signal }),
      DOMException,
    )
  );
  assert(it.client.notify("n"));
  assertEquals(it.client.notify("n"), false);
  await assertRejects(
    () => it.client.request("m"),
    RangeError,
    'Cannot send request "m": 3 of at most 3 messages wait for the handshake',
  );
  controller.abort();
  await Promise.all(given);
  assert(it.client.notify("o"));
  assert(it.client.notify("p"));
  assertEquals(it.client.notify("q"), false);
  await it.time.pass(250);
  it.socket.open();
  assertEquals(it.socket.take().length, 3);
});

eachTest(
  "Peer stops what ran for a lost connection, and answers on none",
  async (lab) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    let signal: AbortSignal | undefined;
    let progress: (() => boolean) | undefined;
    await using it = lab({}, {
      slow(this: Peer) {
        const { call } = this;
        signal = call.signal;
        progress = (): boolean => call.progress(1);
        return promise;
      },
    });
    it.socket.open();
    it.socket.receive(request(7, "slow"));
    assertEquals(progress!(), true);
    it.socket.end(1006);
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
  await using it = lab({}, { echo: (value: unknown) => value });
  it.socket.open();
  it.socket.receive({ id: 1, method: "echo", params: [1] });
  assertEquals(it.client.version, "1.0");
  it.socket.end(1006);
  assertEquals(it.client.version, "2.0");
});

eachTest(
  "opened is the promise of the next connection, closed that of the end",
  async (lab) => {
    await using it = lab();
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

eachTest(
  "close ends the waiting, the attempt and the question for an address",
  async (lab) => {
    {
      await using it = lab();
      it.socket.open();
      it.socket.end(1006);
      const call = assertRejects(
        () => it.client.request("m"),
        ConnectionClosedError,
      );
      it.client.close();
      assertEquals((await call).sent, false);
      await it.client.closed;
      await it.time.pass(100_000);
      assertEquals(it.sockets.length, 1);
      assertEquals(it.log.length, 3);
    }
    {
      await using it = lab();
      it.client.close();
      assertEquals(it.socket.closes, [{ code: 1000, reason: "" }]);
      it.socket.end(1006);
      await it.client.closed;
    }
    {
      await using it = lab({ url: () => new Promise<string>(() => {}) });
      it.client.close();
      await it.client.closed;
    }
  },
);

eachTest(
  "close ends an attempt from within the functions that it asks",
  async (lab, connect) => {
    {
      let asked = 0;
      await using it = lab({
        url: () => {
          if (++asked === 2) it.client.close();
          return address;
        },
      });
      await it.time.pass(0);
      it.socket.open();
      it.socket.end(1006);
      await it.time.pass(250);
      await it.client.closed;
      assertEquals(it.sockets[1]!.closes.length, 1);
    }
    using time = new FakeTime();
    const sockets: ScriptedSocket[] = [];
    const client = connect(address, {}, {
      createSocket() {
        if (sockets.length === 1) client.close();
        sockets.push(new ScriptedSocket(ReadyState.Connecting));
        return sockets.at(-1)!;
      },
    });
    sockets[0]!.end(1006);
    await time.pass(1_000);
    await client.closed;
    assertEquals(sockets[1]!.closes.length, 1);
  },
);

eachTest(
  "close ends an attempt whose socket of npm:ws comes too late",
  async (_, connect) => {
    const question = Promise.withResolvers<string>();
    const gone = Promise.withResolvers<void>();
    const client = connect(() => question.promise, {}, {
      createSocket(url) {
        const socket = new NodeWebSocket(url);
        socket.on("close", () => gone.resolve());
        return socket as never;
      },
    });
    client.close();
    await client.closed;
    question.resolve("ws://127.0.0.1:9");
    // An error that nobody listened to would end the process.
    await gone.promise;
  },
);

eachTest(
  "connect takes a socket that is open already, and has something to say",
  async (_, connect) => {
    const [left, right] = socketPair({ open: true });
    const heard: unknown[] = [];
    left.addEventListener("message", ({ data }) => {
      heard.push(JSON.parse(data as string));
      if (heard.length === 2) left.send(JSON.stringify(result(1, "theirs")));
    });
    left.send(JSON.stringify(request("a", "m")));
    await using client = connect(address, { local: { m: () => "ours" } }, {
      createSocket: () => right,
    });
    assertEquals(await client.request("m"), "theirs");
    assertEquals(heard, [
      { jsonrpc: "2.0", method: "m", id: 1 },
      result("a", "ours"),
    ]);
  },
);

eachTest(
  "connect waits for ever for a handshake whose time is 0",
  async (lab) => {
    await using it = lab({ handshakeTimeout: 0 });
    await it.time.pass(1_000_000);
    assertEquals([it.sockets.length, it.log], [1, []]);
  },
);

eachTest(
  "a hook may close the client while its connection is lost",
  async (_, connect) => {
    const time = new FakeTime();
    const sockets: ScriptedSocket[] = [];
    const codes: number[] = [];
    const client = connect(address, {
      onclose({ code }) {
        codes.push(code);
        this.close(4001);
      },
    }, {
      createSocket() {
        sockets.push(new ScriptedSocket(ReadyState.Connecting));
        return sockets.at(-1)!;
      },
    });
    sockets[0]!.open();
    sockets[0]!.end(1006);
    assertEquals(codes, [1006, 4001]);
    await time.pass(100_000);
    assertEquals([sockets.length, client.state], [1, "closed"]);
    await client.closed;
    time[Symbol.dispose]();
  },
);

eachTest(
  "onclose is called for good once, though a method that is told to stop closes",
  async (lab) => {
    await using it = lab({}, {
      wait(this: Peer) {
        this.call.signal.addEventListener("abort", () => this.close(4001));
        return new Promise(() => {});
      },
    });
    it.socket.open();
    it.socket.receive(request(1, "wait"));
    it.socket.end(1006);
    assertEquals(it.log, ["open", { code: 4001, reason: "", wasClean: true }]);
    await it.time.pass(100_000);
    assertEquals(it.sockets.length, 1);
  },
);

Deno.test("The socket of a client tells who listens, on each of its connections", async () => {
  await using it = lab();
  const ws = it.client.ws as WebSocket;
  const heard: string[] = [];
  const late = (): void => void heard.push("late");
  const hear = ({ type }: { type: string }): void => {
    heard.push(type);
    if (type === "open") {
      ws.addEventListener("open", late);
      ws.addEventListener("open", ending);
    }
    if (type === "close") {
      ws.removeEventListener("open", late);
      ws.removeEventListener("open", ending);
    }
  };
  const ending = ({ type }: { type: string }): void =>
    void heard.push(`${type} for another`);
  ws.addEventListener("close", ending);
  for (const type of ["open", "message", "close", "nothing", "open"]) {
    ws.addEventListener(type, hear);
  }
  it.socket.open();
  it.socket.receive(result(1, "late"));
  assertEquals(heard.splice(0), ["open", "message"]);
  it.socket.end(1006);
  await it.time.pass(500);
  it.socket.open();
  assertEquals(heard.splice(0), ["close for another", "close", "open"]);
  ws.removeEventListener("message", hear);
  it.socket.receive(result(1, "late"));
  it.socket.end(1006);
  ws.removeEventListener("open", hear);
  await it.time.pass(500);
  it.socket.open();
  it.socket.receive(result(1, "late"));
  assertEquals(heard, ["close for another", "close"]);
  ws.removeEventListener("close", hear);
  ws.removeEventListener("close", hear);
});

Deno.test("connect replaces a connection whose other end has died", async () => {
  await using it = lab();
  it.socket.open();
  const lost = assertRejects(
    () => it.client.request("m", [], { timeout: 0 }),
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
  it.socket.open();
  assertEquals([it.sockets.length, it.socket.sent], [2, []]);
  // The new one's time begins anew.
  for (let second = 0; second < 15; second++) await it.time.pass(1_000);
  assertEquals([it.client.state, it.socket.sent], ["open", []]);
});

Deno.test("connect replaces a connection that reads too slowly, or says too much", async () => {
  await using it = lab({
    limits: {
      bufferedMost: 1_000,
      buffered: 500,
      messageRate: 1,
      messageBurst: 1,
    },
  }, { m: () => 1 });
  it.socket.open();
  it.socket.bufferedAmount = 2_000;
  it.client.notify("m", ["x".repeat(1_000)]);
  assertEquals((it.log.at(-1) as CloseInfo).code, 4008);
  await it.time.pass(250);
  it.socket.open();
  it.socket.receive(request(1, "m"));
  it.socket.receive(request(2, "m"));
  assertEquals((it.log.at(-1) as CloseInfo).code, 4429);
  assertEquals(it.client.state, "connecting");
});

Deno.test("connect replaces a connection once that is lost for two reasons at a time", async () => {
  for (let start = 15_000; start <= 25_000; start += 250) {
    await using it = lab();
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

Deno.test("Peer executes nothing more of a batch whose connection was lost", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  let runs = 0;
  const limits = { messageRate: 1, messageBurst: 2 };
  await using it = lab({ limits }, { slow: () => (runs++, promise) });
  it.socket.open();
  it.socket.receive([1, 2, 3, 4].map((id) => request(id, "slow")));
  assertEquals([it.client.state, runs], ["connecting", 2]);
  await it.time.pass(2_000);
  it.socket.open();
  resolve("nobody's");
  await it.time.pass(0);
  assertEquals(it.socket.sent, []);
  it.socket.receive(request(3, "slow"));
  await it.time.pass(0);
  assertEquals(it.socket.take(), [result(3, "nobody's")]);
});

Deno.test("Peer executes nothing of a connection that its own words have lost", async () => {
  let runs = 0;
  await using it = lab({ limits: { bufferedMost: 1_000, buffered: 500 } }, {
    loud: () => void it.client.notify("m", ["x".repeat(1_000)]),
    run: () => void runs++,
  });
  it.socket.open();
  it.socket.bufferedAmount = 2_000;
  it.socket.receive([request(1, "loud"), request(2, "run")]);
  assertEquals([it.client.state, runs], ["connecting", 0]);

  await it.time.pass(250);
  it.client.notify("m", ["x".repeat(1_000)]);
  it.socket.bufferedAmount = 2_000;
  it.socket.readyState = ReadyState.Open;
  it.socket.receive(request(1, "run")); // Before the event "open".
  assertEquals([it.client.state, runs], ["connecting", 0]);
});

Deno.test("Peer sends what was gathered before it gives a connection up", async () => {
  const limits = { messageRate: 1, messageBurst: 1 };
  await using it = lab({ limits, sharedFrames: true });
  const { socket } = it;
  Object.assign(socket, { protocol: "jsonrpcws.v1" });
  socket.open();
  for (const word of ["one", "two", "three"]) it.client.notify(word);
  let sent: unknown[] = [];
  socket.close = (): void => void (sent = socket.take().flat());
  socket.receive([request(1, "m"), request(2, "m")]);
  assertEquals(it.client.state, "connecting");
  assertEquals(sent.map((it) => (it as { method?: string }).method), [
    "one",
    "two",
    "three",
    undefined, // The answer to the first call.
  ]);
});

Deno.test("Peer gives up once a connection that what was gathered is too much for", async () => {
  const limits = { messageRate: 1, messageBurst: 1, bufferedMost: 1_000 };
  await using it = lab({ limits, sharedFrames: true });
  Object.assign(it.socket, { protocol: "jsonrpcws.v1" });
  it.socket.open();
  it.client.notify("one");
  it.client.notify("two", ["x".repeat(1_000)]);
  it.socket.bufferedAmount = 2_000;
  it.socket.receive([request(1, "m"), request(2, "m")]);
  assertEquals(it.client.state, "connecting");
  assertEquals(it.socket.closes.length, 1);
});

Deno.test("connect ends for good with a peer that doesn't speak the protocol", async () => {
  await using it = lab({ version: "1.0" });
  it.socket.open();
  it.socket.receive("no JSON");
  assertEquals(it.client.state, "closed");
  assertEquals(it.socket.closes[0]?.code, 4400);
});

eachTest(
  "connect tries at once when the network comes back, or the page is looked at",
  async (lab) => {
    const visibility = Object.assign(new EventTarget(), {
      visibilityState: "hidden",
    });
    const page = globalThis as { document?: unknown };
    page.document = visibility;
    try {
      await using it = lab();
      it.socket.end(1006);
      globalThis.dispatchEvent(new Event("online")); // Nobody looks at it.
      assertEquals(it.sockets.length, 1);
      visibility.visibilityState = "visible";
      globalThis.dispatchEvent(new Event("online"));
      assertEquals(it.sockets.length, 2);
      globalThis.dispatchEvent(new Event("online")); // An attempt is under way.
      assertEquals(it.sockets.length, 2);
      it.socket.end(1006);
      visibility.dispatchEvent(new Event("visibilitychange"));
      assertEquals(it.sockets.length, 3);
      it.socket.open();
      globalThis.dispatchEvent(new Event("online"));
      visibility.dispatchEvent(new Event("visibilitychange"));
      await it.time.pass(100_000);
      assertEquals(it.sockets.length, 3);
    } finally {
      delete page.document;
    }
  },
);

eachTest(
  "connect without reconnection ends with its connection",
  async (lab) => {
    await using it = lab({ reconnect: false });
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

eachTest(
  "connect throws at once what its first socket throws",
  (_, connect) => {
    assertThrows(
      () =>
        connect(address, {}, {
          createSocket() {
            throw new SyntaxError("no such protocol");
          },
        }),
      SyntaxError,
      "no such protocol",
    );
    assertThrows(() => connect("http://["), TypeError);
  },
);

eachTest(
  "connect finds a server that was restarted, and goes on",
  async (_, connect) => {
    const local = { echo: (value: unknown) => value };
    const options = { hostname: "127.0.0.1", onListen() {} };
    const first = serve({ local }, { ...options, port: 0 });
    const { port } = first.addr as Deno.NetAddr;
    const states: string[] = [];
    await using client = connect<typeof local>(`ws://127.0.0.1:${port}`, {
      onopen() {
        states.push(this.state);
      },
      onclose() {
        states.push(this.state);
      },
    }, { reconnect: { delay: 100 } });
    assertEquals(await client.remote.echo(1), 1);
    await first.shutdown();
    await settle();
    const call = client.remote.echo(2);
    await using _second = serve({ local }, { ...options, port });
    assertEquals(await call, 2);
    assertEquals(states, ["open", "connecting", "open"]);
  },
);
