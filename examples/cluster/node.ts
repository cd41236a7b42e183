/**
 * One server of the chat that many serve: started by ../cluster.ts, with the address
 * of the engine, and a name. It prints where it listens, and drains when its input
 * ends.
 *
 * @module
 */

import { cluster } from "../../cluster.ts";
import { broadcast, Peer } from "../../mod.ts";
import { serve } from "../../server.ts";
import { socketPair } from "../../testing.ts";
import {
  type Chat,
  checkedId,
  checkedText,
  checkedUsername,
  type Message,
  type Page,
  type People,
} from "../chat/chat.ts";
import { serveFiles } from "../static.ts";
import { connectEngine } from "./engine.ts";

/** What everybody is listed with. */
interface Person {
  readonly name: string;
  /** The name of the server. */
  readonly node: string;
  /** When the person came: ms since 1970, by the clock of that server. */
  readonly since: number;
}

/** That many messages are kept. */
const KEPT = 50;

const [address = "", node = ""] = Deno.args;
const { engine, close } = await connectEngine(address);
const nodes = await cluster({
  engine,
  prefix: "chat",
  onerror: (error) => console.error(`Server ${node}: ${error}`),
});
const lobby = nodes.room<Page, Person | null>("lobby");

/** The last messages that have an id, by it. */
const messages = new Map<string, Message>();

/** Somebody in the room, who is connected to this server. */
class Somebody extends Peer<Page> {
  readonly #since = Date.now();
  #name = "anon";

  override local = {
    /** Takes a name; by the key, a page that comes again is the same person. */
    set_username: async (username: string, key?: string): Promise<void> => {
      const known = checkedId(key);
      this.#name = checkedUsername(username);
      await lobby.join(this, {
        ...(known !== undefined && { key: known }),
        data: { name: this.#name, node, since: this.#since },
      });
    },

    /** Who is there, on whatever server, in the order of their coming. */
    people: async (): Promise<People> => {
      const { members } = await lobby.members();
      // Whose connection was lost, and nobody knew, is there but once.
      const people = new Map<string, Person>();
      let own: Person | undefined;
      const ownId = nodes.idOf(this);
      for (const { id, key = id, data } of members) {
        if (data === null) continue;
        const other = people.get(key);
        if (other === undefined || other.since < data.since) {
          people.set(key, data);
        }
        if (id === ownId) own = data;
      }
      const all = [...people.values()].sort((a, b) => a.since - b.since);
      return {
        names: all.map(({ name }) => name),
        own: all.findIndex((person) => person === own),
        nodes: all.map(({ node }) => node),
      };
    },

    /** Says something to everybody; again under the same id, it is said once. */
    say: (text: string, id?: string): void => {
      const said = checkedText(text);
      const known = checkedId(id);
      if (known === undefined) lobby.notify("message", [this.#name, said]);
      else if (!messages.has(known)) {
        lobby.notify("message", [this.#name, said, known, Date.now()]);
      }
    },

    /** What was said last, on whatever server. */
    messages: (): Message[] => [...messages.values()],
  } satisfies Omit<Shown, "clients">;
}

/** What the page calls: the same as of one server. */
type Shown = {
  [Name in keyof Chat["local"]]: (
    ...params: Parameters<Chat["local"][Name]>
  ) => unknown;
};

// This server is in the room itself, and keeps what it hears.
const [own, others] = socketPair();
const ear = new Peer(own, {
  local: {
    message(...message: Message): void {
      const [, , id] = message;
      if (id === undefined) return;
      messages.set(id, message);
      const [oldest] = messages.keys();
      if (messages.size > KEPT) messages.delete(oldest!);
    },
  },
});
await lobby.join(new Peer<Page>(others), { data: null });

const server = serve(Somebody, {
  port: 0,
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.log(port),
  fetch: await serveFiles("examples/chat"),
});

lobby.ongap = () => void broadcast(server.peers, "missed");
const told = (async () => {
  for await (const _change of lobby.changes()) {
    broadcast(server.peers, "joinpart");
  }
})();

for await (const _chunk of Deno.stdin.readable);
await server.drain();
ear.close();
await nodes.close();
await told;
await close();
Deno.exit();
