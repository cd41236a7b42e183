/**
 * What must hold of rooms, and of who is in them, over whatever engine: one list of
 * sentences, run by the tests of each.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Change,
  type Cluster,
  EngineError,
  type Gap,
  type Room,
} from "../../cluster.ts";
import { marshal } from "../../mod.ts";
import { FaultyEngine } from "./faulty_engine.ts";
import { until } from "../interop/processes.ts";
import type { Case, PageMethods, Stage } from "./stage.ts";

const lobby = "the lobby";
const encoded = "the%20lobby";

/** Three nodes. */
async function three(
  stage: Stage,
): Promise<[Cluster, Cluster, Cluster]> {
  const nodes: [Cluster, Cluster, Cluster] = [
    await stage.join(),
    await stage.join(),
    await stage.join(),
  ];
  for (const node of nodes) await until(() => node.nodes.length === 3);
  return nodes;
}

function room(node: Cluster, name = lobby): Room<PageMethods, { n: number }> {
  return node.room<PageMethods, { n: number }>(name);
}

/** Notes what is told of gaps. */
function gapsOf(node: Cluster, name = lobby): Gap[] {
  const gaps: Gap[] = [];
  room(node, name).ongap = (gap) => void gaps.push(gap);
  return gaps;
}

/** The ids of who is in a room, sorted. */
async function idsOf(node: Cluster, name = lobby): Promise<string[]> {
  const { members } = await room(node, name).members();
  return members.map(({ id }) => id).sort();
}

/** Reads the next of some changes. */
async function next(changes: AsyncIterator<Change>): Promise<Change> {
  const { value } = await changes.next();
  return value;
}

const numbers = Array.from({ length: 200 }, (_, n) => `${n}`);

/**
 * A node whose engine can be told to fail, and another one that hears of gaps and has a
 * page in the room.
 */
async function besideFaulty(stage: Stage): Promise<{
  engine: FaultyEngine;
  here: Cluster;
  there: Cluster;
  page: ReturnType<Stage["page"]>;
  gaps: Gap[];
}> {
  const engine = new FaultyEngine(await stage.engine());
  const here = await stage.join(engine);
  const there = await stage.join();
  const page = stage.page(there);
  const gaps = gapsOf(there);
  await room(there).join(page.peer);
  return { engine, here, there, page, gaps };
}

/** The cases. */
export const roomCases: readonly Case[] = [
  {
    name:
      "What is said in a room reaches its members on all nodes, once, and nobody else",
    async run(stage) {
      const nodes = await three(stage);
      const pages = nodes.map((node) => stage.page(node));
      const [outside, other] = [stage.page(nodes[1]), stage.page(nodes[1])];
      for (const [n, node] of nodes.entries()) {
        await room(node).join(pages[n]!.peer);
      }
      await room(nodes[1], "another").join(other.peer);
      assertEquals(room(nodes[0]).notify("show", ["one"]), 1);
      await room(nodes[2]).publish("show", ["two"]);
      await room(nodes[1], "another").publish("show", ["three"]);
      for (const { shown } of pages) {
        await until(() => shown.length === 2);
        assertEquals(shown.toSorted(), ["one", "two"]);
      }
      assertEquals([outside.shown, other.shown], [[], ["three"]]);
      assertEquals(stage.errors, []);
    },
  },
  {
    name: "What a node says in a room arrives in that order",
    async run(stage) {
      const nodes = await three(stage);
      const pages = nodes.map((node) => stage.page(node));
      for (const [n, node] of nodes.entries()) {
        await room(node).join(pages[n]!.peer);
      }
      for (const number of numbers) room(nodes[0]).notify("show", [number]);
      for (const { shown } of pages) {
        await until(() => shown.length === numbers.length);
        assertEquals(shown, numbers);
      }
      assertEquals(stage.errors, []);
    },
  },
  {
    name: "Nothing is missed that is published after join has resolved",
    async run(stage) {
      const [here, there] = await three(stage);
      for (let n = 0; n < 50; n++) {
        const page = stage.page(there);
        await room(there, `room ${n}`).join(page.peer);
        await room(here, `room ${n}`).publish("show", ["hello"]);
        await until(() => page.shown.length === 1);
      }
    },
  },
  {
    name: "Who is excepted is told nothing, wherever it is",
    async run(stage) {
      const [here, there] = await three(stage);
      const [a, b, c] = [
        stage.page(here),
        stage.page(there),
        stage.page(there),
      ];
      await room(here).join(a.peer);
      await room(there).join(b.peer);
      await room(there).join(c.peer);
      const except = [a.peer, b.id];
      assertEquals(room(here).notify("show", ["not you"], { except }), 0);
      await room(here).publish("show", ["not c"], { except: c.id });
      await room(here).publish("show", ["all"]);
      await until(() => c.shown.length === 2 && b.shown.length === 2);
      assertEquals(a.shown, ["not c", "all"]);
      assertEquals(b.shown, ["not c", "all"]);
      assertEquals(c.shown, ["not you", "all"]);
    },
  },
  {
    name:
      "Who left, or closed, is told nothing more, and a room without members is let go of",
    async run(stage) {
      const [here, there] = await three(stage);
      const [a, b] = [stage.page(there), stage.page(there)];
      await room(there).join(a.peer);
      await room(there).join(b.peer);
      assertEquals(room(there).size, 2);
      assert(room(there).leave(a.peer));
      assert(!room(there).leave(a.peer));
      b.peer.close();
      assertEquals(room(there).size, 0);
      await room(here).publish("show", ["hello"]);
      assertEquals([a.shown, b.shown], [[], []]);
    },
  },
  {
    name:
      "A member that speaks 1.0 is told in its own words what another node said",
    async run(stage) {
      const [here, there] = await three(stage);
      const old = stage.page(there, { version: "1.0" });
      const page = stage.page(there);
      await room(there).join(old.peer);
      await room(there).join(page.peer);
      await room(here).publish("show", ["hello"]);
      await until(() => old.shown.length === 1 && page.shown.length === 1);
      assertEquals([old.shown, page.shown], [["hello"], ["hello"]]);
    },
  },
  {
    name: "Rooms have any name that is a text",
    async run(stage) {
      const [here, there] = await three(stage);
      const names = [
        "a.b",
        "*",
        ">",
        "ä 😀",
        "a/b?c#d",
        "\n",
        "__proto__",
        "%2E",
      ];
      for (const name of names) {
        const page = stage.page(there);
        await room(there, name).join(page.peer);
        await room(here, name).publish("show", [name]);
        await until(() => page.shown.length === 1);
        assertEquals(page.shown, [name]);
      }
    },
  },
  {
    name: "A long text arrives as it is",
    async run(stage) {
      const [here, there] = await three(stage);
      const page = stage.page(there);
      await room(there).join(page.peer);
      const texts = [
        "",
        '\n\r\u2028\u0000"\\',
        "ä€😀",
        "\ud800",
        "x".repeat(500_000),
      ];
      for (const text of texts) await room(here).publish("show", [text]);
      await until(() => page.shown.length === texts.length);
      assertEquals(page.shown, texts);
    },
  },
  {
    name: "Rooms that are joined and left by turns miss nothing",
    async run(stage) {
      const [here, there] = await three(stage);
      const page = stage.page(there);
      const gaps = gapsOf(there);
      for (let n = 0; n < 100; n++) {
        await room(there).join(page.peer);
        await room(here).publish("show", [`${n}`]);
        await until(() => page.shown.includes(`${n}`));
        room(there).leave(page.peer);
        if (n % 3 === 0) await room(here).publish("show", ["nobody"]);
      }
      // What was said before it joined may come after that.
      const shown = page.shown.filter((text) => text !== "nobody");
      assertEquals(shown, numbers.slice(0, 100));
      assertEquals(gaps, []);
    },
  },
  {
    name: "Thousands of rooms are joined at a time",
    async run(stage) {
      const [here, there] = await three(stage);
      const page = stage.page(there);
      const names = Array.from({ length: 2_000 }, (_, n) => `room ${n}`);
      await Promise.all(names.map((name) => room(there, name).join(page.peer)));
      for (const name of names) await room(here, name).publish("show", [name]);
      await until(() => page.shown.length === names.length);
      page.peer.close();
      assertEquals(room(there, names[0]).size, 0);
      assertEquals(stage.errors, []);
    },
  },
  {
    name: "Nodes of two prefixes don't hear each other",
    async run(stage) {
      const here = await stage.join();
      const there = await stage.join(undefined, `${stage.prefix}.b`);
      const page = stage.page(there);
      await room(there).join(page.peer);
      await room(here).publish("show", ["hello"]);
      await room(there).publish("show", ["own"]);
      assertEquals(page.shown, ["own"]);
      assertEquals(here.nodes, [here.id]);
      assertEquals(await idsOf(here), []);
    },
  },
  {
    name: "members lists who is there on all nodes, with key and data",
    async run(stage) {
      const nodes = await three(stage);
      const pages = nodes.map((node) => stage.page(node));
      await room(nodes[0]).join(pages[0]!.peer, { key: "ann", data: { n: 1 } });
      await room(nodes[1]).join(pages[1]!.peer, { key: "ann" });
      await room(nodes[2]).join(pages[2]!.peer, { data: { n: 3 } });
      for (const node of nodes) {
        const listed = await room(node).members();
        assertEquals([listed.missing, listed.isStale], [[], false]);
        const order = listed.members.toSorted((one, other) =>
          nodes.findIndex(({ id }) => id === one.node) -
          nodes.findIndex(({ id }) => id === other.node)
        );
        assertEquals(order, [
          {
            id: pages[0]!.id,
            node: nodes[0].id,
            key: "ann",
            data: { n: 1 },
          },
          {
            id: pages[1]!.id,
            node: nodes[1].id,
            key: "ann",
            data: undefined as never,
          },
          {
            id: pages[2]!.id,
            node: nodes[2].id,
            key: undefined,
            data: { n: 3 },
          },
        ]);
      }
    },
  },
  {
    name: "members of a room of thousands has each of them",
    async run(stage) {
      const [here, there] = await three(stage);
      for (let n = 0; n < 1_000; n++) {
        room(there).join(stage.page(there).peer, { key: `${n}`, data: { n } });
      }
      const { members } = await room(here).members();
      assertEquals(members.map(({ data }) => data.n), [
        ...Array.from({ length: 1_000 }, (_, n) => n),
      ]);
    },
  },
  {
    name:
      "changes tells who is there, and then who comes and goes, on all nodes",
    async run(stage) {
      const [here, there, third] = await three(stage);
      const [a, b, c] = [
        stage.page(here),
        stage.page(there),
        stage.page(third),
      ];
      await room(there).join(b.peer, { key: "bob" });
      await using changes = room(here).changes();
      const first = await next(changes);
      assert(first.type === "snapshot");
      assertEquals(first.members.map(({ id }) => id), [b.id]);
      await room(here).join(a.peer);
      const second = await next(changes);
      assert(second.type === "join");
      assertEquals(second.member.id, a.id);
      await room(third).join(c.peer, { data: { n: 1 } });
      const third_ = await next(changes);
      assert(third_.type === "join");
      assertEquals([third_.member.id, third_.member.data], [c.id, { n: 1 }]);
      await room(third).join(c.peer, { key: "cat", data: { n: 2 } });
      const fourth = await next(changes);
      assert(fourth.type === "join");
      assertEquals([fourth.member.key, fourth.member.data], ["cat", { n: 2 }]);
      room(there).leave(b.peer);
      const fifth = await next(changes);
      assert(fifth.type === "leave");
      assertEquals([fifth.member.id, fifth.why], [b.id, "left"]);
      c.peer.close();
      const sixth = await next(changes);
      assert(sixth.type === "leave");
      assertEquals([sixth.member.id, sixth.why], [c.id, "closed"]);
      await third.close();
      await room(there).join(b.peer);
      const seventh = await next(changes);
      assert(seventh.type === "join");
      await there.close();
      const eighth = await next(changes);
      assert(eighth.type === "leave");
      assertEquals([eighth.member.id, eighth.why], [b.id, "node"]);
    },
  },
  {
    name: "A second subscriber to changes begins with what the first one knows",
    async run(stage) {
      const [here, there] = await three(stage);
      const page = stage.page(there);
      await room(there).join(page.peer);
      await using first = room(here).changes();
      await next(first);
      await using second = room(here).changes();
      const snapshot = await next(second);
      assert(snapshot.type === "snapshot");
      assertEquals(snapshot.members.map(({ id }) => id), [page.id]);
      room(there).leave(page.peer);
      assertEquals((await next(first)).type, "leave");
      assertEquals((await next(second)).type, "leave");
    },
  },
  {
    name:
      "An engine that was lost is a gap of each room, once, and nobody has left",
    async run(stage) {
      const engine = new FaultyEngine(await stage.engine());
      const here = await stage.join(engine);
      const there = await stage.join();
      const [a, b] = [stage.page(here), stage.page(there)];
      const gaps = [gapsOf(here), gapsOf(here, "another"), gapsOf(there)];
      await room(here).join(a.peer);
      await room(here, "another").join(a.peer);
      await room(there).join(b.peer);
      await using changes = room(here).changes();
      await next(changes);
      engine.lose();
      assertEquals(here.status, "lost");
      await room(there).publish("show", ["missed"]);
      assertEquals(room(here).notify("show", ["local"]), 1);
      const error = await assertRejects(
        () => room(here).publish("show", ["local too"]),
        EngineError,
      );
      assert(!error.sent);
      const stale = await room(here).members();
      assertEquals(stale.members.length, 2);
      assertEquals([stale.missing, stale.isStale], [[there.id], true]);
      engine.find();
      await until(() => here.status === "open" && gaps[1]!.length === 1);
      assertEquals(gaps[0], [{ room: lobby, why: "engine" }]);
      assertEquals(gaps[1], [{ room: "another", why: "engine" }]);
      await room(there).publish("show", ["heard"]);
      await until(() => a.shown.includes("heard"));
      // What was on its way may come late.
      const shown = a.shown.filter((text) => text !== "missed");
      assertEquals(shown, ["local", "local too", "heard"]);
      const gap = await next(changes);
      assert(gap.type === "gap");
      assertEquals(gap.gap, { room: lobby, why: "engine" });
      await until(async () => !(await room(here).members()).isStale);
      b.peer.close();
      assertEquals((await next(changes)).type, "leave");
      // What it could not say, the others know by its next beat.
      await until(() => gaps[2]!.length === 1);
      assertEquals([gaps[2]![0]!.why, gaps[2]![0]!.node], ["hole", here.id]);
    },
  },
  {
    name:
      "What is lost on its way is told with the next that arrives, and who came meanwhile is known",
    async run(stage) {
      const { engine, here, there, page, gaps } = await besideFaulty(stage);
      await using changes = room(there).changes();
      await next(changes);
      await room(here).publish("show", ["one"]);
      engine.loses = (text) => !text.includes('"beat"');
      await room(here).publish("show", ["two"]);
      const came = stage.page(here);
      await room(here).join(came.peer);
      // Said within a moment, and lost, too.
      await until(() => engine.published.at(-1)!.includes('"presence"'));
      engine.loses = () => false;
      await room(here).publish("show", ["four"]);
      await until(() => page.shown.length === 2);
      assertEquals(page.shown, ["one", "four"]);
      assertEquals(gaps, [
        { room: lobby, why: "hole", node: here.id, missed: 2 },
      ]);
      assertEquals((await next(changes)).type, "gap");
      const join = await next(changes);
      assert(join.type === "join");
      assertEquals(join.member.id, came.id);
    },
  },
  {
    name: "What is lost last is told by a beat",
    async run(stage) {
      const { engine, here, gaps } = await besideFaulty(stage);
      await room(here).publish("show", ["one"]);
      engine.loses = (text) => !text.includes('"beat"');
      await room(here).publish("show", ["two"]);
      await until(() => gaps.length === 1);
      assertEquals(gaps, [
        { room: lobby, why: "hole", node: here.id, missed: 1 },
      ]);
    },
  },
  {
    name:
      "publish rejects where too much is not confirmed, and others are told of the hole",
    async run(stage) {
      const { engine, here, page, gaps } = await besideFaulty(stage);
      await room(here).publish("show", ["first"]);
      const confirmed = Promise.withResolvers<number>();
      engine.confirms = confirmed.promise;
      for (let n = 0; n < 1_024; n++) room(here).notify("show", [`${n}`]);
      const error = await assertRejects(
        () => room(here).publish("show", ["one too many"]),
        EngineError,
        "1024 of at most 1024 messages",
      );
      assert(!error.sent);
      assertEquals(stage.errors, []);
      room(here).notify("show", ["another"]);
      room(here).notify("show", ["a third"]);
      await until(() => stage.errors.length > 0);
      assertEquals(stage.errors.length, 1);
      engine.confirms = undefined;
      confirmed.resolve(1);
      await until(() => page.shown.length === 1_025);
      await room(here).publish("show", ["last"]);
      await until(() => gaps.length === 1);
      assertEquals(gaps[0]!.missed, 3);
    },
  },
  {
    name: "A hostile message is dropped, and told once",
    async run(stage) {
      const engine = await stage.engine();
      const here = await stage.join();
      const page = stage.page(here);
      await room(here).join(page.peer);
      await using changes = room(here).changes();
      await next(changes);
      const said = (fields: string, body = "") =>
        `{"v":1,"n":"evil",${fields}}\n${body}`;
      const notice = '{"jsonrpc":"2.0","method":"show","params":["evil"]}';
      const texts = [
        "",
        "\n",
        "null\n",
        "[]\n",
        '"x"\n',
        "{\n",
        `{"v":1}\n${notice}`,
        `{"v":1,"n":"e v","k":"notify","s":1,"m":"show"}\n${notice}`,
        `{"v":2,"n":"evil","k":"notify","s":1,"m":"show"}\n${notice}`,
        `{"v":1,"n":"evil","k":7,"s":1,"m":"show"}\n${notice}`,
        "x".repeat(70_000),
        said('"k":"notify","m":"show"', notice),
        said('"k":"notify","s":-1,"m":"show"', notice),
        said('"k":"notify","s":1e300,"m":"show"', notice),
        said('"k":"notify","s":"1","m":"show"', notice),
        said('"k":"notify","s":1', notice),
        said('"k":"notify","s":2,"m":"show"', ""),
        said('"k":"notify","s":3,"m":"show"', '{"id":1,"result":1}'),
        said('"k":"notify","s":3,"m":"show"', notice), // Once more.
        said('"k":"presence","s":4', "no JSON"),
        said('"k":"what","s":5', "{}"),
        "[".repeat(60_000),
      ];
      for (const text of texts) {
        await engine.publish(stage.room(encoded), text);
        await engine.publish(stage.all, text);
        await engine.publish(`${stage.prefix}.n.${here.id}`, text);
      }
      await room(here).publish("show", ["still here"]);
      await until(() => stage.errors.length > 0);
      assertEquals(page.shown, ["still here"]);
      assertEquals(stage.errors.length, 1);
      assertEquals((await room(here).members()).members.length, 1);
    },
  },
  {
    name: "What a node lies about its members is believed of nobody else's",
    async run(stage) {
      const engine = await stage.engine();
      const here = await stage.join();
      const page = stage.page(here);
      await room(here).join(page.peer);
      await engine.publish(stage.all, '{"v":1,"n":"evil","k":"hello"}\n');
      await until(() => here.nodes.length === 2);
      await using changes = room(here).changes();
      await next(changes);
      let number = 0;
      const say = (...members: unknown[]) =>
        engine.publish(
          stage.room(encoded),
          `{"v":1,"n":"evil","k":"presence","s":${++number}}\n${
            JSON.stringify(members)
          }`,
        );
      const own = Number(page.id.split(".")[1]);
      await say(
        { id: own, why: "left" },
        { id: 7, key: "k".repeat(257) },
      );
      await say({ id: -1 }, { id: "1" }, null, 4);
      await say(...Array.from({ length: 257 }, (_, id) => ({ id })));
      await engine.publish(
        stage.room(encoded),
        `{"v":1,"n":"evil","k":"presence","s":${++number}}\n${
          '[{"id":1,"data":' + "[".repeat(10_000) + "]".repeat(10_000) + "}]"
        }`,
      );
      const { members } = await room(here).members();
      assertEquals(members.map(({ id }) => id), [page.id]);
    },
  },
  {
    name: "join and notify refuse what could not be said",
    async run(stage) {
      const node = await stage.join();
      const { peer } = stage.page(node);
      assertThrows(
        () => node.room(""),
        TypeError,
        "1 or more whole characters",
      );
      assertThrows(() => node.room("\ud800"), TypeError);
      assertThrows(() => node.room("x".repeat(901)), RangeError, "900");
      const bad = async (
        options: Record<string, unknown>,
        type: typeof TypeError | typeof RangeError,
      ): Promise<void> => {
        await assertRejects(() => node.room(lobby).join(peer, options), type);
      };
      await bad({ key: "k".repeat(257) }, RangeError);
      await bad({ key: 7 }, TypeError);
      await bad({ data: () => {} }, TypeError);
      await bad({ data: 1n }, TypeError);
      await bad({ data: "x".repeat(4_096) }, RangeError);
      let deep: unknown = 1;
      for (let n = 0; n < 33; n++) deep = [deep];
      await bad({ data: deep }, RangeError);
      assertEquals(room(node).size, 0);
      const unwritable = node.room(lobby);
      assertThrows(() => unwritable.notify("show", 7 as never), TypeError);
      assertThrows(
        () => unwritable.notify("show", [], { except: Array(257).fill("a.1") }),
        RangeError,
        "257 of at most 256",
      );
      await assertRejects(() => unwritable.publish("show", [1n]), TypeError);
      // It makes no difference whether anybody is here to be told.
      const other = await stage.join();
      for (const value of [1n, () => {}, new ReadableStream(), marshal({})]) {
        const said = () => other.room(lobby).publish("show", [value]);
        await assertRejects(said, TypeError, 'Cannot send notification "show"');
        await other.room(lobby).join(stage.page(other).peer);
        await assertRejects(said, TypeError, 'Cannot send notification "show"');
      }
    },
  },
  {
    name: "A cluster that is closed leaves no member, and says so to who joins",
    async run(stage) {
      const [here, there] = await three(stage);
      const page = stage.page(there);
      await room(there).join(page.peer);
      await using changes = room(there).changes();
      await next(changes);
      assertEquals(await idsOf(here), [page.id]);
      await there.close();
      assertEquals((await changes.next()).done, true);
      assertEquals(room(there).size, 0);
      assertEquals(room(there).notify("show", ["nobody"]), 0);
      await assertRejects(() => room(there).join(page.peer), EngineError);
      await assertRejects(() => room(there).publish("hide"), EngineError);
      await assertRejects(() => room(there).members(), EngineError);
      for await (const _ of room(there).changes()) assert(false);
      await until(async () => (await idsOf(here)).length === 0);
      assertEquals(page.peer.state, "open");
    },
  },
];
