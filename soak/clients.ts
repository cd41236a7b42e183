/**
 * The clients of the soak test, a process of its own. It writes lines of JSON, the
 * {@linkcode Report}s. It waits for a line between its warm-up and the soak, and ends
 * by itself: anything that a client leaves behind would keep it alive.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { lines } from "../bench/lines.ts";
import { connect } from "../client.ts";
import {
  type CallOptions,
  type CloseInfo,
  ErrorCode,
  type Peer,
  resume,
  RpcError,
} from "../mod.ts";
import { usedHeap } from "./heap.ts";
import {
  describe,
  Journal,
  type Kind,
  type Outcome,
  readOutcome,
  type Settlement,
} from "./ledger.ts";
import { Random } from "./random.ts";
import {
  answer,
  type ClientMethods,
  FailureCode,
  type Service,
} from "./service.ts";

/** The task of this process. */
export interface ClientsTask {
  url: string;
  journal: string;
  clients: number;
  /** The time of its calls. */
  seconds: number;
  /** The time of its calls before that, on a network that works. */
  warmUpSeconds: number;
  seed: number;
}

/** Its reports. */
export type Report =
  /** Everything was used once, and no client is left. */
  | { type: "warm"; heap: number }
  /** Once a second. */
  | { type: "progress"; calls: number; heap: number }
  /** No more calls are made; those under way should end now. */
  | { type: "ending" }
  /** No client is left. */
  | { type: "ended"; calls: number; heap: number };

/** One call, and its possible outcomes. */
interface Made {
  /** Makes the call. */
  make(id: number): PromiseLike<unknown>;
  /** The result that is due. Default {@linkcode answer}. */
  expected?(id: number): unknown;
  /** The code of the error that is due. */
  code?: number;
  /** The code of an error that may come instead of the result. */
  mayFail?: number;
  /** The reason of its abort, if it aborts. */
  reason?: unknown;
}

// A kind that stands here twice is done twice as often.
const acts: readonly Kind[] = [
  "quick",
  "quick",
  "quick",
  "slow",
  "failing",
  "hidden",
  "batch",
  "burst",
  "idempotent",
  "idempotent",
  "cancelled",
  "hurried",
  "callback",
  "upload",
  "notification",
];

const callTimeout = 5_000;

// Longer than any call may take.
const patience = 30_000;

// Milliseconds between two calls of a lane, on average.
const pace = 250;

const lanes = 3;

/** One client: its calls, and its own methods. */
class Caller {
  readonly #name: string;
  readonly #crew: Crew;
  readonly #random: Random;
  readonly #client: Peer<Service["local"]>;
  /** True for low limits, so that calls are refused. */
  readonly #isStrict: boolean;
  #connections = 0;
  #isOpen = false;
  #hasEnded = false;
  /** Calls whose answers nobody waits for any more. */
  #givenUp = 0;

  constructor(number: number, crew: Crew) {
    this.#name = `client ${number}`;
    this.#crew = crew;
    this.#random = new Random(crew.task.seed + number);
    this.#isStrict = number % 4 === 0;
    const local: ClientMethods = {
      echo: (id) => {
        crew.journal.write({ ran: id });
        if (this.#hasEnded) this.#complain("executed a call after its end");
        return answer(id);
      },
    };
    this.#client = connect<Service["local"]>(crew.task.url, {
      local,
      onopen: () => this.#open(),
      onclose: (info) => this.#close(info),
      onerror: (error) => {
        // Notifications were taken, and no connection came for them before the end.
        if (/^\w+: Cannot send what waited: /.test(String(error))) return;
        this.#complain(`onerror was told ${describe(error)}`);
      },
      timeout: callTimeout,
      handshakeTimeout: 3_000,
      reconnect: { delay: 200, maxDelay: 1_000 },
      ...this.#isStrict && { limits: { outgoing: 4, queued: 2 } },
    });
  }

  /** Makes calls until its time or the crew's is up; returns when nothing is left. */
  async live(milliseconds: number): Promise<void> {
    const work = Array.from(
      { length: lanes },
      () => this.#work(() => this.#act()),
    );
    if (!this.#isStrict) work.push(this.#work(() => this.#read()));
    const { over } = this.#crew;
    await sleep(milliseconds, undefined, { signal: over }).catch(() => {});
    // A client that ends first does so amid its calls; at the crew's end it awaits them.
    if (over.aborted) await Promise.all(work);
    this.#client.close();
    await Promise.all(work);
    await this.#client.closed;
    const { state, unmatched } = this.#client;
    if (state !== "closed") this.#complain(`is ${state} after its end`);
    if (!this.#hasEnded) this.#complain("has closed without a word");
    if (unmatched > this.#givenUp) {
      this.#complain(
        `got ${unmatched} answers that nobody waited for, and gave up ${this.#givenUp} calls`,
      );
    }
  }

  async #work(act: () => Promise<unknown>): Promise<void> {
    const { over } = this.#crew;
    while (!over.aborted) {
      // The last call is told that it has ended.
      const { state } = this.#client;
      await act();
      if (state === "closed") return;
      await sleep(this.#random.below(pace * 2));
    }
  }

  #open(): void {
    this.#connections++;
    if (this.#isOpen || this.#hasEnded) this.#complain("opened while open");
    this.#isOpen = true;
  }

  #close({ retryIn }: CloseInfo): void {
    if (retryIn !== undefined && !this.#isOpen || this.#hasEnded) {
      this.#complain("closed while closed");
    }
    this.#isOpen = false;
    this.#hasEnded = retryIn === undefined;
  }

  #complain(what: string): void {
    const complaint = `${this.#name} ${what}`;
    this.#crew.journal.write({ complaint });
  }

  /** Makes a call of some kind, or several. */
  #act(): Promise<unknown> {
    const random = this.#random;
    const client = this.#client;
    const { remote } = client;
    const kind = random.pick(acts);
    switch (kind) {
      case "slow":
        return this.#slow(kind, {});
      case "idempotent":
        return this.#slow(kind, { idempotent: true });
      case "burst":
        return Promise.all(
          Array.from({ length: 12 }, () => this.#slow(kind, {})),
        );
      case "cancelled": {
        const controller = new AbortController();
        const reason = new Error("Enough");
        setTimeout(() => controller.abort(reason), random.below(100));
        return this.#slow(kind, { signal: controller.signal }, reason);
      }
      case "hurried": {
        const hurried = client.with({ timeout: random.between(1, 100) });
        return this.#call(kind, { make: (id) => hurried.slow(id, 4_000) });
      }
      case "failing": {
        const code = FailureCode.Failing;
        return this.#call(kind, { make: (id) => remote.failing(id), code });
      }
      case "hidden": {
        const code = ErrorCode.InternalError;
        return this.#call(kind, { make: (id) => remote.hidden(id), code });
      }
      case "callback":
        return this.#call(kind, {
          make: (id) => remote.callback(id),
          mayFail: FailureCode.Callback,
        });
      case "upload": {
        const count = random.between(1, 1_000);
        return this.#call(kind, {
          make: (id) => remote.upload(id, this.#crew.upload(count)),
          expected: () => count,
        });
      }
      case "batch":
        return this.#batch(random.between(1, 8));
      case "notification":
        this.#crew.settle(this.#notify());
        return Promise.resolve();
      default:
        return this.#call(kind, { make: (id) => remote.quick(id) });
    }
  }

  #slow(kind: Kind, options: CallOptions, reason?: unknown): Promise<void> {
    const milliseconds = this.#random.below(300);
    const remote = this.#client.with(options);
    const make = (id: number): Promise<unknown> =>
      remote.slow(id, milliseconds);
    return this.#call(kind, { make, reason });
  }

  /** Makes some calls and a notification in one frame. */
  async #batch(size: number): Promise<void> {
    const { remote } = this.#client;
    const calls: Promise<void>[] = [];
    let notification: Settlement | undefined;
    try {
      this.#client.batch(() => {
        for (let index = 0; index < size; index++) {
          calls.push(this.#call("batch", { make: (id) => remote.quick(id) }));
        }
        notification = this.#notify();
      });
    } catch (error) {
      // The frame is sent whole or not at all.
      const { outcome } = readOutcome(error);
      if (notification !== undefined) {
        notification = { ...notification, outcome };
      }
    }
    if (notification !== undefined) this.#crew.settle(notification);
    await Promise.all(calls);
  }

  /** Reads numbers over as many connections as it takes. */
  async #read(): Promise<void> {
    const client = this.#client;
    const last = this.#random.between(1, 2_000);
    // Sometimes it stops before the end.
    const enough = this.#random.next() < 0.2 ? last / 2 : last;
    let next = 0;
    await this.#call("stream", {
      make: async (id) => {
        const numbers = resume<number>(
          client,
          (read = 0) => client.remote.count(id, read + 1, last),
        );
        for await (const number of numbers) {
          if (number !== next + 1) throw new Error(`${number} after ${next}`);
          next = number;
          if (number >= enough) break;
        }
        return next >= enough;
      },
      expected: () => true,
    });
    // Its last question for more may have been on its way.
    this.#givenUp++;
  }

  /** Makes a call, and writes down its outcome. */
  async #call(kind: Kind, made: Made): Promise<void> {
    const { make, expected = answer, code, mayFail, reason } = made;
    const before = this.#connections - (this.#isOpen ? 1 : 0);
    const id = this.#crew.begin(kind, this.#name);
    let outcome: Outcome;
    let detail: string | undefined;
    try {
      const result = await make(id);
      const isRight = result === expected(id) && code === undefined;
      outcome = isRight ? "result" : "wrong";
      if (!isRight) detail = `result ${result}`;
    } catch (error) {
      const errorCode = error instanceof RpcError ? error.code : NaN;
      if (errorCode === code || errorCode === mayFail) outcome = "error";
      else if (error === reason && reason !== undefined) outcome = "abort";
      else ({ outcome, detail } = readOutcome(error));
    }
    if (outcome === "abort" || outcome === "timeout") this.#givenUp++;
    const connections = this.#connections - before;
    this.#crew.settle({
      id,
      caller: this.#name,
      kind,
      outcome,
      connections,
      ...detail !== undefined && { detail },
    });
  }

  #notify(): Settlement {
    const kind = "notification";
    const id = this.#crew.begin(kind, this.#name);
    const outcome = this.#client.notify("note", [id]) ? "taken" : "refused";
    // It may be sent on the next connection.
    return { id, caller: this.#name, kind, outcome, connections: 1 };
  }
}

/** All the clients. */
class Crew {
  readonly task: ClientsTask;
  readonly journal: Journal;
  #over = new AbortController();
  /** The calls that have no outcome yet. */
  readonly #waiting = new Map<number, string>();
  #lastId = 0;
  #lastClient = 0;
  #uploads = 0;

  constructor(task: ClientsTask) {
    this.task = task;
    this.journal = new Journal(task.journal);
  }

  /** Aborts when no more calls are to be made. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** The number of calls made. */
  get calls(): number {
    return this.#lastId;
  }

  /** Takes note of a call that is about to be made; returns its id. */
  begin(kind: Kind, caller: string): number {
    const id = ++this.#lastId;
    this.#waiting.set(id, `Call ${id} (${kind}) of ${caller}`);
    return id;
  }

  /** Takes note of a call's outcome. */
  settle(settlement: Settlement): void {
    this.#waiting.delete(settlement.id);
    this.journal.write(settlement);
  }

  /** A stream to send. */
  async *upload(count: number): AsyncGenerator<number, void> {
    this.#uploads++;
    try {
      for (let number = 1; number <= count; number++) {
        if (number % 64 === 0) await sleep(5);
        yield number;
      }
    } finally {
      this.#uploads--;
    }
  }

  /** Lets clients live and be replaced for some time; returns the heap without them. */
  async work(seconds: number, onend: () => void): Promise<number> {
    const controller = this.#over = new AbortController();
    const { clients, seed } = this.task;
    const random = new Random(seed);
    const lives = Array.from({ length: clients }, async () => {
      while (!controller.signal.aborted) {
        const caller = new Caller(++this.#lastClient, this);
        await caller.live(random.between(2_000, 20_000));
      }
    });
    await sleep(seconds * 1_000);
    onend();
    controller.abort();
    await this.#settleWithin(patience, Promise.all(lives));
    return await usedHeap();
  }

  async #settleWithin(
    milliseconds: number,
    work: Promise<unknown>,
  ): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<true>((resolve) => {
      timer = setTimeout(() => resolve(true), milliseconds);
    });
    if (await Promise.race([work, late]) === true) {
      for (const call of this.#waiting.values()) {
        this.#complain(`${call} hangs`);
      }
      this.#complain(`The clients did not end within ${milliseconds} ms`);
    }
    clearTimeout(timer);
    if (this.#uploads > 0) this.#complain(`${this.#uploads} uploads go on`);
  }

  #complain(complaint: string): void {
    this.journal.write({ complaint });
  }
}

function report(report: Report): void {
  console.log(JSON.stringify(report));
}

if (import.meta.main) {
  const task: ClientsTask = JSON.parse(Deno.args[0]!);
  const crew = new Crew(task);
  const warmHeap = await crew.work(task.warmUpSeconds, () => {});
  report({ type: "warm", heap: warmHeap });
  const input = lines(Deno.stdin.readable);
  await input.next();

  const progress = setInterval(() => {
    const heap = Deno.memoryUsage().heapUsed;
    report({ type: "progress", calls: crew.calls, heap });
  }, 1_000);
  const heap = await crew.work(task.seconds, () => report({ type: "ending" }));
  clearInterval(progress);
  report({ type: "ended", calls: crew.calls, heap });
  await input.return(undefined);
}
