/**
 * What excuses each workaround for a runtime: where one of these fails, the runtime
 * does by itself what the library does in its stead, and the workaround may go.
 */

// Imported so that Deno fetches the package that has the program in it.
import "@oven/bun-linux-x64/package.json" with { type: "json" };
import { once } from "node:events";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import {
  createServer as createTcpServer,
  type Socket as TcpSocket,
} from "node:net";
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
// @ts-types="@types/ws"
import { WebSocket as NodeWebSocket, WebSocketServer } from "ws";
import { countedWrites } from "../counted_writes.ts";
import { node24 } from "../interop/node_program.ts";
import { serve } from "../../server.ts";
import { calmIdleTimer } from "../../src/runtime/deno_idle.ts";
import {
  canLeave,
  findInternal,
  type Internals,
  leave,
  readOn,
} from "../../src/runtime/deno_pausing.ts";
import { socketPair } from "../../testing.ts";
import { frame, Opcode, RawSocket } from "../interop/raw_socket.ts";
import { temporaryFolder } from "../interop/temporary_folder.ts";
import { quiet, until, upgradeLines } from "../servers.ts";

const root = new URL("../../", import.meta.url);
const bun = fileURLToPath(import.meta.resolve("@oven/bun-linux-x64/bin/bun"));

/** What a program prints that is a new process's. */
async function run(
  program: string,
  ...args: readonly string[]
): Promise<{ printed: string; errors: string; code: number }> {
  const { stdout, stderr, code } = await new Deno.Command(program, {
    args: [...args],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return {
    printed: decoder.decode(stdout).trim(),
    errors: decoder.decode(stderr),
    code,
  };
}

/** What a program of Deno's prints. */
function runProgram(script: string): ReturnType<typeof run> {
  return run(
    Deno.execPath(),
    "eval",
    "--no-check",
    "--v8-flags=--allow-natives-syntax,--expose-gc",
    script,
  );
}

/** What one prints that must end well. */
async function runDeno(script: string): Promise<string> {
  const { printed, errors, code } = await runProgram(script);
  assertEquals(code, 0, errors);
  return printed;
}

const importOf = (path: string): string =>
  `await import(${JSON.stringify(new URL(path, root).href)})`;

Deno.test("src/runtime/timers.ts: Deno's setTimeout is a getter that takes its time at the first look", async () => {
  const printed = await runDeno(`
    const { get } = Object.getOwnPropertyDescriptor(globalThis, "setTimeout");
    let looks = 0;
    const look = () => {
      looks++;
      return get.call(globalThis);
    };
    Object.defineProperty(globalThis, "setTimeout", { get: look });
    const { startTimer } = ${importOf("src/line/timers.ts")};
    startTimer(1_000, () => {})();
    const start = performance.now();
    look();
    const first = performance.now();
    look();
    const second = performance.now();
    console.log(looks, first - start > 20 * (second - first));
  `);
  // Both looks are the test's own.
  assertEquals(printed, "2 true");
});

Deno.test("src/presets/graph.ts: Deno reads the source map of a module that is the first to import another one", async () => {
  await using folder = await temporaryFolder("maps_");
  const write = (name: string, ...lines: readonly string[]): Promise<void> =>
    Deno.writeTextFile(`${folder.path}/${name}.ts`, lines.join("\n"));
  const long = `// ${"long ".repeat(100_000)}`;
  const names = Array.from({ length: 5 }, (_, n) => `${n}`);
  for (const name of names) {
    for (const leaf of [`first${name}`, `second${name}`]) {
      await write(`leaf_of_${leaf}`, "export const one: number = 1;");
      await write(`long_${leaf}`, `import "./leaf_of_${leaf}.ts";`, long);
    }
    await write(`first${name}`, `import "./long_first${name}.ts";`);
    await write(
      `second${name}`,
      `import "./leaf_of_second${name}.ts";`,
      `import "./long_second${name}.ts";`,
    );
  }
  await write(
    "main",
    `
    const bytes = { first: 0, second: 0 };
    const read = () =>
      Number(/rchar: (\\d+)/.exec(Deno.readTextFileSync("/proc/self/io"))[1]);
    for (const name of ${JSON.stringify(names)}) {
      for (const kind of ["first", "second"]) {
        const before = read();
        await import("./" + kind + name + ".ts");
        bytes[kind] += read() - before;
      }
    }
    console.log(bytes.first - bytes.second > ${5 * long.length}, bytes);
  `,
  );
  const runMain = (): ReturnType<typeof run> =>
    // Its cache is gone with the folder.
    run(
      "env",
      `DENO_DIR=${folder.path}`,
      ...[Deno.execPath(), "run", "--no-check", "--no-config", "--allow-all"],
      `${folder.path}/main.ts`,
    );
  await runMain();
  // Compiled now: what is left is reading, of which the system keeps count.
  const { printed, errors } = await runMain();
  assert(/^true/.test(printed), `${printed}${errors}`);
});

Deno.test("src/runtime/shapes.ts: V8 forgets a shape, and the code for it, once no object has it", async () => {
  const statuses = (isKept: boolean): Promise<string> =>
    runDeno(`
      const { keepEvent } = ${importOf("src/runtime/shapes.ts")};
      const data = '{"jsonrpc":"2.0","result":null,"id":1}';
      if (${isKept}) keepEvent({ type: "message", data });
      const idOf = (message) => message.id;
      const work = () => {
        for (let n = 0; n < 100; n++) idOf(JSON.parse(data));
      };
      // Deno's own parser doesn't know V8's functions.
      const native = (code) => new Function("idOf", code);
      native("%PrepareFunctionForOptimization(idOf)")(idOf);
      work();
      native("%OptimizeFunctionOnNextCall(idOf)")(idOf);
      work();
      // Bit 3: it is optimized.
      const isCompiled = native("return (%GetOptimizationStatus(idOf) & 8) > 0");
      const before = isCompiled(idOf);
      gc();
      console.log(before, isCompiled(idOf));
    `);
  assertEquals(await statuses(true), "true true");
  assertEquals(await statuses(false), "true false");
});

/** The fastest of some round trips of a text of this length, in milliseconds. */
async function fastest(url: string, length: number): Promise<number> {
  const ws = new WebSocket(url);
  await once(ws, "open");
  const text = "x".repeat(length);
  let best = Infinity;
  for (let round = 0; round < 4; round++) {
    const start = performance.now();
    ws.send(text);
    await once(ws, "message");
    best = Math.min(best, performance.now() - start);
  }
  ws.close();
  await once(ws, "close");
  return best;
}

Deno.test("src/runtime/deno_frames.ts: Deno's client takes long for a frame of more than 1,024 bytes", async () => {
  await using server = Deno.serve(quiet, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }): void => socket.send(`${data.length}`);
    return response;
  });
  const url = `ws://127.0.0.1:${server.addr.port}/`;
  const short = await fastest(url, 1_024);
  const long = await fastest(url, 1_025);
  assert(short < 20, `${short} ms`);
  assert(long > 20, `${long} ms`);
});

/**
 * Answers handshakes two by two, and cuts both connections while their clients are
 * busy: they find all of it in one turn.
 */
async function answerTwoByTwo(): Promise<{ url: string } & AsyncDisposable> {
  const waiting: { socket: TcpSocket; answer: string }[] = [];
  const server = createTcpServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (data: Uint8Array) => {
      const [, key] = /^sec-websocket-key: *(.*)\r$/im.exec(`${data}`)!;
      const accept = createHash("sha1")
        .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      const answer =
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
      waiting.push({ socket, answer });
      if (waiting.length % 2 === 1) return;
      const both = waiting.splice(0);
      setTimeout(() => {
        for (const { socket, answer } of both) socket.write(answer);
        setTimeout(() => {
          for (const { socket } of both) socket.resetAndDestroy();
        }, 20);
      }, 50);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    url: `ws://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

Deno.test("src/runtime/deno_closing.ts: Deno ends the process of who closes a socket in the turn in which its handshake is done, if it is cut", async () => {
  await using server = await answerTwoByTwo();
  // Whose handshake is done first closes the other.
  const program = (open: string): string => `
    const pair = [];
    for (let n = 0; n < 2; n++) {
      pair.push(${open});
    }
    // Their requests are written.
    await new Promise((resolve) => setTimeout(resolve, 30));
    const end = performance.now() + 150;
    while (performance.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 100));
    console.log("alive");
    Deno.exit();
  `;
  const run = async (script: string): Promise<unknown[]> => {
    const { printed, errors, code } = await runProgram(script);
    return [printed, code, /Connection reset by peer/.test(errors)];
  };
  assertEquals(
    await run(program(`(() => {
      const socket = new WebSocket("${server.url}");
      socket.onopen = () => pair[1 - n].close();
      return socket;
    })()`)),
    ["", 1, true],
  );
  for (const door of ["client.ts", "slim.ts"]) {
    assertEquals(
      await run(
        `const { connect } = ${importOf(door)};` +
          program(`connect("${server.url}", {
            reconnect: false,
            onattempt() {},
            onopen: () => pair[1 - n].close(),
          })`),
      ),
      ["alive", 0, false],
      door,
    );
  }
});

/** A process of its own that makes calls as fast as it can, and what it prints. */
function callFast(url: string, calls: number, length: number): Promise<string> {
  return runDeno(`
    const { connect } = ${importOf("client.ts")};
    const client = connect(${JSON.stringify(url)});
    await client.opened;
    const params = ["x".repeat(${length})];
    const calls = Array.from(
      { length: ${calls} },
      () => client.request("lengthOf", params),
    );
    const all = await Promise.allSettled(calls);
    console.log(
      all.filter(({ value }) => value === ${length}).length,
      client.state,
    );
    Deno.exit();
  `);
}

/** Deno's pings keep alive who answers; who doesn't is closed. */
async function outlivesPings(raw: RawSocket): Promise<void> {
  for (let n = 0; n < 3; n++) {
    const asked = await raw.receive();
    assertEquals(asked?.opcode, Opcode.Ping);
    await raw.send(frame(Opcode.Pong, asked!.payload));
  }
  assertEquals((await raw.receive())?.opcode, Opcode.Ping);
  assertEquals(await raw.closeCode(), 1001);
}

Deno.test("src/runtime/deno_idle.ts: Deno sets its idle timer for each message, unless it is told to do so less often", async () => {
  for (const isCalm of [false, true]) {
    const timers = new Set<unknown>();
    const heard = Promise.withResolvers<void>();
    await using server = Deno.serve(quiet, (request) => {
      // Half of it passes before the ping.
      const { socket, response } = Deno.upgradeWebSocket(request, {
        idleTimeout: 1,
      });
      if (isCalm) assert(calmIdleTimer(socket, 1));
      const timer = findInternal(socket, "idleTimeoutTimeout")!;
      socket.onmessage = ({ data }) => {
        timers.add((socket as unknown as Internals)[timer]);
        if (data === "last") heard.resolve();
      };
      return response;
    });
    using raw = await RawSocket.connect(
      `ws://127.0.0.1:${server.addr.port}/`,
    );
    const texts = Array.from({ length: 20 }, (_, n) => `${n}`);
    for (const text of [...texts, "last"]) {
      await raw.send(frame(Opcode.Text, text));
    }
    await heard.promise;
    assertEquals(timers.size > 20, !isCalm);
    await outlivesPings(raw);
  }
});

Deno.test("src/runtime/deno_idle.ts: Deno pings a client that is silent and may not know rpc.ping, and closes it unless it answers", async () => {
  const limits = { pingAfter: 200, pingWithin: 200 };
  await using server = serve({ ...quiet, limits });
  using raw = await RawSocket.connect(server.url);
  await outlivesPings(raw);
  await until(() => server.peers.size === 0);
});

Deno.test("serve in Deno sets no idle timer for a client that is not silent, or where idleTimeout is Infinity", async () => {
  for (const [idleTimeout, pingAfter] of [[undefined, 20_000], [Infinity, 1]]) {
    const limits = { pingAfter: pingAfter!, pingWithin: 100 };
    const options = idleTimeout === undefined ? {} : { idleTimeout };
    await using server = serve({ ...quiet, ...options, limits });
    using raw = await RawSocket.connect(server.url);
    await raw.send(frame(Opcode.Text, "[]"));
    assertEquals((await raw.receive())?.opcode, Opcode.Text);
    await new Promise((resolve) => setTimeout(resolve, 60)); // Some looks.
    const [peer] = server.peers;
    const timer = findInternal(peer!.ws!, "idleTimeoutTimeout")!;
    const { [timer]: started } = peer!.ws as unknown as Internals;
    assertEquals(started, null);
  }
});

Deno.test("src/runtime/deno_pausing.ts: Deno reads a socket on whatever is done with it, unless its own code is led to leave it", async () => {
  const log: string[] = [];
  const { promise: opened, resolve } = Promise.withResolvers<WebSocket>();
  await using server = Deno.serve(quiet, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = (): void => resolve(socket);
    socket.onmessage = (event): void => {
      log.push(event.data);
      if (event.data !== "leave") return;
      // Whatever follows before it is read no more can be sent.
      queueMicrotask(() => socket.send("left"));
      leave(socket, event);
    };
    // Who else hears of it finds it open, and doesn't keep it from being left.
    socket.addEventListener("message", () => {
      assertEquals(socket.readyState, WebSocket.OPEN);
    });
    socket.onclose = (): void => void log.push("close");
    return response;
  });
  const client = new WebSocket(`ws://127.0.0.1:${server.addr.port}/`);
  const [there] = await Promise.all([opened, once(client, "open")]);
  assert(canLeave(there));
  assert(!canLeave(socketPair()[0]));
  const answered = async (text: string): Promise<void> => {
    const answer = once(client, "message");
    there.send(text);
    assertEquals((await answer)[0].data, text);
  };
  for (const text of ["a", "leave", "b", "c"]) client.send(text);
  assertEquals((await once(client, "message"))[0].data, "left");
  await until(() => log.length === 2);
  // By now it would have been told of all, and what is sent to it arrives.
  for (let n = 0; n < 20; n++) await answered(`${n}`);
  assertEquals([log, there.readyState], [["a", "leave"], WebSocket.OPEN]);
  readOn(there);
  await until(() => log.length === 4);
  assertEquals(log, ["a", "leave", "b", "c"]);

  // Closed while it is left, it hears that this is answered.
  client.send("leave");
  await until(() => log.length === 5);
  const closed = once(client, "close");
  there.close(4_000);
  readOn(there);
  assertEquals((await closed)[0].code, 4_000);
  await until(() => log.at(-1) === "close");
});

Deno.test("A client that makes 60 long calls at once is answered each by Deno's own server, which can't pause it by itself", async () => {
  const local = { lengthOf: (text: string) => text.length };
  await using server = serve({ ...quiet, local });
  const printed = await callFast(server.url, 60, 800_000);
  assertEquals(printed, "60 open");
});

/** A socket of `ws` that is open, and what it takes to end it. */
async function openWs(): Promise<{ ws: NodeWebSocket } & AsyncDisposable> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const ws = new NodeWebSocket(`ws://127.0.0.1:${port}/`, {
    perMessageDeflate: false,
  });
  return {
    ws,
    async [Symbol.asyncDispose]() {
      ws.close();
      await once(ws, "close");
      server.close();
      await once(server, "close");
    },
  };
}

Deno.test("src/runtime/ws_socket.ts: ws hands each message to the system by itself", async () => {
  await using opened = await openWs();
  const { ws } = opened;
  const [{ socket }] = await once(ws, "upgrade");
  const writes = countedWrites(socket);
  const { promise, resolve } = Promise.withResolvers<unknown>();
  for (let n = 0; n < 64; n++) ws.send("x", n < 63 ? undefined : resolve);
  await promise;
  assert(writes() >= 64, `${writes()} writes`);
});

Deno.test("src/runtime/ws_socket.ts: ws makes a function for each listener of each socket", async () => {
  await using opened = await openWs();
  const { ws } = opened;
  await once(ws, "open");
  const listener = (): void => {};
  ws.addEventListener("message", listener);
  const [made] = ws.listeners("message");
  assertEquals(typeof made, "function");
  assert(made !== listener);
  ws.removeEventListener("message", listener);
  ws.addEventListener("message", listener);
  assert(ws.listeners("message")[0] !== made);
});

Deno.test("src/runtime/ws_socket.ts: to import node:process in Node makes the process's streams", async () => {
  const { printed } = await run(
    node24,
    "--input-type=module",
    "--eval",
    `
      let isMade = false;
      const { get } = Object.getOwnPropertyDescriptor(process, "stdin");
      Object.defineProperty(process, "stdin", {
        configurable: true,
        enumerable: true,
        get: () => (isMade = true, get.call(process)),
      });
      await import("node:process");
      console.log(isMade);
      process.exit();
    `,
  );
  assertEquals(printed, "true");
});

Deno.test("src/runtime/ws_socket.ts: Bun doesn't tell by which connection a handshake was answered", async () => {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as { port: number };
  const { printed, errors } = await run(
    bun,
    "-e",
    `
      import { WebSocket } from "ws";
      const ws = new WebSocket("ws://127.0.0.1:${port}/");
      let has = "no response";
      ws.on("upgrade", (response) => has = Boolean(response.socket?.write));
      ws.on("open", () => ws.close());
      ws.on("close", () => console.log(has));
    `,
  );
  server.close();
  http.close();
  await once(http, "close");
  assertEquals(printed, "false", errors);
});

/** A program with a server of Deno's, whose client leaves before it is upgraded. */
const abandoned = `
  const asked = Promise.withResolvers();
  const left = Promise.withResolvers();
  const upgraded = Promise.withResolvers();
  const server = Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    onListen() {},
  }, async (request) => {
    asked.resolve();
    await left.promise;
    const { socket, response } = Deno.upgradeWebSocket(request);
    upgraded.resolve(socket);
    return response;
  });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  const lines = ["GET / HTTP/1.1", "Host: x", ...${
  JSON.stringify(upgradeLines)
}, "", ""];
  await conn.write(new TextEncoder().encode(lines.join("\\r\\n")));
  await asked.promise;
  conn.close();
  // Its end has arrived when somebody else who came later has come and gone.
  await (await fetch("http://127.0.0.1:" + other.addr.port)).text();
`;

Deno.test("server.ts: Deno shuts down for ever where a client left before it was answered, and never tells its socket", async () => {
  const printed = await runDeno(`
    const other = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} },
      () => new Response("here"));
    ${abandoned}
    left.resolve();
    const socket = await upgraded.promise;
    const over = new Promise((resolve) => setTimeout(resolve, 1_000, "never"));
    const closed = new Promise((resolve) =>
      socket.addEventListener("close", () => resolve("told")));
    const stopped = server.shutdown().then(() => "stopped");
    console.log(
      await Promise.race([over, closed]),
      await Promise.race([stopped, over]),
      socket.readyState,
    );
    Deno.exit();
  `);
  assertEquals(printed, "never never 0");
});

Deno.test("server.ts: Deno ends the server where the handler throws after it has upgraded a request", async () => {
  const printed = await runDeno(`
    const server = Deno.serve({
      port: 0,
      hostname: "127.0.0.1",
      onListen() {},
      onError: () => new Response("caught", { status: 500 }),
    }, (request) => {
      Deno.upgradeWebSocket(request);
      throw new Error("after the upgrade");
    });
    const ws = new WebSocket("ws://127.0.0.1:" + server.addr.port);
    const refused = new Promise((resolve) => ws.onclose = resolve);
    console.log(
      await Promise.race([
        server.finished.then(() => "it has ended"),
        refused.then(() => "it goes on"),
      ]),
    );
    Deno.exit();
  `);
  assertEquals(printed, "it has ended");
});
