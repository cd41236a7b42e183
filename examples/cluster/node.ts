/**
 * One server of the chat on many servers: started by ../cluster.ts, with the address
 * of the engine, and a name. It prints its own address, and drains when its input
 * ends.
 *
 * @module
 */

import { cluster, type JoinOptions } from "../../cluster.ts";
import { broadcast, Peer, RpcError } from "../../mod.ts";
import { serve } from "../../server.ts";
import {
  type Chat,
  checkedId,
  checkedText,
  checkedUsername,
  type Message,
  type Page,
  type People,
  TEXT_REFUSED,
} from "../chat/chat.ts";
import { serveFiles } from "../static.ts";
import { connectEngine } from "./engine.ts";

/** A person as the room lists it. */
interface Person {
  readonly name: string;
  /** The name of the server. */
  readonly node: string;
  /** The time of the person's coming: ms since 1970, by the clock of that server. */
  readonly since: number;
}

/** The number of messages that a new page gets. */
const LAST = 50;

const [address = "", node = ""] = Deno.args;
const { engine, close } = await connectEngine(address);
const nodes = await cluster({
  engine,
  prefix: "chat",
  onerror: (error) => console.error(`Server ${node}: ${error}`),
});
// The engine keeps the messages, so a page gets them from any server.
const lobby = nodes.room<Page, Person | null>("lobby", { history: true });

/** Somebody in the room, who is connected to this server. */
class Somebody extends Peer<Page> {
  readonly #since = Date.now();
  #name = "anon";
  /** The options of joining: a person without a name is not listed. */
  #as: JoinOptions<Person | null> = { data: null };

  override local = {
    /** Takes a name; a page that comes again with its key is the same person. */
    set_username: async (username: string, key?: string): Promise<void> => {
      const known = checkedId(key);
      this.#name = checkedUsername(username);
      this.#as = {
        ...(known !== undefined && { key: known }),
        data: { name: this.#name, node, since: this.#since },
      };
      await lobby.join(this, this.#as);
    },

    /** The people on all servers, in the order of their coming. */
    people: async (): Promise<People> => {
      const { members } = await lobby.members();
      // By key, so that a page with a lost connection that is still listed counts once.
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

    /** Says something to everybody; a second time under the same id is ignored. */
    say: async (text: string, id?: string): Promise<void> => {
      const said = checkedText(text);
      const known = checkedId(id);
      if (known !== undefined && await isSaid(known)) return;
      const message: Required<Message> | [string, string] = known === undefined
        ? [this.#name, said]
        : [this.#name, said, known, Date.now()];
      try {
        await lobby.publish("message", message);
      } catch {
        throw new RpcError(TEXT_REFUSED, "It could not be said: try again");
      }
    },

    /**
     * Sends a page the messages since a position, from all servers, or the last ones;
     * and those from now on.
     */
    messages: async (since?: string): Promise<Message[]> => {
      const { isWhole } = await lobby.catchUp(this, since ?? LAST, this.#as);
      // Some messages are kept no more: the page asks again, for the last ones.
      if (!isWhole && since !== undefined) this.notify("missed");
      return [];
    },
  } satisfies Omit<Shown, "clients">;
}

/** The methods that the page calls: the same as with one server. */
type Shown = {
  [Name in keyof Chat["local"]]: (
    ...params: Parameters<Chat["local"][Name]>
  ) => unknown;
};

async function isSaid(id: string): Promise<boolean> {
  const { said } = await lobby.history();
  return said.some(({ params }) => (params as Message)[2] === id);
}

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
await nodes.close();
await told;
await close();
Deno.exit();
