/**
 * The ledger of a cluster in which everything goes wrong: what was published was
 * received, or a gap was told after it; and in the end all know who is there.
 */

import { assert, assertEquals } from "@std/assert";
import { type Cluster, cluster, memory } from "../../cluster.ts";
import { Peer } from "../../mod.ts";
import { socketPair } from "../../testing.ts";
import { FakeTime } from "../fake_time.ts";
import { FaultyEngine } from "../cluster/faulty_engine.ts";

/** Numbers that look random, the same for the same seed. */
function random(seed: number): (below: number) => number {
  return (below) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(seed / 2 ** 32 * below);
  };
}

interface Player {
  readonly engine: FaultyEngine;
  readonly node: Cluster;
  readonly pages: Set<Peer>;
  /** What the first page was shown, which never leaves: by room. */
  readonly shown: Map<string, Set<string>>;
  /** When gaps were told, and whose they are: by room. */
  readonly gaps: Map<string, { at: number; node: string | undefined }[]>;
  /** Who is in the first room, as changes tell. */
  readonly known: Set<string>;
}

const rooms = ["a", "b", "c"];

/** Lets something go wrong with a connection. */
function harm(engine: FaultyEngine, what: 0 | 1 | 2 | 3): void {
  if (what === 0) engine.lose();
  else if (what === 1) engine.forget();
  else if (what === 2) engine.isDeaf = true;
  else engine.isMute = true;
}

/** Ends what is wrong with a connection; what dropped texts unheard is a new one. */
function heal(engine: FaultyEngine): void {
  if (engine.isDeaf || engine.isMute) engine.lose();
  engine.isDeaf = engine.isMute = false;
  if (engine.status === "lost") engine.find();
}

async function play(seed: number): Promise<void> {
  using time = new FakeTime();
  const next = random(seed);
  const bus = memory();
  const players: Player[] = [];
  const peers: Peer[] = [];
  const published: { by: number; room: string; text: string; at: number }[] =
    [];
  let step = 0;

  /** A page of a node's, in all rooms or in the first. */
  async function enter(player: Player, all: boolean): Promise<void> {
    const [left, right] = socketPair();
    const show = (room: string, text: string): void => {
      if (all) player.shown.get(room)!.add(text);
    };
    const peer = new Peer(right, { onerror() {} });
    peers.push(new Peer(left, { local: { show } }), peer);
    player.pages.add(peer);
    const joining = rooms.slice(0, all ? 3 : 1).map((room) =>
      player.node.room(room).join(peer)
    );
    if (all) await Promise.all(joining);
  }

  for (let n = 0; n < 3; n++) {
    const engine = new FaultyEngine(bus);
    const node = await cluster({ engine, onerror() {} });
    const player: Player = {
      engine,
      node,
      pages: new Set(),
      shown: new Map(rooms.map((room) => [room, new Set()])),
      gaps: new Map(rooms.map((room) => [room, []])),
      known: new Set(),
    };
    players.push(player);
    for (const room of rooms) {
      node.room(room).ongap = ({ node }) => {
        player.gaps.get(room)!.push({ at: step, node });
      };
    }
    await enter(player, true);
    (async () => {
      const { known } = player;
      for await (const change of node.room("a").changes()) {
        if (change.type === "snapshot") {
          known.clear();
          for (const { id } of change.members) known.add(id);
        } else if (change.type === "join") known.add(change.member.id);
        else if (change.type === "leave") {
          assert(known.delete(change.member.id), "a leave of nobody");
        }
      }
    })();
  }

  for (; step < 400; step++) {
    const by = next(3);
    const { engine, node, pages } = players[by]!;
    const what = next(14);
    switch (what) {
      case 0:
      case 1:
      case 2:
      case 3:
        harm(engine, what);
        break;
      case 4:
      case 5:
      case 6:
        heal(engine);
        break;
      case 7:
        await enter(players[by]!, false);
        break;
      case 8: {
        const [, page] = pages;
        pages.delete(page!);
        page?.close();
        break;
      }
      case 9:
        if (next(4) === 0) await time.pass(10_000);
        break;
      default: {
        const room = rooms[next(3)]!;
        const text = `${by} ${step}`;
        const at = step;
        node.room(room).publish("show", [room, text]).then(
          () => published.push({ by, room, text, at }),
          () => {},
        );
      }
    }
    await time.flow(next(3) === 0 ? next(4_000) : next(40));
  }
  for (const { engine } of players) heal(engine);
  await time.flow(40_000);

  assert(published.length > 10);
  for (const { shown, gaps } of players) {
    for (const { by, room, text, at } of published) {
      const isTold = gaps.get(room)!.some((gap) =>
        gap.at >= at && (gap.node ?? players[by]!.node.id) ===
          players[by]!.node.id
      );
      assert(
        shown.get(room)!.has(text) || isTold,
        `${seed}: ${text} in ${room}`,
      );
    }
  }
  const there = players.flatMap(({ node, pages }) =>
    [...pages].map((page) => node.idOf(page))
  ).sort();
  for (const { node, known } of players) {
    assertEquals([...known].sort(), there, `${seed}`);
    assertEquals(node.nodes.length, 3);
    assertEquals(node.status, "open");
  }
  for (const peer of peers) peer.close();
  await Promise.all(peers.map(({ closed }) => closed));
  for (const { node } of players) await node.close();
}

/** What a page of a room with history has heard. */
interface Reader {
  /** On which node; `undefined`: it is away. */
  at: number | undefined;
  peer: Peer | undefined;
  position: string | undefined;
  /** Without what a page that was told that more is missed had before. */
  readonly shown: string[];
  /** Until when more may have been missed than is kept, as it was told. */
  brokenAt: number;
}

async function playHistory(seed: number): Promise<void> {
  using time = new FakeTime();
  const next = random(seed);
  const bus = memory();
  // What becomes old soon may be gone when it is asked for, and the log with it.
  const history = {
    messages: 10 + next(400),
    milliseconds: next(2) === 0 ? 3_600_000 : 5_000 + next(20_000),
  };
  const published: { readonly text: string; readonly at: number }[] = [];
  /** When the last gap of each node was told. */
  const gaps = [-1, -1, -1];
  let step = 0;
  const nodes: { engine: FaultyEngine; node: Cluster }[] = [];
  for (const n of [0, 1, 2]) {
    const engine = new FaultyEngine(bus);
    const node = await cluster({ engine, history, onerror() {} });
    node.room("a").ongap = () => void (gaps[n] = step);
    nodes.push({ engine, node });
  }
  const room = (n: number) => nodes[n]!.node.room("a", { history: true });
  const readers: Reader[] = [];
  const peers: Peer[] = [];

  async function enter(reader: Reader, at: number): Promise<void> {
    const [left, right] = socketPair();
    const page: Peer = new Peer(left, {
      local: {
        show(text: string): void {
          if (page !== reader.peer) return;
          reader.shown.push(text);
          reader.position = page.call.members.position as string;
        },
      },
    });
    const peer = new Peer(right, { onerror() {} });
    peers.push(page, peer);
    reader.at = at;
    reader.peer = page;
    const since = reader.position ?? 1_000;
    const { isWhole, position } = await room(at).catchUp(peer, since);
    if (page !== reader.peer) return;
    // Who has no position is given what is kept, which may not be all.
    if (typeof since === "number") reader.brokenAt = step;
    if (isWhole) reader.position ??= position;
    else {
      // It begins anew: what it is told from now on may be what it had.
      reader.brokenAt = step;
      reader.shown.length = 0;
    }
  }

  for (const n of [0, 1, 2, 0, 1, 2]) {
    const reader: Reader = {
      at: undefined,
      peer: undefined,
      position: undefined,
      shown: [],
      brokenAt: -1,
    };
    readers.push(reader);
    await enter(reader, n);
  }
  const wanderers = readers.slice(3);

  for (; step < 300; step++) {
    const by = next(3);
    const { engine, node } = nodes[by]!;
    const what = next(18);
    switch (what) {
      case 0:
      case 1:
      case 2:
      case 3:
        harm(engine, what);
        break;
      case 4:
      case 5:
      case 6:
        heal(engine);
        engine.misses = () => false;
        engine.isUnreadable = engine.isUnsure = false;
        break;
      case 7: {
        const lost = `${by} ${step + 1}`;
        engine.misses = (text) => text.includes(lost);
        break;
      }
      case 8:
      case 9: {
        const reader = wanderers[next(3)]!;
        if (reader.at === undefined) void enter(reader, by);
        else {
          reader.peer!.close();
          reader.at = reader.peer = undefined;
        }
        break;
      }
      case 10:
        if (next(4) === 0) await time.pass(10_000);
        break;
      case 11:
        engine.isUnreadable = true;
        break;
      case 12:
        engine.isUnsure = true;
        break;
      case 13:
        // What is too old of the other room is forgotten then.
        node.room("b", { history: true }).notify("show", ["other"]);
        break;
      default: {
        const text = `${by} ${step}`;
        const at = step;
        room(by).publish("show", [text]).then(
          () => published.push({ text, at }),
          () => {},
        );
      }
    }
    await time.flow(next(3) === 0 ? next(4_000) : next(40));
  }
  for (const { engine } of nodes) {
    heal(engine);
    engine.misses = () => false;
    engine.isUnreadable = engine.isUnsure = false;
  }
  await time.flow(40_000);
  for (const [n, reader] of wanderers.entries()) {
    if (reader.at === undefined) await enter(reader, n);
  }
  await room(0).publish("show", ["end"]);
  await time.flow(1_000);

  // Where all is kept that was said, nothing is missed.
  if (history.messages >= step && history.milliseconds === 3_600_000) {
    assertEquals(gaps, [-1, -1, -1], `${seed}`);
  }
  for (const [n, { at, shown, brokenAt }] of readers.entries()) {
    const why = `${seed}: reader ${n} at ${at}`;
    assertEquals(shown.at(-1), "end", why);
    assertEquals(new Set(shown).size, shown.length, `${why}: twice`);
    // Who never went elsewhere is told of by its own node.
    const toldAt = Math.max(brokenAt, ...n < 3 ? [gaps[n]!] : gaps);
    const texts = published.map(({ text }) => text);
    const order = shown.filter((text) => texts.includes(text));
    const known = published
      .filter(({ text, at }) => at > toldAt || shown.includes(text))
      .map(({ text }) => text);
    assertEquals(order, known, why);
  }
  for (const peer of peers) peer.close();
  await Promise.all(peers.map(({ closed }) => closed));
  for (const { node } of nodes) await node.close();
}

Deno.test("In a room with history all hear the same, once and in order, wherever they go, or are told that they don't", async () => {
  for (let seed = 1; seed <= 100; seed++) await playHistory(seed);
});

Deno.test("What was published has arrived, or a gap was told, and who is there is known, whatever goes wrong", async () => {
  for (let seed = 1; seed <= 40; seed++) await play(seed);
});
