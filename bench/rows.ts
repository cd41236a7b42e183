/** The rows: each drives a process's clients for a given time and counts their work. */

import type { Clients } from "./clients.ts";
import type { Client } from "./contender.ts";
import { createItem, isItem, type Item } from "./item.ts";

export interface Row {
  /** The unit that is counted. */
  unit: "call" | "value" | "message" | "connection";
  /** The methods of a client that it needs, if more than `add`. */
  needs?: (keyof Client)[];
  /** Works for about this many milliseconds, checks every answer, and counts them. */
  run(clients: Clients, milliseconds: number): Promise<Count>;
  /** True if the heap is measured afterwards. */
  isHeapRead?: boolean;
}

export interface Count {
  count: number;
  /** Further figures, by name. */
  figures?: { [metric: string]: number };
}

// Real sockets, or a pair of sockets in one process.
const rows: Record<string, Row> = {
  "1 in flight": {
    unit: "call",
    run: latencies,
  },
  "50 x 4 in flight": {
    unit: "call",
    run: async (clients, milliseconds) =>
      await calls(await clients.take(50), 200, milliseconds),
  },
  "1 KiB objects": {
    unit: "call",
    needs: ["item"],
    run: async (clients, milliseconds) => {
      const [client] = await clients.take(1);
      return await items((id) => client!.item!(id), 64, milliseconds);
    },
  },
  "1 KiB both ways": echoes(64),
  "1 KiB both ways, 1 in flight": echoes(1),
  "one process": {
    unit: "call",
    run: async (clients, milliseconds) =>
      await calls(await clients.take(1), 1, milliseconds),
  },
  "1 KiB in one process": echoes(1),
};

// Rows of any size, by the words behind the number.
const sizedRows: Record<string, (size: number) => Row> = {
  "in flight": (inFlight) => ({
    unit: "call",
    run: async (clients, milliseconds) =>
      await calls(await clients.take(1), inFlight, milliseconds),
  }),
  "connections": (connections) => ({
    unit: "call",
    run: async (clients, milliseconds) =>
      await calls(await clients.take(connections), 64, milliseconds),
  }),
  "idle": (connections) => ({
    unit: "connection",
    run: async (clients) => {
      const before = clients.size;
      return { count: (await clients.take(connections)).length - before };
    },
  }),
  "listeners": (listeners) => ({
    unit: "message",
    needs: ["listen", "announce"],
    run: async (clients, milliseconds) =>
      await announcements(await clients.take(listeners), milliseconds),
  }),
  "values": (to) => ({
    unit: "value",
    needs: ["count"],
    run: async (clients, milliseconds) =>
      await values((await clients.take(1))[0]!, to, milliseconds),
  }),
  "methods": (methods) => ({
    unit: "call",
    needs: ["addBy"],
    run: async (clients, milliseconds) =>
      await named((await clients.take(1))[0]!, methods, milliseconds),
  }),
  "calls": (total) => ({
    unit: "call",
    isHeapRead: true,
    run: async (clients) => await callsUpTo((await clients.take(1))[0]!, total),
  }),
};

/** The row of this name. */
export function rowOf(name: string): Row {
  const row = rows[name];
  if (row !== undefined) return row;
  const [, size, noun] = /^([\d,]+) (.+)$/.exec(name) ?? [];
  const sized = sizedRows[noun ?? ""];
  if (sized === undefined) {
    throw new RangeError(`Cannot measure "${name}": no such row`);
  }
  return sized(Number(size!.replaceAll(",", "")));
}

async function calls(
  clients: Client[],
  inFlight: number,
  milliseconds: number,
): Promise<Count> {
  const end = performance.now() + milliseconds;
  let made = 0;
  async function caller(a: number): Promise<void> {
    // If there are more clients than callers, all have their turn.
    for (let b = 0, at = a; b % 16 !== 0 || performance.now() < end; b++) {
      const client = clients[at % clients.length]!;
      at += inFlight;
      // The clock is not read at every call: that costs as much as a Map's look-up.
      const sum = await client.add(a, b);
      if (sum !== a + b) {
        throw new Error(`Wrong answer: add(${a}, ${b}) is ${sum}`);
      }
      made++;
    }
  }
  await Promise.all(
    Array.from({ length: inFlight }, (_, index) => caller(index)),
  );
  return { count: made };
}

/** Calls one after the other, each with a look at the clock. */
async function latencies(
  clients: Clients,
  milliseconds: number,
): Promise<Count> {
  const [client] = await clients.take(1);
  const microseconds: number[] = [];
  let before = performance.now();
  const end = before + milliseconds;
  for (let b = 0; before < end; b++) {
    const sum = await client!.add(1, b);
    if (sum !== 1 + b) throw new Error(`Wrong answer: add(1, ${b}) is ${sum}`);
    const after = performance.now();
    microseconds.push((after - before) * 1000);
    before = after;
  }
  microseconds.sort((a, b) => a - b);
  const at = (share: number) =>
    microseconds[Math.floor(share * microseconds.length)]!;
  return {
    count: microseconds.length,
    figures: { "p50, µs": at(0.5), "p99, µs": at(0.99) },
  };
}

/** Items sent and sent back, by so many callers of one connection. */
function echoes(inFlight: number): Row {
  return {
    unit: "call",
    needs: ["echo"],
    run: async (clients, milliseconds) => {
      const [client] = await clients.take(1);
      const echo = (id: number) => client!.echo!(createItem(id));
      return await items(echo, inFlight, milliseconds);
    },
  };
}

async function items(
  ask: (id: number) => Promise<Item>,
  inFlight: number,
  milliseconds: number,
): Promise<Count> {
  const end = performance.now() + milliseconds;
  let made = 0;
  async function caller(): Promise<void> {
    for (let id = 0; id % 16 !== 0 || performance.now() < end; id++) {
      const item = await ask(id);
      if (!isItem(item, id)) {
        throw new Error(`Wrong answer: item ${id} is ${JSON.stringify(item)}`);
      }
      made++;
    }
  }
  await Promise.all(Array.from({ length: inFlight }, caller));
  return { count: made };
}

// Each listening client of this process, and its function for an announcement.
const listeners = new WeakMap<Client, { take: (n: number) => void }>();

/** Announces one thing after the other, each once every client has heard the one before. */
async function announcements(
  clients: Client[],
  milliseconds: number,
): Promise<Count> {
  let announced = 0;
  let heard = 0;
  let allHeard = () => {};
  function take(n: number): void {
    if (n === announced && ++heard === clients.length) allHeard();
  }
  for (const client of clients) {
    const listener = listeners.get(client);
    if (listener !== undefined) {
      listener.take = take;
      continue;
    }
    const added = { take };
    listeners.set(client, added);
    await client.listen!((n) => added.take(n));
  }

  const end = performance.now() + milliseconds;
  do {
    announced++;
    heard = 0;
    const all = new Promise<void>((resolve) => allHeard = resolve);
    await Promise.all([clients[0]!.announce!(announced), all]);
  } while (performance.now() < end);
  return { count: announced * clients.length };
}

/** Takes that many values, again and again until the time is over. */
async function values(
  client: Client,
  to: number,
  milliseconds: number,
): Promise<Count> {
  const end = performance.now() + milliseconds;
  let made = 0;
  do {
    let taken = 0;
    let right = 0;
    let allTaken = () => {};
    const all = new Promise<void>((resolve) => allTaken = resolve);
    await client.count!(to, (n) => {
      if (n === taken++) right++;
      if (taken === to) allTaken();
    });
    await all;
    if (taken !== to || right !== to) {
      throw new Error(
        `Wrong values: ${taken} of ${to} came, ${right} of them in their place`,
      );
    }
    made += taken;
  } while (performance.now() < end);
  return { count: made };
}

/** Calls all methods in turn. */
async function named(
  client: Client,
  methods: number,
  milliseconds: number,
): Promise<Count> {
  const names = Array.from(
    { length: methods },
    (_, index) => index === 0 ? "add" : `add${index}`,
  );
  const end = performance.now() + milliseconds;
  let b = 0;
  for (; b % 16 !== 0 || performance.now() < end; b++) {
    const sum = await client.addBy!(names[b % methods]!, 1, b);
    if (sum !== 1 + b) throw new Error(`Wrong answer: add(1, ${b}) is ${sum}`);
  }
  return { count: b };
}

let callsMade = 0;

/** Calls until this process has made that many so. */
async function callsUpTo(client: Client, total: number): Promise<Count> {
  const before = callsMade;
  for (; callsMade < total; callsMade++) {
    const sum = await client.add(1, callsMade);
    if (sum !== 1 + callsMade) {
      throw new Error(`Wrong answer: add(1, ${callsMade}) is ${sum}`);
    }
  }
  return { count: total - before };
}
