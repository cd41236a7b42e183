/**
 * ethers as a client: it takes our server for an Ethereum node.
 *
 * @see {@link https://docs.ethers.org/v6/api/providers/#WebSocketProvider}
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { isCallException, isError, WebSocketProvider } from "ethers";
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

interface Ethers extends AsyncDisposable {
  provider: WebSocketProvider;
}

// Its answers live for 250 ms in a cache, whose timers would outlive the tests.
const options = { cacheTimeout: -1 };

function createEthers(url: string): Ethers {
  const provider = new WebSocketProvider(url, undefined, options);
  return {
    provider,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) =>
        (provider.websocket as WebSocket).addEventListener("close", resolve)
      );
      await provider.destroy();
      await closed;
    },
  };
}

Deno.test("ethers reads the chain that our server serves", async () => {
  const chain = new Chain();
  chain.mine();
  await using server = serveChain(chain);
  await using ethers = createEthers(server.url);
  const { provider } = ethers;

  assertEquals((await provider.getNetwork()).chainId, 1337n);
  assertEquals(await provider.getBlockNumber(), 1);
  assertEquals(await provider.getBalance(address), 10n ** 18n);
  const block = await provider.getBlock(1);
  assert(block !== null);
  assertEquals(block.hash, chain.head.hash);
  assertEquals(block.timestamp, 1_700_000_001);
  assertEquals(await provider.getBlock(2), null); // A result that is null.
  assertEquals(server.peers.size, 1);
});

Deno.test("ethers tells of new blocks until nobody listens", async () => {
  const chain = new Chain();
  await using server = serveChain(chain);
  const seen: number[] = [];
  // recipe: ethers
  const provider = new WebSocketProvider(server.url, undefined, {
    cacheTimeout: -1, // Or an answer may be 250 ms old.
  });
  await provider.on("block", (number: number) => seen.push(number));
  const { chainId } = await provider.getNetwork(); // eth_chainId
  const balance = await provider.getBalance(address); // eth_getBalance
  // end
  assertEquals([chainId, balance], [1337n, 10n ** 18n]);
  await until(() => chain.watchers === 1, "it has subscribed");
  for (let i = 0; i < 3; i++) chain.mine();
  await until(() => seen.length === 3, "three numbers");
  assertEquals(seen, [1, 2, 3]);

  await provider.off("block");
  await until(() => chain.watchers === 0, "it has unsubscribed");
  chain.mine();
  assertEquals(await provider.getBlockNumber(), 4);
  assertEquals(seen.length, 3);

  await provider.on("block", (number: number) => seen.push(number));
  await until(() => chain.watchers === 1, "it has subscribed again");
  const [peer] = server.peers;
  await provider.destroy();
  await peer!.closed;
  assertEquals(chain.watchers, 0);
});

Deno.test("ethers throws its own errors for the codes that our methods throw", async () => {
  await using server = serveChain(new Chain());
  await using ethers = createEthers(server.url);
  const { provider } = ethers;

  const call = await assertRejects(
    () => provider.call({ to: address, data: "0x01" }),
    Error,
  );
  assert(isCallException(call));
  assertEquals(call.reason, "too late");
  assertEquals(call.revert?.args[0], "too late");

  const params = await assertRejects(
    () => provider.getBalance(stranger),
    Error,
  );
  assert(isError(params, "UNKNOWN_ERROR"));
  assertEquals<unknown>(params.error, {
    code: -32602,
    message: "Unknown account",
    data: { address: stranger },
  });

  const method = await assertRejects(
    () => provider.send("eth_nope", []),
    Error,
  );
  assert(isError(method, "UNKNOWN_ERROR"));
  assertEquals<unknown>(method.error, {
    code: -32601,
    message: "Method not found",
  });
});

Deno.test("ethers calls wait for the handshake and share one socket", async () => {
  const chain = new Chain();
  for (let i = 0; i < 20; i++) chain.mine();
  await using server = serveChain(chain);
  await using ethers = createEthers(server.url);
  const blocks = await Promise.all(
    Array.from({ length: 20 }, (_, number) => ethers.provider.getBlock(number)),
  );
  assertEquals(
    blocks.map((block) => block?.number),
    Array.from({ length: 20 }, (_, number) => number),
  );
  assertEquals(server.peers.size, 1);
});
