/**
 * What compiles and what must not, of the server. Nothing here runs.
 */

import { Peer } from "../../mod.ts";
import * as node from "../../node.ts";
import { serve, upgrade } from "../../server.ts";

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
  // @ts-expect-error: an instance is no class.
  serve(new Plain(new WebSocket("ws://localhost")), { port: "8888" });

  serve({ local: { now: () => Date.now() } }, { port: 8888 });
  const server = serve({
    local: {
      who() {
        return this.context.user;
      },
    },
  }, { authorize: () => ({ user: "ann" }) });
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
  const plain = upgrade(Plain, { authorize: () => undefined });
  for (const peer of plain.peers) peer.close();
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
  const server = await node.serve({ local: {} }, {
    authorize: () => ({ user: "ann" }),
  });
  for (const peer of server.peers) peer.context.user.length;
  const { closed, cut, running } = await server.drain({ within: 1_000 });
  closed.toFixed(cut);
  running.join();
}
