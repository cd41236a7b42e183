/**
 * `deno task soak:cluster`: three nodes over a real engine, a thousand clients and
 * all kinds of faults, for ten minutes; then an account of every message.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createClient } from "@redis/client";
import { connect } from "../client.ts";
import type { Peer } from "../mod.ts";
import { isKept, keptRoom } from "../tests/cluster/kept.ts";
import type { Page } from "../tests/cluster/node_program.ts";
import { type EngineKind, EngineServer } from "../tests/cluster/servers.ts";
import {
  type NodeProcess,
  type Service,
  World,
} from "../tests/cluster/world.ts";
import { CallLedger, MemberLedger } from "./cluster_ledger.ts";
import { type HeardHistory, HistoryLedger } from "./history_ledger.ts";
import { Random } from "./random.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    engine: { type: "string", default: "nats" },
    minutes: { type: "string", default: "10" },
    clients: { type: "string", default: "1000" },
    nodes: { type: "string", default: "3" },
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
  },
});
const kind = values.engine as EngineKind;
const clientCount = Number(values.clients);
const nodeCount = Number(values.nodes);
const seed = Number(values.seed);

// The rooms of each client, and the members of a room on average.
const roomsEach = 3;
const roomSize = 20;

// Milliseconds between two messages, and between two calls.
const sayEvery = 20;
const callEvery = 100;

// Milliseconds until all must be as before a fault: a dead node is known within 8
// seconds, a client comes back within a few, and a doubted node is asked again.
const calm = 14_000;

const violations: string[] = [];
const random = new Random(seed);
const rooms = Array.from(
  { length: Math.max(1, Math.round(clientCount * roomsEach / roomSize)) },
  // A third of them has history.
  (_, number) => number % 3 === 0 ? keptRoom(`${number}`) : `room ${number}`,
);
const calls = new CallLedger();
const histories = new HistoryLedger();

// The history for a client that has heard nothing yet: all that there is.
const mostKept = 10_000;

/** A client that comes back, and joins its rooms each time. */
class SoakClient {
  readonly ledger: MemberLedger;
  readonly rooms: readonly string[];
  readonly peer: Peer<Service>;
  /** Its messages in rooms with history. */
  readonly #heard = new Map<string, HeardHistory>();
  /** Its id in the cluster; `undefined`: it is not in its rooms. */
  id: string | undefined;

  constructor(name: string, url: string, rooms: readonly string[]) {
    this.ledger = new MemberLedger(name);
    this.rooms = rooms;
    for (const room of rooms) {
      if (isKept(room)) this.#heard.set(room, histories.member(name, room));
    }
    const join = (): Promise<void> => this.#join();
    const local: Page & { run(id: string): string } = {
      show: (room, from, number) => {
        const heard = this.#heard.get(room);
        if (heard === undefined) this.ledger.hear(room, from, number);
        else heard.hear(from, number, this.peer.call.members.position);
      },
      gap: (room, _why, node) => {
        const heard = this.#heard.get(room);
        if (heard === undefined) this.ledger.gap(room, node);
        else heard.gap();
      },
      run(id) {
        calls.run(id);
        return id;
      },
      echo: (value) => value,
      fail(): never {
        throw new Error("It was not asked to");
      },
      wait: (name) => Promise.resolve(name),
      async *count() {},
    };
    this.peer = connect<Service>(url, {
      local,
      reconnect: { delay: 200, maxDelay: 2_000 },
      onopen() {
        void join();
      },
      onclose: () => {
        this.id = undefined;
        this.ledger.reset();
      },
      onattempt() {},
      onerror: (error) => void violations.push(`${name}: ${error}`),
    });
  }

  async #join(): Promise<void> {
    const { peer } = this;
    try {
      const id = await peer.request("id");
      for (const room of this.rooms) {
        const heard = this.#heard.get(room);
        if (heard === undefined) await peer.request("join", [room]);
        else await this.#catchUp(heard);
      }
      this.id = id;
    } catch {
      // The connection was lost: the next one joins.
    }
  }

  async #catchUp(heard: HeardHistory): Promise<void> {
    const { room, position, events: { length } } = heard;
    const since = position ?? mostKept;
    const { isWhole } = await this.peer.request("catchUp", [room, since]);
    if (!isWhole) heard.begin(length);
    if (position !== undefined) histories.caughtUp[isWhole ? "whole" : "not"]++;
  }
}

/** Says something somewhere. */
async function say(): Promise<void> {
  const { id, control: { peer } } = random.pick(world.nodes);
  const room = random.pick(rooms);
  if (!isKept(room)) return void peer.notify("say", [room]);
  try {
    const { number, error } = await peer.request("publish", [room]);
    if (error === undefined) histories.confirm(room, id, number);
  } catch {
    // The node is gone: nobody knows whether it said that.
  }
}

/** Says something somewhere, again and again, until it is told to stop. */
async function talk(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    void say();
    await sleep(sayEvery);
  }
}

let callNumber = 0;
const calling = new Set<Promise<void>>();

/** Calls somebody, again and again, until it is told to stop. */
async function call(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { id } = random.pick(clients);
    const node = random.pick(world.nodes);
    if (id !== undefined) {
      const made = askBy(node, id).finally(() => calling.delete(made));
      calling.add(made);
    }
    await sleep(callEvery);
  }
}

async function askBy(node: NodeProcess, peer: string): Promise<void> {
  const id = `${++callNumber}`;
  try {
    const { peer: control } = node.control;
    const options = { timeout: random.pick([50, 2_000, 20_000]) };
    const outcome = await control.request("ask", [peer, "run", [id], options]);
    const { error, sent, message } = outcome;
    if (error === undefined) calls.settle(id, "result");
    else if (error === "ConnectionClosedError") {
      calls.settle(id, sent === true ? "sent" : "unsent");
    } else if (error === "TimeoutError") calls.settle(id, "timeout");
    else violations.push(`Call ${id}: ${error}: ${message}`);
  } catch {
    calls.settle(id, "lost with its node");
  }
}

const faults = new Map<string, number>();

/** The faults; after each all is as before, but for the messages lost. */
const strikes: Readonly<Record<string, () => Promise<void>>> = {
  async kill() {
    await world.kill(random.pick(world.nodes));
    await sleep(random.between(0, 3_000));
    await begin();
  },
  async end() {
    const node = random.pick(world.nodes);
    world.nodes.splice(world.nodes.indexOf(node), 1);
    const { code, signal } = await node.end();
    if (code !== 0) violations.push(`A node ended with ${signal ?? code}`);
    await begin();
  },
  async stop() {
    const node = random.pick(world.nodes);
    node.stop();
    await sleep(random.between(500, 12_000));
    node.continue();
  },
  async "engine restart"() {
    await server.stop(random.pick(["SIGKILL", "SIGTERM"] as const));
    await sleep(random.between(0, 5_000));
    await server.start();
  },
  async "engine freeze"() {
    server.freeze();
    await sleep(random.between(500, 10_000));
    server.thaw();
  },
  async cut() {
    const { line } = random.pick(world.nodes);
    line!.cut();
    await sleep(random.between(0, 10_000));
    line!.restore();
  },
  async silence() {
    const { line } = random.pick(world.nodes);
    line!.die();
    await sleep(random.between(1_000, 12_000));
    line!.cut();
    line!.restore();
  },
  async "subscribers killed"() {
    if (kind !== "redis") return strikes.cut!();
    const admin = createClient({ url: server.url });
    admin.on("error", () => {});
    await admin.connect();
    await admin.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]);
    admin.destroy();
  },
};

/** Cuts some clients, which come back to any node. */
function sendBack(): void {
  const { peer } = random.pick(world.nodes).control;
  for (let turn = 0; turn < Math.max(3, clientCount / 100); turn++) {
    const { id } = random.pick(clients);
    if (id !== undefined) peer.notify("close", [id, 1012]);
  }
}

/** Lets one more node join. */
async function begin(): Promise<void> {
  const node = await world.add();
  await node.control.peer.request("track", [rooms]);
}

/** Checks that all nodes know all others, and the true members of the rooms. */
async function check(when: string): Promise<void> {
  const ids = world.nodes.map(({ id }) => id).sort().join();
  const truth = new Map<string, string[]>(rooms.map((room) => [room, []]));
  for (const { id, rooms } of clients) {
    if (id === undefined) {
      violations.push(`${when}: a client has not come back`);
    } else for (const room of rooms) truth.get(room)!.push(id);
  }
  for (const { id, control: { peer } } of world.nodes) {
    const complain = (what: string): void =>
      void violations.push(`${when}, node ${id}: ${what}`);
    const known = [...await peer.request("nodes")].sort().join();
    if (known !== ids) complain(`it knows of ${known}, not of ${ids}`);
    for (const room of rooms) {
      const { members, missing } = await peer.request("who", [room]);
      if (missing.length > 0) complain(`${room}: ${missing} is missing`);
      const listed = members.map(({ id }) => id);
      compare(listed, truth.get(room)!, (what) => {
        complain(`${room} is listed with ${what}`);
      });
      const { members: told, complaints } = await peer.request("tracked", [
        room,
      ]);
      compare(told, truth.get(room)!, (what) => {
        complain(`${room} was told to have ${what}`);
      });
      for (const complaint of complaints) complain(`${room}: ${complaint}`);
    }
  }
}

console.log(
  `seed ${seed}, ${kind}, ${nodeCount} nodes, ${clientCount} clients`,
);
await using server = await EngineServer.start(kind);
await using world = await World.start({
  engine: server,
  nodes: nodeCount,
  lines: true,
});
for (const { control } of world.nodes) {
  await control.peer.request("track", [rooms]);
}
const clients: SoakClient[] = [];
for (let number = 0; number < clientCount; number++) {
  const own = new Set<string>();
  while (own.size < Math.min(roomsEach, rooms.length)) {
    own.add(random.pick(rooms));
  }
  const client = new SoakClient(`client ${number}`, world.balancer.url, [
    ...own,
  ]);
  clients.push(client);
  if (number % 20 === 19) await client.peer.opened;
}
await Promise.all(clients.map(({ peer }) => peer.opened));
await sleep(3_000);
await check("At first");

const over = new AbortController();
const busy = Promise.all([talk(over.signal), call(over.signal)]);
const end = performance.now() + Number(values.minutes) * 60_000;
let rounds = 0;
// Until then each client has heard something before it is cut.
await sleep(2_000);
while (performance.now() < end) {
  const name = random.pick(Object.keys(strikes));
  faults.set(name, (faults.get(name) ?? 0) + 1);
  sendBack();
  await strikes[name]!();
  await sleep(calm);
  await check(`After "${name}", ${++rounds}`);
  const { heard, missed } = totals();
  console.log(
    `${rounds}: ${name}; ${heard} heard, ${missed} missed and told, ${violations.length} violations`,
  );
  // A report of the cause, not of a thousand consequences.
  if (violations.length > 100) break;
}
over.abort();
await busy;
await sleep(5_000);
await Promise.all(calling);

const said = new Map<string, Record<string, number>>();
const gaps = new Map<string, number>();
for (const { id, control: { peer } } of world.nodes) {
  said.set(id, await peer.request("numbers"));
  for (const [why, count] of Object.entries(await peer.request("gapCounts"))) {
    gaps.set(why, (gaps.get(why) ?? 0) + count);
  }
}
for (const { ledger } of clients) {
  ledger.finish(said);
  violations.push(...ledger.violations);
}
violations.push(...histories.violations());
violations.push(...calls.violations());
for (const { peer } of clients) peer.close();
await Promise.all(clients.map(({ peer }) => peer.closed));
for (const node of world.nodes.splice(0)) {
  const { code, signal } = await node.end();
  if (code !== 0) violations.push(`A node ended with ${signal ?? code}`);
}

const { heard, missed } = totals();
console.log(`messages: ${heard} heard, ${missed} missed and told as gaps`);
const { caughtUp, confirmed, totals: kept } = histories;
console.log(
  `in rooms with history: ${confirmed} said, ${kept.heard} heard, ${kept.gaps} gaps told; came back: ${caughtUp.whole} to all, ${caughtUp.not} too late`,
);
console.log(`gaps of the last nodes, by why: ${list(gaps)}`);
console.log(`calls: ${list(calls.counts)}`);
console.log(`faults: ${list(faults)}`);
for (const violation of violations.slice(0, 50)) console.error(violation);
if (violations.length > 0) {
  console.error(`${violations.length} violations with seed ${seed}`);
  Deno.exitCode = 1;
} else console.log("no violations");

/** Describes the difference of two lists. */
function compare(
  is: readonly string[],
  truth: readonly string[],
  say: (what: string) => void,
): void {
  const more = is.filter((id) => !truth.includes(id));
  const less = truth.filter((id) => !is.includes(id));
  if (more.length > 0) say(`${more.length} too many: ${more}`);
  if (less.length > 0) say(`${less.length} too few: ${less}`);
  if (new Set(is).size < is.length) say("somebody twice");
}

/** The messages that all clients have heard, and missed. */
function totals(): { heard: number; missed: number } {
  let heard = 0;
  let missed = 0;
  for (const { ledger } of clients) {
    heard += ledger.heard;
    missed += ledger.missed;
  }
  return { heard, missed };
}

function list(counts: ReadonlyMap<string, number>): string {
  return Array.from(counts, ([name, count]) => `${name} ${count}`).join(", ");
}
