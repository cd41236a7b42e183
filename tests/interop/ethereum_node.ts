/**
 * An Ethereum node as a service of ours, as far as its clients ask: a chain that
 * grows by a block whenever a test says so.
 *
 * @see {@link https://ethereum.github.io/execution-apis/}
 */

import { Peer, RpcError } from "../../mod.ts";

/** A number as Ethereum writes it. */
export type Quantity = `0x${string}`;

/** A block, or the head of one. */
export interface Block {
  readonly number: Quantity;
  readonly hash: string;
  readonly parentHash: string;
  readonly timestamp: Quantity;
  readonly [member: string]: unknown;
}

/** Writes a number as Ethereum does. */
export function toQuantity(value: number | bigint): Quantity {
  return `0x${value.toString(16)}`;
}

/** A chain of empty blocks. */
export class Chain {
  readonly #blocks: Block[] = [createBlock(0)];
  readonly #watchers = new Set<(block: Block) => void>();

  /** The last block. */
  get head(): Block {
    return this.#blocks.at(-1)!;
  }

  /** How many watch it. */
  get watchers(): number {
    return this.#watchers.size;
  }

  /** The block of a number or "latest"; `undefined` if there is none. */
  at(block: string): Block | undefined {
    return block === "latest" ? this.head : this.#blocks[Number(block)];
  }

  /** Adds a block, and tells who watches. */
  mine(): void {
    const block = createBlock(this.#blocks.length);
    this.#blocks.push(block);
    for (const watcher of this.#watchers) watcher(block);
  }

  /** Calls back with each new block; returns how to stop that. */
  watch(watcher: (block: Block) => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }
}

function createBlock(number: number): Block {
  const word = (value: number) => `0x${value.toString(16).padStart(64, "0")}`;
  return {
    number: toQuantity(number),
    hash: word(1_000 + number),
    parentHash: word(number === 0 ? 0 : 999 + number),
    timestamp: toQuantity(1_700_000_000 + number),
    nonce: "0x0000000000000000",
    difficulty: "0x0",
    gasLimit: "0x1c9c380",
    gasUsed: "0x0",
    miner: "0x0000000000000000000000000000000000000000",
    extraData: "0x",
    baseFeePerGas: "0x7",
    size: "0x200",
    transactions: [],
  };
}

/** The ABI's encoding of Error("too late"), as a contract reverts with it. */
export const tooLate: string = "0x08c379a0" + // Error(string)
  "20".padStart(64, "0") + // where the string begins
  "8".padStart(64, "0") + // its length
  Array.from("too late", (it) => it.charCodeAt(0).toString(16)).join("")
    .padEnd(64, "0");

/** The node; its context is the chain. */
export class EthereumNode extends Peer<unknown, Chain> {
  readonly #heads = new Map<string, () => void>();

  override local: object = {
    eth_chainId: () => "0x539",
    net_version: () => "1337",
    eth_blockNumber: () => this.context.head.number,
    eth_getBalance: (address: string) => {
      if (!address.endsWith("1")) {
        throw new RpcError(-32602, "Unknown account", { address });
      }
      return toQuantity(10n ** 18n);
    },
    eth_getBlockByNumber: (block: string) => this.context.at(block) ?? null,
    eth_call: () => {
      throw new RpcError(3, "execution reverted: too late", tooLate);
    },
    eth_sendTransaction: () => {
      throw new RpcError(-32003, "insufficient funds for gas * price + value");
    },
    eth_subscribe: (topic: string) => {
      if (topic !== "newHeads") throw new RpcError(-32602, "Unknown topic");
      const subscription = `0x${crypto.randomUUID().replaceAll("-", "")}`;
      const stop = this.context.watch((result) =>
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

  override onclose(): void {
    for (const stop of this.#heads.values()) stop();
  }
}
