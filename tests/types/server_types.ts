/**
 * What compiles and what must not, of the server. Nothing here runs.
 */

import { Peer } from "../../mod.ts";
import * as node from "../../node.ts";
import { serve, upgrade } from "../../server.ts";

/** Compiles only if both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends
  (<T>() => T extends B ? 1 : 2) ? true : false;

function isSame<A, B>(_same: Same<A, B>): void {}

class Plain extends Peer {}
class Named extends Peer<unknown, { user: string }> {}
class Later extends Peer<unknown, { user: string } | undefined> {}

export function typed(): void {
  serve(Plain);
  serve(Plain, { port: 8888, onListen: ({ port }) => port.toFixed() });
  serve(Plain, { path: "/run/rpc", onListen: ({ path }) => path.length });
  serve(Plain, { port: 8888, cert: "...", key: "..." });
  upgrade(Plain);

  serve(Named, { authorize: () => ({ user: "ann" }) });
  serve(Named, { authorize: () => Promise.resolve({ user: "ann" }) });
  serve(Named, {
    authorize: (request) =>
      request.headers.has("cookie")
        ? { user: "ann" }
        : new Response(null, { status: 401 }),
  });
  // @ts-expect-error: its context must come from somewhere.
  serve(Named);
  // @ts-expect-error: its context must come from somewhere.
  serve(Named, { port: 8888 });
  // @ts-expect-error: its context must come from somewhere.
  upgrade(Named, {});
  // @ts-expect-error: that is another context.
  serve(Named, { authorize: () => ({ name: "ann" }) });
  const plain = new Plain(new WebSocket("ws://localhost"));
  // @ts-expect-error: an instance is no class.
  serve(plain);
  // @ts-expect-error: an instance is no class.
  serve(plain, { port: 8888 });
  // @ts-expect-error: an instance is no class.
  upgrade(plain);

  serve({ local: { now: () => Date.now() }, port: 8888 });
  serve({ path: "/run/rpc", onListen: ({ path }) => path.length });
  // @ts-expect-error: a definition has its settings in it.
  serve({ local: {} }, { port: 8888 });
  const server = serve({
    authorize: (request) => ({ user: request.url }),
    local: {
      who() {
        return this.context.user;
      },
    },
    onopen() {
      isSame<typeof this, Peer<unknown, { user: string }>>(true);
    },
    onerror(error) {
      isSame<typeof error, unknown>(true);
      isSame<typeof this, Peer<unknown, { user: string }> | undefined>(true);
    },
    fetch() {
      // @ts-expect-error: it is called for no peer.
      return new Response(this.state);
    },
  });
  for (const peer of server.peers) peer.context.user.length;

  serve(Later, { requireContext: true });
  serve(Later, {
    requireContext: true,
    authorize: (request) =>
      request.headers.has("cookie") ? { user: "ann" } : undefined,
    origins: ["https://example.com"],
    hosts: ["example.com"],
    limits: { connections: 100, messageLength: 1_000 },
  });
  serve(Plain, { origins: "*", hosts: "loopback" });
  serve(Plain, { origins: (origin) => Promise.resolve(origin === "null") });
  // @ts-expect-error: a function answers yes or no.
  serve(Plain, { origins: () => "yes" });
  // @ts-expect-error: there is no such limit.
  serve(Plain, { limits: { connection: 100 } });
  for (const later of serve(Later, {}).peers) {
    later.context = { user: "ann" };
    later.context = undefined;
    // @ts-expect-error: that is another context.
    later.context = { name: "ann" };
  }
  const plains = upgrade(Plain, { authorize: () => undefined });
  for (const peer of plains.peers) peer.close();
}

export async function typedForNode(): Promise<void> {
  await node.serve(Plain);
  await node.serve(Plain, {
    port: 8888,
    onListen: ({ port }) => port?.toFixed(),
  });
  await node.serve(Named, {
    authorize: (_, { incoming }) => ({ user: incoming.headers.cookie ?? "" }),
  });
  // @ts-expect-error: its context must come from somewhere.
  await node.serve(Named, { port: 8888 });
  // @ts-expect-error: its context must come from somewhere.
  node.upgrade(Named, {});
  // @ts-expect-error: an instance is no class.
  node.upgrade(new Plain(new WebSocket("ws://localhost")));
  const server = await node.serve({
    authorize: ({ url }) => ({ user: url }),
    local: {
      who() {
        return this.context.user;
      },
    },
  });
  const client = node.connect<Named["local"]>(server.url, {
    headers: { cookie: "ticket=5" },
    webSocketOptions: { ca: "...", maxPayload: 5 },
    onopen() {
      isSame<typeof this, Peer<object>>(true);
    },
  });
  isSame<typeof client, Peer<object>>(true);
  const named = node.connect(server.url, Named, { context: { user: "ann" } });
  isSame<typeof named, Named>(true);
  // @ts-expect-error: its sockets are those of ws.
  node.connect(server.url, { createSocket: (url) => new WebSocket(url) });
  for (const peer of server.peers) peer.context.user.length;
  const { closed, cut, running } = await server.drain({ within: 1_000 });
  closed.toFixed(cut);
  running.join();
}
