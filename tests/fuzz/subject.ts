/**
 * The peer that the fuzzer attacks: it has methods of every kind, and calls of
 * its own of every kind.
 *
 * @module
 */

import {
  type CloseInfo,
  marshal,
  method,
  Peer,
  type PeerOptions,
  RpcError,
  type Socket,
  type SocketMaker,
} from "../../mod.ts";

/** What a method of the subject's throws on purpose. */
class Planned extends Error {}

/** What may reach `onerror`: each is somebody's fault, and not the peer's. */
const expected: readonly RegExp[] = [
  /^TypeError: Do not know how to serialize a BigInt/,
  /^TypeError: Converting circular structure to JSON/,
  // What was returned holds a function, the other side's word for one that was lent.
  /^TypeError: a function can't be passed as result\./,
  // Returned in a version that has no such thing.
  /^TypeError: Cannot (open stream|pass by reference): JSON-RPC \S+ has no/,
  // What was returned is a stream of the other side's, which is none.
  /^TypeError: Cannot (read stream|iterate the result): /,
  // What was stored has a reference of another one's in it.
  /^TypeError: Cannot pass on what another peer lent/,
];

/** The subject. */
export class Subject extends Peer {
  /** What reached `onerror` and should not have. */
  readonly unexpected: unknown[] = [];
  /** How its connection ended. */
  readonly ends: CloseInfo[] = [];
  /** Generators that began, and that came to their end. */
  begun = 0;
  over = 0;
  /** Calls of its own that have not settled. */
  readonly open: Set<Promise<unknown>> = new Set();
  /** Methods that wait to be let on. */
  #gates: (() => void)[] = [];
  /** Signals of methods that wait for nothing else. */
  readonly signals: Set<AbortSignal> = new Set();
  #controllers: AbortController[] = [];
  #lent: Disposable[] = [];
  #kept: unknown[] = [];
  /** What was said to be stored, for whoever asks. */
  readonly stored: unknown[];

  constructor(
    ws: Socket | SocketMaker,
    options?: PeerOptions,
    stored: unknown[] = [],
  ) {
    super(ws, options);
    this.stored = stored;
  }

  override local: object = {
    field: 5,
    get getter(): () => number {
      throw new Error("A getter was called");
    },
    echo: (value: unknown) => value,
    later: async (value: unknown) => await value,
    // Called, and not waited for.
    tell: (fn: unknown) => {
      if (typeof fn === "function") fn(1);
    },
    wait: (value: unknown) => this.#gate(() => value),
    abortable: () => {
      const { signal } = this.call;
      this.signals.add(signal);
      signal.addEventListener("abort", () => this.signals.delete(signal));
      return Promise.race([
        this.#gate(() => this.signals.delete(signal)),
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason))
        ),
      ]);
    },
    fail: () => {
      throw new Planned();
    },
    failLater: async () => {
      await null;
      throw new Planned();
    },
    refuse: (code: unknown, data: unknown) => {
      throw new RpcError(Number.isInteger(code) ? Number(code) : 5, "No", data);
    },
    nothing: () => {},
    bigint: () => 5n,
    // Seldom: V8 takes milliseconds to find one (seen in Deno 2.9.5).
    cycle: (value: unknown) => {
      if (value !== 3) return value;
      const cycle: { self?: object } = {};
      return cycle.self = cycle;
    },
    throwNull: () => {
      throw null;
    },
    long: (length: unknown) => "x".repeat(typeof length === "number" ? 900 : 9),
    math: { add: (a: unknown, b: unknown) => [a, b] },
    named: method(
      { params: ["method", "id"] },
      (...params: unknown[]) => params,
    ),
    stream: () => this.#generate(3),
    forever: () => this.#generate(Infinity),
    broken: () => this.#generate(2, true),
    readable: () => {
      this.begun++;
      let count = 0;
      return new ReadableStream({
        pull: (controller) => {
          if (count++ < 3) controller.enqueue(count);
          else {
            this.over++;
            controller.close();
          }
        },
        cancel: () => void this.over++,
      }, { highWaterMark: 0 });
    },
    read: async (stream: AsyncIterable<unknown>) => {
      let count = 0;
      try {
        for await (const _ of stream) if (++count === 4) break;
      } catch {
        return "It was no stream";
      }
      return count;
    },
    call: async (fn: unknown) => await attempt(() => (fn as () => unknown)()),
    callObject: async (object: unknown) =>
      await attempt(() => (object as { get(): unknown }).get()),
    keep: (...values: unknown[]) => {
      this.#kept = [...this.#kept.slice(-8), values];
    },
    put: (value: unknown) => {
      if (this.stored.length < 20) this.stored.push(value);
    },
    stored: (index: unknown) =>
      typeof index === "number" ? this.stored[index] : this.stored,
    lend: () => this.#lend(),
    lendFunction: () => () => 5,
    nested: () => ({ deep: [this.#lend()] }),
    progress: () => this.call.progress({ done: 1 }),
    early: () => {
      const { id } = this.call;
      if (id !== undefined) this.respond(id, "early");
      return "late";
    },
    ask: async () => await attempt(() => this.request("ask", [1])),
  };

  override onerror(error: unknown): void {
    if (
      error === null || error instanceof Planned || error instanceof RpcError
    ) return;
    if (expected.some((pattern) => pattern.test(String(error)))) return;
    // Whose sender is told nothing.
    if (/^RangeError: Cannot take notification /.test(`${error}`)) return;
    this.unexpected.push(error);
  }

  override onclose(end: CloseInfo): void {
    this.ends.push(end);
  }

  override oninvalid(text: string): void {
    if (text.includes("then")) throw new Planned();
  }

  /** Does one of the things that a peer does by itself. */
  act(number: number): void {
    const controller = new AbortController();
    this.#controllers.push(controller);
    const { signal } = controller;
    const acts: (() => unknown)[] = [
      () => this.request("plain", [number]),
      () => this.request("patient", [number], { signal }),
      () => this.#controllers.shift()?.abort(),
      () => void this.notify("note", [number]),
      () =>
        Promise.allSettled(
          this.batch(() => [this.request("a"), this.request("b")]),
        ),
      () =>
        this.batch(() => {
          this.notify("c");
          return this.request("d", { d: 1 }, { signal });
        }),
      () => this.request("told", [], { onprogress: () => {} }),
      async () => {
        const { feed } = this.with({ signal }) as unknown as {
          feed: () => AsyncIterable<unknown>;
        };
        let count = 0;
        for await (const _ of feed()) if (++count === 3) break;
      },
      () => this.request("each", [() => number]),
      () => this.request("fill", [this.#generate(5)]),
      () => this.request("hold", [this.#lend()], { signal }),
      () => this.#lent.shift()?.[Symbol.dispose](),
      async () => {
        const lent = await this.request("borrow") as { get(): unknown };
        return await lent.get();
      },
      () => {
        for (const kept of this.#kept.splice(0).flat()) {
          if (typeof kept === "function") {
            (kept as unknown as Disposable)[Symbol.dispose]?.();
          }
        }
      },
    ];
    this.#follow(acts[number % acts.length]!);
  }

  /** Lets every method on that waits. */
  openGates(): void {
    for (const open of this.#gates.splice(0)) open();
  }

  /** Lets go of all that it has lent. */
  takeBack(): void {
    for (const lent of this.#lent.splice(0)) lent[Symbol.dispose]();
  }

  #gate<T>(value: () => T): Promise<T> {
    return new Promise((resolve) => this.#gates.push(() => resolve(value())));
  }

  #lend(): Disposable {
    const lent = marshal({
      get: () => 7,
      fail: () => Promise.reject(new Planned()),
    });
    this.#lent.push(lent as unknown as Disposable);
    return lent as unknown as Disposable;
  }

  async *#generate(count: number, fails = false): AsyncGenerator<number> {
    this.begun++;
    try {
      for (let n = 0; n < count; n++) yield n;
      if (fails) throw new Planned();
    } finally {
      this.over++;
    }
  }

  /** Follows a call of its own to its end, which may be a failure. */
  #follow(act: () => unknown): void {
    const promise = attempt(act);
    this.open.add(promise);
    promise.finally(() => this.open.delete(promise));
  }
}

/** What something comes to, if it is only the fault of whoever answers it. */
async function attempt(act: () => unknown): Promise<unknown> {
  try {
    return await act();
  } catch {
    return "It failed";
  }
}
