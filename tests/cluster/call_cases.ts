/**
 * What must hold of calls between nodes, over whatever engine: one list of sentences,
 * run by the tests of each.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Cluster } from "../../cluster.ts";
import {
  ConnectionClosedError,
  ErrorCode,
  marshal,
  RpcError,
} from "../../mod.ts";
import { until } from "../interop/processes.ts";
import type { Case, Stage } from "./stage.ts";

/** A promise, and how to settle it. */
function deferred<T = void>(): PromiseWithResolvers<T> {
  return Promise.withResolvers<T>();
}

const local = {
  add: (a: number, b: number): number => a + b,
  subtract: ({ from, what }: { from: number; what: number }): number =>
    from - what,
  nothing(): void {},
  math: { twice: (n: number): number => 2 * n },
  fail(): never {
    throw new RpcError(409, "Name is taken", { name: "ann" });
  },
  break(): never {
    throw new Error("a secret");
  },
};

/** The cases. */
export const callCases: readonly Case[] = [
  {
    name: "A call reaches a peer of another node, by position and by name",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const { id } = stage.callee(there, local);
      const peer = here.peer<typeof local>(id);
      assertEquals(peer.id, id);
      assertEquals(await peer.remote.add(1, 2), 3);
      assertEquals(await peer.remote.math.twice(4), 8);
      assertEquals(
        await peer.request("subtract", { from: 5, what: 3 }),
        2,
      );
      assertEquals(await peer.request("add", [2, 3], { timeout: 9_000 }), 5);
      assertEquals(await peer.with({ timeout: 9_000 }).add(3, 4), 7);
      assertEquals(await peer.remote.nothing(), null);
      // @ts-expect-error: a number is wanted.
      const wrong = peer.remote.add("1", 2);
      assertEquals(await wrong as unknown, "12");
    },
  },
  {
    name: "A call to a peer of the same node is the same, without the engine",
    async run(stage) {
      const engine = await stage.engine();
      const node = await stage.join(engine);
      const { id } = stage.callee(node, local);
      let published = 0;
      const publish = engine.publish.bind(engine);
      engine.publish = (subject, text) => {
        if (!text.includes('"beat"')) published++;
        return publish(subject, text);
      };
      const peer = node.peer<typeof local>(id);
      assertEquals(await peer.remote.add(1, 2), 3);
      await assertRejects(() => peer.remote.fail(), RpcError, "Name is taken");
      await assertRejects(
        () => node.peer(id).request("add", [() => 1, 2]),
        TypeError,
        'Cannot send request "add": a function can\'t be passed',
      );
      assertEquals(published, 0);
    },
  },
  {
    name: "What text holds arrives as it is",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const { id } = stage.callee(there, { echo: (value: unknown) => value });
      const values = [
        "",
        '\n\r\u2028\u0000"\\',
        "ä€😀",
        null,
        0,
        -1.5e300,
        [[]],
        { "__proto__": 1, then: 2 },
        "x".repeat(100_000),
      ];
      for (const value of values) {
        const echoed = await here.peer(id).request("echo", [value]);
        assertEquals(echoed, value);
      }
    },
  },
  {
    name: "Thousands of calls at once come back, each with its own result",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const { id } = stage.callee(there, local);
      const { remote } = here.peer<typeof local>(id);
      const numbers = Array.from({ length: 5_000 }, (_, n) => n);
      const doubled = await Promise.all(numbers.map((n) => remote.add(n, n)));
      assertEquals(doubled, numbers.map((n) => 2 * n));
      // So do long ones, of which few may be on their way at a time.
      const echo = stage.callee(there, { echo: (text: string) => text });
      const text = "x".repeat(300_000);
      const echoed = await Promise.all(
        numbers.slice(0, 40).map(() =>
          here.peer(echo.id).request("echo", [text])
        ),
      );
      assert(echoed.every((one) => one === text));
    },
  },
  {
    name: "An RpcError arrives with code, message, data and method",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const { id } = stage.callee(there, local);
      const { remote } = here.peer<typeof local>(id);
      const error = await assertRejects(() => remote.fail(), RpcError);
      assertEquals(error.code, 409);
      assertEquals(error.message, "Name is taken");
      assertEquals(error.data, { name: "ann" });
      assertEquals(error.method, "fail");
      const hidden = await assertRejects(() => remote.break(), RpcError);
      assertEquals(hidden.code, ErrorCode.InternalError);
      assertEquals(hidden.message, "Internal error");
      const unknown = await assertRejects(
        () => here.peer(id).request("missing"),
        RpcError,
      );
      assertEquals(unknown.code, ErrorCode.MethodNotFound);
    },
  },
  {
    name:
      "What another peer's protocol said is not passed on as one's own word",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const { id } = stage.callee(there, local);
      const asking = {
        ask: (method: string) => here.peer(id).request(method),
      };
      const { page } = stage.callee(here, {}, { server: { local: asking } });
      const ask = (method: string) => page.request("ask", [method]);
      const error = await assertRejects(() => ask("missing"), RpcError);
      assertEquals(error.code, ErrorCode.InternalError);
      // What a method of the user's has thrown is.
      const taken = await assertRejects(() => ask("fail"), RpcError);
      assertEquals(taken.code, 409);
    },
  },
  {
    name: "A peer that is closed or was never there rejects with sent: false",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const { id, server } = stage.callee(there, local);
      server.close();
      for (
        const unknown of [id, `${there.id}.999`, `${here.id}.999`, "x", ""]
      ) {
        const error = await assertRejects(
          () => here.peer(unknown).request("add", [1, 2]),
          ConnectionClosedError,
          'Cannot send request "add"',
        );
        assertEquals([error.sent, error.code], [false, 1006], unknown);
      }
    },
  },
  {
    name: "A peer that closes during a call rejects it with sent: true",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const called = deferred();
      const { id, server } = stage.callee(there, {
        wait() {
          called.resolve();
          return new Promise<void>(() => {});
        },
      });
      const waiting = here.peer(id).request("wait", [], { idempotent: true });
      await called.promise;
      server.close(4001, "enough");
      const error = await assertRejects(() => waiting, ConnectionClosedError);
      assertEquals(error.code, 4001);
      assertEquals(error.reason, "enough");
      assertEquals([error.sent, error.idempotent], [true, true]);
    },
  },
  {
    name: "A node that leaves rejects the calls to its peers with sent: true",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const called = deferred();
      const { id } = stage.callee(there, {
        wait() {
          called.resolve();
          return new Promise<void>(() => {});
        },
      });
      const waiting = here.peer(id).request("wait");
      await called.promise;
      await Promise.all([
        assertRejects(() => waiting, ConnectionClosedError, "its node is gone")
          .then(({ sent }) => assert(sent)),
        there.close(),
      ]);
    },
  },
  {
    name: "A node that leaves rejects its own calls, and cancels them",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const called = deferred();
      const cancelled = deferred<unknown>();
      const { id, page } = stage.callee(there, {
        wait() {
          called.resolve();
          page.call.signal.addEventListener(
            "abort",
            () => cancelled.resolve(page.state),
          );
          return new Promise<void>(() => {});
        },
      });
      const waiting = here.peer(id).request("wait");
      await called.promise;
      const failed = assertRejects(() => waiting, ConnectionClosedError);
      await here.close();
      assertEquals((await failed).sent, true);
      assertEquals(await cancelled.promise, "open");
      const late = await assertRejects(
        () => here.peer(id).request("wait"),
        ConnectionClosedError,
      );
      assertEquals(late.sent, false);
      assertEquals(here.peer(id).notify("wait"), false);
      here.peer(id).close();
    },
  },
  {
    name: "A call's time-out cancels it at the peer",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const cancelled = deferred();
      const { id, page } = stage.callee(there, {
        wait() {
          const { signal } = page.call;
          signal.addEventListener("abort", () => cancelled.resolve());
          return new Promise<void>(() => {});
        },
      });
      const waiting = here.peer(id).request("wait", [], { timeout: 50 });
      const error = await assertRejects(
        () => waiting,
        DOMException,
        'No sign of life from request "wait" within 50 ms',
      );
      assertEquals(error.name, "TimeoutError");
      await cancelled.promise;
    },
  },
  {
    name: "A call's signal cancels it at the peer, and rejects with its reason",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const called = deferred();
      const cancelled = deferred();
      const { id, page } = stage.callee(there, {
        wait() {
          const { signal } = page.call;
          signal.addEventListener("abort", () => cancelled.resolve());
          called.resolve();
          return new Promise<void>(() => {});
        },
      });
      const controller = new AbortController();
      const { signal } = controller;
      const waiting = here.peer(id).request("wait", [], { signal });
      await called.promise;
      controller.abort("changed my mind");
      await waiting.then(
        () => assert(false),
        (reason) => assertEquals(reason, "changed my mind"),
      );
      await cancelled.promise;
      await here.peer(id).request("wait", [], { signal }).then(
        () => assert(false),
        (reason) => assertEquals(reason, "changed my mind"),
      );
    },
  },
  {
    name: "A method's progress is a sign of life, also from another node",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const { id, page } = stage.callee(there, {
        async work() {
          const { call } = page;
          for (let step = 0; step < 16; step++) {
            await new Promise((resolve) => setTimeout(resolve, 250));
            call.progress(step);
          }
          return "done";
        },
      });
      const done = here.peer(id).request("work", [], { timeout: 2_200 });
      assertEquals(await done, "done");
    },
  },
  {
    name: "Streams and functions go neither way between nodes",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const left = deferred();
      const disposed = deferred();
      const calls: unknown[] = [];
      const { id } = stage.callee(there, {
        take: (value: unknown) => void calls.push(value),
        count: () => ({
          [Symbol.asyncIterator]: () => ({
            next: () => Promise.resolve({ value: 1, done: false }),
            return() {
              left.resolve();
              return Promise.resolve({ value: undefined, done: true });
            },
          }),
        }),
        lend: () => ({
          deep: [
            marshal({
              call: () => 1,
              [Symbol.dispose]: () => disposed.resolve(),
            }, { lifetime: "explicit" }),
          ],
        }),
        token: () => ({ token: "abc" }),
        values: () => ({ values: [1, 2] }),
      });
      const peer = here.peer(id);
      const stream = (async function* () {
        yield await Promise.resolve(1);
      })();
      const borrowed = stage.callee(here, {
        lend: () => () => 1,
      }).server;
      const lent = await borrowed.remote.lend();
      const refused: readonly (readonly [unknown, string])[] = [
        [[() => 1], "a function can't be passed"],
        [{ visit: () => 1 }, "a function can't be passed"],
        [[stream], "a stream can't be passed to another node"],
        [[new ReadableStream()], "a stream can't be passed to another node"],
        [[marshal({})], "Cannot pass by reference"],
        [[{ deep: marshal({}) }], "Cannot pass by reference"],
        [[lent], "Cannot pass on what another peer lent"],
        [[{ lent }], "Cannot pass on what another peer lent"],
        [[1n], "BigInt"],
        [1, "params must be an array or an object"],
      ];
      for (const [params, why] of refused) {
        const error = await assertRejects(
          () => peer.request("take", params as unknown[]),
          TypeError,
          'Cannot send request "take": ',
        );
        assert(error.message.includes(why), error.message);
        assertThrows(
          () => peer.notify("take", params as unknown[]),
          TypeError,
          'Cannot send notification "take": ',
        );
      }
      const why = "a stream or a function can't be passed to another node";
      await assertRejects(() => peer.request("count"), TypeError, why);
      await left.promise;
      await assertRejects(() => peer.request("lend"), TypeError, why);
      await disposed.promise;
      // What may be data is.
      assertEquals(await peer.request("token"), { token: "abc" });
      assertEquals(await peer.request("values"), { values: [1, 2] });
      assertEquals(calls, []);
    },
  },
  {
    name: "Notifications to a peer arrive in order, and only those of its node",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const heard: number[] = [];
      const show = (n: number): void => void heard.push(n);
      const { id } = stage.callee(there, { show, done: () => heard.length });
      const peer = here.peer<{ show: typeof show }>(id);
      for (let n = 0; n < 100; n++) {
        assertEquals(peer.notify("show", [n]), true);
      }
      assertEquals(await here.peer(id).request("done"), 100);
      assertEquals(heard, Array.from({ length: 100 }, (_, n) => n));
      assertEquals(here.peer(`${here.id}.99`).notify("show", [1]), false);
      const own = stage.callee(here, { show });
      assertEquals(here.peer(own.id).notify("show", [-1]), true);
      await own.server.request("rpc.ping");
      assertEquals(heard.at(-1), -1);
      // What comes after its peer has closed is nobody's.
      own.server.close();
      assertEquals(here.peer(own.id).notify("show", [-2]), false);
    },
  },
  {
    name: "A peer that speaks 1.0 is called in 1.0",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const heard: unknown[] = [];
      const { id } = stage.callee(there, {
        add: (a: number, b: number) => a + b,
        show: (...params: unknown[]) => void heard.push(params),
      }, { server: { version: "1.0" }, page: { version: "1.0" } });
      const peer = here.peer(id);
      peer.notify("show", [1, 2]);
      assertEquals(await peer.request("add", [1, 2]), 3);
      assertEquals(heard, [[1, 2]]);
      await assertRejects(
        () => peer.request("add", { a: 1 }),
        TypeError,
        "JSON-RPC 1.0 has no params by name",
      );
    },
  },
  {
    name: "A peer is closed from another node, with code and reason",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const { id, server } = stage.callee(there, {});
      assertThrows(() => here.peer(id).close(1005), RangeError, "1005");
      here.peer(id).close(4003, "enough");
      const { code, reason } = await server.closed;
      assertEquals([code, reason], [4003, "enough"]);
      here.peer(id).close();
    },
  },
  {
    name: "disconnect() closes all of a key, on whatever node, and counts them",
    async run(stage) {
      const nodes = [await stage.join(), await stage.join()];
      nodes.push(await stage.join());
      const anns = [];
      const bob = stage.callee(nodes[1]!, {});
      await nodes[1]!.room("lobby").join(bob.server, { key: "bob" });
      for (const node of nodes) {
        const page = stage.callee(node, {});
        await node.room("lobby").join(page.server, { key: "ann" });
        await node.room("attic").join(page.server, { key: "ann" });
        anns.push(page);
      }
      const [first] = nodes as [Cluster];
      assertEquals(await first.disconnect({ key: "ann" }, 4403, "banned"), {
        closed: 3,
        missing: [],
      });
      for (const { server } of anns) {
        assertEquals((await server.closed).code, 4403);
      }
      assertEquals(bob.server.state, "open");
      const none = { closed: 0, missing: [] };
      assertEquals(await first.disconnect({ key: "ann" }), none);
      assertEquals(await first.disconnect({ id: anns[2]!.id }), none);
      assertEquals(await first.disconnect({ id: "x" }), none);
      assertEquals(await first.disconnect({ id: bob.id }, 4403), {
        closed: 1,
        missing: [],
      });
      assertEquals((await bob.server.closed).code, 4403);
      await assertRejects(
        () => first.disconnect({ key: "ann" }, 1006),
        RangeError,
      );
      await assertRejects(
        () => first.disconnect({} as { key: string }),
        TypeError,
        "name a key or an id",
      );
    },
  },
  {
    name: "disconnect() and a call don't wait for ever for a node that is mute",
    async run(stage) {
      const node = await stage.join();
      await using mute = await stranger(stage, "mute");
      await until(() => node.nodes.length === 2);
      const calling = assertRejects(
        () => node.peer("mute.1").request("ask"),
        ConnectionClosedError,
        "its node has not said that it has the call",
      );
      const start = performance.now();
      assertEquals(await node.disconnect({ key: "ann" }), {
        closed: 0,
        missing: ["mute"],
      });
      assertEquals(await node.disconnect({ id: "mute.1" }), {
        closed: 0,
        missing: ["mute"],
      });
      assert(performance.now() - start < 10_000);
      // Whether it has run there, nobody knows.
      assertEquals((await calling).sent, true);
      await until(() => mute.heard.some(({ k }) => k === "cancel"));
    },
  },
  {
    name:
      "A node that knows no calls says so, and they reject with sent: false",
    async run(stage) {
      const node = await stage.join();
      await using old = await stranger(stage, "old", (header, say) => {
        if (header.c !== undefined) {
          void say(`${header.n}`, { k: "unsupported", c: header.c });
        }
      });
      await until(() => node.nodes.length === 2);
      const error = await assertRejects(
        () => node.peer("old.1").request("ask"),
        ConnectionClosedError,
        "its node knows no such calls",
      );
      assertEquals(error.sent, false);
      assertEquals(await node.disconnect({ id: "old.1" }), {
        closed: 0,
        missing: [],
      });
      assert(old.heard.length > 0);
    },
  },
  {
    name: "Whatever another node says about calls harms no node",
    async run(stage) {
      const [node, other] = [await stage.join(), await stage.join()];
      const ran: unknown[] = [];
      const called = deferred();
      const released = deferred();
      const { id, server } = stage.callee(node, {
        run(value: unknown) {
          ran.push(value);
          return value === 1 ? released.promise : undefined;
        },
        wait() {
          called.resolve();
          return new Promise<void>(() => {});
        },
      });
      await using evil = await stranger(stage, "evil");
      const waiting = other.peer(id).request("wait");
      const settled = waiting.then(() => "settled", () => "rejected");
      await called.promise;
      const odd = [undefined, null, -1, 0.5, "1", [], {}, true];
      for (const c of odd) {
        for (
          const k of ["call", "took", "done", "cancel", "close", "closed"]
        ) {
          await evil.say(node.id, { k, c, to: c, m: c, t: c, e: c, key: c });
          await evil.say(node.id, { k, c, to: id, m: c, code: c ?? 5 });
          await evil.say(other.id, { k, c: 1, e: c, closed: c }, "[");
        }
      }
      // One number is one call that runs, however often it comes.
      for (let time = 0; time < 3; time++) {
        const call = { k: "call", c: 5, to: id, m: "run", t: 9_000 };
        await evil.say(node.id, call, "[1]");
      }
      await evil.say(node.id, { k: "call", c: 6, to: id, m: "run" }, "[2]");
      await until(() => evil.heard.some(({ c, k }) => c === 6 && k === "done"));
      assertEquals(ran, [1, 2]);
      released.resolve();
      await until(() => evil.heard.some(({ c, k }) => c === 5 && k === "done"));
      const unknown = { k: "call", c: 7, to: `${node.id}.99`, m: "run" };
      await evil.say(node.id, unknown, "[3]");
      await until(() =>
        evil.heard.some(({ c, e }) => c === 7 && e === "closed")
      );
      // Nobody answers for another node, nor cancels its calls.
      assertEquals(await Promise.race([settled, undefined]), undefined);
      assertEquals(server.state, "open");
      server.close();
      assertEquals(await settled, "rejected");
    },
  },
  {
    name: "The error of a call that nobody listens to is told to onerror",
    async run(stage) {
      const [here, there] = [await stage.join(), await stage.join()];
      const { id } = stage.callee(there, local);
      void here.peer<typeof local>(id).remote.fail();
      await until(() => stage.errors.length > 0);
      assert(stage.errors[0] instanceof RpcError);
    },
  },
];

/** The header of a message, as a stranger reads it. */
interface Header {
  readonly k: string;
  readonly n?: string;
  readonly c?: unknown;
  readonly e?: unknown;
}

/** A node that is none: it says what it is told to, and hears. */
interface Stranger extends AsyncDisposable {
  readonly heard: Header[];
  say(node: string, header: object, body?: string): Promise<unknown>;
}

/** Lets something join that says it is a node, and answers as it is told. */
async function stranger(
  stage: Stage,
  id: string,
  answer?: (header: Header, say: Stranger["say"]) => void,
): Promise<Stranger> {
  const engine = await stage.engine();
  const heard: Header[] = [];
  const say: Stranger["say"] = (node, header, body) => {
    const said = engine.publish(
      node === "" ? stage.all : stage.inbox(node),
      `${JSON.stringify({ v: 1, n: id, ...header })}\n${body ?? ""}`,
    );
    said.catch(() => {}); // The engine may end first.
    return said;
  };
  const leave = await engine.subscribe(stage.inbox(id), (text) => {
    const header = JSON.parse(text.split("\n", 1)[0]!);
    heard.push(header);
    answer?.(header, say);
  });
  await say("", { k: "hello" });
  let beats = 0;
  const timer = setInterval(() => say("", { k: "beat", i: ++beats }), 1_000);
  return {
    heard,
    say,
    [Symbol.asyncDispose]() {
      clearInterval(timer);
      leave();
      return Promise.resolve();
    },
  };
}
