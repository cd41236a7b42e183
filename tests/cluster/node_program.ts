/**
 * One node of a cluster, a process of its own: a server on a free port, whose methods
 * let a test do at this node what a program does, and look at what it was told.
 * Started by `world.ts`, over the engine that its argument names.
 *
 * @module
 */

import {
  type CaughtUp,
  type Change,
  cluster,
  type Disconnected,
  type Gap,
  type HistoryRoom,
  type Members,
  type Position,
  type Room,
} from "../../cluster.ts";
import { ConnectionClosedError, Peer, RpcError } from "../../mod.ts";
import { serve } from "../../server.ts";
import { connectEngine, type EngineAddress } from "./engines.ts";
import { isKept } from "./kept.ts";

/** What a node is told when it is started. */
export interface NodeTask {
  readonly engine: EngineAddress;
  readonly prefix: string;
}

/** What a client of the tests lets the nodes call. */
export interface Page {
  /** Takes a message of a room. */
  show(room: string, from: string, number: number): void;
  /** Answers with the same. */
  echo(value: unknown): unknown;
  /** Throws an RpcError. */
  fail(code: number, message: string, data: unknown): never;
  /** Answers once it is told to, or cancelled. */
  wait(name: string): Promise<string>;
  /** Returns a stream. */
  count(to: number): AsyncIterable<number>;
  /** Hears of a gap in a room. */
  gap?(room: string, why: string, node?: string): void;
}

/** How a call came out, in words that travel. */
export interface Outcome {
  readonly result?: unknown;
  /** The error's name: "RpcError", "ConnectionClosedError", "TimeoutError". */
  readonly error?: string;
  readonly message?: string;
  /** An RpcError's, or the code of a close. */
  readonly code?: number;
  readonly data?: unknown;
  readonly sent?: boolean;
  /** Milliseconds. */
  readonly took: number;
}

/** What a node was told of a room. */
export interface RoomLog {
  readonly changes: readonly Change[];
  readonly gaps: readonly Gap[];
}

interface Watched {
  readonly changes: Change[];
  readonly gaps: Gap[];
}

/** Who is in a room, by what its changes tell, and what they should not have told. */
export interface Tracked {
  readonly members: string[];
  readonly complaints: string[];
}

const task: NodeTask = JSON.parse(Deno.args[0]!);
const { engine, end } = await connectEngine(task.engine);
/** What nobody was told but `onerror`. */
const errors: string[] = [];
const nodes = await cluster({
  engine,
  prefix: task.prefix,
  onerror: (error) => void errors.push(String(error)),
});
const watched = new Map<string, Watched>();
/** The last number that this node has said in each room: so a ledger can be kept. */
const numbers = new Map<string, number>();
/** What is known of rooms by their changes. */
const tracked = new Map<string, Tracked>();
/** The connections that were told to join a room, who hear of its gaps. */
const joined = new Map<string, Set<Client>>();
/** Calls that a test may abort, by a name of its own. */
const aborts = new Map<string, AbortController>();

function roomOf(name: string): Room<Page> {
  return isKept(name) ? keptRoom(name) : nodes.room<Page>(name);
}

function keptRoom(name: string): HistoryRoom<Page> {
  return nodes.room<Page>(name, { history: true });
}

/** The service: what the tests' clients call. */
export class Client extends Peer<Page> {
  override local = {
    /** This connection's id in the cluster. */
    id: (): string => nodes.idOf(this),
    node: (): string => nodes.id,
    nodes: (): readonly string[] => [...nodes.nodes],
    status: (): string => nodes.status,
    errors: (): readonly string[] => errors,

    join: (room: string, key?: string, data?: unknown): Promise<void> => {
      note(this, room);
      return roomOf(room).join(this, {
        ...key !== undefined && { key },
        ...data !== undefined && { data },
      });
    },
    /** As `join`, in a room with history, and sends what was said since. */
    catchUp: (room: string, since: Position | number): Promise<CaughtUp> => {
      note(this, room);
      return keptRoom(room).catchUp(this, since);
    },
    leave: (room: string): void => {
      joined.get(room)?.delete(this);
      roomOf(room).leave(this);
    },
    size: (room: string): number => roomOf(room).size,

    /** Sends the next number of this node to a room; returns it. */
    say: (room: string): number => {
      const number = next(room);
      roomOf(room).notify("show", [room, nodes.id, number]);
      return number;
    },
    /** As `say`, `count` times in a turn. */
    burst: (room: string, count: number): number => {
      let number = 0;
      for (let index = 0; index < count; index++) {
        number = next(room);
        roomOf(room).notify("show", [room, nodes.id, number]);
      }
      return number;
    },
    /** As `say`, but waits for the engine, and tells if others may not have it. */
    publish: async (room: string): Promise<Outcome & { number: number }> => {
      const number = next(room);
      return {
        number,
        ...await settle(roomOf(room).publish("show", [room, nodes.id, number])),
      };
    },
    /** Says something to a room, and closes a member of it in the same turn. */
    sayAndClose: (room: string, id: string): number => {
      const number = next(room);
      roomOf(room).notify("show", [room, nodes.id, number]);
      nodes.peer<Page>(id).close(4001, "said");
      return number;
    },
    who: (room: string): Promise<Members> => roomOf(room).members(),

    /** Begins to note what a room tells. */
    watch: (room: string): void => watch(room),
    log: (room: string): RoomLog =>
      watched.get(room) ?? { changes: [], gaps: [] },
    /** Begins to follow who is in rooms, and to tell their members of gaps. */
    track: (rooms: string[]): void => rooms.forEach(track),
    tracked: (room: string): Tracked =>
      tracked.get(room) ?? { members: [], complaints: ["It is not tracked"] },
    /** The last numbers that this node has said, by room. */
    numbers: (): Record<string, number> => Object.fromEntries(numbers),
    /** How many gaps it has told, by why. */
    gapCounts: (): Record<string, number> => Object.fromEntries(gapCounts),

    ask: (
      id: string,
      method: string,
      params?: unknown[],
      options: { timeout?: number; name?: string } = {},
    ): Promise<Outcome> => {
      const { timeout, name } = options;
      const controller = new AbortController();
      if (name !== undefined) aborts.set(name, controller);
      return settle(
        nodes.peer(id).request(method, params, {
          ...timeout !== undefined && { timeout },
          signal: controller.signal,
        }),
      );
    },
    /** Calls with what can't travel. */
    callWith: (id: string, what: "function" | "stream"): Promise<Outcome> => {
      const value = what === "function" ? () => 1 : numbersFrom(1);
      return settle(nodes.peer(id).request("echo", [value]));
    },
    abort: (name: string): void => aborts.get(name)?.abort(),
    tell: (id: string, room: string, number: number): boolean =>
      nodes.peer<Page>(id).notify("show", [room, nodes.id, number]),
    close: (id: string, code?: number, reason?: string): void =>
      nodes.peer(id).close(code, reason),
    disconnect: (
      target: { readonly key: string } | { readonly id: string },
      code?: number,
      reason?: string,
    ): Promise<Disconnected> => nodes.disconnect(target, code, reason),
  };

  override onclose(): void {
    for (const all of joined.values()) all.delete(this);
  }

  override onerror(error: unknown): void {
    errors.push(String(error));
  }
}

/** Remembers who is to hear of a room's gaps. */
function note(client: Client, room: string): void {
  const all = joined.get(room) ?? new Set();
  joined.set(room, all.add(client));
}

function next(room: string): number {
  const number = (numbers.get(room) ?? 0) + 1;
  numbers.set(room, number);
  return number;
}

function watch(name: string): void {
  if (watched.has(name)) return;
  const log: Watched = { changes: [], gaps: [] };
  watched.set(name, log);
  const room = roomOf(name);
  room.ongap = (gap) => {
    log.gaps.push(gap);
    if (name.endsWith(" throws")) throw new Error("Thrown by ongap");
  };
  (async () => {
    for await (const change of room.changes()) log.changes.push(change);
  })();
}

const gapCounts = new Map<string, number>();

function track(name: string): void {
  if (tracked.has(name)) return;
  const complaints: string[] = [];
  const members = new Set<string>();
  tracked.set(name, {
    get members() {
      return [...members];
    },
    complaints,
  });
  const room = roomOf(name);
  room.ongap = ({ why, node }) => {
    gapCounts.set(why, (gapCounts.get(why) ?? 0) + 1);
    for (const client of joined.get(name) ?? []) {
      client.notify(
        "gap",
        node === undefined ? [name, why] : [name, why, node],
      );
    }
  };
  (async () => {
    for await (const change of room.changes()) {
      switch (change.type) {
        case "snapshot":
          members.clear();
          for (const { id } of change.members) members.add(id);
          break;
        case "join":
          if (members.has(change.member.id)) {
            complaints.push(`${change.member.id} joined twice`);
          }
          members.add(change.member.id);
          break;
        case "leave":
          if (!members.delete(change.member.id)) {
            complaints.push(`${change.member.id} left, and was not there`);
          }
      }
    }
  })();
}

async function settle(promise: Promise<unknown>): Promise<Outcome> {
  const start = performance.now();
  const took = (): number => performance.now() - start;
  try {
    const result = await promise;
    return { ...result !== undefined && { result }, took: took() };
  } catch (error) {
    const { name, message, sent } = error as Error & { sent?: boolean };
    const code = error instanceof RpcError ||
        error instanceof ConnectionClosedError
      ? { code: error.code }
      : {};
    const data = error instanceof RpcError && error.data !== undefined
      ? { data: error.data }
      : {};
    return {
      error: name,
      message,
      took: took(),
      ...sent !== undefined && { sent },
      ...code,
      ...data,
    };
  }
}

async function* numbersFrom(start: number): AsyncGenerator<number> {
  for (let number = start;; number++) yield await Promise.resolve(number);
}

const server = serve(Client, { hostname: "127.0.0.1", port: 0, onListen() {} });
console.log(JSON.stringify({ id: nodes.id, url: server.url }));

// Ends with its standard input: nobody is left behind by a test that was killed.
for await (const _ of Deno.stdin.readable);
await server.drain({ within: 5_000, spread: 500 });
await nodes.close();
await engine.close();
await end();
