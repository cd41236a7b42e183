/**
 * The real StreamJsonRpc, as server and as client, with both of its formatters:
 * `deno task interop:dotnet`, which needs the SDK of .NET. No test of
 * `deno task test` has this name.
 *
 * @see {@link https://github.com/microsoft/vs-streamjsonrpc}
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { connect } from "../../client.ts";
import {
  type BasePeer,
  type CloseInfo,
  ConnectionClosedError,
  marshal,
  type Marshaled,
  notifications,
  type Peer,
  type RemoteReference,
  RpcError,
  type Trace,
} from "../../mod.ts";
import { serve } from "../../server.ts";
import { lookUp, type Program, start, until } from "../interop/processes.ts";
import { minute, pass, together } from "../long/together.ts";
import { collect } from "../stage.ts";

const folder = new URL("./", import.meta.url);

const dotnet = lookUp("dotnet");
if (dotnet === undefined) {
  throw new Error("Cannot find dotnet: install the SDK of .NET 10");
}
const { success } = await new Deno.Command(dotnet, {
  args: [
    "build",
    "--nologo",
    "--verbosity=quiet",
    "--output=bin/program",
    // Nothing of it outlives the tests.
    "--nodeReuse:false",
    "--property:UseSharedCompilation=false",
  ],
  cwd: folder,
}).spawn().status;
if (!success) throw new Error("Cannot build tests/dotnet");

/** Starts the program in a role. */
function run(args: string[], line?: RegExp): Promise<Program> {
  return start(dotnet!, {
    args: [new URL("bin/program/interop.dll", folder).pathname, ...args],
    env: { ASPNETCORE_ENVIRONMENT: "Production" },
    ...(line === undefined ? {} : { line }),
  });
}

// recipe: StreamJsonRpc
interface IAccount {
  // What .NET calls, or has, is called as .NET calls it.
  AddAsync(amount: number): number;
}
class Account {
  balance = 0;
  AddAsync = (amount: number) => this.balance += amount;
  // When .NET has disposed of it, or the connection has closed.
  [Symbol.dispose]() {
    disposed.push(this.balance);
  }
}
const disposed: number[] = [];
const local = {
  open: () => marshal(new Account()),
  pay: async (account: RemoteReference<IAccount>) => {
    using it = account; // Its Dispose() runs.
    return await it.AddAsync(5);
  },
  async *count(most: number) {
    for (let n = 1; n <= most; n++) yield n;
  },
  async sum(numbers: AsyncIterable<number>) {
    let sum = 0;
    for await (const n of numbers) sum += n;
    return sum;
  },
  // An IProgress<T> is a token.
  work(this: BasePeer, token: number) {
    for (let value = 1; value <= 3; value++) {
      this.notify("$/progress", { token, value });
    }
  },
  refuse: () => {
    throw new RpcError(7, "Not enough", { missing: 5 });
  },
};
interface Bank {
  open(): Marshaled<IAccount>;
  pay(account: RemoteReference<IAccount>): number;
  count(most: number): AsyncIterable<number>;
  sum(numbers: AsyncIterable<number>): number;
  work(progress: string): void;
  refuse(): void;
}
// end

/** What the tests call beside the recipe's. */
interface Rest {
  [name: string]: (...params: never[]) => unknown;
}

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const trace: Trace = {
  send: () => ({ traceparent }),
  receive: (_, run) => run(),
};
let waits = 0;
const all = {
  ...local,
  trace(this: BasePeer) {
    return this.call.trace.traceparent;
  },
  add: (a: number, b: number) => a + b,
  wait(this: BasePeer) {
    waits++;
    const { signal } = this.call;
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        waits--;
        reject(signal.reason);
      });
    });
  },
};

/** A connection with the program. */
interface Line extends AsyncDisposable {
  readonly peer: BasePeer<Bank>;
  /** Another one, where the program is the server. */
  another?(): Peer<Bank>;
  /** Ends it from the program's side. */
  kill(): Promise<void>;
  /** How it ended. */
  readonly ends: CloseInfo[];
}

type Open = (formatter: string) => Promise<Line>;

const roles: { readonly [role: string]: Open } = {
  async server(formatter) {
    const program = await run(["serve", formatter], /^ws:/);
    const url = await program.line(/^ws:/);
    const ends: CloseInfo[] = [];
    // recipe: StreamJsonRpc
    const peer = connect<Bank>(url, { local });
    // end
    peer.close();
    const client = connect<Bank>(url, {
      local: all,
      trace,
      onclose: (end) => void ends.push(end),
      onattempt() {},
      reconnect: false,
    });
    return {
      peer: client,
      ends,
      another: () => connect<Bank>(url, { reconnect: false }),
      kill: async () => void await program.stop("SIGKILL"),
      async [Symbol.asyncDispose]() {
        client.close();
        await client.closed;
        await peer.closed;
        await program.stop();
      },
    };
  },
  async client(formatter) {
    const { promise, resolve } = Promise.withResolvers<BasePeer<Bank>>();
    const ends: CloseInfo[] = [];
    const server = serve<Bank>({
      local: all,
      onopen() {
        resolve(this);
      },
      onclose: (end) => void ends.push(end),
      port: 0,
      trace,
      onListen() {},
    });
    const program = await run(["connect", formatter, server.url]);
    return {
      peer: await promise,
      ends,
      kill: async () => void await program.stop("SIGKILL"),
      async [Symbol.asyncDispose]() {
        await server.shutdown();
        await program.stop();
      },
    };
  },
};

/** Runs what .NET does by itself. */
const ask = (peer: BasePeer<Bank>, what: string, ...params: unknown[]) =>
  peer.request<string>(what, params);

const checks: {
  readonly [what: string]: (line: Line) => Promise<void>;
} = {
  "calls and is called": async ({ peer }) => {
    assertEquals(await peer.request("add", [1, 2]), 3);
    assertEquals(await ask(peer, "askToCount", 3, 9), "1,2,3");
    const error = await assertRejects(() => peer.request("none"), RpcError);
    assertEquals(error.code, -32601);
  },

  "is told of disposal of what it lent, by Dispose": async ({ peer }) => {
    const before = await peer.request<number>("disposed");
    // recipe: StreamJsonRpc
    using account = await peer.remote.open();
    await account.AddAsync(5);
    const balance = await account.AddAsync(2); // 7
    // end
    assertEquals(balance, 7);
    account[Symbol.dispose]();
    account[Symbol.dispose]();
    assertEquals(await peer.request("disposed"), before + 1);
    const gone = await assertRejects(() => account.AddAsync(1), RpcError);
    assertEquals(gone.code, -32602);

    // An IDisposable without an interface of its own.
    const one = await peer.request<Disposable>("subscribe");
    one[Symbol.dispose]();
    assertEquals(await peer.request("disposed"), before + 2);

    // Among the arguments.
    assertEquals(await ask(peer, "askToPay"), "5");
    assertEquals(await peer.request("disposed"), before + 3);
  },

  "tells of disposal of what it borrowed, once": async ({ peer }) => {
    disposed.length = 0;
    assertEquals(await ask(peer, "askForAccount"), "7");
    await until(() => disposed.length > 0, "it is disposed of");
    // A call behind both messages.
    await peer.request("add", [1, 2]);
    assertEquals(disposed, [7]);
  },

  "disposes of an argument that was lent for the call": async (line) => {
    const { peer } = line;
    disposed.length = 0;
    // recipe: StreamJsonRpc
    const paid = await peer.remote.pay(marshal(new Account())); // 5
    // end
    assertEquals(paid, 5);
    await peer.request("add", [1, 2]);
    assertEquals(disposed, [5]);
    assertEquals([peer.state, line.ends], ["open", []]);
  },

  "does not dispose of an argument that stays its owner's": async (
    { peer },
  ) => {
    disposed.length = 0;
    const account = new Account();
    const call = (): Promise<unknown> =>
      peer.request("payTwice", [marshal(account)]);
    assertEquals([await call(), await call()], [10, 20]);
    assertEquals(disposed, []);
  },

  "keeps what is explicit until it lets go": async ({ peer }) => {
    disposed.length = 0;
    const account = marshal(new Account(), { lifetime: "explicit" });
    await peer.request("keep", [account]);
    assertEquals(disposed, []);
    await peer.request("letGo");
    await until(() => disposed.length > 0, "it is disposed of");
    await peer.request("add", [1, 2]);
    assertEquals(disposed, [0]);
  },

  "keeps its own object when we let go of one of the same handle": async (
    { peer },
  ) => {
    // Its handles and ours count up, each by itself.
    for (let n = 0; n < 20; n++) await peer.remote.open();
    const theirs = await peer.remote.open();
    for (let n = 0; n < 40; n++) {
      using mark = marshal(new Account(), { lifetime: "explicit" });
      await peer.request("keep", [mark]);
    }
    assertEquals(await theirs.AddAsync(3), 3);
  },

  "sends streams, whole and left, in batches and prefetched": async (
    { peer },
  ) => {
    // recipe: StreamJsonRpc
    const numbers = [];
    for await (const n of peer.remote.count(10)) numbers.push(n);
    // end
    assertEquals(numbers.length, 10);
    const batched = peer.remote as unknown as Pick<typeof peer.remote, "count">;
    assertEquals(await collect(batched.count(5)), [1, 2, 3, 4, 5]);
    const ahead = await peer.request<AsyncIterable<number>>("batched", [10]);
    assertEquals((await collect(ahead)).at(-1), 10);
    for await (const n of peer.remote.count(100_000)) if (n === 3) break;
    const torn = await peer.request<AsyncIterable<number>>("fail", []);
    const error = await assertRejects(() => collect(torn), RpcError);
    assertEquals([error.code, error.message], [8, "Torn"]);
  },

  "reads streams, whole and left, in batches and prefetched": async (
    { peer },
  ) => {
    const sum = await peer.remote.sum(local.count(10));
    assertEquals(sum, 55);
    assertEquals(await ask(peer, "askToCount", 100_000, 3), "1,2,3");
    assertEquals(await ask(peer, "askToSum"), "55");
    assertEquals(await ask(peer, "askToSumTorn"), "8");
  },

  "reports progress to us": async ({ peer }) => {
    // recipe: StreamJsonRpc
    const reports = notifications<[token: unknown, value: number]>(
      peer,
      "$/progress",
    );
    await peer.remote.work("mine"); // Any text: it stands for the IProgress<T>.
    const seen: number[] = [];
    for await (const [token, value] of reports) {
      if (token === "mine") seen.push(value);
      if (seen.length === 3) break;
    }
    // end
    assertEquals(seen, [1, 2, 3]);
  },

  "hears our progress": async ({ peer }) => {
    assertEquals(await ask(peer, "askToWork"), "1,2,3");
  },

  "has errors with data, both ways": async ({ peer }) => {
    const error = await assertRejects(() => peer.remote.refuse(), RpcError);
    assertEquals(
      [error.code, error.message, error.data],
      [7, "Not enough", { missing: 5 }],
    );
    const theirs = await ask(peer, "askAndBeRefused");
    assertEquals(theirs, "7 Not enough 5");
    const broken = await assertRejects(() => peer.request("break"), RpcError);
    assertEquals([broken.code, broken.message], [-32000, "broken"]);
  },

  "cancels, both ways": async ({ peer }) => {
    const signal = AbortSignal.timeout(100);
    await assertRejects(
      () => peer.request("wait", [], { signal }),
      DOMException,
    );
    assertEquals(await ask(peer, "askAndCancel"), "cancelled");
    assertEquals(waits, 0);
  },

  "has the trace of a call, both ways": async ({ peer }) => {
    assertEquals(await ask(peer, "askForTrace"), "same");
    const heard = await peer.request<string>("myTrace");
    assertEquals(heard.slice(3, 35), traceparent.slice(3, 35));
  },

  // The last one, after which there is none.
  "lets go of all with its connection": async ({ peer, kill }) => {
    disposed.length = 0;
    const account = marshal(new Account(), { lifetime: "explicit" });
    await peer.request("keep", [account]);
    await kill();
    await peer.closed;
    assertEquals(disposed, [0]);
  },
};

for (const [role, open] of Object.entries(roles)) {
  for (const formatter of ["newtonsoft", "system"]) {
    const name = `StreamJsonRpc, a ${role} with the formatter ${formatter},`;
    Deno.test(`${name} speaks with us`, async (t) => {
      await using line = await open(formatter);
      for (const [what, check] of Object.entries(checks)) {
        await t.step(`It ${what}`, () => check(line));
      }
    });

    if (role === "server") {
      Deno.test(`${name} disposes of what it lent when the connection closes, as it does on a batch`, async () => {
        await using line = await open(formatter);
        const { peer } = line;
        const ends: ((it: Peer<Bank>) => Promise<unknown>)[] = [
          (it) => Promise.resolve(it.close()),
          (it) =>
            assertRejects(
              () => Promise.all(it.batch(() => [it.request("refuse")])),
              ConnectionClosedError,
            ),
        ];
        for (const [before, end] of ends.entries()) {
          const other = line.another!();
          await other.remote.open();
          assertEquals(await peer.request("disposed"), before);
          await end(other);
          await other.closed;
          const isDisposed = async (): Promise<boolean> =>
            await peer.request<number>("disposed") === before + 1;
          await until(isDisposed, "it is disposed of");
        }
      });
    }

    together(`${name} is silent for a minute, and calls`, async () => {
      await using line = await open(formatter);
      const { peer, ends } = line;
      const slow = peer.request("slow", [45_000]);
      assertEquals(await peer.request("add", [1, 2]), 3);
      await pass(minute);
      await slow;
      await pass(minute);
      assertEquals(await peer.request("add", [1, 2]), 3);
      assertEquals(await ask(peer, "askToCount", 3, 9), "1,2,3");
      assertEquals([peer.state, ends], ["open", []]);
    });
  }
}
