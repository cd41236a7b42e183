/**
 * What must hold of rooms with history, over whatever engine.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Cluster,
  EngineError,
  type Gap,
  type HistoryRoom,
} from "../../cluster.ts";
import { until } from "../interop/processes.ts";
import { FaultyEngine } from "./faulty_engine.ts";
import type { Case, Page, PageMethods, Stage } from "./stage.ts";

function room(node: Cluster): HistoryRoom<PageMethods> {
  return node.room<PageMethods>("the lobby", { history: true });
}

/** Some numbers, as texts. */
function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, n) => `${from + n}`);
}

async function publish(node: Cluster, texts: readonly string[]): Promise<void> {
  await Promise.all(texts.map((text) => room(node).publish("show", [text])));
}

/** Waits until a page was shown so many, looks that they are these, and no more come. */
async function isShown(page: Page, texts: readonly string[]): Promise<void> {
  await until(() => page.shown.length >= texts.length);
  assertEquals(page.shown, texts);
}

/** A page that is a member, told nothing of before. */
async function member(stage: Stage, node: Cluster): Promise<Page> {
  const page = stage.page(node);
  await room(node).join(page.peer);
  return page;
}

/** A node whose engine can be told to fail, with a member; and another node. */
async function besideFaulty(stage: Stage): Promise<{
  engine: FaultyEngine;
  here: Cluster;
  there: Cluster;
  page: Page;
  gaps: Gap[];
}> {
  const engine = new FaultyEngine(await stage.engine());
  const here = await stage.join(engine);
  const there = await stage.join();
  const page = await member(stage, here);
  const gaps: Gap[] = [];
  room(here).ongap = (gap) => void gaps.push(gap);
  return { engine, here, there, page, gaps };
}

/** The cases. */
export const historyCases: readonly Case[] = [
  {
    name:
      "What is said in a room with history is heard by all members of all nodes in one order",
    async run(stage) {
      const nodes = [await stage.join(), await stage.join()];
      const pages = [];
      for (const node of nodes) pages.push(await member(stage, node));
      await Promise.all(
        nodes.map((node, n) =>
          publish(node, numbers(1, 100).map((text) => `${n} ${text}`))
        ),
      );
      for (const { shown } of pages) await until(() => shown.length === 200);
      assertEquals(pages[0]!.shown, pages[1]!.shown);
      assertEquals(pages[0]!.positions, pages[1]!.positions);
      for (const n of [0, 1]) {
        const own = pages[0]!.shown.filter((text) => text.startsWith(`${n} `));
        assertEquals(own, numbers(1, 100).map((text) => `${n} ${text}`));
      }
      assertEquals(stage.errors, []);
    },
  },
  {
    name:
      "A peer that comes back, to whatever node, is sent what it has missed, once and in order",
    async run(stage) {
      const nodes = [await stage.join(), await stage.join()] as const;
      const first = await member(stage, nodes[0]);
      await publish(nodes[0], numbers(1, 10));
      await isShown(first, numbers(1, 10));
      const had = first.shown.slice(0, 5);
      const position = first.positions[4]!;
      room(nodes[0]).leave(first.peer);
      await publish(nodes[1], numbers(11, 20));

      const back = stage.page(nodes[1]);
      const publishing = publish(nodes[0], numbers(21, 60));
      const caught = await room(nodes[1]).catchUp(back.peer, position);
      assert(caught.isWhole);
      await publishing;
      await publish(nodes[1], ["61"]);
      await until(() => back.shown.at(-1) === "61");
      assertEquals([...had, ...back.shown], numbers(1, 61));
      assertEquals(new Set(back.positions).size, 56);
      assertEquals(stage.errors, []);
    },
  },
  {
    name:
      "A peer may be sent the last so many, or none, of what was said before",
    async run(stage) {
      const nodes = [await stage.join(), await stage.join()] as const;
      await publish(nodes[0], numbers(1, 30));
      for (
        const [since, texts] of [
          [3, numbers(28, 30)],
          [1_000, numbers(1, 30)],
          [0, []],
        ] as const
      ) {
        const page = stage.page(nodes[1]);
        const { isWhole } = await room(nodes[1]).catchUp(page.peer, since);
        assert(isWhole);
        await page.peer.request("rpc.ping");
        assertEquals(page.shown, texts);
      }
      assertEquals(room(nodes[1]).size, 3);
      assertEquals(stage.errors, []);
    },
  },
  {
    name:
      "Who has missed more than is kept is told so, is sent nothing, and hears what follows",
    async run(stage) {
      const node = await stage.join();
      const page = await member(stage, node);
      await publish(node, numbers(1, 150));
      await isShown(page, numbers(1, 150));
      const old = page.positions[40]!;
      for (const since of [old, "other.150", "nonsense", ""]) {
        const late = stage.page(node);
        const caught = await room(node).catchUp(late.peer, since);
        const { position } = await room(node).history(0);
        assertEquals(caught, { isWhole: false, position });
        const again = await room(node).catchUp(late.peer, position!);
        assertEquals(again, { isWhole: true, position });
        await publish(node, [`after ${since}`]);
        await isShown(late, [`after ${since}`]);
        room(node).leave(late.peer);
      }
      assertEquals(stage.errors, []);
    },
  },
  {
    name:
      "A node that has missed something of a room reads it, and tells its members in order, and no gap",
    async run(stage) {
      const { engine, there, page, gaps } = await besideFaulty(stage);
      await publish(there, numbers(1, 5));
      engine.misses = (text) => /"[678]"\]/.test(text);
      await publish(there, numbers(6, 20));
      await isShown(page, numbers(1, 20));
      // Also the last one, of which a beat tells.
      engine.misses = (text) => text.includes('"21"');
      await publish(there, ["21"]);
      await isShown(page, numbers(1, 21));
      assertEquals(new Set(page.positions).size, 21);
      assertEquals([gaps, stage.errors], [[], []]);
    },
  },
  {
    name:
      "What is said while a node still reads what was said before is heard by its members, also what doesn't arrive",
    async run(stage) {
      const inner = await stage.engine();
      const open = inner.openLog!.bind(inner);
      const { promise, resolve } = Promise.withResolvers<void>();
      inner.openLog = async (prefix, keep) => {
        const log = await open(prefix, keep);
        return {
          append: (subject, text) => log.append(subject, text),
          read: async (subject, from, most) => {
            if (from === 1) await promise;
            return await log.read(subject, from, most);
          },
        };
      };
      const engine = new FaultyEngine(inner);
      const there = await stage.join();
      await publish(there, numbers(1, 5));
      const page = await member(stage, await stage.join(engine));
      engine.misses = (text) => /"([7-9]|15|20)"\]/.test(text);
      await publish(there, numbers(6, 20));
      resolve();
      await isShown(page, numbers(6, 20));
      engine.misses = () => false;
      await publish(there, ["21"]);
      await isShown(page, numbers(6, 21));
      assertEquals(stage.errors, []);
    },
  },
  {
    name: "What was read before it arrives is heard by all members, once",
    async run(stage) {
      const engine = await stage.engine();
      const open = engine.openLog!.bind(engine);
      const subscribe = engine.subscribe.bind(engine);
      const { promise, resolve } = Promise.withResolvers<void>();
      engine.openLog = async (prefix, keep) => {
        const log = await open(prefix, keep);
        return {
          append: (subject, text) => log.append(subject, text),
          read: async (subject, from, most) => {
            await promise;
            return await log.read(subject, from, most);
          },
        };
      };
      const late: (() => void)[] = [];
      engine.subscribe = (subject, receive) =>
        subscribe(subject, (text, place) => {
          if (place === undefined) receive(text);
          else late.push(() => receive(text, place));
        });
      const [here, there] = [await stage.join(engine), await stage.join()];
      const page = await member(stage, here);
      await publish(there, numbers(1, 5));
      resolve();
      const other = stage.page(here);
      await room(here).catchUp(other.peer, 10);
      await until(() => late.length === 5);
      for (const receive of late.splice(0)) receive();
      await publish(there, ["6"]);
      await until(() => late.length === 1);
      late[0]!();
      for (const { shown } of [page, other]) {
        await until(() => shown.at(-1) === "6");
        assertEquals(shown, numbers(1, 6));
      }
      assertEquals(stage.errors, []);
    },
  },
  {
    name:
      "A node whose engine was lost reads what was said meanwhile, and tells no gap",
    async run(stage) {
      const { engine, here, there, page, gaps } = await besideFaulty(stage);
      await publish(there, numbers(1, 5));
      await isShown(page, numbers(1, 5));
      engine.lose();
      await publish(there, numbers(6, 90));
      const error = await assertRejects(
        () => room(here).publish("show", ["never"]),
        EngineError,
      );
      assertEquals(error.sent, false);
      engine.find();
      await isShown(page, numbers(1, 90));
      await publish(here, ["91"]);
      await isShown(page, numbers(1, 91));
      assertEquals(gaps, []);
    },
  },
  {
    name:
      "Of what a node missed and is not kept any more one gap is told, and the rest is heard",
    async run(stage) {
      const { engine, there, page, gaps } = await besideFaulty(stage);
      await publish(there, numbers(1, 5));
      await isShown(page, numbers(1, 5));
      engine.lose();
      await publish(there, numbers(6, 150));
      await until(() => engine.unheard.at(-1)?.includes('"150"') === true);
      engine.find();
      await until(() => page.shown.at(-1) === "150");
      assertEquals(page.shown, [...numbers(1, 5), ...numbers(51, 150)]);
      assertEquals(gaps, [{ room: "the lobby", why: "engine" }]);
    },
  },
  {
    name: "What a peer is excepted from it isn't sent later either",
    async run(stage) {
      const node = await stage.join();
      const [page, other] = [
        await member(stage, node),
        await member(stage, node),
      ];
      const told = room(node).notify("show", ["1"], { except: page.peer });
      assertEquals(told, 1);
      await publish(node, ["2"]);
      await isShown(other, ["1", "2"]);
      await isShown(page, ["2"]);
      await room(node).catchUp(page.peer, 10);
      await until(() => page.shown.length === 2);
      assertEquals(page.shown, ["2", "2"]);
    },
  },
  {
    name: "A member that speaks 1.0 hears of a room with history, too",
    async run(stage) {
      const node = await stage.join();
      const page = stage.page(node, { version: "1.0" });
      await publish(node, ["1"]);
      await room(node).catchUp(page.peer, 10);
      await publish(node, ["2"]);
      await isShown(page, ["1", "2"]);
      assertEquals(page.positions, []);
    },
  },
  {
    name: "What was said in a room can be read, by any node",
    async run(stage) {
      const nodes = [await stage.join(), await stage.join()] as const;
      assertEquals((await room(nodes[0]).history()).said, []);
      await publish(nodes[0], numbers(1, 3));
      const past = await room(nodes[1]).history();
      assert(past.isWhole);
      assertEquals(
        past.said.map(({ method, params }) => [method, params]),
        numbers(1, 3).map((text) => ["show", [text]]),
      );
      assertEquals(past.position, past.said.at(-1)!.position);
      const since = await room(nodes[0]).history(past.said[0]!.position);
      assertEquals(since.said, past.said.slice(1));
      const last = await room(nodes[0]).history(1);
      assertEquals(last.said, past.said.slice(2));
      const old = await room(nodes[0]).history("other.1");
      assertEquals([old.isWhole, old.said], [false, []]);
    },
  },
  {
    name: "Two rooms have two histories, and so have two prefixes",
    async run(stage) {
      const node = await stage.join();
      const other = await stage.join(undefined, `${stage.prefix}-2`);
      await publish(node, ["1"]);
      const rooms = [
        node.room("another", { history: true }),
        other.room("the lobby", { history: true }),
      ];
      for (const each of rooms) assertEquals((await each.history()).said, []);
    },
  },
  {
    name: "A since that is no position and no number is refused",
    async run(stage) {
      const node = await stage.join();
      const page = stage.page(node);
      for (const since of [undefined, null, {}, true]) {
        await assertRejects(
          () => room(node).catchUp(page.peer, since as never),
          TypeError,
          "since must be a position",
        );
      }
      for (const since of [-1, NaN]) {
        await assertRejects(() => room(node).history(since), RangeError);
      }
      assertEquals(room(node).size, 0);
      assertThrows(() => room(node).notify("show", [1n as never]), TypeError);
    },
  },
  {
    name: "A peer that asks twice at once is sent what it has missed once",
    async run(stage) {
      const node = await stage.join();
      await publish(node, numbers(1, 3));
      const page = stage.page(node);
      const asked = [1, 2].map(() => room(node).catchUp(page.peer, 10));
      const answers = await Promise.all(asked);
      assertEquals(answers.map(({ isWhole }) => isWhole), [false, true]);
      await publish(node, ["4"]);
      await isShown(page, numbers(1, 4));
    },
  },
  {
    name:
      "A peer that leaves while it is sent what it has missed is no member any more",
    async run(stage) {
      const node = await stage.join();
      const page = stage.page(node);
      const caught = room(node).catchUp(page.peer, 10);
      room(node).leave(page.peer);
      assertEquals((await caught).isWhole, false);
      await publish(node, ["1"]);
      assertEquals(room(node).size, 0);
      await room(node).catchUp(page.peer, 10);
      await isShown(page, ["1"]);
    },
  },
];
