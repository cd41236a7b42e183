/**
 * What compiles and what must not: checked by Deno, and by plain TypeScript with
 * the DOM library. Nothing here runs.
 */

import { connect } from "../../client.ts";
import { Peer, type Remote, type Socket } from "../../mod.ts";
import { socketPair } from "../../src/socket_pair.ts";

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
  isSame<typeof said, string | undefined>(true);
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

  const mine = connect("ws://localhost", Chat, { context: { user: "ann" } });
  isSame<typeof mine, Chat>(true);
  // @ts-expect-error: the context is another one.
  connect("ws://localhost", Chat, { context: { name: "ann" } });

  isSame<
    Remote<{ a(): Promise<number>; b: { c(): void } }>,
    { readonly a: () => Promise<number>; readonly b: Remote<{ c(): void }> }
  >(true);
}
