/**
 * The door for Cloudflare as tests know servers: in a Durable Object that has them all,
 * each at a path of its own, reached over the network.
 *
 * @module
 */

import type { ListeningServer } from "../../src/server/listening.ts";
import type { ServicePeer } from "../../server.ts";
import {
  hibernate,
  type Hibernation,
  type ObjectState,
} from "../../workers.ts";

/** The object that the tests run in, and where it is reached: once it has begun. */
export const place: { ctx: ObjectState | undefined; origin: string } = {
  ctx: undefined,
  origin: "",
};

/** The servers by their paths. */
const all = new Map<string, Hibernation>();
let count = 0;

/** Serves a class, or a definition, until it is shut down. */
export function serve(
  service: unknown,
  settings: object,
): ListeningServer<ServicePeer> {
  const { ctx } = place;
  if (ctx === undefined) throw new Error("No object has begun");
  const make = hibernate as unknown as (
    ctx: ObjectState,
    service: unknown,
    settings: object,
  ) => Hibernation;
  // The sockets of the other servers are not its own.
  const served = make(
    {
      acceptWebSocket: (ws, tags) => ctx.acceptWebSocket(ws, tags),
      getWebSockets: () => [],
      setWebSocketAutoResponse: (pair) => ctx.setWebSocketAutoResponse(pair),
    },
    service,
    settings,
  );
  const path = `/${++count}/`;
  all.set(path, served);
  const { port } = new URL(place.origin);
  const closes = async (): Promise<void> => {
    await Promise.all(Array.from(served.peers, (peer) => {
      peer.close(1001, "Server is shutting down");
      return peer.closed;
    }));
    all.delete(path);
  };
  const server = {
    addr: { transport: "tcp", hostname: "127.0.0.1", port: Number(port) },
    url: `ws://127.0.0.1:${port}${path}`,
    peers: served.peers,
    shutdown: closes,
    [Symbol.asyncDispose]: closes,
  };
  return server as unknown as ListeningServer<ServicePeer>;
}

/** The handlers of the object. */
export const handlers: Omit<Hibernation, "peers"> = {
  fetch(request) {
    const { pathname } = new URL(request.url);
    const [path] = /^\/\d+\//.exec(pathname) ?? [];
    // Whoever asks for another path, as some tests do, means the last one.
    const served = path === undefined
      ? [...all.values()].at(-1)
      : all.get(path);
    return served?.fetch(request) ?? new Response("Gone", { status: 410 });
  },
  webSocketMessage(...event) {
    for (const served of all.values()) served.webSocketMessage(...event);
  },
  webSocketClose(...event) {
    for (const served of all.values()) served.webSocketClose(...event);
  },
  webSocketError(...event) {
    for (const served of all.values()) served.webSocketError(...event);
  },
};
