/**
 * What compiles and what must not: checked by Deno, and by plain TypeScript with
 * the DOM library. Nothing here runs.
 */

import { connect } from "../../client.ts";
import {
  broadcast,
  type CannotTravel,
  marshal,
  type Marshaled,
  type MethodName,
  Peer,
  type Remote,
  type Socket,
  streams,
  type TheirsOf,
} from "../../mod.ts";
import { socketPair } from "../../testing.ts";

/** Compiles only if both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends
  (<T>() => T extends B ? 1 : 2) ? true : false;

function isSame<A, B>(_same: Same<A, B>): void {}

interface Page {
  message(user: string, text: string): void;
}

class Chat extends Peer<Page, { user: string }> {
  override local = {
    clients: () => ["ann"],
    say: (text: string, loud?: boolean) => loud === true ? text : undefined,
    later: async (ms: number) => await Promise.resolve(`${ms}`),
    sum: (...terms: number[]) => terms.length,
    math: { add: (a: number, b: number) => a + b },
    "textDocument/completion": (at: { line: number }) => at.line,
    version: "1",
  };

  async types(): Promise<void> {
    isSame<typeof this.context, { user: string }>(true);
    await this.remote.message("ann", "hello");
    // @ts-expect-error: there is no such method.
    await this.remote.mesage("ann", "hello");
  }
}

export async function typed(ws: WebSocket): Promise<void> {
  const chat = connect<Chat["local"]>("ws://localhost");
  isSame<typeof chat, Peer<Chat["local"], unknown>>(true);

  const clients = await chat.remote.clients();
  isSame<typeof clients, string[]>(true);
  const said = await chat.remote.say("hello");
  isSame<typeof said, string | null>(true);
  const later = await chat.remote.later(5);
  isSame<typeof later, string>(true);
  const sum = await chat.remote.math.add(1, 2);
  isSame<typeof sum, number>(true);
  await chat.remote.sum(1, 2, 3);
  await chat.remote["textDocument/completion"]({ line: 1 });

  // @ts-expect-error: a number is no text.
  await chat.remote.say(5);
  // @ts-expect-error: a parameter is missing.
  await chat.remote.math.add(1);
  // @ts-expect-error: one parameter too many.
  await chat.remote.clients(1);
  // @ts-expect-error: fields are not reachable.
  chat.remote.version;
  // @ts-expect-error: the remote is read only.
  chat.remote.clients = () => Promise.resolve([]);
  // @ts-expect-error: the remote itself is no method.
  chat.remote();

  const foreign = connect("wss://example.com");
  const block = await foreign.remote["eth_blockNumber"]!();
  isSame<typeof block, unknown>(true);
  const typedResult = await foreign.request<string>("eth_blockNumber");
  isSame<typeof typedResult, string>(true);
  // @ts-expect-error: params are an array or an object.
  await foreign.request("m", 5);

  // Any object with the WebSocket interface.
  new Peer(ws);
  new Peer(socketPair()[0]);
  const socket: Socket = ws;
  new Peer<Page>(socket).remote.message("ann", "hello");
  // @ts-expect-error: that is no socket.
  new Peer({ send() {} });

  // In a definition, `this` is the peer.
  connect<Chat["local"]>("ws://localhost", {
    local: {
      async message(user: string) {
        const clients = await this.remote.clients();
        return clients.includes(user);
      },
      deep: {
        er() {
          return this.call.method;
        },
      },
    },
    onopen() {
      this.notify("say", ["hello"]);
    },
    onclose({ code }) {
      isSame<typeof code, number>(true);
    },
  });

  // So it is in one that has settings beside it, and over a socket.
  connect<Chat["local"]>("ws://localhost", {
    local: {
      async message(user: string) {
        return (await this.remote.clients()).includes(user);
      },
    },
    reconnect: { attempts: 3 },
    handshakeTimeout: 5_000,
    timeout: Infinity,
    protocols() {
      // @ts-expect-error: it is called for no peer.
      return this.state;
    },
  });
  new Peer<Chat["local"]>(ws, {
    local: {
      async message(user: string) {
        return (await this.remote.clients()).includes(user);
      },
    },
    limits: { references: 0 },
  });
  new Peer(() => new WebSocket("ws://localhost"), { reconnect: false });
  new Peer(() => Promise.resolve(ws), { handshakeTimeout: Infinity });
  isSame<typeof chat.ws, Socket | undefined>(true);
  // @ts-expect-error: all of it is on.
  new Peer(ws, { use: [streams] });
  // @ts-expect-error: its name is references.
  new Peer(ws, { limits: { handles: 5 } });
  // @ts-expect-error: an instance has its connection.
  connect("ws://localhost", new Chat(ws));
  // @ts-expect-error: a class has its hooks, and settings alone behind it.
  connect("ws://localhost", Chat, { onopen() {} });

  const mine = connect("ws://localhost", Chat, { context: { user: "ann" } });
  isSame<typeof mine, Chat>(true);
  // @ts-expect-error: the context is another one.
  connect("ws://localhost", Chat, { context: { name: "ann" } });

  isSame<
    Remote<{ a(): Promise<number>; b: { c(): void } }>,
    { readonly a: () => Promise<number>; readonly b: Remote<{ c(): void }> }
  >(true);

  // request and notify know the same contract.
  const requested = await chat.request("math.add", [1, 2]);
  isSame<typeof requested, number>(true);
  isSame<Awaited<ReturnType<typeof chat.remote.clients>>, string[]>(true);
  await chat.request("clients");
  await chat.request("clients", [], { timeout: 5 });
  await chat.request("textDocument/completion", { line: 1 });
  await chat.request("later", { ms: 5 });
  chat.notify("say", ["hello", true]);
  chat.notify("clients");
  await chat.with({ timeout: 5 }).say("hello");
  // @ts-expect-error: a parameter is missing.
  await chat.request("math.add", [1]);
  // @ts-expect-error: all are missing.
  await chat.request("say");
  // @ts-expect-error: a number is no text.
  chat.notify("say", [5]);
  // @ts-expect-error: the object's member is no number.
  await chat.request("textDocument/completion", { line: "1" });
  // What the contract doesn't know stays within reach.
  const unknownResult = await chat.request("rpc.discover");
  isSame<typeof unknownResult, unknown>(true);
  await chat.request<string>("foreign", { any: 1 });
  chat.notify("foreign", [1]);
}

interface Wide {
  ticks(symbol: string): AsyncGenerator<{ price: number }>;
  readable(): Promise<ReadableStream<string>>;
  upload(name: string, chunks: AsyncIterable<string>): number;
  each(visit: (name: string, index: number) => Promise<boolean>): void;
  greeter(): (name: string) => string;
  account(): Promise<Marshaled<{ add(n: number): number }>>;
  nested(): { account: Marshaled<{ add(n: number): number }>; name: string };
  date(): { at: Date };
  anything(value: unknown): unknown;
  // deno-lint-ignore no-explicit-any
  loose(value: any): any;
  optional(a: number, b?: { c?: string | undefined }): { d?: number };
  union(value: string | { kind: "a" }): "x" | { kind: "b" } | null;
  tuple(): [number, string?];
  readonlyList(): readonly string[];
  generic<T>(value: T): T[];
  refuse(): never;
  maybe(): boolean | string | undefined;
  big(): bigint;
  takesBig(value: bigint): void;
  map(): Map<string, number>;
  takesMap(value: Map<string, number>): void;
  takesDate(value: Date): void;
  deep(): { list: { when: symbol }[] };
}

export async function wide(peer: Peer<Wide>): Promise<void> {
  const { remote } = peer;
  for await (const { price } of remote.ticks("ACME")) {
    isSame<typeof price, number>(true);
  }
  for await (const text of remote.readable()) isSame<typeof text, string>(true);
  for await (const text of await remote.readable()) text.length;
  async function* chunks(): AsyncGenerator<string> {
    yield await Promise.resolve("x");
  }
  await remote.upload("a", chunks());
  await remote.upload("a", new ReadableStream<string>());
  // @ts-expect-error: these are numbers.
  await remote.upload("a", new ReadableStream<number>());
  // @ts-expect-error: an array is no stream.
  await remote.upload("a", ["x"]);

  await remote.each((name) => name.length > 1);
  await remote.each(async (name, index) =>
    await Promise.resolve(name[index] === "")
  );
  // @ts-expect-error: it answers a boolean.
  await remote.each((name) => name);

  using greet = await remote.greeter();
  const greeting = await greet("ann");
  isSame<typeof greeting, string>(true);
  using account = await remote.account();
  const sum = await account.add(5);
  isSame<typeof sum, number>(true);
  const { account: inner, name } = await remote.nested();
  isSame<typeof name, string>(true);
  await inner.add(1);
  // @ts-expect-error: it is no field of the object.
  inner.sub;

  const { at } = await remote.date();
  isSame<typeof at, string>(true);
  isSame<Awaited<ReturnType<typeof remote.anything>>, unknown>(true);
  const loose: string = await remote.loose(5);
  loose.length;
  const { d } = await remote.optional(1);
  isSame<typeof d, number | undefined>(true);
  await remote.optional(1, {});
  const either = await remote.union({ kind: "a" });
  isSame<typeof either, "x" | { kind: "b" } | null>(true);
  const [first, second] = await remote.tuple();
  isSame<typeof first, number>(true);
  isSame<typeof second, string | undefined>(true);
  const list = await remote.readonlyList();
  isSame<typeof list, readonly string[]>(true);
  const generic = await remote.generic(5);
  isSame<typeof generic, unknown[]>(true);

  isSame<ReturnType<typeof remote.refuse>, Promise<never>>(true);
  isSame<
    ReturnType<typeof remote.maybe>,
    Promise<boolean | string | null>
  >(true);

  const big = await remote.big();
  isSame<typeof big, CannotTravel<"JSON has no bigint or symbol">>(true);
  // @ts-expect-error: JSON has no bigint.
  await remote.takesBig(5n);
  const map = await remote.map();
  isSame<
    typeof map,
    CannotTravel<"JSON has no Map, Set or bytes: return an array or a string">
  >(true);
  // @ts-expect-error: a Map arrives as {}.
  map.get("a");
  // @ts-expect-error: a Map arrives as {}.
  await remote.takesMap(new Map());
  isSame<
    Parameters<typeof remote.takesMap>,
    [
      value: CannotTravel<
        "JSON has no Map, Set or bytes: take an array or a string"
      >,
    ]
  >(true);
  // @ts-expect-error: a Date arrives as a string.
  await remote.takesDate(new Date());
  isSame<
    Parameters<typeof remote.takesDate>,
    [
      value: CannotTravel<
        "What has a toJSON, as a Date, arrives as what that returns: take that"
      >,
    ]
  >(true);
  const { list: [deep] } = await remote.deep();
  // @ts-expect-error: JSON has no symbol.
  const when: symbol = deep!.when;
  void when;

  marshal({ add: (n: number) => n }).target.add(1);
  using marked = marshal(() => 5);
  marked.target().toFixed();
  isSame<MethodName<{ a(): void; b: { c(): void; d: number } }>, "a" | "b.c">(
    true,
  );
  isSame<MethodName<unknown>, never>(true);
}

/** What is told to many is checked as what is told to one. */
export function told(): void {
  const chats = new Set<Chat>();
  const any = new Set<Peer>();
  const both = new Set<Chat | Peer>();
  isSame<TheirsOf<Chat>, Page>(true);
  broadcast(chats, "message", ["ann", "hello"]);
  broadcast(chats, "joined", [1]);
  broadcast(any, "message", [1]);
  broadcast(both, "message", [1]);
  // @ts-expect-error: an argument is missing.
  broadcast(chats, "message", ["ann"]);
  // @ts-expect-error: the user is no text.
  broadcast(chats, "message", [1, "hello"]);
  // @ts-expect-error: the arguments are missing.
  broadcast(chats, "message");
}
