/**
 * Our clients with our servers: left silent for a minute, in a call of 45 seconds,
 * listening for a minute; and over a network that dies without a word, which is
 * known within 35 seconds wherever somebody can ask. All options are those that
 * there are by default, but for what the titles say.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import * as anySockets from "../../client.ts";
import { type CloseInfo, Peer, type PeerOptions } from "../../mod.ts";
import * as ws from "../../node.ts";
import { platforms } from "../servers.ts";
import { TcpProxy } from "../tcp_proxy.ts";
import { until } from "../interop/processes.ts";
import { longCall, minute, pass, together } from "./together.ts";

class Service extends Peer {
  readonly ends: CloseInfo[] = [];
  override local = {
    sum: (a: number, b: number) => a + b,
    slow: async () => {
      await pass(longCall);
      return "done";
    },
  };
  override onclose(end: CloseInfo): void {
    this.ends.push(end);
  }
}

/** A client of a kind, and how it comes to know whether its server lives. */
interface Kind {
  readonly name: string;
  readonly connect: typeof anySockets.connect;
  readonly options?: PeerOptions;
  /** Whether its owner asks once. */
  readonly isAsking?: boolean;
  /** Whether it can't ask. */
  readonly isBlind?: boolean;
}

const kinds: readonly Kind[] = [
  {
    name: "A client by Deno's sockets",
    connect: anySockets.connect,
  },
  {
    name: "A client by Deno's sockets whose owner called rpc.ping",
    connect: anySockets.connect,
    isAsking: true,
  },
  {
    name: "A client by Deno's sockets that shares frames",
    connect: anySockets.connect,
    options: { sharedFrames: true },
  },
  {
    name: "A client by Deno's sockets that speaks 1.0",
    connect: anySockets.connect,
    options: { version: "1.0" },
    isBlind: true,
  },
  { name: "A client by the sockets of ws", connect: ws.connect },
  {
    name: "A client by the sockets of ws that shares frames",
    connect: ws.connect,
    options: { sharedFrames: true },
  },
  {
    name: "A client by the sockets of ws that speaks 1.0",
    connect: ws.connect,
    options: { version: "1.0" },
  },
];

/** A client and its server's peer, over a network that may die. */
interface Pair extends AsyncDisposable {
  readonly client: Peer;
  readonly peer: Service;
  readonly proxy: TcpProxy;
  /** How the client's connections ended. */
  readonly ends: CloseInfo[];
  /** Resolves when the client is told to do something. */
  readonly told: Promise<unknown>;
}

async function open(
  { connect, options, isAsking = false }: Kind,
  platform: typeof platforms[number],
): Promise<Pair> {
  const server = await platform.serve(Service);
  const proxy = new TcpProxy(Number(new URL(server.url).port));
  const ends: CloseInfo[] = [];
  const { promise: told, resolve } = Promise.withResolvers<unknown>();
  const client = connect(`ws://127.0.0.1:${proxy.port}`, {
    ...options,
    local: { tell: resolve },
    onclose: (end) => void ends.push(end),
    onattempt: () => {},
  });
  assertEquals(await client.request("sum", [1, 2]), 3);
  if (isAsking) await client.request("rpc.ping");
  const [peer] = server.peers;
  return {
    client,
    peer: peer!,
    proxy,
    ends,
    told,
    async [Symbol.asyncDispose]() {
      client.close();
      await proxy[Symbol.asyncDispose]();
      await Promise.all([client.closed, server.shutdown()]);
    },
  };
}

for (const platform of platforms) {
  for (const kind of kinds) {
    const check = (what: string, act: (it: Pair) => Promise<void>): void =>
      together(`${kind.name} ${what}, on ${platform.name}`, async () => {
        await using it = await open(kind, platform);
        await act(it);
      });

    const checkCalm = (
      what: string,
      act: (it: Pair) => Promise<void>,
    ): void =>
      check(what, async (it) => {
        await act(it);
        assertEquals([it.ends, it.peer.ends], [[], []]);
      });

    checkCalm("calls after a minute of silence", async ({ client }) => {
      await pass(minute);
      assertEquals(await client.request("sum", [1, 2]), 3);
    });

    checkCalm(
      "has the answer to a call of 45 seconds",
      async ({ client }) => assertEquals(await client.request("slow"), "done"),
    );

    checkCalm("hears what is told after a minute", async ({ peer, told }) => {
      await pass(minute);
      peer.notify("tell", ["news"]);
      assertEquals(await told, "news");
    });

    const which = kind.isBlind
      ? " has a server that knows"
      : " and its server know";
    together(
      `${kind.name}${which} that the network has died, on ${platform.name}`,
      async () => {
        await using it = await open(kind, platform);
        it.proxy.die();
        await until(
          () => it.peer.ends.length > 0 && (kind.isBlind || it.ends.length > 0),
          "both know",
          40_000,
        );
        // It has no way to ask, nor to be told.
        if (kind.isBlind) assertEquals(it.client.state, "open");
      },
    );
  }
}
