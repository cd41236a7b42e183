/**
 * What compiles with the slim client and what must not: checked by Deno, and by
 * plain TypeScript with the DOM library. Nothing here runs.
 */

import { notifications, resume, subscribe } from "../../mod.ts";
import { type Call, connect, Peer, references, streams } from "../../slim.ts";
import { socketPair } from "../../testing.ts";

/** Compiles only if both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends
  (<T>() => T extends B ? 1 : 2) ? true : false;

function isSame<A, B>(_same: Same<A, B>): void {}

interface Server {
  clients(): string[];
  say(text: string, loud?: boolean): string | undefined;
  math: { add(a: number, b: number): Promise<number> };
  ticks(symbol: string): AsyncGenerator<{ price: number }>;
  version: string;
}

class Page extends Peer<Server, { user: string }> {
  override local = { show: (text: string) => text.length };

  async types(): Promise<void> {
    isSame<typeof this.context, { user: string }>(true);
    await this.remote.clients();
    // @ts-expect-error: there is no such method.
    await this.remote.client();
  }
}

export async function typed(ws: WebSocket): Promise<void> {
  const client = connect<Server>("ws://localhost");
  isSame<typeof client, Peer<Server, unknown>>(true);
  isSame<typeof client.state, "connecting" | "open" | "closed">(true);
  isSame<typeof client.call, Call>(true);

  const clients = await client.remote.clients();
  isSame<typeof clients, string[]>(true);
  const sum = await client.with({ timeout: 5 }).math.add(1, 2);
  isSame<typeof sum, number>(true);
  for await (const { price } of client.remote.ticks("ACME")) {
    isSame<typeof price, number>(true);
  }
  const requested = await client.request("math.add", [1, 2]);
  isSame<typeof requested, number>(true);
  const foreign = await client.request("foreign", { any: 1 });
  isSame<typeof foreign, unknown>(true);
  const told: boolean = client.notify("say", ["hello", true]);
  void told;

  // @ts-expect-error: a number is no text.
  await client.remote.say(5);
  // @ts-expect-error: a parameter is missing.
  await client.remote.math.add(1);
  // @ts-expect-error: fields are not reachable.
  client.remote.version;
  // @ts-expect-error: all params are missing.
  await client.request("say");
  // @ts-expect-error: a number is no text.
  client.notify("say", [5]);
  // @ts-expect-error: params are an array or an object.
  await client.request("foreign", 5);
  // @ts-expect-error: it has no batches.
  client.batch(() => {});
  // @ts-expect-error: its state is its own.
  client.state = "open";

  // In a definition, `this` is the peer.
  connect<Server>("ws://localhost", {
    local: {
      async show(text: string) {
        isSame<typeof this.ws, Peer["ws"]>(true);
        return (await this.remote.clients()).includes(text);
      },
    },
    onopen() {
      this.notify("say", ["hello"]);
    },
    onclose({ retryIn }) {
      isSame<typeof retryIn, number | undefined>(true);
    },
  });
  connect("ws://localhost", { oninvalid: (text) => text === "" });
  // @ts-expect-error: it speaks one version.
  connect("ws://localhost", { version: "1.0" });
  connect("ws://localhost", { use: [streams, references] });
  // @ts-expect-error: a part is not anybody's to make.
  connect("ws://localhost", { use: [{}] });
  // @ts-expect-error: an instance has its connection.
  connect("ws://localhost", new Page(ws));

  const page = connect("ws://localhost", Page, { context: { user: "ann" } });
  isSame<typeof page, Page>(true);
  // @ts-expect-error: the context is another one.
  connect("ws://localhost", Page, { context: { name: "ann" } });

  // Any object with the WebSocket interface, or what makes one.
  new Peer(ws);
  new Peer<Server>(socketPair()[0]).remote.clients();
  new Peer(() => new WebSocket("ws://localhost"));
  new Peer(() => Promise.resolve(ws), { reconnect: { attempts: 3 } });
  // @ts-expect-error: that is no socket.
  new Peer({ send() {} });

  const names = { subscribe: "a", unsubscribe: "b", notification: "c" };
  for await (const event of subscribe<string>(client, names)) event.length;
  for await (const [price] of notifications<[number]>(page, "tick")) price + 1;
  for await (
    const { price } of resume(client, () => client.remote.ticks("A"))
  ) {
    price.toFixed();
  }
}
