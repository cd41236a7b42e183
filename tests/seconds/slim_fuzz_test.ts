/** The small peer, fuzzed for a while: it outlives it, and nothing is left. */

import { assert, assertEquals } from "@std/assert";
import { marshal } from "../../mod.ts";
import { Peer, references, RpcError, streams } from "../../slim.ts";
import { Frames } from "../fuzz/frames.ts";
import { Random } from "../fuzz/random.ts";
import { request, ScriptedSocket, settle } from "../scripted_socket.ts";

const seed = 20_110_611;

/** A peer with methods of many kinds, by the names that the fuzzer knows. */
class Subject extends Peer {
  begun = 0;
  over = 0;
  readonly thrown: unknown[] = [];
  readonly signals = new Set<AbortSignal>();

  override local: object = {
    field: 5,
    get getter(): () => number {
      throw new Error("A getter was called");
    },
    echo: (value: unknown) => value,
    later: async (value: unknown) => await value,
    tell: (fn: unknown) => void (typeof fn === "function" && fn(1)),
    wait: () => new Promise(() => {}),
    abortable: () => {
      const { signal } = this.call;
      this.signals.add(signal);
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          this.signals.delete(signal);
          reject(signal.reason);
        })
      );
    },
    failLater: () => Promise.reject(null),
    refuse: (_: unknown, data: unknown) => {
      throw new RpcError(5, "No", data);
    },
    bigint: () => 5n,
    nothing: () => {},
    math: { add: (a: unknown, b: unknown) => [a, b] },
    stream: () => this.#generate(3),
    forever: () => this.#generate(Infinity),
    broken: () => this.#generate(2, true),
    read: async (stream: AsyncIterable<unknown>) => {
      try {
        for await (const _ of stream) break;
      } catch {
        return "It was no stream";
      }
    },
    call: async (fn: () => unknown) => {
      try {
        return await fn();
      } catch {
        return "It was no function";
      }
    },
    lend: () => marshal({ get: () => 7 }),
    lendFunction: () => () => 5,
    progress: () => this.call.progress({ done: 1 }),
    early: () => {
      const { id } = this.call;
      if (id !== undefined) this.respond(id, "early");
      return "late";
    },
    ask: () => this.request("ask", [1]).catch(() => "It failed"),
  };

  override onerror(error: unknown): void {
    this.thrown.push(error);
  }

  async *#generate(count: number, fails = false): AsyncGenerator<number> {
    this.begun++;
    try {
      for (let n = 0; n < count; n++) yield n;
      if (fails) throw null;
    } finally {
      this.over++;
    }
  }
}

// Each is somebody's fault, and not the peer's.
const expected = [
  /^TypeError: Do not know how to serialize a BigInt/,
  /^TypeError: a (function|symbol) can't be passed as result/,
  /^TypeError: Cannot (read stream|iterate the result): /,
  /^RpcError/,
  /^null$/,
];

Deno.test("The small peer outlives 20,000 seeded frames, and lets go of everything", async () => {
  const random = new Random(seed);
  let answers = 0;
  for (let session = 0; session < 100; session++) {
    const socket = new ScriptedSocket();
    const peer = new Subject(socket, { use: [streams, references] });
    await peer.opened;
    const asked = new Map<number, string>();
    const frames = new Frames(random, {
      isShared: false,
      asked,
      messageLength: 1_048_576,
      idLength: 128,
      methodLength: 256,
      depth: 64,
    });
    const calls: Promise<unknown>[] = [];
    for (let n = 0; n < 200 && peer.state === "open"; n++) {
      if (random.oneIn(5)) {
        const given = [() => 1, n, peer.local].slice(random.below(3));
        calls.push(peer.request("m", given).catch(() => {}));
      }
      const frame = frames.next();
      const before = socket.sent.length;
      // A throw from the listener would be this test's.
      socket.receive(typeof frame === "string" ? frame : frame.buffer);
      if (random.oneIn(20)) await settle();
      for (const text of socket.sent.slice(before)) {
        const { jsonrpc, id, method } = JSON.parse(text);
        assertEquals(jsonrpc, "2.0");
        if (method === undefined) answers++;
        else if (id !== undefined) asked.set(id, method);
      }
    }
    await settle();
    peer.close();
    const { length } = socket.sent;
    socket.receive(request(1, "echo"));
    socket.end();
    await peer.closed;
    await Promise.all(calls);
    await settle();
    assertEquals(socket.sent.length, length);
    assertEquals([peer.begun - peer.over, peer.signals.size], [0, 0]);
    for (const error of peer.thrown) {
      assert(
        expected.some((pattern) => pattern.test(String(error))),
        String(error),
      );
    }
  }
  assert(answers > 5_000);
});
