/**
 * The soak test in short, and what it stands on: the ledger, which has to find
 * what is wrong, and the network, which has to be as bad as it says.
 */

import { assert, assertEquals } from "@std/assert";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import {
  audit,
  type Entry,
  Journal,
  judge,
  type Kind,
  type Outcome,
} from "../../soak/ledger.ts";
import { Network, type Wire } from "../../soak/network.ts";
import { Random } from "../../soak/random.ts";

Deno.test("Every call has its one outcome, whatever goes wrong for 20 seconds", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "soak", "--seconds", "20", "--clients", "20", "--seed", "1"],
    cwd: new URL("../../", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  const [printed, complaints] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  assert(success, `${printed}${complaints}`);
  const last = printed!.trimEnd().split("\n").at(-1);
  assertEquals(last, "no violations");
  // What never happened was not tried.
  assert(/\nattacks: [1-9]/.test(printed!), printed);
  for (const name of ["result", "sent", "unsent", "timeout", "abort", "busy"]) {
    assert(new RegExp(`\\b${name} [1-9]`).test(printed!), printed);
  }
});

// Outcome, connections, and how often it may have been executed: at least, at
// most.
const verdicts: [Kind, Outcome, number, number, number][] = [
  ["quick", "result", 1, 1, 1],
  ["quick", "result", 2, 1, 1],
  ["failing", "error", 1, 1, 1],
  ["slow", "busy", 1, 0, 0],
  ["quick", "refused", 1, 0, 0],
  ["quick", "unsent", 1, 0, 0],
  ["quick", "sent", 1, 0, 1],
  ["hurried", "timeout", 1, 0, 1],
  ["hurried", "timeout", 0, 0, 0],
  ["cancelled", "abort", 1, 0, 1],
  ["cancelled", "abort", 0, 0, 0],
  ["notification", "taken", 1, 0, 1],
  ["notification", "refused", 1, 0, 0],
  ["idempotent", "result", 3, 1, 3],
  ["idempotent", "sent", 2, 0, 2],
  ["idempotent", "unsent", 2, 0, 0],
  ["idempotent", "busy", 2, 0, 1],
  ["idempotent", "timeout", 0, 0, 0],
  ["stream", "result", 2, 1, 2],
  ["stream", "unsent", 2, 0, 2],
];

Deno.test("judge lets a call be executed as often as its outcome allows, no more and no less", () => {
  for (const [kind, outcome, connections, least, most] of verdicts) {
    const call = { id: 7, caller: "client 1", kind, outcome, connections };
    for (let executions = 0; executions <= most + 1; executions++) {
      const isRight = executions >= least && executions <= most;
      assertEquals(
        judge(call, executions),
        isRight
          ? undefined
          : `Call 7 (${kind}) of client 1: told "${outcome}", within ${connections} connections, executed ${executions} times`,
      );
    }
  }
});

Deno.test("judge lets no call be told what is wrong", () => {
  const call = { id: 7, caller: "client 1", kind: "quick" } as const;
  const told = {
    outcome: "wrong",
    connections: 1,
    detail: "result 8",
  } as const;
  assertEquals(
    judge({ ...call, ...told }, 1),
    "Call 7 (quick) of client 1: told result 8, executed 1 times",
  );
});

async function write(entries: Entry[]): Promise<string> {
  const path = await Deno.makeTempFile();
  using journal = new Journal(path);
  for (const entry of entries) journal.write(entry);
  return path;
}

Deno.test("audit finds calls without an outcome or with two, and executions of no call", async () => {
  const call = {
    caller: "client 1",
    kind: "quick",
    outcome: "result",
    connections: 1,
  } as const;
  const callers = await write([
    { id: 1, ...call },
    { id: 2, ...call },
    { id: 2, ...call },
    { complaint: "client 1 opened while open" },
    { ran: 1 },
  ]);
  const callees = await write([
    { ran: 1 },
    { ran: 2 },
    { ran: 4 },
    { id: 1, ...call, outcome: "unsent" },
  ]);
  try {
    const calls = await audit(callers, callees, 3);
    assertEquals(calls.violations, [
      "Call 2 (quick) of client 1: settled again",
      "client 1 opened while open",
      "Call 3: never settled",
      "Call 4: executed, never made",
    ]);
    assertEquals([...calls.counts], [["quick", 3], ["result", 3]]);
    const back = await audit(callees, callers);
    assertEquals(back.violations, [
      'Call 1 (quick) of client 1: told "unsent", within 1 connections, executed 1 times',
    ]);
  } finally {
    for (const path of [callers, callees]) await Deno.remove(path);
  }
});

Deno.test("Random gives the same numbers for the same seed, and all of them", () => {
  const take = (seed: number): number[] => {
    const random = new Random(seed);
    return Array.from({ length: 100 }, () => random.between(5, 10));
  };
  assertEquals(take(1), take(1));
  assert(take(1).join() !== take(2).join());
  assertEquals([...new Set(take(1))].sort(), [5, 6, 7, 8, 9].sort());
});

/** A client and a server with a network between them. */
interface Line extends AsyncDisposable {
  readonly wire: Wire;
  readonly client: Socket;
  readonly server: Socket;
}

async function openLine(latency = 0): Promise<Line> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const network = await Network.open(port, () => latency);
  const client = connect(network.port, "127.0.0.1");
  const [server] = await once(listener, "connection") as [Socket];
  const ends = [client, server].map((socket) => {
    socket.on("error", () => {});
    return new Promise((resolve) => socket.on("close", resolve));
  });
  return {
    wire: network.wires[0]!,
    client,
    server,
    async [Symbol.asyncDispose]() {
      await network[Symbol.asyncDispose]();
      await Promise.all(ends);
      listener.close();
    },
  };
}

/** What comes next. */
async function read(socket: Socket): Promise<string> {
  const [chunk] = await once(socket, "data");
  return `${chunk}`;
}

Deno.test("Network forwards both ways, in order, at once or after its latency", async () => {
  for (const latency of [0, 5]) {
    await using it = await openLine(latency);
    it.client.write("a");
    assertEquals(await read(it.server), "a");
    it.server.write("b");
    assertEquals(await read(it.client), "b");
    it.client.end();
    await once(it.server.resume(), "end");
  }
});

Deno.test("Network holds back what is stalled, one way alone, until it is healed", async () => {
  await using it = await openLine();
  it.wire.stall("up", 100_000);
  const held = read(it.server);
  it.client.write("a");
  for (const text of ["b", "c", "d"]) {
    it.server.write(text);
    assertEquals(await read(it.client), text);
  }
  assertEquals(it.server.bytesRead, 0);
  it.client.write("e");
  it.wire.heal();
  let text = await held;
  while (text.length < 2) text += await read(it.server);
  assertEquals(text, "ae");
});

Deno.test("Network forgets what is lost without a word, and resets the connection in the end", async () => {
  await using it = await openLine();
  it.wire.lose("up", 100_000);
  it.client.write("a");
  for (const text of ["b", "c", "d"]) {
    it.server.write(text);
    assertEquals(await read(it.client), text);
  }
  assertEquals(it.server.bytesRead, 0);
  const [error] = await Promise.all([
    failure(it.client),
    failure(it.server),
    it.wire.heal(),
  ]);
  assertEquals(error, "ECONNRESET");
});

Deno.test("Network cuts a connection between chunks, with a RST, or amid a chunk", async () => {
  {
    await using it = await openLine();
    const ends = [it.client, it.server].map((socket) =>
      once(socket.resume(), "end")
    );
    it.wire.cut();
    await Promise.all(ends);
  }
  {
    await using it = await openLine();
    const failures = [it.client, it.server].map(failure);
    it.wire.reset();
    assertEquals(await Promise.all(failures), ["ECONNRESET", "ECONNRESET"]);
  }
  {
    await using it = await openLine();
    const failures = [it.client, it.server].map(failure);
    it.wire.tear();
    it.client.write("abcd");
    await Promise.all(failures);
    assertEquals(it.server.bytesRead, 2);
  }
});

/** The code of the error that ends a socket. */
async function failure(socket: Socket): Promise<string | undefined> {
  socket.resume();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code));
  return await promise;
}
