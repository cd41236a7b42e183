/**
 * What compiles and what must not, of the contract, where the library of types
 * has no `Symbol.dispose`. Nothing here runs.
 */

import type {
  Marshaled,
  Remote,
  RemoteReference,
} from "../../src/peer/contract.ts";

/** Compiles only if both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends
  (<T>() => T extends B ? 1 : 2) ? true : false;

function isSame<A, B>(_same: Same<A, B>): void {}

interface Order {
  readonly id: number;
  readonly lines: readonly string[];
}

interface Theirs {
  order(order: Order): Order;
  point(at: { line: number }): number;
  options(options: { deep?: boolean }): void;
  sum(terms: number[]): number;
  pair(pair: [string, number]): void;
  orders(orders: Order[]): void;
  each(visit: (name: string) => boolean): void;
  account(): Marshaled<{ add(n: number): number }>;
  settle(account: RemoteReference<{ add(n: number): number }>): void;
}

export async function typed(
  remote: Remote<Theirs>,
  mine: Marshaled<{ add(n: number): number }>,
): Promise<void> {
  const order = await remote.order({ id: 1, lines: ["a"] });
  isSame<typeof order, Order>(true);
  isSame<Parameters<typeof remote.order>, [order: Order]>(true);
  isSame<Parameters<typeof remote.point>, [at: { line: number }]>(true);
  isSame<Parameters<typeof remote.sum>, [terms: number[]]>(true);
  await remote.point({ line: 1 });
  await remote.options({});
  await remote.sum([1, 2]);
  await remote.pair(["a", 1]);
  await remote.orders([order]);
  await remote.each((name) => name.length > 1);
  const account = await remote.account();
  const sum = await account.add(5);
  isSame<typeof sum, number>(true);
  await remote.settle(account);
  await remote.settle(mine);

  // @ts-expect-error: a member is missing.
  await remote.order({ id: 1 });
  // @ts-expect-error: a member is of another type.
  await remote.order({ id: "1", lines: [] });
  // @ts-expect-error: a line is a number.
  await remote.point({ line: "1" });
  // @ts-expect-error: a number is no object.
  await remote.point(1);
  // @ts-expect-error: a member is of another type.
  await remote.options({ deep: 1 });
  // @ts-expect-error: an element is of another type.
  await remote.sum([1, "2"]);
  // @ts-expect-error: an object is no array.
  await remote.sum({});
  // @ts-expect-error: an element is missing.
  await remote.pair(["a"]);
  // @ts-expect-error: an element's member is missing.
  await remote.orders([{ id: 1 }]);
  // @ts-expect-error: it answers a boolean.
  await remote.each((name) => name);
  // @ts-expect-error: it takes a number.
  await account.add("5");
  // @ts-expect-error: a number is no reference.
  await remote.settle(1);
  // @ts-expect-error: there is no such method.
  account.sub;
}
