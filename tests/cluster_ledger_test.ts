/**
 * The ledger of a cluster in which everything goes wrong: what was published was
 * received, or a gap was told after it; and in the end all know who is there.
 */

import { assert, assertEquals } from "@std/assert";
import { type Cluster, cluster, memory } from "../cluster.ts";
import { Peer } from "../mod.ts";
import { socketPair } from "../testing.ts";
import { FakeTime } from "./fake_time.ts";
import { FaultyEngine } from "./cluster/faulty_engine.ts";

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
    switch (next(14)) {
      case 0:
        engine.lose();
        break;
      case 1:
        engine.forget();
        break;
      case 2:
        engine.isDeaf = true;
        break;
      case 3:
        engine.isMute = true;
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

Deno.test("What was published has arrived, or a gap was told, and who is there is known, whatever goes wrong", async () => {
  for (let seed = 1; seed <= 40; seed++) await play(seed);
});
