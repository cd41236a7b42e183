import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type CloseInfo,
  ConnectionClosedError,
  type FailedAttempt,
} from "../mod.ts";
import { ReadyState } from "../src/line/socket.ts";
import { Retries } from "../src/line/retry.ts";
import { eachPeer, wholePeer } from "./faces.ts";
import { FakeTime } from "./fake_time.ts";
import { ScriptedSocket } from "./scripted_socket.ts";
import { lab } from "./stage.ts";

const finalCodes = [1000, 1002, 1003, 1007, 1009, 3000, 4000, 4010, 4400, 4401]
  .concat([4403, 4409, 4999]);
const transientCodes = [0, 1001, 1005, 1006, 1011, 1012, 1013, 4008, 4009]
  .concat([4408, 4429]);

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

eachPeer(
  "connect waits longer after each attempt that fails, up to 30 s",
  async (face) => {
    await using it = lab(face);
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

eachPeer(
  "connect begins anew after a connection that lasted for 5 s",
  async (face) => {
    await using it = lab(face);
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

eachPeer(
  "connect never waits less than 100 ms, and takes its own delays",
  async (face) => {
    await using it = lab(face, { reconnect: { delay: 20, maxDelay: 400 } });
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

for (const code of finalCodes) {
  eachPeer(
    `connect takes close code ${code} as final, and says why`,
    async (face) => {
      await using it = lab(face);
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
  eachPeer(`connect connects again after close code ${code}`, async (face) => {
    await using it = lab(face);
    it.socket.open();
    it.socket.end(code);
    assertEquals(it.client.state, "connecting");
    const { retryIn } = it.log.at(-1) as CloseInfo;
    assertEquals(retryIn, code === 1013 ? 5_250 : 250);
    await it.time.pass(retryIn!);
    assertEquals(it.sockets.length, 2);
  });
}

eachPeer(
  "connect waits as long as a server that leaves asks it to, at most a minute",
  async (face) => {
    await using it = lab(face);
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

eachPeer(
  "connect tries once more with fresh credentials, if it has any",
  async (face) => {
    let tickets = 0;
    await using it = lab(face, { protocols: () => `ticket.${++tickets}` });
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

eachPeer(
  "connect gives up after as many attempts as it was given",
  async (face) => {
    await using it = lab(face, { reconnect: { attempts: 2 } });
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

eachPeer(
  "connect tries at once when the network comes back, or the page is looked at",
  async (face) => {
    const visibility = Object.assign(new EventTarget(), {
      visibilityState: "hidden",
    });
    const page = globalThis as { document?: unknown };
    page.document = visibility;
    try {
      await using it = lab(face);
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

eachPeer(
  "connect lets its owner decide which ends are final",
  async (face) => {
    const asked: FailedAttempt[] = [];
    await using it = lab(face, {
      reconnect: {
        when(end) {
          asked.push(end);
          if (end.code === 1000 || end.code === 4403) return true;
          if (end.code === 1012) return false;
        },
      },
    });
    it.socket.end(4403, "Not yet");
    await it.time.pass(250);
    it.socket.open();
    it.socket.end(1000);
    await it.time.pass(500);
    it.socket.end(1006, "", false); // As usual.
    await it.time.pass(1_000);
    assertEquals(it.sockets.length, 4);
    it.socket.end(1012);
    assertEquals(it.client.state, "closed");
    assertEquals(asked.map(({ code, attempt }) => [code, attempt]), [
      [4403, 1],
      [1000, 0],
      [1006, 1],
      [1012, 2],
    ]);
  },
);

eachPeer(
  "connect decides as usual when its owner throws, and tells so",
  async (face) => {
    const thrown: unknown[] = [];
    await using it = lab(face, {
      reconnect: {
        when() {
          throw new Error("mine");
        },
      },
      onerror: (error) => void thrown.push(error),
    });
    it.socket.end(1006);
    await it.time.pass(250);
    assertEquals([it.sockets.length, thrown.map(String)], [2, ["Error: mine"]]);
    it.socket.end(4403);
    assertEquals(it.client.state, "closed");
  },
);

eachPeer(
  "connect makes no more attempts than its owner lets it, whatever he decides",
  async (face) => {
    await using it = lab(face, {
      reconnect: { attempts: 1, when: () => true },
    });
    it.socket.end(4403);
    await it.time.pass(250);
    it.socket.end(4403);
    assertEquals([it.sockets.length, it.client.state], [2, "closed"]);
  },
);

/** A server that answers what is no handshake: sockets of `ws` tell how. */
class AnsweringSocket extends ScriptedSocket {
  #listener: ((request: unknown, response: unknown) => void) | undefined;

  constructor() {
    super(ReadyState.Connecting);
  }

  once(event: string, listener: () => void): void {
    assertEquals(event, "unexpected-response");
    this.#listener = listener;
  }

  answer(statusCode: number, headers: object = {}): void {
    this.#listener?.(undefined, { statusCode, headers });
  }
}

for (const status of [403, 404, 410]) {
  wholePeer(
    `connect takes HTTP status ${status} as final, and says so`,
    async (face) => {
      const sockets: AnsweringSocket[] = [];
      const told: FailedAttempt[] = [];
      const client = face.connect("ws://localhost", {
        createSocket() {
          sockets.push(new AnsweringSocket());
          return sockets.at(-1)!;
        },
        onattempt: (failed) => void told.push(failed),
      });
      const call = assertRejects(
        () => client.request("m"),
        ConnectionClosedError,
        `Cannot send request "m": the connection is closed (code 1006, The server answered with HTTP status ${status})`,
      );
      sockets[0]!.answer(status);
      assertEquals((await call).sent, false);
      await client.closed;
      assertEquals([told[0]!.status, told[0]!.retryIn], [status, undefined]);
      assertEquals(sockets[0]!.closes.length, 1);
      sockets[0]!.end();
    },
  );
}

wholePeer(
  "connect asks once for fresh credentials after HTTP status 401",
  async (face) => {
    for (const [isFresh, attempts] of [[true, 2], [false, 1]] as const) {
      using time = new FakeTime();
      const sockets: AnsweringSocket[] = [];
      const url = "ws://localhost";
      const client = face.connect(isFresh ? () => url : url, {
        createSocket() {
          sockets.push(new AnsweringSocket());
          return sockets.at(-1)!;
        },
      });
      for (let attempt = 0; attempt < attempts; attempt++) {
        assertEquals(client.state, "connecting");
        await time.pass(500);
        sockets.at(-1)!.answer(401);
        sockets.at(-1)!.end();
      }
      assertEquals([client.state, sockets.length], ["closed", attempts]);
      await client.closed;
    }
  },
);

wholePeer(
  "connect waits as long as Retry-After says, at most a minute",
  async (face) => {
    using time = new FakeTime();
    const sockets: AnsweringSocket[] = [];
    const told: FailedAttempt[] = [];
    const client = face.connect("ws://localhost", {
      createSocket() {
        sockets.push(new AnsweringSocket());
        return sockets.at(-1)!;
      },
      onattempt: (failed) => void told.push(failed),
    });
    const date = new Date(Date.now() + 20_000).toUTCString();
    for (const header of ["7", "3600", date, "soon"]) {
      sockets.at(-1)!.answer(503, { "retry-after": header });
      sockets.at(-1)!.end();
      await time.pass(told.at(-1)!.retryIn!);
    }
    const [seven, hour, dated, none] = told.map(({ retryIn }) => retryIn!);
    assertEquals([seven, hour], [7_000, 60_000]);
    assert(dated! > 18_000 && dated! <= 20_000, `${dated}`);
    assert(none! <= 8_000, `${none}`);
    client.close();
    sockets.at(-1)!.end();
    await client.closed;
  },
);
