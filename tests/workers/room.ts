// A room of people who hear each other: docs/guide/workers.md prints it.
import { broadcast } from "@jsonrpcws/peer";
import { hibernate, type ObjectState, upgrade } from "@jsonrpcws/peer/workers";

/** What a page lets be called. */
interface Page {
  hear(name: string, text: string): void;
}

/** A Durable Object: a room, and all who are in it. */
export class Room {
  constructor(ctx: ObjectState) {
    const room = hibernate<Page, string>(ctx, {
      // The context: it outlives a sleep.
      authorize: (request) =>
        new URL(request.url).searchParams.get("name") ?? "somebody",
      local: {
        say(text: string): number {
          return broadcast(room.peers, "hear", [this.context, text]);
        },
        rename(name: string): void {
          this.context = name;
        },
        names: (): string[] => Array.from(room.peers, (peer) => peer.context),
      },
      onopen() {
        this.notify("hear", ["room", `Welcome, ${this.context}`]);
      },
      onresume() {
        // Not a word: who is here has heard the welcome.
      },
    });
    // fetch, webSocketMessage, webSocketClose and webSocketError.
    Object.assign(this, room);
  }
}

/** The rooms, as wrangler.jsonc binds them. */
interface Env {
  ROOM: {
    getByName(name: string): { fetch(request: Request): Promise<Response> };
  };
}

// A service without a room: each connection by itself.
const clock = upgrade({ local: { now: () => Date.now() } });

/** The Worker: it passes on who wants to enter a room. */
export default {
  fetch(request: Request, env: Env): Response | Promise<Response> {
    const [, place, name] = new URL(request.url).pathname.split("/");
    return place === "room" && name
      ? env.ROOM.getByName(name).fetch(request)
      : clock(request, env);
  },
};
