/**
 * aiorpcX of Python, whose sessions are symmetric too, in JSON-RPC 1.0 and 2.0:
 * as a server for this client, and as a client of this server.
 *
 * @see {@link https://aiorpcx.readthedocs.io}
 */

import { assertEquals, assertRejects } from "@std/assert";
import type { ConnectOptions } from "../../client.ts";
import { connectOnce as connect } from "../connect_once.ts";
import { type CloseInfo, Peer, RpcError, type Version } from "../../mod.ts";
import { serve } from "../../server.ts";
import { debianPython, type Program, start, until } from "./processes.ts";

/** What the server lets be called. */
interface Methods {
  subtract(minuend: number, subtrahend: number): number;
  nothing(): null;
  log(line: string): void;
  logged(): string[];
  refuse(): never;
  crash(): never;
  greet(name: string): string;
  provoke(method: string): [code: number, message: string];
  announce(text: string): null;
  gather(count: number): [number[], number];
}

interface Service extends AsyncDisposable {
  program: Program;
  url: string;
}

const modules = {
  "python3-aiorpcx": "aiorpcx",
  "python3-websockets": "websockets",
};

async function startServer(protocol: Version | "auto"): Promise<Service> {
  const python = await debianPython(modules);
  const script = new URL("aiorpcx_server.py", import.meta.url).pathname;
  const program = await start(python, {
    args: [script, protocol],
    line: /^port \d+$/,
  });
  const port = (await program.line("port")).slice("port ".length);
  return {
    program,
    url: `ws://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** A client that shows what it is told to, and what went wrong. */
function open(
  url: string,
  options: ConnectOptions = {},
): Peer<Methods> & { shown: string[]; errors: unknown[] } {
  const shown: string[] = [];
  const errors: unknown[] = [];
  const peer = connect<Methods>(url, {
    local: {
      ask: (question: string) => `fine (${question})`,
      show: (text: string) => void shown.push(text),
      double: (value: number) => value * 2,
      no() {
        throw new RpcError(8, "never");
      },
      broken() {
        throw new Error("nobody's business");
      },
    },
    onerror: (error) => void errors.push(error),
    ...options,
  });
  return Object.assign(peer, { shown, errors });
}

for (const version of ["2.0", "1.0"] as const) {
  Deno.test(`Peer calls a server of aiorpcX, and is called, in ${version}`, async () => {
    await using server = await startServer(version);
    await using client = open(server.url, { version });
    const { remote } = client;

    assertEquals(await remote.subtract(42, 23), 19);
    assertEquals(await remote.nothing(), null);
    assertEquals(
      await remote.greet("ann"),
      "Glad you are fine (How are you, ann?)",
    );

    client.notify("log", ["one"]);
    client.notify("log", ["two"]);
    assertEquals(await remote.logged(), ["one", "two"]);
    assertEquals(await remote.announce("hello"), null);
    assertEquals(client.shown, ["hello"]);

    assertEquals(await remote.provoke("no"), [8, "never"]);
    assertEquals(await remote.provoke("what"), [-32601, "Method not found"]);
    assertEquals(await remote.provoke("broken"), [-32603, "Internal error"]);
    assertEquals(client.errors.length, 1);

    const differences = Array.from(
      { length: 50 },
      (_, n) => remote.subtract(n, 1),
    );
    assertEquals(
      await Promise.all(differences),
      Array.from({ length: 50 }, (_, n) => n - 1),
    );
    assertEquals(client.unmatched, 0);
  });

  Deno.test(`Peer tells the errors of a server of aiorpcX in ${version}`, async () => {
    await using server = await startServer(version);
    await using client = open(server.url, { version });
    for (
      const [method, code, message] of [
        ["refuse", 7, "not today"],
        ["crash", -32603, "internal server error"],
        ["missing", -32601, 'unknown method "missing"'],
        [
          "subtract",
          -32602,
          '0 arguments passed to method "subtract" but it requires 2',
        ],
      ] as const
    ) {
      const error = await assertRejects(
        () => client.request<unknown>(method),
        RpcError,
      );
      assertEquals([error.code, error.message], [code, message]);
    }
  });

  Deno.test(`Peer gives up a call that a server of aiorpcX is still at in ${version}`, async () => {
    await using server = await startServer(version);
    await using client = open(server.url, { version });
    await client.opened;
    const late = await assertRejects(
      () => client.request("wait", [], { timeout: 50 }),
      DOMException,
    );
    assertEquals(late.name, "TimeoutError");
    // What it doesn't know of cancelling disturbs no other call.
    assertEquals(await client.remote.subtract(2, 1), 1);
    assertEquals(client.errors, []);
    assertEquals(client.unmatched, 0);
  });

  Deno.test(`Peer is closed by a server of aiorpcX that is stopped in ${version}`, async () => {
    await using server = await startServer(version);
    await using client = open(server.url, { version });
    await client.opened;
    await server.program.stop("SIGINT");
    const { code } = await client.closed;
    assertEquals([1001, 1006].includes(code), true, String(code));
  });
}

Deno.test("Peer's batch is answered by a server of aiorpcX, and its by the peer", async () => {
  await using server = await startServer("2.0");
  await using client = open(server.url);
  const { remote } = client;

  const outcomes = await Promise.allSettled(client.batch(() => {
    client.notify("log", ["in a batch"]);
    return [remote.subtract(2, 1), client.request("refuse"), remote.logged()];
  }));
  assertEquals(outcomes.map(({ status }) => status), [
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  const difference = outcomes[0] as PromiseFulfilledResult<number>;
  assertEquals(difference.value, 1);

  // A batch of notifications alone is answered by nothing.
  client.batch(() => client.notify("log", ["alone"]));
  assertEquals(await remote.logged(), ["in a batch", "alone"]);

  assertEquals(await remote.gather(3), [[0, 2, 4], -32601]);
  assertEquals(client.shown, ["gathered"]);
  assertEquals(
    await client.request("subtract", { minuend: 42, subtrahend: 23 }),
    19,
  );
});

Deno.test("Peer speaks 1.0 to a server of aiorpcX that detects the version and answers in 2.0", async () => {
  await using server = await startServer("auto");
  await using client = open(server.url, { version: "1.0" });
  assertEquals(await client.remote.subtract(42, 23), 19);
  assertEquals(
    await client.remote.greet("ann"),
    "Glad you are fine (How are you, ann?)",
  );
  assertEquals(await client.remote.provoke("no"), [8, "never"]);
  assertEquals(client.version, "1.0");
});

Deno.test("Peer's errors in 1.0 reach a server of aiorpcX as strings if it wants them so", async () => {
  await using server = await startServer("1.0");
  await using client = open(server.url, { version: "1.0", stringErrors: true });
  // It has no code then; -100 is its own for "unavailable".
  assertEquals(await client.remote.provoke("no"), [-100, "never"]);
  assertEquals(await client.remote.provoke("what"), [-100, "Method not found"]);
});

/** What aiorpcX calls, and what calls it back. */
class Desk extends Peer<{ ask(question: string): string }> {
  lines: string[] = [];
  override local = {
    add: (a: number, b: number) => a + b,
    subtract: (it: { minuend: number; subtrahend: number }) =>
      it.minuend - it.subtrahend,
    nothing: () => {},
    slow: (value: number) => Promise.resolve(value),
    log: (line: string) => void this.lines.push(line),
    logged: () => this.lines,
    greet: async (name: string) =>
      `Glad you are ${await this.remote.ask(`How are you, ${name}?`)}`,
    provoke: (method: string) =>
      this.request(method).catch((error: RpcError) => [
        error.code,
        error.message,
      ]),
    refuse() {
      throw new RpcError(7, "not today");
    },
    crash() {
      throw new Error("nobody's business");
    },
  };
  override onopen() {
    this.notify("show", ["welcome"]);
  }
  override onclose(event: CloseInfo) {
    Desk.closes.push(event.code);
  }
  override onerror(error: unknown) {
    Desk.errors.push(String(error));
  }

  static closes: number[] = [];
  static errors: string[] = [];
}

for (
  const [what, version, options] of [
    ["2.0", "2.0", {}],
    ["1.0", "1.0", { version: "1.0" }],
    ["1.0 with string errors", "1.0", { version: "1.0", stringErrors: true }],
  ] as const
) {
  Deno.test(`serve is called by a client of aiorpcX, and calls it, in ${what}`, async () => {
    Desk.closes = [];
    Desk.errors = [];
    const python = await debianPython(modules);
    const script = new URL("aiorpcx_client.py", import.meta.url).pathname;
    await using server = serve(Desk, {
      port: 0,
      hostname: "127.0.0.1",
      onListen() {},
      ...options,
    });
    await using client = await start(python, {
      args: [script, version, server.url],
      line: /^\{.*\}$/,
    });
    const said = JSON.parse(await client.line("{"));
    const asString = "stringErrors" in options;
    assertEquals(said, {
      "welcome": "welcome",
      "add": 3,
      "nothing": null,
      "greet": "Glad you are fine (How are you, ann?)",
      "provoke": [8, "never"],
      "provoke unknown": [-32601, 'unknown method "what"'],
      "refuse": [asString ? -100 : 7, "not today"],
      "crash": [asString ? -100 : -32603, "Internal error"],
      "unknown": [asString ? -100 : -32601, "Method not found"],
      "logged": ["noted"],
      "many": Array.from({ length: 20 }, (_, n) => n),
      ...(version === "2.0"
        ? {
          "by name": 19,
          "batch": [7, 7, 5],
          "batch of one": [11],
          "logged then": ["noted", "in a batch"],
        }
        : {}),
    });
    assertEquals((await client.ended).code, 0);
    await until(() => Desk.closes.length > 0, "its connection was closed");
    assertEquals(Desk.closes, [1000]);
    assertEquals(Desk.errors, ["Error: nobody's business"]);
  });
}

Deno.test("serve adopts the version of a client of aiorpcX that speaks first", async () => {
  const python = await debianPython(modules);
  const versions: Version[] = [];
  class Adopting extends Peer<{ ask(question: string): string }> {
    override local = {
      hello: async () => {
        versions.push(this.version);
        return await this.remote.ask("How are you?");
      },
    };
  }
  await using server = serve(Adopting, {
    port: 0,
    hostname: "127.0.0.1",
    onListen() {},
  });
  await using client = await start(python, {
    args: ["-c", firstWord, server.url],
  });
  assertEquals(await client.line("said"), "said fine");
  assertEquals(versions, ["1.0"]);
});

// What a user would write at the very least.
const firstWord = `
import asyncio, sys
from aiorpcx import JSONRPCConnection, JSONRPCv1, RPCSession, connect_ws

class Session(RPCSession):
    def default_connection(self):
        return JSONRPCConnection(JSONRPCv1)

    async def handle_request(self, request):
        return "fine"

async def main():
    client = connect_ws(sys.argv[1])
    client.kwargs["session_factory"] = Session
    async with client as session:
        print("said", await session.send_request("hello"), flush=True)

asyncio.run(main())
`;

Deno.test("Peer is at home with a session of aiorpcX", async () => {
  await using python = await startServer("1.0");
  const { url } = python;

  // recipe: aiorpcX
  const local = { ask: (question: string) => `fine (${question})` };
  const session = connect<{
    subtract(minuend: number, subtrahend: number): number;
    greet(name: string): string;
  }>(url, { local, version: "1.0" }); // If its session is a JSONRPCv1.
  const difference = await session.remote.subtract(42, 23);
  const greeting = await session.remote.greet("ann"); // It asks us meanwhile.
  session.close();
  // end

  assertEquals(difference, 19);
  assertEquals(greeting, "Glad you are fine (How are you, ann?)");
  await session.closed;
});
