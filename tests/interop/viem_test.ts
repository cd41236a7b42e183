/**
 * viem as a client: it takes our server for an Ethereum node.
 *
 * @see {@link https://viem.sh/docs/clients/transports/websocket}
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  BaseError,
  type Block,
  CallExecutionError,
  createPublicClient,
  InternalRpcError,
  InvalidParamsRpcError,
  MethodNotFoundRpcError,
  type PublicClient,
  webSocket,
  type WebSocketTransport,
} from "viem";
import { Peer, RpcError } from "../../mod.ts";
import { serve, type Server } from "../../server.ts";
import { Chain, EthereumNode } from "./ethereum_node.ts";
import { until } from "./processes.ts";

const address = "0x0000000000000000000000000000000000000001";
const stranger = "0x0000000000000000000000000000000000000002";

function serveChain(chain: Chain): Server<EthereumNode> {
  return serve(EthereumNode, {
    port: 0,
    onListen() {},
    authorize: () => chain,
  });
}

interface Viem extends AsyncDisposable {
  client: PublicClient<WebSocketTransport>;
}

/** As a user makes it, but for two times that would be long for a test. */
function createViem(url: string): Viem {
  const client = createPublicClient({
    transport: webSocket(url, { keepAlive: { interval: 20 }, retryDelay: 1 }),
  });
  return {
    client,
    async [Symbol.asyncDispose]() {
      await close(client);
    },
  };
}

async function close(client: PublicClient<WebSocketTransport>): Promise<void> {
  const rpc = await client.transport.getRpcClient();
  const closed = new Promise((resolve) =>
    rpc.socket.addEventListener("close", resolve)
  );
  rpc.close();
  await closed;
}

Deno.test("viem watches the blocks of a service that has its subscriptions in a dozen lines", async () => {
  const chain = new Chain();
  const seen: bigint[] = [];
  // recipe: viem
  class Node extends Peer {
    readonly #heads = new Map<string, () => void>();
    override local = {
      eth_blockNumber: () => chain.head.number, // "0x2a"
      eth_subscribe: (_topic: "newHeads") => {
        const subscription = `0x${crypto.randomUUID().replaceAll("-", "")}`;
        const stop = chain.watch((result) =>
          this.notify("eth_subscription", { subscription, result })
        );
        this.#heads.set(subscription, stop);
        return subscription;
      },
      eth_unsubscribe: (subscription: string) => {
        this.#heads.get(subscription)?.();
        return this.#heads.delete(subscription);
      },
    };
    override onclose() {
      for (const stop of this.#heads.values()) stop();
    }
  }
  await using server = serve(Node, { port: 0, onListen() {} });

  const client = createPublicClient({ transport: webSocket(server.url) });
  const unwatch = client.watchBlockNumber({
    onBlockNumber: (number) => seen.push(number),
  });
  // end
  await until(() => chain.watchers === 1, "it has subscribed");
  for (let i = 0; i < 3; i++) chain.mine();
  await until(() => seen.length === 3, "three numbers");
  assertEquals(seen, [1n, 2n, 3n]);
  assertEquals(await client.getBlockNumber(), 3n);

  unwatch();
  await until(() => chain.watchers === 0, "it has unsubscribed");
  await close(client);
});

Deno.test("viem reads the chain that our server serves", async () => {
  const chain = new Chain();
  chain.mine();
  await using server = serveChain(chain);
  await using viem = createViem(server.url);
  const { client } = viem;

  assertEquals(await client.getChainId(), 1337);
  assertEquals(await client.getBlockNumber(), 1n);
  assertEquals(await client.getBalance({ address }), 10n ** 18n);
  const block = await client.getBlock({ blockNumber: 1n });
  assertEquals(block.hash, chain.head.hash as Block["hash"]);
  assertEquals(block.timestamp, 1_700_000_001n);

  // All at once, over one socket, each with its own answer.
  const numbers = await Promise.all(
    [0n, 1n, 0n, 1n].map(async (blockNumber) =>
      (await client.getBlock({ blockNumber })).number
    ),
  );
  assertEquals(numbers, [0n, 1n, 0n, 1n]);
  assertEquals(server.peers.size, 1);
});

Deno.test("viem watches whole blocks until it unwatches", async () => {
  const chain = new Chain();
  await using server = serveChain(chain);
  await using viem = createViem(server.url);

  const blocks: Block[] = [];
  const unwatch = viem.client.watchBlocks({
    onBlock: (block) => blocks.push(block),
    onError: (error) => {
      throw error;
    },
  });
  await until(() => chain.watchers === 1, "it has subscribed");
  chain.mine();
  await until(() => blocks.length === 1, "the first block");
  chain.mine();
  await until(() => blocks.length === 2, "the second block");
  assertEquals(blocks.map((it) => it.number), [1n, 2n]);
  assertEquals(blocks[1]!.parentHash, blocks[0]!.hash);

  unwatch();
  await until(() => chain.watchers === 0, "it has unsubscribed");
});

Deno.test("viem throws its own errors for the codes that our methods throw", async () => {
  await using server = serveChain(new Chain());
  await using viem = createViem(server.url);
  const { client } = viem;

  const params = await assertRejects(
    () => client.getBalance({ address: stranger }),
    BaseError,
  );
  const cause = params.walk((it) => it instanceof InvalidParamsRpcError);
  assert(cause instanceof InvalidParamsRpcError);
  assertEquals(cause.code, -32602);
  assertEquals(cause.details, "Unknown account");

  const method = await assertRejects(() => client.getGasPrice(), BaseError);
  assert(method.walk((it) => it instanceof MethodNotFoundRpcError));

  const call = await assertRejects(
    () => client.call({ to: address, data: "0x01" }),
    CallExecutionError,
  );
  assert(call.message.includes("too late"), call.message);
});

Deno.test("viem calls a method four times that fails by a throw, and once that fails by an RpcError", async () => {
  let throws = 0;
  let refusals = 0;
  await using server = serve({
    local: {
      eth_blockNumber() {
        throws++;
        throw new Error("the database is gone");
      },
      eth_getBalance() {
        refusals++;
        throw new RpcError(-32000, "No such block");
      },
    },
    onerror() {},
    port: 0,
    onListen() {},
  });
  await using viem = createViem(server.url);

  const failed = await assertRejects(
    () => viem.client.getBlockNumber(),
    InternalRpcError,
  );
  assertEquals([failed.details, throws], ["Internal error", 4]);
  const refused = await assertRejects(
    () => viem.client.getBalance({ address }),
    BaseError,
  );
  assertEquals([refused.details, refusals], ["No such block", 1]);
});

Deno.test("viem's keep-alive, a request of id null, is answered and disturbs nothing", async () => {
  const frames: string[] = [];
  class Node extends EthereumNode {
    override onopen() {
      this.ws!.addEventListener("message", ({ data }) => {
        frames.push(String(data));
      });
    }
  }
  await using server = serve(Node, {
    port: 0,
    onListen() {},
    authorize: () => new Chain(),
  });
  await using viem = createViem(server.url);
  assertEquals(await viem.client.getChainId(), 1337);
  const { socket } = await viem.client.transport.getRpcClient();
  const answer = await new Promise<string>((resolve) =>
    socket.addEventListener("message", ({ data }) => resolve(data))
  );

  assertEquals(JSON.parse(answer), {
    jsonrpc: "2.0",
    result: "1337",
    id: null,
  });
  assertEquals(JSON.parse(frames.at(-1)!).id, null);
  assertEquals(await viem.client.getChainId(), 1337);
});

Deno.test("viem connects again when our server has cut it, and goes on watching", async () => {
  const chain = new Chain();
  await using server = serveChain(chain);
  const client = createPublicClient({
    transport: webSocket(server.url, { reconnect: { delay: 10 } }),
  });
  const seen: bigint[] = [];
  const unwatch = client.watchBlockNumber({
    onBlockNumber: (number) => seen.push(number),
  });
  await until(() => chain.watchers === 1, "it has subscribed");
  const [first] = server.peers;
  first!.close(4000, "once");
  await first!.closed;
  assertEquals(chain.watchers, 0);

  await until(() => chain.watchers === 1, "it has subscribed again");
  chain.mine();
  await until(() => seen.length === 1, "a number");
  assertEquals(seen, [1n]);
  unwatch();
  await until(() => chain.watchers === 0, "it has unsubscribed");
  await close(client);
});
