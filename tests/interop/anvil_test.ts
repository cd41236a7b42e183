/**
 * The Ethereum node anvil as a server: calls, batches, errors and subscriptions
 * over its WebSocket.
 *
 * @see {@link https://ethereum.org/developers/docs/apis/json-rpc}
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { mock } from "node:test";
import { connectOnce as connect } from "../connect_once.ts";
import {
  ConnectionClosedError,
  ethereum,
  RpcError,
  subscribe,
} from "../../mod.ts";
import { startAnvil } from "./anvil.ts";
import { start, until } from "./processes.ts";

/** A number as Ethereum writes it: "0x7a69". */
type Quantity = string;

interface Transaction {
  from?: string;
  to?: string;
  value?: Quantity;
  data?: string;
}

/** The methods that these tests call. */
interface Node {
  eth_accounts(): string[];
  eth_blockNumber(): Quantity;
  eth_call(transaction: Transaction, block: string): string;
  eth_chainId(): Quantity;
  eth_getBalance(address: string, block: string): Quantity;
  eth_getTransactionReceipt(hash: string): { status: Quantity } | null;
  eth_sendTransaction(transaction: Transaction): string;
  eth_subscribe(topic: "newHeads"): string;
  eth_unsubscribe(subscription: string): boolean;
  evm_mine(): unknown;
}

interface Head {
  number: Quantity;
  hash: string;
  parentHash: string;
}

const ether = 10n ** 18n;

Deno.test("anvil answers our calls, moves money and mines", async () => {
  await using anvil = await startAnvil();
  await using node = connect<Node>(anvil.url);
  const { remote } = node;

  assertEquals(await remote.eth_chainId(), "0x7a69");
  assertEquals(await remote.eth_blockNumber(), "0x0");
  const [ann, bob] = await remote.eth_accounts() as [string, string];
  const before = BigInt(await remote.eth_getBalance(bob, "latest"));
  assertEquals(before, 10_000n * ether);

  const hash = await remote.eth_sendTransaction({
    from: ann,
    to: bob,
    value: `0x${ether.toString(16)}`,
  });
  await until(
    async () => await remote.eth_getTransactionReceipt(hash) !== null,
    "the transaction is mined",
  );
  const after = BigInt(await remote.eth_getBalance(bob, "latest"));
  assertEquals(after - before, ether);

  assertEquals(await remote.eth_blockNumber(), "0x1");
  await remote.evm_mine();
  assertEquals(await remote.eth_blockNumber(), "0x2");
  assertEquals(node.unmatched, 0);
});

Deno.test("anvil's errors reach the caller with their code, message and data", async () => {
  await using anvil = await startAnvil();
  await using node = connect<Node>(anvil.url);
  const [ann, bob] = await node.remote.eth_accounts() as [string, string];

  const poor = await assertRejects(
    () =>
      node.remote.eth_sendTransaction({
        from: ann,
        to: bob,
        value: `0x${(1_000_000n * ether).toString(16)}`,
      }),
    RpcError,
    "Insufficient funds",
  );
  assertEquals([poor.code, poor.data], [-32003, undefined]);

  // PUSH1 42, PUSH1 0, MSTORE, PUSH1 32, PUSH1 0, REVERT: it reverts with 42.
  const reverted = await assertRejects(
    () => node.remote.eth_call({ data: "0x602a60005260206000fd" }, "latest"),
    RpcError,
    "execution reverted",
  );
  assertEquals(reverted.code, 3);
  assertEquals(reverted.data, `0x${"2a".padStart(64, "0")}`);

  const unknown = await assertRejects(() => node.request("nope"), RpcError);
  assertEquals(unknown.code, -32602); // Its own idea of "Method not found".
});

Deno.test("anvil sends new heads to a method in local until it is told to stop", async () => {
  await using anvil = await startAnvil();
  const heads: { subscription: string; result: Head }[] = [];
  await using node = connect<Node>(anvil.url, {
    local: {
      eth_subscription: (params: { subscription: string; result: Head }) =>
        void heads.push(params),
    },
  });
  const subscription = await node.remote.eth_subscribe("newHeads");
  for (let i = 0; i < 3; i++) await node.remote.evm_mine();
  await until(() => heads.length === 3, "three heads");

  assertEquals(heads.map((it) => it.result.number), ["0x1", "0x2", "0x3"]);
  assertEquals(heads[2]!.result.parentHash, heads[1]!.result.hash);
  assert(heads.every((it) => it.subscription === subscription));

  assertEquals(await node.remote.eth_unsubscribe(subscription), true);
  assertEquals(await node.remote.eth_unsubscribe(subscription), false);
  await node.remote.evm_mine();
  await node.remote.eth_blockNumber();
  assertEquals(heads.length, 3);
});

Deno.test("anvil's new heads come in order as an async iterable, and leaving it unsubscribes", async () => {
  await using anvil = await startAnvil();
  const { url } = anvil;
  const frames: string[] = [];
  const numbers: number[] = [];
  // recipe: anvil
  interface Ethereum {
    eth_chainId(): string;
    eth_accounts(): string[];
    eth_sendTransaction(
      it: { from: string; to: string; value: string },
    ): string;
  }
  await using node = connect<Ethereum>(url); // ws://127.0.0.1:8545
  const [chainId, [ann, bob]] = await Promise.all(node.batch(() => [
    node.remote.eth_chainId(),
    node.remote.eth_accounts(),
  ]));
  const heads = subscribe<{ number: string }>(node, ethereum, ["newHeads"]);
  const transfer = { from: ann!, to: bob!, value: "0x1" };
  await node.remote.eth_sendTransaction(transfer); // Anvil mines a block for it.
  await node.request("evm_mine");
  for await (const { number } of heads) {
    numbers.push(Number(number));
    if (numbers.length === 2) break; // Unsubscribes.
  }
  // end
  assertEquals(chainId, "0x7a69");
  assertEquals(numbers, [1, 2]);

  node.ws!.addEventListener("message", ({ data }) => frames.push(String(data)));
  await node.request("evm_mine");
  assertEquals(await node.request("eth_blockNumber"), "0x3");
  assertEquals(frames.filter((it) => it.includes("eth_subscription")), []);
});

Deno.test("anvil's new heads reach each of two subscriptions on one connection, and end with it", async () => {
  await using anvil = await startAnvil();
  const node = connect<Node>(anvil.url);
  const take = async (heads: AsyncIterable<Head>, count: number) => {
    const numbers: string[] = [];
    for await (const { number } of heads) {
      if (numbers.push(number) === count) break;
    }
    return numbers;
  };
  // Whoever asks for a block at once may have it before the subscription.
  let subscriptions = 0;
  node.ws!.addEventListener("message", ({ data }) => {
    if (/"result":"0x[0-9a-f]{32}"/.test(String(data))) subscriptions++;
  });
  const one = subscribe<Head>(node, ethereum, ["newHeads"]);
  const other = subscribe<Head>(node, ethereum, ["newHeads"]);
  await until(() => subscriptions === 2, "both subscriptions");
  for (let i = 0; i < 3; i++) await node.remote.evm_mine();
  assertEquals(await take(one, 1), ["0x1"]);
  assertEquals(await take(other, 3), ["0x1", "0x2", "0x3"]);

  await using last = subscribe<Head>(node, ethereum, ["newHeads"]);
  await until(() => subscriptions === 3, "the last subscription");
  await node.remote.evm_mine();
  assertEquals((await last.next()).value?.number, "0x4");
  const next = last.next();
  node.close();
  await assertRejects(() => next, ConnectionClosedError);
  await node.closed;
});

Deno.test("anvil's refusal of a subscription ends the iteration with its error", async () => {
  await using anvil = await startAnvil();
  await using node = connect<Node>(anvil.url);
  const error = await assertRejects(async () => {
    for await (const _ of subscribe(node, ethereum, ["nonsense"])) break;
  }, RpcError);
  assertEquals(error.code, -32602);
});

Deno.test("examples/ethereum.ts prints anvil's blocks as they come, until Ctrl+C", async () => {
  await using anvil = await startAnvil();
  await using node = connect<Node>(anvil.url);
  const root = new URL("../../", import.meta.url);
  const example = await Deno.readTextFile(
    new URL("examples/ethereum.ts", root),
  );
  const command = example.split("\n")[0]!;
  assertEquals(
    command,
    "// deno run --allow-net examples/ethereum.ts ws://127.0.0.1:8545",
  );
  await using program = await start(Deno.execPath(), {
    args: [...command.split(" ").slice(2, -1), anvil.url],
    cwd: root.pathname,
    env: { NO_COLOR: "1" },
    line: `Chain 31337 at ${anvil.url}`,
  });
  const blocks = () => program.lines.filter((it) => it.startsWith("Block "));
  for (let i = 1; i <= 3; i++) {
    await node.remote.evm_mine();
    await program.line(new RegExp(`^Block ${i} is 0x[0-9a-f]{64}$`));
  }
  assertEquals(blocks().length, 3);

  Deno.kill(program.pid, "SIGINT");
  const { success, signal } = await program.ended;
  assertEquals([success, signal], [true, null]);
});

Deno.test("anvil answers our batch as one, the failures in it singly", async () => {
  await using anvil = await startAnvil();
  await using node = connect<Node>(anvil.url);

  const [chainId, unknown, height] = node.batch(() => {
    node.notify("eth_chainId");
    return [
      node.remote.eth_chainId(),
      node.request("eth_nope"),
      node.remote.eth_blockNumber(),
    ] as const;
  });
  await assertRejects(() => unknown, RpcError);
  assertEquals([await chainId, await height], ["0x7a69", "0x0"]);
  assertEquals(node.unmatched, 0);
});

Deno.test("anvil answers a batch that it can't read by one error, which rejects our calls in it", async () => {
  await using anvil = await startAnvil();
  const reported: unknown[] = [];
  await using node = connect<Node>(anvil.url, {
    onerror: (error) => void reported.push(error),
    // A faulty wire: every batch has a member that is no message.
    createSocket: (url) => {
      const socket = new WebSocket(url);
      const send = socket.send.bind(socket);
      socket.send = (text: string) =>
        send(text.startsWith("[") ? `${text.slice(0, -1)},1]` : text);
      return socket;
    },
  });
  const frames: string[] = [];
  node.ws!.addEventListener("message", ({ data }) => frames.push(String(data)));
  await node.opened;

  const calls = node.batch(() => [
    node.remote.eth_chainId(),
    node.remote.eth_blockNumber(),
  ]);
  // It must take the batch alone, not what was called beside it.
  const beside = node.remote.eth_chainId();
  for (const outcome of await Promise.allSettled(calls)) {
    assert(outcome.status === "rejected");
    assert(outcome.reason instanceof RpcError);
    assertEquals(outcome.reason.code, -32600);
  }
  assertEquals(await beside, "0x7a69");
  const complaint = JSON.parse(frames[0]!);
  assertEquals([complaint.id, complaint.error.code], [null, -32600]);
  assertEquals(reported, []);
});

Deno.test("anvil's answer to a frame that is no JSON reaches onerror and ends nothing", async () => {
  await using anvil = await startAnvil();
  const reported: unknown[] = [];
  await using node = connect<Node>(anvil.url, {
    onerror: (error) => void reported.push(error),
  });
  await node.opened;

  node.ws!.send("{oops");
  await until(() => reported.length > 0, "the error is reported");
  assert(reported[0] instanceof RpcError);
  assertEquals(reported[0].code, -32600);
  assertEquals(await node.remote.eth_chainId(), "0x7a69");
});

Deno.test("anvil killed under a call rejects it, and says that it may have run", async () => {
  await using anvil = await startAnvil();
  let closes = 0;
  await using node = connect<Node>(anvil.url, { onclose: () => void closes++ });
  await node.opened;

  Deno.kill(anvil.program.pid, "SIGSTOP"); // So that it can't answer first.
  const call = node.remote.eth_chainId();
  Deno.kill(anvil.program.pid, "SIGKILL");
  const error = await assertRejects(() => call, ConnectionClosedError);
  assertEquals([error.code, error.sent], [1006, true]);
  assertEquals((await node.closed).wasClean, false);
  assertEquals(closes, 1);
});

Deno.test("anvil frozen can't keep close from coming to its end", async () => {
  await using anvil = await startAnvil();
  // Only the peer's own timers are fake, the socket and anvil are real.
  mock.timers.enable({ apis: ["setTimeout"] });
  const node = connect<Node>(anvil.url);
  try {
    await node.opened;
    Deno.kill(anvil.program.pid, "SIGSTOP");
    let isClosed = false;
    const call = node.remote.eth_chainId();
    node.close();
    node.closed.then(() => isClosed = true);
    await assertRejects(() => call, ConnectionClosedError);
    mock.timers.tick(4_999);
    await Promise.resolve();
    assertEquals(isClosed, false);
    mock.timers.tick(1);
    assertEquals((await node.closed).code, 1000);
  } finally {
    mock.timers.reset();
    Deno.kill(anvil.program.pid, "SIGCONT");
  }
  // The socket itself outlives the peer until anvil answers.
  await until(
    () => node.ws!.readyState === WebSocket.CLOSED,
    "the socket is closed",
  );
});
