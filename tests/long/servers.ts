/**
 * Servers that others wrote, with both clients of ours: left silent for a minute,
 * asked for what takes 45 seconds, listened to for a minute, killed and started
 * again. All options are those that there are by default; where one is not, the
 * title says why.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Protocol } from "devtools-protocol";
import { fileURLToPath } from "node:url";
import * as anySockets from "../../client.ts";
import * as ws from "../../node.ts";
import {
  type CloseInfo,
  notifications,
  type Peer,
  type Version,
} from "../../mod.ts";
import { startAnvil } from "../interop/anvil.ts";
import { startChromium } from "../interop/chromium.ts";
import { node24 } from "../interop/node_program.ts";
import {
  debian,
  debianPython,
  freePort,
  type Program,
  start,
} from "../interop/processes.ts";
import { inTurn, longCall, minute, pass, together } from "./together.ts";

/** One that runs. */
interface Running extends AsyncDisposable {
  readonly url: string;
  /** Ends it as a crash does. */
  kill(): Promise<unknown>;
}

/** What a client needs to know of it. */
interface Kind {
  readonly name: string;
  readonly version?: Version;
  /** Whether the client offers to share frames, to one that selects anything. */
  readonly isOffered?: boolean;
  /** Whether it has no time for others while a call runs. */
  readonly isBusy?: boolean;
  start(): Promise<Running>;
  /** Calls, and looks at the answer. */
  ask(peer: Peer): Promise<unknown>;
  /** Calls what takes 45 seconds; absent: it has no such call. */
  slow?(peer: Peer): Promise<unknown>;
  /** What it is told for that. */
  readonly patience?: string;
  /** Has itself told something after a minute; absent: it tells nothing. */
  watch?(peer: Peer, running: Running): Promise<unknown>;
}

/** A program that prints its port, or its address, in a line with this in it. */
async function run(
  command: string,
  args: readonly string[],
  line: string,
  protocol = "ws://127.0.0.1:",
): Promise<Running> {
  const program = await start(command, { args, line, timeout: minute });
  const printed = await program.line(line);
  const address = printed.slice(printed.indexOf(line) + line.length);
  return running(`${protocol}${address}`, program);
}

function running(url: string, program: Program): Running {
  return {
    url,
    kill: () => program.stop("SIGKILL"),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** Python's, of one of the kinds that the script knows. */
async function startPython(kind: string): Promise<Running> {
  const python = await debianPython({
    "python3-aiorpcx": "aiorpcx",
    "python3-websockets": "websockets",
  });
  const script = new URL("servers.py", import.meta.url).pathname;
  return await run(python, [script, kind], "port ");
}

/** Runs a program of Deno's. */
function startDeno(
  script: string,
  line: string,
  url: string,
): Promise<Running> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return run(Deno.execPath(), ["run", "--no-check", "-A", path], line, url);
}

const sum = async (peer: Peer): Promise<void> =>
  assertEquals(await peer.request("sum", [1, 2]), 3);

const slow = async (peer: Peer): Promise<void> =>
  assertEquals(await peer.request("slow"), "done");

/** What is said by a notification of this name, once. */
function heard(peer: Peer, method: string): Promise<unknown> {
  const word = notifications(peer, method).next();
  word.catch(() => {}); // It may fail before it is awaited.
  return word;
}

/** Evaluates in what has DevTools. */
async function evaluate(peer: Peer, expression: string): Promise<unknown> {
  const { result } = await peer.request<Protocol.Runtime.EvaluateResponse>(
    "Runtime.evaluate",
    { expression, awaitPromise: true },
  );
  return result.value;
}

const devTools: Pick<Kind, "version" | "ask" | "slow" | "watch"> = {
  version: "bare",
  ask: async (peer) => assertEquals(await evaluate(peer, "6 * 7"), 42),
  slow: async (peer) =>
    assertEquals(
      await evaluate(
        peer,
        `new Promise((done) => setTimeout(done, ${longCall}, 42))`,
      ),
      42,
    ),
  async watch(peer) {
    const printed = heard(peer, "Runtime.consoleAPICalled");
    await peer.request("Runtime.enable");
    await evaluate(peer, `setTimeout(console.log, ${minute}, "news"), 1`);
    return await printed;
  },
};

const kinds: readonly Kind[] = [
  {
    name: "aria2",
    async start() {
      const command = await debian("aria2", "aria2c");
      const port = freePort();
      const program = await start(command, {
        args: ["--no-conf", "--enable-rpc", `--rpc-listen-port=${port}`],
        port,
        timeout: minute,
      });
      return running(`ws://127.0.0.1:${port}/jsonrpc`, program);
    },
    ask: (peer) => peer.request("aria2.getVersion"),
    async watch(peer, { url }) {
      const told = heard(peer, "aria2.onDownloadStart");
      await pass(minute);
      await using other = anySockets.connect(url);
      // Nobody listens there: it begins, and fails.
      await other.request("aria2.addUri", [["http://127.0.0.1:9/none"]]);
      return await told;
    },
  },
  {
    name: "anvil",
    async start() {
      const { url, program } = await startAnvil();
      return running(url, program);
    },
    ask: async (peer) =>
      assertEquals(await peer.request("eth_chainId"), "0x7a69"),
    async watch(peer, { url }) {
      const told = heard(peer, "eth_subscription");
      await peer.request("eth_subscribe", ["newHeads"]);
      await pass(minute);
      await using other = anySockets.connect(url);
      await other.request("evm_mine");
      return await told;
    },
  },
  {
    name: "rpc-websockets",
    isOffered: true, // To share frames: it selects whatever it is offered.
    start: () =>
      startDeno("rpc_websockets_server.ts", "port ", "ws://127.0.0.1:"),
    ask: sum,
    slow,
    async watch(peer) {
      const { promise, resolve } = Promise.withResolvers<string>();
      peer.oninvalid = (text) => (resolve(text), true);
      await peer.request("rpc.on", ["told"]);
      await peer.request("watch");
      return await promise;
    },
  },
  {
    name: "aiorpcX",
    patience: "with more than its 30 seconds for it",
    start: () => startPython("aiorpcx"),
    ask: sum,
    slow,
    async watch(peer) {
      const told = heard(peer, "told");
      await peer.request("watch");
      return await told;
    },
  },
  {
    name: "Python that takes one call after the other",
    start: () => startPython("asleep"),
    ask: sum,
    slow,
  },
  {
    name: "Python that blocks while a call runs",
    isBusy: true,
    start: () => startPython("blocked"),
    ask: sum,
    slow,
  },
  {
    name: "typescript-language-server",
    start: () =>
      startDeno("../interop/language_server.ts", "Language server at ", ""),
    async ask(peer) {
      // Each connection has a server of its own, which is told once who calls.
      const params = { processId: null, rootUri: null, capabilities: {} };
      initialized.has(peer.ws!)
        ? await peer.request("workspace/symbol", { query: "x" }).catch(() => {})
        : await peer.request("initialize", params);
      initialized.add(peer.ws!);
    },
  },
  {
    ...devTools,
    name: "Chromium",
    async start() {
      const chromium = await startChromium();
      await using browser = anySockets.connect(chromium.url, {
        version: "bare",
      });
      const { targetId } = await browser.request<
        Protocol.Target.CreateTargetResponse
      >("Target.createTarget", { url: "about:blank" });
      const url = new URL(`/devtools/page/${targetId}`, chromium.url).href;
      let hasEnded = false;
      const kill = async (): Promise<void> => {
        if (hasEnded) return;
        hasEnded = true;
        await chromium[Symbol.asyncDispose]();
      };
      return { url, kill, [Symbol.asyncDispose]: kill };
    },
  },
  {
    ...devTools,
    name: "Node's inspector",
    start: () =>
      run(
        node24,
        ["--inspect=127.0.0.1:0", "-e", "setInterval(() => {}, 1000)"],
        "Debugger listening on ",
        "",
      ),
  },
];

/** The sockets whose language server has been told who calls. */
const initialized = new WeakSet<object>();

const doors = [
  ["the sockets of Deno", anySockets.connect],
  ["the sockets of ws", ws.connect],
] as const;

interface Client extends AsyncDisposable {
  readonly peer: Peer;
  /** How its connections ended. */
  readonly ends: CloseInfo[];
  readonly errors: unknown[];
}

function connect(
  open: typeof anySockets.connect,
  { version, isOffered = false }: Kind,
  url: () => string,
): Client {
  const ends: CloseInfo[] = [];
  const errors: unknown[] = [];
  const peer = open(url, {
    ...version && { version },
    ...isOffered && { sharedFrames: true },
    onclose: (end) => void ends.push(end),
    onerror: (error) => void errors.push(error),
    onattempt: () => {},
  });
  return {
    peer,
    ends,
    errors,
    async [Symbol.asyncDispose]() {
      peer.close();
      await peer.closed;
    },
  };
}

for (const kind of kinds) {
  // One for all that leave it alone.
  let shared: Promise<Running> | undefined;
  let users = 0;
  for (const [door, open] of doors) {
    /** Connects, and looks afterwards that the connection is the first one still. */
    const check = (
      what: string,
      act: (peer: Peer, running: Running) => Promise<void>,
    ): void => {
      users++;
      together(`${kind.name} ${what}, by ${door}`, async () => {
        const begin = (): Promise<Running> => inTurn(() => kind.start());
        const server = await (kind.isBusy ? begin() : shared ??= begin());
        try {
          await using client = connect(open, kind, () => server.url);
          await act(client.peer, server);
          assertEquals([client.ends, client.errors], [[], []]);
        } finally {
          users--;
          if (kind.isBusy || users === 0) await server[Symbol.asyncDispose]();
        }
      });
    };

    check("answers after a minute of silence", async (peer) => {
      await kind.ask(peer);
      await pass(minute);
      await kind.ask(peer);
    });

    if (kind.slow !== undefined) {
      const { patience } = kind;
      const patiently = patience === undefined ? "" : `, ${patience},`;
      check(
        `is waited for while a call takes 45 seconds${patiently}`,
        async (peer) => {
          await kind.ask(peer);
          await kind.slow!(peer);
        },
      );
    }

    if (kind.watch !== undefined) {
      check("is heard after a minute", async (peer, server) => {
        await kind.watch!(peer, server);
      });
    }

    together(
      `${kind.name} is killed, and started again, by ${door}`,
      async () => {
        const first = await inTurn(() => kind.start());
        let { url } = first;
        await using client = connect(open, kind, () => url);
        await kind.ask(client.peer);
        await first.kill();
        await using second = await inTurn(() => kind.start());
        ({ url } = second);
        await kind.ask(client.peer);
        assertEquals(client.ends.length, 1);
      },
    );
  }
}
