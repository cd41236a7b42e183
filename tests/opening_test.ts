/** Sign in, then speak: an asynchronous `onopen` holds everybody else back. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type BasePeer,
  broadcast,
  type CloseInfo,
  ConnectionClosedError,
  type FailedAttempt,
  type First,
  Peer,
  RpcError,
} from "../mod.ts";
import { socketPair } from "../src/line/socket_pair.ts";
import { eachPeer, wholePeer } from "./faces.ts";
import {
  failure,
  request,
  result,
  ScriptedSocket,
  settle,
} from "./scripted_socket.ts";
import { bothTest, until } from "./servers.ts";
import { address, lab, methods } from "./stage.ts";
import { connect } from "../client.ts";

eachPeer(
  "An asynchronous onopen holds back what waits, what is called meanwhile, and opened",
  async (face) => {
    let gate = Promise.withResolvers<void>();
    await using it = lab(face, { onopen: () => gate.promise });
    for (const round of [1, 2]) {
      let isOpen = false;
      it.client.opened.then(() => isOpen = true);
      const before = it.client.request("before");
      assert(it.client.notify("early"));
      it.socket.open();
      const meanwhile = it.client.request("meanwhile");
      assert(it.client.notify("late"));
      await it.time.pass(500);
      assertEquals([it.socket.sent, isOpen], [[], false]);
      assertEquals(it.client.state, "connecting");

      gate.resolve();
      await it.time.pass(0);
      assertEquals([isOpen, it.client.state], [true, "open"]);
      assertEquals(methods(it.socket), [
        "before",
        "early",
        "meanwhile",
        "late",
      ]);
      it.socket.receive(result(2 * round - 1, "a"));
      it.socket.receive(result(2 * round, "b"));
      assertEquals(await Promise.all([before, meanwhile]), ["a", "b"]);

      gate = Promise.withResolvers();
      it.socket.end(1006);
      await it.time.pass(30_000);
    }
  },
);

eachPeer("What onopen calls passes, one call after the other", async (face) => {
  const log: unknown[] = [];
  const wrapped = async (call: () => Promise<unknown>): Promise<unknown> => {
    const answer = await call();
    return [answer];
  };
  await using it = lab(face, {
    async onopen(this: BasePeer) {
      assert(this.notify("hello"));
      log.push(await this.request("a"));
      log.push(await wrapped(() => this.request("b")));
      log.push(await Promise.all([this.request("c"), this.request("d")]));
      await this.request("e").catch(({ code }) => log.push(code));
      assert(this.notify("done"));
    },
  });
  it.socket.open();
  it.client.notify("meanwhile");
  const sent: unknown[] = [];
  for (let id = 0; id <= 4; id++) {
    sent.push(...methods(it.socket));
    if (id === 4) it.socket.receive(result(4, 4));
    else if (id > 0) it.socket.receive(result(id, id));
    it.client.notify("meanwhile");
    await it.time.pass(0);
  }
  sent.push(...methods(it.socket));
  assertEquals(sent, ["hello", "a", "b", "c", "d", "e"]);
  it.socket.receive(failure(5, 7, "no"));
  await it.time.pass(0);
  assertEquals(log, [1, [2], [3, 4], 7]);
  assertEquals(methods(it.socket), [
    "done",
    ...new Array(6).fill("meanwhile"),
  ]);
});

eachPeer(
  "What onopen says first passes after an await of anything",
  async (face) => {
    const ticket = Promise.withResolvers<string>();
    let first: First | undefined;
    await using it = lab(face, {
      async onopen(this: BasePeer, say: First) {
        first = say;
        const token = await ticket.promise;
        await say(() => this.request("signIn", [token]));
      },
    });
    const call = it.client.request("m");
    it.socket.open();
    ticket.resolve("secret");
    await it.time.pass(0);
    it.client.notify("meanwhile");
    assertEquals(it.socket.take(), [request(2, "signIn", ["secret"])]);
    it.socket.receive(result(2, null));
    await it.time.pass(0);
    assertEquals(methods(it.socket), ["m", "meanwhile"]);
    it.socket.receive(result(1, "at last"));
    assertEquals(await call, "at last");
    // Later it is a call like any other.
    assertEquals(first!(() => it.client.notify("later")), true);
    assertEquals(methods(it.socket), ["later"]);
  },
);

wholePeer(
  "What onopen calls without saying so first waits a second or two, not for ever",
  async (face) => {
    const told: unknown[] = [];
    await using it = lab(face, {
      async onopen(this: BasePeer) {
        await new Promise<void>((resolve) => setTimeout(resolve, 100));
        await this.request("signIn");
      },
      onerror: (error) => void told.push(error),
    });
    const call = it.client.request("m");
    it.socket.open();
    await it.time.pass(100);
    assertEquals(it.socket.sent, []);
    await it.time.pass(900);
    await it.time.pass(1_000);
    assertEquals(methods(it.socket), ["signIn"]);
    assertEquals(told.length, 1);
    assertEquals(
      `${told[0]}`,
      'Error: The call of "signIn" waited 1000 ms for onopen, which may have made it: after an await, say first(() => this.remote...), with the argument of onopen',
    );
    it.socket.receive(result(2, null));
    await it.time.pass(0);
    assertEquals(methods(it.socket), ["m"]);
    it.socket.receive(result(1, 1));
    assertEquals(await call, 1);
  },
);

wholePeer(
  "What passes while onopen runs takes no more places than there are, in its order",
  async (face) => {
    const told: unknown[] = [];
    await using it = lab(face, {
      async onopen(this: BasePeer) {
        const calls = Array.from(
          { length: 1_500 },
          (_, n) => this.request("m", [n]),
        );
        this.notify("m", [1_500]);
        await Promise.all(calls);
        await new Promise<void>((resolve) => setTimeout(resolve, 100));
        await Promise.all(
          Array.from({ length: 1_500 }, (_, n) => this.request("m", [n + 1])),
        );
      },
      onerror: (error) => void told.push(error),
    });
    const before = it.client.request("m", [-1]);
    it.socket.open();
    const meanwhile = it.client.request("m", [0]);
    const answer = async (first: number, count: number): Promise<void> => {
      const taken = it.socket.take() as { id?: number; params: [number] }[];
      assertEquals(
        taken.map(({ params }) => params[0]),
        Array.from({ length: count }, (_, n) => first + n),
      );
      for (const { id } of taken) {
        if (id !== undefined) it.socket.receive(result(id, null));
      }
      await it.time.pass(0);
    };
    // Where its calls have no room, they wait for each other's, and for no onopen.
    await answer(0, 1_024);
    await answer(1_024, 477);
    await it.time.pass(100);
    assertEquals(it.socket.sent, []);
    // What it didn't say is its own passes after a while, as much as may.
    await it.time.pass(1_000);
    await it.time.pass(1_000);
    assertEquals(told.length, 1);
    await answer(0, 1_024);
    assertEquals(await meanwhile, null);
    await answer(1_024, 477);
    await answer(-1, 1);
    assertEquals(await before, null);
  },
);

eachPeer(
  "A sign-in that is told to wait is sent once more, before anybody else",
  async (face) => {
    await using it = lab(face, {
      async onopen(this: BasePeer) {
        await this.request("signIn");
      },
    });
    it.client.notify("before");
    it.socket.open();
    const data = { retryAfterMs: 50, executed: false };
    for (let times = 0; times < 2; times++) {
      assertEquals(methods(it.socket), ["signIn"]);
      it.socket.receive({
        jsonrpc: "2.0",
        error: { code: -32005, message: "Later", data },
        id: 1,
      });
      await it.time.flow(50);
    }
    assertEquals(methods(it.socket), ["signIn"]);
    it.socket.receive(result(1, null));
    await it.time.pass(0);
    assertEquals(methods(it.socket), ["before"]);
  },
);

eachPeer(
  "onopen that waits for its own call lets nobody else pass, however long it takes",
  async (face) => {
    const told: unknown[] = [];
    await using it = lab(face, {
      async onopen(this: BasePeer) {
        await this.request("signIn", [], { timeout: Infinity });
      },
      onerror: (error) => void told.push(error),
    });
    it.socket.open();
    it.client.notify("meanwhile");
    await it.time.flow(10_000);
    assertEquals([methods(it.socket), told], [["signIn"], []]);
    it.socket.receive(result(1, null));
    await it.time.pass(0);
    assertEquals(methods(it.socket), ["meanwhile"]);
  },
);

eachPeer(
  "A peer answers while its onopen runs, and what the protocol says passes",
  async (face) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    await using it = lab(face, {
      onopen: () => promise,
      local: {
        echo: (value: unknown) => value,
        tell(this: BasePeer) {
          this.call.progress(1);
          this.notify("meanwhile");
        },
      },
    });
    it.socket.open();
    it.socket.receive(request("a", "echo", [1]));
    it.socket.receive(request("b", "tell"));
    assertEquals(it.socket.take(), [
      result("a", 1),
      {
        jsonrpc: "2.0",
        method: "$/progress",
        params: { token: "b", value: 1 },
      },
      result("b", null),
    ]);
    resolve();
    await it.time.pass(0);
    assertEquals(methods(it.socket), ["meanwhile"]);
  },
);

eachPeer(
  "An onopen that rejects is told, and its connection not used: it is tried again",
  async (face) => {
    const broken = new Error("no database");
    const attempts: FailedAttempt[] = [];
    const told: unknown[] = [];
    let opened = 0;
    await using it = lab(face, {
      onopen() {
        opened++;
        if (opened === 1) return Promise.reject(broken);
        if (opened === 2) throw broken;
      },
      onattempt: (failed) => void attempts.push(failed),
      onerror: (error) => void told.push(error),
    });
    const call = it.client.request("m");
    const end = { code: 1011, reason: "onopen failed", wasClean: true };
    for (const [attempt, retryIn] of [[1, 250], [2, 500]] as const) {
      it.socket.open();
      await it.time.pass(0);
      assertEquals(it.socket.closes, [{ code: 1011, reason: "onopen failed" }]);
      assertEquals(it.socket.sent, []);
      assertEquals(attempts.at(-1), {
        ...end,
        attempt,
        retryIn,
        cause: broken,
      });
      assertEquals(it.log.at(-1), { ...end, retryIn });
      assertEquals(told.length, attempt);
      assertEquals(it.client.state, "connecting");
      await it.time.pass(retryIn);
    }
    it.socket.open();
    assertEquals(it.client.state, "open");
    it.socket.receive(result(1, "at last"));
    assertEquals(await call, "at last");
  },
);

const verdicts: readonly [code: number, closed: number, isFinal: boolean][] = [
  [-32050, 4401, true],
  [401, 4401, true],
  [-32051, 4403, true],
  [7, 4403, true],
  [-32601, 4403, true],
  [-32603, 1011, false],
  [-32009, 1011, false],
  [-32005, 1011, false],
  [-32052, 1011, false],
];

for (const [code, closed, isFinal] of verdicts) {
  eachPeer(
    `A sign-in that is answered ${code} ${
      isFinal ? "is final" : "is tried again"
    }`,
    async (face) => {
      await using it = lab(face, {
        async onopen(this: BasePeer) {
          await this.request("signIn");
        },
        onerror() {},
      });
      const call = it.client.request("m");
      call.catch(() => {});
      const { opened } = it.client;
      opened.catch(() => {});
      it.socket.open();
      it.socket.receive(failure(2, code, "No"));
      await it.time.pass(0);
      assertEquals(it.socket.closes[0]!.code, closed);
      if (!isFinal) return assertEquals(it.client.state, "connecting");
      assertEquals(it.client.state, "closed");
      const error = await assertRejects(() => call, ConnectionClosedError);
      assertEquals([error.sent, error.code], [false, closed]);
      assert(error.cause instanceof RpcError);
      await assertRejects(() => opened, ConnectionClosedError);
    },
  );
}

eachPeer(
  "A sign-in that is refused is tried once more with fresh credentials, or as when decides",
  async (face) => {
    const causes: unknown[] = [];
    const refused = {
      async onopen(this: BasePeer): Promise<void> {
        await this.request("signIn");
      },
      onerror() {},
    };
    {
      await using it = lab(face, { ...refused, url: () => address });
      for (const state of ["connecting", "closed"]) {
        await it.time.pass(250);
        it.socket.open();
        it.socket.receive(failure(it.sockets.length, -32050, "Expired"));
        await it.time.pass(0);
        assertEquals(it.client.state, state);
      }
    }
    await using it = lab(face, {
      ...refused,
      reconnect: {
        when: ({ cause }) => {
          causes.push((cause as RpcError).code);
          return true;
        },
      },
    });
    it.socket.open();
    it.socket.receive(failure(1, 7, "Wrong password"));
    await it.time.pass(0);
    assertEquals([causes, it.client.state], [[7], "connecting"]);
  },
);

eachPeer(
  "A connection that is lost while onopen runs keeps what waits for the next one",
  async (face) => {
    const attempts: number[] = [];
    const told: unknown[] = [];
    await using it = lab(face, {
      async onopen(this: BasePeer) {
        it.log.push("open");
        await this.request("signIn", [], { idempotent: false });
      },
      onattempt: ({ attempt }) => void attempts.push(attempt),
      onerror: (error) => void told.push(error),
    });
    const { opened } = it.client;
    it.client.notify("a");
    it.socket.open();
    it.client.notify("b");
    it.socket.end(1006, "", false);
    await it.time.pass(250);
    it.client.notify("c");
    it.socket.open();
    assertEquals(methods(it.socket), ["signIn"]);
    it.socket.receive(result(2, null));
    await it.time.pass(0);
    await opened;
    assertEquals(methods(it.socket), ["a", "b", "c"]);
    assertEquals([attempts, told], [[1], []]);
    const lost = { code: 1006, reason: "", wasClean: false, retryIn: 250 };
    assertEquals(it.log, ["open", lost, "open"]);
  },
);

eachPeer(
  "A peer that is closed while onopen runs is closed, and nothing of it acts",
  async (face) => {
    const told: unknown[] = [];
    await using it = lab(face, {
      async onopen(this: BasePeer) {
        await this.request("signIn");
        this.notify("signed in");
      },
      onerror: (error) => void told.push(error),
    });
    it.socket.open();
    const opened = assertRejects(() => it.client.opened, ConnectionClosedError);
    const call = assertRejects(
      () => it.client.request("m"),
      ConnectionClosedError,
    );
    it.client.close(4000, "enough");
    await Promise.all([opened, call]);
    await it.time.flow(5_000);
    assertEquals([methods(it.socket), told], [["signIn"], []]);
    assertEquals((it.log as CloseInfo[]).map(({ code }) => code), [4000]);
  },
);

eachPeer(
  "A call whose time is over while onopen runs says what it waited for",
  async (face) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    await using it = lab(face, { onopen: () => promise });
    it.socket.open();
    const call = assertRejects(
      () => it.client.request("m", [], { timeout: 100 }),
      DOMException,
      'Cannot send request "m" within 100 ms: it waits for onopen to settle',
    );
    await it.time.pass(120);
    await call;
    resolve();
    await it.time.pass(0);
    assertEquals(it.socket.sent, []);
  },
);

eachPeer(
  "A peer of one given socket closes it when its onopen rejects",
  async (face) => {
    const socket = new ScriptedSocket();
    const told: string[] = [];
    const peer = face.peer(socket, {
      onopen: () => Promise.reject(new RpcError(7, "mine")),
      onerror: (error) => void told.push(`${error}`),
    });
    await assertRejects(
      () => peer.opened,
      ConnectionClosedError,
      "Cannot open",
    );
    assertEquals(socket.closes, [{ code: 1011, reason: "onopen failed" }]);
    assertEquals(told, ["RpcError: mine"]);
    socket.end();
    await peer.closed;
  },
);

Deno.test("A broadcast waits for each onopen, and a batch does", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const heard: string[] = [];
  const [left, right] = socketPair();
  await using member = new Peer(left, { onopen: () => promise });
  await using page = new Peer(right, {
    local: {
      hear: (word: string) => void heard.push(word),
      a: () => heard.push("a"),
    },
  });
  await page.opened;
  assertEquals(broadcast([member], "hear", ["hello"]), 1);
  const [a] = member.batch(
    () => [member.request("a"), member.notify("hear", [1])],
  );
  await settle();
  assertEquals(heard, []);
  resolve();
  await a;
  assertEquals(heard, ["hello", "a", 1 as never]);
});

bothTest(
  "A client signs in each time that it connects, before anybody speaks",
  async (platform) => {
    class Account extends Peer<unknown, string | undefined> {
      override local = {
        signIn: (token: string) => void (this.context = token),
        join: (room: string) => `${this.context} in ${room}`,
        secret: () => {
          if (this.context === undefined) throw new RpcError(-32050, "Who?");
          return `for ${this.context}`;
        },
      };
    }
    await using server = await platform.serve(Account);
    const joined: string[] = [];
    class Page extends Peer<Account["local"]> {
      readonly #token = "ann";
      override async onopen(first: First): Promise<void> {
        const token = await new Promise<string>((resolve) =>
          setTimeout(() => resolve(this.#token), 5)
        );
        await first(() => this.remote.signIn(token));
        joined.push(await this.remote.join("room"));
      }
    }
    await using page = connect(server.url, Page, { reconnect: { delay: 0 } });
    assertEquals(await page.remote.secret(), "for ann");
    for (const peer of server.peers) peer.close(1012, "retry in 100 ms");
    await until(() => page.state === "connecting");
    assertEquals(await page.remote.secret(), "for ann");
    assertEquals(joined, ["ann in room", "ann in room"]);
  },
);

bothTest(
  "A server's onopen that rejects is told, and closes the connection with 1011",
  async (platform) => {
    const told: string[] = [];
    await using server = await platform.define({
      onopen: () => Promise.reject(new Error("no database")),
      onerror: (error) => void told.push(`${error}`),
    });
    await using client = connect(server.url, { reconnect: false });
    const { code, reason } = await client.closed;
    assertEquals([code, reason], [1011, "onopen failed"]);
    assertEquals(told, ["Error: no database"]);
  },
);
