/**
 * Clients that others wrote, with a server of ours on either platform: left silent
 * for a minute, in a call of 45 seconds, listening for a minute, gone without a
 * word. Server and clients have the options that they have by default; where one
 * has others, its title says why.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Client as OpenRpc, RequestManager } from "@open-rpc/client-js";
import { WebSocketTransport } from "@open-rpc/client-js";
import { WebSocketProvider } from "ethers";
import { JSONRPCClient } from "json-rpc-2.0";
import { Client as RpcWebSockets } from "rpc-websockets";
import { createPublicClient, webSocket } from "viem";
import { listen } from "vscode-ws-jsonrpc";
import type { MessageConnection } from "vscode-jsonrpc";
import { type CloseInfo, Peer } from "../../mod.ts";
import config from "../../deno.json" with { type: "json" };
import { debian, debianPython, start, until } from "../interop/processes.ts";
import { platforms } from "../servers.ts";
import { inTurn, longCall, minute, pass, together } from "./together.ts";

type Task = "silent" | "slow" | "listening";

/** A client of others, or a program with one in it. */
interface Stranger {
  /** Calls, and looks at the answer. */
  sum(): Promise<void>;
  /** Calls what takes 45 seconds. */
  slow(): Promise<void>;
  /** Asks to be told, where it has to ask. */
  listen?(): Promise<unknown>;
  /** Resolves when it has been told. */
  told: Promise<unknown>;
  /** Ends it. */
  end(): unknown;
}

/** What they all call, an Ethereum node's methods among it. */
class Service extends Peer {
  readonly ends: CloseInfo[] = [];
  readonly errors: unknown[] = [];
  #subscription: string | undefined;
  override local: object = {
    sum: (a: number, b: number) => a + b,
    slow: () => this.#slow(),
    eth_chainId: () => "0x539",
    eth_blockNumber: () => "0x1",
    eth_slow: () => this.#slow(),
    eth_subscribe: () => this.#subscription = "0x1",
    eth_unsubscribe: () => true,
  };

  async #slow(): Promise<string> {
    await pass(longCall);
    return "done";
  }

  tell(): void {
    const subscription = this.#subscription;
    if (subscription === undefined) this.notify("told", ["news"]);
    else {
      const result = { number: "0x2a" };
      this.notify("eth_subscription", { subscription, result });
    }
  }

  override onclose(end: CloseInfo): void {
    this.ends.push(end);
  }

  override onerror(error: unknown): void {
    this.errors.push(error);
  }
}

async function opened(socket: WebSocket): Promise<WebSocket> {
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  return socket;
}

/** A promise of the first word that is told. */
function firstWord(): PromiseWithResolvers<unknown> {
  return Promise.withResolvers();
}

type Connect = (url: string, task: Task) => Promise<Stranger>;

const viem: Connect = async (url, task) => {
  const { promise: told, resolve } = firstWord();
  const client = createPublicClient({
    transport: webSocket(url, task === "slow" ? { timeout: 60_000 } : {}),
  });
  const rpc = await client.transport.getRpcClient();
  return {
    sum: async () => assertEquals(await client.getChainId(), 1337),
    async slow() {
      const request = { method: "eth_slow" } as never;
      assertEquals(await client.request(request), "done");
    },
    listen: async () =>
      await client.transport.subscribe({
        params: ["newHeads"],
        onData: resolve,
      }),
    told,
    end: () => rpc.close(),
  };
};

const ethers: Connect = async (url) => {
  const { promise: told, resolve } = firstWord();
  const provider = new WebSocketProvider(url, undefined, { cacheTimeout: -1 });
  await provider.getNetwork();
  return {
    sum: async () =>
      assertEquals(await provider.send("eth_chainId", []), "0x539"),
    slow: async () => assertEquals(await provider.send("eth_slow", []), "done"),
    listen: () => provider.on("block", resolve),
    told,
    end: () => provider.destroy(),
  };
};

const rpcWebSockets: Connect = async (url) => {
  const { promise: told, resolve } = firstWord();
  const client = new RpcWebSockets(url);
  await new Promise<void>((resolve) => client.on("open", resolve));
  client.on("told", resolve);
  return {
    sum: async () => assertEquals(await client.call("sum", [1, 2]), 3),
    slow: async () => assertEquals(await client.call("slow"), "done"),
    told,
    end: () => client.close(),
  };
};

const jsonRpc2: Connect = async (url) => {
  const { promise: told, resolve } = firstWord();
  const socket = await opened(new WebSocket(url));
  const client = new JSONRPCClient<void>((payload) =>
    socket.send(JSON.stringify(payload))
  );
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.method === "told") resolve(message);
    else client.receive(message);
  };
  return {
    sum: async () => assertEquals(await client.request("sum", [1, 2]), 3),
    slow: async () => assertEquals(await client.request("slow", []), "done"),
    told,
    end: () => socket.close(),
  };
};

const openRpc: Connect = async (url, task) => {
  const { promise: told, resolve } = firstWord();
  const transport = new WebSocketTransport(url);
  const manager = new RequestManager([transport]);
  await manager.connectPromise;
  const client = new OpenRpc(manager);
  client.onNotification(resolve);
  const call = (method: string, params: unknown[]): Promise<unknown> =>
    client.request({ method, params }, task === "slow" ? 0 : 5_000);
  return {
    sum: async () => assertEquals(await call("sum", [1, 2]), 3),
    slow: async () => assertEquals(await call("slow", []), "done"),
    told,
    end: () => client.close(),
  };
};

const vscodeJsonRpc: Connect = async (url) => {
  const { promise: told, resolve } = firstWord();
  const webSocket = new WebSocket(url);
  const connection = await new Promise<MessageConnection>((onConnection) =>
    listen({ webSocket, onConnection })
  );
  connection.onNotification("told", resolve);
  connection.listen();
  return {
    sum: async () => assertEquals(await connection.sendRequest("sum", 1, 2), 3),
    slow: async () =>
      assertEquals(await connection.sendRequest("slow"), "done"),
    told,
    end() {
      connection.dispose();
      webSocket.close();
    },
  };
};

/** A program of Python's, which says when it is ready and when it is done. */
function python(script: string, modules: Record<string, string>): Connect {
  return async (url, task) => {
    const path = new URL(script, import.meta.url).pathname;
    const program = await start(await debianPython(modules), {
      args: [path, task, url],
      line: "ready",
      timeout: minute,
    });
    const done = async (): Promise<void> => {
      await program.line("done", 2 * minute);
    };
    let hasCalled = false;
    return {
      // It did so before it was ready, and does so again by itself.
      async sum() {
        if (hasCalled) await done();
        hasCalled = true;
      },
      slow: done,
      get told() {
        return done();
      },
      end: () => program.stop("SIGKILL"),
    };
  };
}

const wscat: Connect = async (url) => {
  const words = [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-lock",
    "--allow-env",
    "--allow-net",
    "--allow-read",
    "--allow-sys",
    config.scopes["./"].wscat,
    "--no-color",
    "-c",
    url,
  ];
  const command = words.map((word) => `'${word}'`).join(" ");
  const program = await start(await debian("bsdutils", "script"), {
    args: ["--quiet", "--return", "--flush", "--command", command, "/dev/null"],
    line: "Connected",
    timeout: minute,
  });
  let id = 0;
  const type = async (
    method: string,
    params: unknown[],
    result: string,
  ): Promise<void> => {
    const request = { jsonrpc: "2.0", method, params, id: ++id };
    await program.write(`${JSON.stringify(request)}\n`);
    const answer = `< {"jsonrpc":"2.0","result":${result},"id":${id}}`;
    await program.line(answer, minute);
  };
  return {
    sum: () => type("sum", [1, 2], "3"),
    slow: () => type("slow", [], '"done"'),
    get told() {
      return program.line('"method":"told"', 2 * minute);
    },
    end: () => program.stop("SIGKILL"),
  };
};

/** Each, and what it is told for a call of 45 seconds. */
const clients: [name: string, connect: Connect, patience?: string][] = [
  ["viem", viem, "with more than its 10 seconds for it"],
  ["ethers", ethers],
  ["rpc-websockets", rpcWebSockets],
  ["json-rpc-2.0", jsonRpc2],
  ["@open-rpc/client-js", openRpc, "without its 5 seconds for it"],
  ["vscode-jsonrpc", vscodeJsonRpc],
  [
    "websockets of Python",
    python("websockets_client.py", { "python3-websockets": "websockets" }),
  ],
  [
    "aiorpcX",
    python("aiorpcx_client.py", {
      "python3-aiorpcx": "aiorpcx",
      "python3-websockets": "websockets",
    }),
    "with more than its 30 seconds for it",
  ],
  ["wscat", wscat],
];

for (const platform of platforms) {
  for (const [name, connect, patience] of clients) {
    /** Connects one, and looks afterwards that nobody else ended it. */
    const check = (
      what: string,
      task: Task,
      run: (it: Stranger, tell: () => void) => Promise<void>,
    ): void =>
      together(`${name} ${what}, on ${platform.name}`, async () => {
        await using server = await platform.serve(Service);
        const it = await inTurn(() => connect(server.url, task));
        await until(() => server.peers.size === 1, "it is there");
        const [peer] = server.peers;
        try {
          await run(it, () => peer!.tell());
          assertEquals([peer!.ends, peer!.errors], [[], []]);
          assertEquals(server.peers.size, 1);
        } finally {
          await it.end();
        }
      });

    check("calls after a minute of silence", "silent", async (it) => {
      await it.sum();
      await pass(minute);
      await it.sum();
    });

    const patiently = patience === undefined ? "" : `, ${patience},`;
    check(
      `has the answer to a call of 45 seconds${patiently}`,
      "slow",
      async (it) => {
        await it.sum();
        await it.slow();
      },
    );

    check(
      "hears what is told after a minute",
      "listening",
      async (it, tell) => {
        await it.listen?.();
        await pass(minute);
        tell();
        await it.told;
      },
    );

    together(
      `${name} is gone, and comes again, on ${platform.name}`,
      async () => {
        await using server = await platform.serve(Service);
        const first = await inTurn(() => connect(server.url, "silent"));
        await first.sum();
        await until(() => server.peers.size === 1, "it is there");
        const [peer] = server.peers;
        await first.end();
        await peer!.closed;
        const second = await inTurn(() => connect(server.url, "silent"));
        await second.sum();
        await second.end();
      },
    );
  }
}
