/**
 * What compiles and what must not, of the server. Nothing here runs.
 */

import { Peer } from "../../mod.ts";
import { serve, upgrade } from "../../server.ts";

class Plain extends Peer {}
class Named extends Peer<unknown, { user: string }> {}

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
}
