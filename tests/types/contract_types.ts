/**
 * What compiles and what must not, of the contract between the two sides: what is
 * JSON passes through it unchanged, and what the types promise arrives. Checked by
 * Deno, and by plain TypeScript with and without `Symbol.dispose`. Nothing here
 * runs.
 */

import type {
  Marshaled,
  OwnName,
  Remote,
  RemoteReference,
  UntypedRemote,
} from "../../src/peer/contract.ts";

/** Compiles only if both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends
  (<T>() => T extends B ? 1 : 2) ? true : false;

function isSame<A, B>(_same: Same<A, B>): void {}

type Json =
  | string
  | number
  | boolean
  | null
  | Json[]
  | { [name: string]: Json };

type ReadonlyJson =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly ReadonlyJson[]
  | { readonly [name: string]: ReadonlyJson };

/** It holds itself, and what is no JSON. */
type Dated = string | Date | Dated[] | { [name: string]: Dated };

interface Tree {
  readonly value: Json;
  readonly children: Tree[];
}

interface Dates {
  readonly at: Date;
  readonly within: Dates[];
}

interface Order {
  id: number;
  lines: string[];
}

interface Recursive {
  json(): Json;
  later(): Promise<Json>;
  list(): Json[];
  nested(): { data: Json; at: Date };
  readonly(): ReadonlyJson;
  tree(): Tree;
  trees(): Promise<Tree[]>;
  dated(): Dated;
  dates(): Dates;
  stream(): AsyncIterable<Json>;
  take(data: Json, tree: Tree, order: Order): void;
  takeDated(data: Dated): void;
  upload(chunks: AsyncIterable<Json>): void;
  each(visit: (data: Json) => Promise<Json>): void;
  lend(): Marshaled<{ get(): Json; set(data: Json): void }>;
  borrow(box: RemoteReference<{ get(): Json }>): Json;
}

export async function recursive(
  remote: Remote<Recursive>,
  box: Marshaled<{ get(): Json }>,
  tree: Tree,
): Promise<void> {
  isSame<Awaited<ReturnType<typeof remote.json>>, Json>(true);
  isSame<Awaited<ReturnType<typeof remote.later>>, Json>(true);
  isSame<Awaited<ReturnType<typeof remote.list>>, Json[]>(true);
  const { data, at } = await remote.nested();
  isSame<typeof data, Json>(true);
  isSame<typeof at, string>(true);
  const any: ReadonlyJson = await remote.readonly();
  void any;
  const { value, children: [child] } = await remote.tree();
  isSame<typeof value, Json>(true);
  const again: Tree | undefined = child;
  void again;
  const [first] = await remote.trees();
  const deep: Json | undefined = first?.children[0]?.children[0]?.value;
  void deep;
  const dates = await remote.dates();
  const date: string | undefined = dates.within[0]?.within[0]?.at;
  void date;
  const dated = await remote.dated();
  if (typeof dated === "object" && Array.isArray(dated)) dated.length;
  for await (const item of remote.stream()) isSame<typeof item, Json>(true);
  isSame<
    Parameters<typeof remote.take>,
    [data: Json, tree: Tree, order: Order]
  >(true);
  await remote.take({ a: [1, { b: null }] }, tree, { id: 1, lines: [] });
  await remote.take(await remote.json(), await remote.tree(), {
    id: 1,
    lines: ["a"],
  });
  // @ts-expect-error: a Date is no JSON.
  await remote.take(new Date(), tree, { id: 1, lines: [] });
  // @ts-expect-error: a Date would arrive as a string.
  await remote.takeDated(new Date());
  await remote.each((data) => data);
  const lent = await remote.lend();
  await lent.set(await lent.get());
  isSame<Awaited<ReturnType<typeof remote.borrow>>, Json>(true);
  await remote.borrow(box);
}

export class Nominal {
  #secret = 1;
  query(text: string): string {
    return `${text}${this.#secret}`;
  }
}

interface Promises {
  nothing(): void;
  undefined(): undefined;
  sometimes(loud: boolean): string | undefined;
  eventually(): Promise<number | undefined>;
  holes(): (number | undefined)[];
  pair(): [number, string | undefined];
  tail(): [number, string?];
  member(): { a?: number; b: number | undefined };
  stream(): AsyncIterable<number | undefined>;
  functions(): AsyncIterable<() => number>;
  error(): Error;
  errors(): { cause: Error }[];
  message(): { name: string; message: string };
  callback(): { name: string; onclick?: () => void };
  database: Nominal;
  map: Map<string, number>;
  list: (() => void)[];
  optional?(name: string): number;
  group?: { method(): string };
  middle(a?: string, b?: number): string;
  three(a: string, b?: string, c?: { d: number }): void;
  required(a: string | undefined, b: number): void;
  last(a: number, b: string | undefined): void;
  rest(a?: string, ...rest: number[]): void;
  takeHoles(holes: (number | undefined)[]): void;
  uploadDates(dates: AsyncIterable<Date>): void;
  takeError(error: Error): void;
  takeDate(it: { at: Date }): void;
  takeDates(it: { list: { at: Date }[] }): void;
  takeCallback(it: { name: string; onclick?: () => void }): void;
  takeMarked(it: { onclick: RemoteReference<(n: number) => void> }): void;
  takeMap(it: { map: Map<string, number> }): void;
}

export async function promises(
  remote: Remote<Promises>,
  mark: Marshaled<(n: number) => void>,
): Promise<void> {
  isSame<ReturnType<typeof remote.nothing>, Promise<void>>(true);
  isSame<ReturnType<typeof remote.undefined>, Promise<null>>(true);
  isSame<ReturnType<typeof remote.sometimes>, Promise<string | null>>(true);
  isSame<ReturnType<typeof remote.eventually>, Promise<number | null>>(true);
  isSame<ReturnType<typeof remote.holes>, Promise<(number | null)[]>>(true);
  isSame<ReturnType<typeof remote.pair>, Promise<[number, string | null]>>(
    true,
  );
  isSame<ReturnType<typeof remote.tail>, Promise<[number, string?]>>(true);
  const { a, b } = await remote.member();
  isSame<typeof a, number | undefined>(true);
  isSame<typeof b, number | undefined>(true);
  for await (const n of remote.stream()) isSame<typeof n, number | null>(true);

  for await (const fn of remote.functions()) {
    // @ts-expect-error: a stream carries no functions.
    fn();
  }

  const error = await remote.error();
  // @ts-expect-error: an Error arrives as {}.
  error.message;
  const [entry] = await remote.errors();
  // @ts-expect-error: an Error arrives as {}.
  entry!.cause.message;
  const { message } = await remote.message();
  isSame<typeof message, string>(true);
  const callback = await remote.callback();
  // @ts-expect-error: a function that stands in a result is left out.
  callback.onclick;

  // @ts-expect-error: an instance is no group, what it inherits is not reachable.
  await remote.database.query("a");
  // @ts-expect-error: nor is a Map.
  await remote.map.get("a");
  // @ts-expect-error: nor an array.
  await remote.list.at(0);
  isSame<ReturnType<typeof remote.optional>, Promise<number>>(true);
  await remote.optional("a");
  await remote.group.method();

  await remote.middle();
  await remote.middle("a");
  await remote.middle(undefined);
  await remote.middle("a", 1);
  await remote.middle("a", undefined);
  // @ts-expect-error: what is left out in the middle arrives as null.
  await remote.middle(undefined, 1);
  await remote.three("a");
  await remote.three("a", undefined);
  await remote.three("a", "b", { d: 1 });
  // @ts-expect-error: what is left out in the middle arrives as null.
  await remote.three("a", undefined, { d: 1 });
  // @ts-expect-error: a parameter is missing.
  await remote.three();
  // @ts-expect-error: one parameter too many.
  await remote.three("a", "b", { d: 1 }, 2);
  await remote.required("a", 1);
  // @ts-expect-error: it would arrive as null.
  await remote.required(undefined, 1);
  // @ts-expect-error: a parameter is missing.
  await remote.required("a");
  await remote.last(1, undefined);
  await remote.rest("a", 1, 2);
  await remote.takeHoles([1]);
  // @ts-expect-error: it would arrive as null.
  await remote.takeHoles([1, undefined]);
  // @ts-expect-error: a Date arrives as a string.
  await remote.uploadDates(new ReadableStream<Date>());
  // @ts-expect-error: an Error arrives as {}.
  await remote.takeError(new Error("a"));
  // @ts-expect-error: a Date arrives as a string.
  await remote.takeDate({ at: new Date() });
  // @ts-expect-error: a Date arrives as a string.
  await remote.takeDates({ list: [{ at: new Date() }] });
  // @ts-expect-error: a function that stands in an argument is left out.
  await remote.takeCallback({ name: "a", onclick() {} });
  await remote.takeMarked({ onclick: mark });
  // @ts-expect-error: it is not marked.
  await remote.takeMarked({ onclick() {} });
  // @ts-expect-error: a Map arrives as {}.
  await remote.takeMap({ map: new Map() });
}

interface Named {
  apply(n: number): string;
  name(): string;
  then(): string;
  group: { toString(): string; $$typeof(): string; fine(): number };
  save(n: number): string;
}

export async function names(
  remote: Remote<Named>,
  untyped: UntypedRemote,
  reference: RemoteReference<{ call(): string; ring(): string }>,
): Promise<void> {
  // A method is a function.
  isSame<ReturnType<typeof remote.save>, Promise<string>>(true);
  const saved = await remote.save.apply({ password: "1234" }, [1]);
  isSame<typeof saved, string>(true);
  await remote.save.call(undefined, 1);
  await remote.save.bind(undefined)(1);
  isSame<typeof remote.save.name, string>(true);
  // @ts-expect-error: it takes a number.
  await remote.save.call(undefined, "1");
  await untyped["save"]!.apply(undefined, [1]);
  await untyped["deep"]!["save"]!.call(undefined, 1);
  await untyped["add"]!(1);
  await remote.group.fine();
  await reference.ring();
  isSame<"$/progress" extends OwnName ? true : false, false>(true);

  // @ts-expect-error: that is a function's.
  await remote.apply(1);
  // @ts-expect-error: that is a function's.
  await remote.name();
  // @ts-expect-error: that would be called by whoever awaits it.
  await remote.then();
  // @ts-expect-error: that is every object's.
  await remote.group.toString();
  // @ts-expect-error: that is looked up by what prints.
  await remote.group.$$typeof();
  // @ts-expect-error: that is a function's.
  await reference.call();
  // @ts-expect-error: that is a function's.
  await untyped["apply"]!();
  // @ts-expect-error: that is looked up by matchers.
  await untyped["asymmetricMatch"]!();
}
