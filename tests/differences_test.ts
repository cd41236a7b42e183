/** Where the two peers could most easily differ, and don't. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type BasePeer, ConnectionClosedError } from "../mod.ts";
import { ReadyState } from "../src/line/socket.ts";
import { eachPeer, wholePeer } from "./faces.ts";
import {
  failure,
  request,
  result,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";
import {
  codes,
  Endless,
  invalid,
  lab,
  never,
  notification,
  open,
} from "./stage.ts";

const inexact = "id must be a number that comes back as it was written";

eachPeer(
  "Peer takes an inexact id if each number behind a key id is written as it is read",
  async (face) => {
    await using it = await open(face, { local: { echo: () => "echo" } });
    const rows: [id: string, params: string, isTaken: boolean][] = [
      ["1.5e+300", "[]", true],
      ["1.5e300", "[]", false],
      ["1.50", "[]", false],
      ["9007199254740992", "[]", true],
      ["9007199254740993", "[]", false],
      // Both are read as ...992, and one of them is not written so.
      ["9007199254740993", '{"id":9007199254740992}', false],
      ["9007199254740992", '{"id":9007199254740993}', false],
      ["9007199254740992", '{"id":9007199254740992}', true],
      ["9007199254740992", '{"id":1.5e300}', true],
      // What is a safe integer can't be mistaken.
      ["7", '{"id":9007199254740993}', true],
    ];
    for (const [id, params, isTaken] of rows) {
      it.socket.receive(
        `{"id":${id},"params":${params},"jsonrpc":"2.0","method":"echo"}`,
      );
      assertEquals(
        it.socket.take(),
        [isTaken ? result(Number(id), "echo") : invalid(null, inexact)],
        `${id} ${params}`,
      );
    }
  },
);

eachPeer(
  "progress that is too long throws a RangeError, and sends nothing",
  async (face) => {
    const errors: unknown[] = [];
    await using it = await open(face, {
      local: {
        work(this: BasePeer) {
          try {
            this.call.progress("x".repeat(1_048_576));
          } catch (error) {
            errors.push(error);
          }
          return this.call.progress("short");
        },
      },
    });
    it.socket.receive(request(1, "work"));
    assertEquals(it.socket.take(), [
      notification("$/progress", { token: 1, value: "short" }),
      result(1, true),
    ]);
    const [error] = errors as [Error];
    assert(error instanceof RangeError);
    assert(error.message.includes("of at most 1048576"), error.message);
  },
);

eachPeer(
  "onerror is not told of a hook's ConnectionClosedError, unless the connection is open",
  async (face) => {
    const gate = Promise.withResolvers<void>();
    await using other = await open(face);
    other.peer.close();
    const closed = await assertRejects(
      () => other.peer.request("m"),
      ConnectionClosedError,
    );
    const thrown: unknown[] = [];
    await using it = lab(face, {
      onopen: () => Promise.reject(closed),
      async onclose() {
        await gate.promise;
        throw closed;
      },
      onerror: (error) => void thrown.push(error),
      reconnect: { attempts: 1 },
    });
    it.socket.open();
    await it.time.pass(0);
    // Whose connection is open has to know why its hook failed.
    assertEquals(thrown.splice(0), [closed]);
    it.socket.end(1006);
    gate.resolve();
    await it.time.pass(0);
    assertEquals(thrown, []);
  },
);

eachPeer(
  "A hook's other errors reach onerror, whatever the connection's state",
  async (face) => {
    const thrown: unknown[] = [];
    const { peer, socket } = await open(face, {
      onclose: () => Promise.reject(new Error("mine")),
      onerror: (error) => void thrown.push(error),
    });
    socket.end(1006);
    await peer.closed;
    await settle();
    assertEquals(thrown.map(String), ["Error: mine"]);
  },
);

eachPeer(
  "A socket that throws rejects the call with its error as the cause",
  async (face) => {
    await using it = await open(face);
    const broken = new Error("broken");
    it.socket.sendError = broken;
    const now = await assertRejects(
      () => it.peer.request("m"),
      ConnectionClosedError,
    );
    assertEquals([now.sent, now.cause], [false, broken]);

    const socket = new ScriptedSocket(ReadyState.Connecting);
    const peer = face.peer(socket);
    const call = assertRejects(() => peer.request("m"), ConnectionClosedError);
    socket.sendError = broken;
    socket.open();
    const waited = await call;
    assertEquals([waited.sent, waited.cause], [false, broken]);
    peer.close();
    socket.end();
    await peer.closed;
  },
);

const noTimes: [amount: number, got: string][] = [
  [-1, "-1"],
  [-Infinity, "-Infinity"],
  [NaN, "NaN"],
  ["60" as unknown as number, "string"],
];
for (const [amount, got] of noTimes) {
  eachPeer(`No time may be a ${typeof amount}, ${amount}`, async (face) => {
    const rows: [name: string, options: object][] = [
      ["timeout", { timeout: amount }],
      ["handshakeTimeout", { handshakeTimeout: amount }],
      ["delay", { reconnect: { delay: amount } }],
      ["maxDelay", { reconnect: { maxDelay: amount } }],
    ];
    const makeSocket = (): never => {
      throw new Error("A socket was made");
    };
    for (const [name, options] of rows) {
      assertThrows(
        () => face.peer(makeSocket, options),
        RangeError,
        `Cannot set ${name}: it must be 0 or more milliseconds, got ${got}`,
      );
    }
    assertThrows(
      () => face.peer(makeSocket, { reconnect: { attempts: amount } }),
      RangeError,
      `Cannot set attempts: it must be 0 or more, got ${got}`,
    );
    await using it = await open(face);
    await assertRejects(
      () => it.peer.request("m", [], { timeout: amount }),
      RangeError,
      `Cannot set timeout: it must be 0 or more milliseconds, got ${got}`,
    );
    assertEquals(it.socket.sent, []);
  });
}

eachPeer("A time of 0 is zero, and Infinity is no limit", async (face) => {
  {
    await using it = lab(face, { timeout: 0 });
    it.socket.open();
    const call = assertRejects(
      () => it.client.request("m"),
      DOMException,
      "within 0 ms",
    );
    const patient = it.client.request("m", [], { timeout: Infinity });
    await it.time.pass(0);
    await call;
    await it.time.pass(1_000);
    it.socket.receive(result(2, "patient"));
    assertEquals(await patient, "patient");
  }
  {
    await using it = lab(face, { handshakeTimeout: 0 });
    await it.time.pass(0);
    assertEquals([it.socket.closes.length, it.client.ws], [1, undefined]);
  }
  {
    await using it = lab(face, { reconnect: { attempts: 0 } });
    it.socket.end(1006);
    assertEquals(it.client.state, "closed");
  }
});

eachPeer(
  "A socket that is closing without reconnection takes nothing, and rejects at once",
  async (face) => {
    // Gone before time stops: they have one timer.
    {
      await using it = await open(face);
      it.socket.readyState = ReadyState.Closing;
      const error = await assertRejects(
        () => it.peer.request("m"),
        ConnectionClosedError,
      );
      assertEquals([error.sent, it.peer.notify("m")], [false, false]);
      assertEquals(it.socket.sent, []);
    }
    await using client = lab(face, { reconnect: false });
    client.socket.open();
    client.socket.readyState = ReadyState.Closing;
    await assertRejects(
      () => client.client.request("m"),
      ConnectionClosedError,
    );
    assertEquals(client.client.notify("m"), false);
  },
);

eachPeer(
  "Requests of id null are answered each, and no cancel for null hits one",
  async (face) => {
    const gates: PromiseWithResolvers<unknown>[] = [];
    const signals: AbortSignal[] = [];
    await using it = await open(face, {
      local: {
        wait(this: BasePeer) {
          signals.push(this.call.signal);
          gates.push(Promise.withResolvers());
          return gates.at(-1)!.promise;
        },
      },
    });
    for (let n = 0; n < 2; n++) it.socket.receive(request(null, "wait"));
    it.socket.receive(notification("$/cancelRequest", { id: null }));
    it.socket.receive(notification("$/cancelRequest", {}));
    assertEquals([gates.length, it.socket.take()], [2, []]);
    assertEquals(signals.map(({ aborted }) => aborted), [false, false]);
    assertEquals(it.peer.respond(null, "early"), false);
    gates[1]!.resolve("second");
    gates[0]!.resolve("first");
    await settle();
    assertEquals(it.socket.take(), [
      result(null, "second"),
      result(null, "first"),
    ]);
  },
);

wholePeer(
  "A stream's question that waits takes no place among the methods that run",
  async (face) => {
    let begun = 0;
    const incoming = face.most("incoming", 1);
    await using it = await open(face, {
      limits: { incoming },
      local: {
        async *silent() {
          await never();
          yield 1;
        },
        never: () => (begun++, never()),
      },
    });
    it.socket.receive(request("stream", "silent"));
    assertEquals(it.socket.take(), [result("stream", { token: 1 })]);
    it.socket.receive(request("next", "$/enumerator/next", { token: 1 }));
    for (let n = 0; n < incoming; n++) it.socket.receive(request(n, "never"));
    assertEquals(it.socket.take(), []);
    assertEquals(begun, incoming);
    it.socket.receive(request("more", "never"));
    assertEquals([it.socket.take(), begun], [[], incoming]);
  },
);

eachPeer(
  "The length of a binary frame is counted in bytes, that of a text in characters",
  async (face) => {
    const { peer, socket } = await open(face, {
      local: { length: (text: string) => text.length },
    });
    const text = JSON.stringify(request(1, "length", ["é".repeat(600_000)]));
    socket.receive(text);
    assertEquals(socket.take(), [result(1, 600_000)]);
    const short = JSON.stringify(request(1, "length", ["é".repeat(500_000)]));
    socket.receive(new TextEncoder().encode(short).buffer);
    assertEquals(socket.take(), [result(1, 500_000)]);
    socket.receive(new TextEncoder().encode(text).buffer);
    assertEquals(socket.closes.map(({ code }) => code), [1009]);
    assertEquals([peer.state, socket.sent], ["closed", []]);
    socket.end();
    await peer.closed;
  },
);

eachPeer(
  "A result that comes too late is written by no later connection",
  async (face) => {
    const late = new Endless();
    const gates = [1, 2, 3].map(() => Promise.withResolvers<unknown>());
    let turn = 0;
    await using it = lab(face, {
      local: {
        late: () => gates[turn++]!.promise,
        stream: () => new Endless(),
      },
    });
    it.socket.open();
    for (const id of ["value", "stream", "function"]) {
      it.socket.receive(request(id, "late"));
    }
    it.socket.end(1006);
    await it.time.pass(250);
    it.socket.open();
    gates[0]!.resolve("late");
    gates[1]!.resolve(late);
    gates[2]!.resolve(() => 1);
    await it.time.pass(0);
    assertEquals([it.socket.take(), late.left], [[], 1]);
    // Nor has it taken a token of this one.
    it.socket.receive(request(1, "stream"));
    assertEquals(it.socket.take(), [result(1, { token: 1 })]);
    it.socket.receive(request(2, "$/invokeProxy/1/invoke"));
    assertEquals(codes(it.socket), [-32001]);
  },
);

eachPeer(
  "request tells of the end first, then of the method's type, then of limits",
  async (face) => {
    const outgoing = face.most("outgoing", 1);
    const queued = face.most("queued", 0);
    const { peer, socket } = await open(face, { limits: { outgoing, queued } });
    const wrong = 5 as unknown as string;
    const pending = Array.from(
      { length: outgoing + Math.min(queued, 1) },
      () => peer.request("m").catch(() => {}),
    );
    // Behind a call that waits they wait, too, and cost less than calls.
    for (let n = 1; n < queued; n++) peer.notify("m");
    await assertRejects(
      () => peer.request(wrong),
      TypeError,
      'Cannot send request "5": method must be a string, got number',
    );
    await assertRejects(() => peer.request("m"), RangeError, "limits.queued");
    assertThrows(
      () => peer.notify(wrong),
      TypeError,
      'Cannot send notification "5": method must be a string, got number',
    );
    peer.close();
    await Promise.all(pending);
    await assertRejects(() => peer.request(wrong), ConnectionClosedError);
    socket.end();
    await peer.closed;
  },
);

eachPeer(
  "onerror prints of an RpcError no word of the peer's unless it is set",
  async (face) => {
    const socket = new ScriptedSocket();
    const peer = face.peer(socket, {
      local: {
        fail: () => {
          throw mine;
        },
      },
    });
    const mine = new Error("mine");
    await peer.opened;
    const printed: unknown[] = [];
    const { error } = console;
    console.error = (...words: unknown[]): void => void printed.push(...words);
    try {
      socket.receive(failure(null, -32603, "\u001b[31mtheirs"));
      socket.receive(request(1, "fail"));
    } finally {
      console.error = error;
    }
    assertEquals(printed, [
      "RpcError -32603, message withheld: set onerror to see it",
      "In method",
      '"fail":',
      mine,
    ]);
    peer.close();
    socket.end();
    await peer.closed;
  },
);
