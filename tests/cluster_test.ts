/**
 * Nodes of a cluster in one process, over an engine in memory.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type CaughtUp,
  type Cluster,
  cluster,
  type Engine,
  EngineError,
  type Gap,
  type HistoryRoom,
  type JoinOptions,
  memory,
  type Past,
  type Position,
  type Room,
} from "../cluster.ts";
import { Peer } from "../mod.ts";
import { socketPair } from "../testing.ts";
import { FaultyEngine } from "./cluster/faulty_engine.ts";
import { historyCases } from "./cluster/history_cases.ts";
import { roomCases } from "./cluster/room_cases.ts";
import { Stage } from "./cluster/stage.ts";
import { until } from "./interop/processes.ts";
import { FakeTime, hurry } from "./fake_time.ts";

Deno.test("Nodes of one engine know each other once both have begun, and no more when one has left", async () => {
  const engine = memory();
  await using first = await cluster({ engine });
  const second = await cluster({ engine });
  assertEquals(first.nodes, [first.id, second.id]);
  assertEquals(second.nodes, [second.id, first.id]);
  await second.close();
  assertEquals(first.nodes, [first.id]);
  assertEquals(engine.listeners?.("jsonrpcws.all"), 1);
});

Deno.test("Nodes of two prefixes don't know each other", async () => {
  const engine = memory();
  await using first = await cluster({ engine, prefix: "chat" });
  await using second = await cluster({ engine, prefix: "chat.test" });
  assertEquals(first.nodes, [first.id]);
  assertEquals(second.nodes, [second.id]);
});

Deno.test("cluster() refuses a prefix that could be mistaken for another's subjects", async () => {
  for (const prefix of ["", "a b", "a.", ".a", "a..b", "a.r", "n.a", "é"]) {
    await assertRejects(() => cluster({ prefix }), TypeError, "prefix");
  }
});

Deno.test("cluster() rejects where the engine is closed", async () => {
  const engine = memory();
  await engine.close();
  await assertRejects(() => cluster({ engine }), EngineError, "is closed");
});

Deno.test("A node whose beats don't come is dead after 6 to 8 seconds, and known again with the next", async () => {
  using time = new FakeTime();
  const engine = memory();
  await using node = await cluster({ engine });
  const beat = '{"v":1,"n":"other","k":"beat","i":1}\n';
  await engine.publish("jsonrpcws.all", beat);
  assertEquals(node.nodes, [node.id, "other"]);
  await time.flow(6_000);
  assertEquals(node.nodes, [node.id, "other"]);
  await time.flow(2_000);
  assertEquals(node.nodes, [node.id]);
  await engine.publish("jsonrpcws.all", beat);
  assertEquals(node.nodes, [node.id, "other"]);
});

Deno.test("A node that was asleep doesn't take the others for dead", async () => {
  using time = new FakeTime();
  const engine = memory();
  await using node = await cluster({ engine });
  await engine.publish("jsonrpcws.all", '{"v":1,"n":"other","k":"beat"}\n');
  await time.flow(6_000);
  await time.pass(60_000);
  assert(node.nodes.includes("other"));
});

/** Some nodes with engines that fail on demand, in a time that stands still. */
class Lab implements AsyncDisposable {
  readonly time = new FakeTime();
  readonly errors: unknown[] = [];
  readonly engines: FaultyEngine[] = [];
  readonly nodes: Cluster[] = [];
  readonly #bus = memory();
  readonly #pages: Peer[] = [];

  /** Lets one more node join. */
  async join(): Promise<{ engine: FaultyEngine; node: Cluster; gaps: Gap[] }> {
    const engine = new FaultyEngine(this.#bus);
    const onerror = (error: unknown) => void this.errors.push(error);
    const node = await cluster({ engine, onerror });
    this.engines.push(engine);
    this.nodes.push(node);
    const gaps: Gap[] = [];
    node.room("lobby").ongap = (gap) => void gaps.push(gap);
    return { engine, node, gaps };
  }

  /** A page that is in the lobby of a node. */
  async page(node: Cluster, options: JoinOptions = {}): Promise<{
    readonly peer: Peer;
    readonly id: string;
    readonly shown: string[];
  }> {
    const [left, right] = socketPair();
    const shown: string[] = [];
    const local = { show: (text: string): void => void shown.push(text) };
    const peer = new Peer(right);
    this.#pages.push(new Peer(left, { local }), peer);
    await node.room("lobby").join(peer, options);
    return { peer, id: node.idOf(peer), shown };
  }

  /** Changes of the lobby, as far as they have come. */
  changes(node: Cluster): string[] {
    const told: string[] = [];
    const read = async (): Promise<void> => {
      for await (const change of node.room("lobby").changes()) {
        const { type } = change;
        told.push(
          type === "snapshot"
            ? `snapshot ${change.members.length}`
            : type === "gap"
            ? `gap ${change.gap.why}`
            : type === "leave"
            ? `leave ${change.member.id} ${change.why}`
            : `join ${change.member.id}`,
        );
      }
    };
    void read();
    return told;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#pages) peer.close();
    await Promise.all(this.#pages.map(({ closed }) => closed));
    await Promise.all(this.nodes.map((node) => node.close()));
    this.time[Symbol.dispose]();
  }
}

Deno.test("A room is the same object for the same name", async () => {
  await using nodes = await cluster();
  assert(nodes.room("a") === nodes.room("a"));
  assert(nodes.room("a") !== nodes.room("b"));
});

Deno.test("A node that is alone publishes nothing but its beats", async () => {
  await using lab = new Lab();
  const { node, engine } = await lab.join();
  const alone = memory();
  await using nodes = await cluster({ engine: alone });
  const published: string[] = [];
  const publish = alone.publish.bind(alone);
  alone.publish = (subject, text) => {
    if (!text.includes('"beat"')) published.push(text);
    return publish(subject, text);
  };
  const page = await lab.page(nodes);
  for (let n = 0; n < 2_000; n++) nodes.room("lobby").notify("show", [`${n}`]);
  while (page.shown.length < 2_000) await lab.time.pass(50);
  assertEquals(published, []);
  // An engine that doesn't know who hears it has to be told.
  await lab.page(node);
  node.room("lobby").notify("show", ["hello"]);
  assert(engine.published.at(-1)!.endsWith('"params":["hello"]}'));
});

Deno.test("Who comes and goes is gathered, at most 256 a message", async () => {
  await using lab = new Lab();
  const { node, engine } = await lab.join();
  for (let n = 0; n < 300; n++) await lab.page(node);
  await lab.time.pass(50);
  const said = engine.published.filter((text) => text.includes('"presence"'));
  const counts = said.map((text) => JSON.parse(text.split("\n")[1]!).length);
  assertEquals(counts, [256, 44]);
});

Deno.test("A subscription is let go of some seconds after the last member has left", async () => {
  await using lab = new Lab();
  const { node, engine } = await lab.join();
  const before = engine.subscribed;
  const { peer } = await lab.page(node);
  node.room("lobby").leave(peer);
  await lab.time.flow(4_000);
  await node.room("lobby").join(peer);
  assertEquals(engine.subscribed, before + 1);
  node.room("lobby").leave(peer);
  await lab.time.flow(8_000);
  await node.room("lobby").join(peer);
  assertEquals(engine.subscribed, before + 2);
});

Deno.test("The members of a node that crashed leave once, within 8 seconds", async () => {
  await using lab = new Lab();
  const [here, there] = [await lab.join(), await lab.join()];
  const [a, b] = [await lab.page(there.node), await lab.page(there.node)];
  const told = lab.changes(here.node);
  await lab.time.pass(100);
  assertEquals(told, ["snapshot 2"]);
  there.engine.isMute = there.engine.isDeaf = true;
  await lab.time.flow(8_000);
  assertEquals(told.slice(1), [`leave ${a.id} node`, `leave ${b.id} node`]);
  await lab.time.flow(60_000);
  assertEquals(told.length, 3);
  assertEquals(here.node.nodes, [here.node.id]);
  assertEquals(here.gaps, []);
});

Deno.test("A node that nobody heard comes back without ghosts: its members leave, then join", async () => {
  await using lab = new Lab();
  const [here, there] = [await lab.join(), await lab.join()];
  const [stays, goes] = [
    await lab.page(there.node),
    await lab.page(there.node),
  ];
  await lab.page(here.node);
  const told = lab.changes(here.node);
  const toldThere = lab.changes(there.node);
  await lab.time.pass(100);
  there.engine.isMute = there.engine.isDeaf = true;
  await lab.time.flow(8_000);
  goes.peer.close();
  await lab.time.flow(20_000);
  assertEquals(there.node.status, "lost");
  there.engine.isMute = there.engine.isDeaf = false;
  await lab.time.flow(10_000);
  assertEquals(told, [
    "snapshot 3",
    `leave ${stays.id} node`,
    `leave ${goes.id} node`,
    "gap hole", // It has said in vain that one goes.
    `join ${stays.id}`,
  ]);
  assertEquals(there.gaps, [{ room: "lobby", why: "engine" }]);
  assertEquals(toldThere.filter((what) => what.startsWith("gap")), [
    "gap engine",
  ]);
  assert(!toldThere.some((what) => what.endsWith("node")));
  assertEquals(there.node.status, "open");
});

Deno.test("A process that was asleep tells one gap of each room, and takes nobody for dead", async () => {
  await using lab = new Lab();
  const { node, gaps } = await lab.join();
  const told = lab.changes(node);
  await lab.page(node);
  await lab.time.flow(6_000);
  await lab.time.pass(60_000);
  await lab.time.flow(6_000);
  assertEquals(gaps, [{ room: "lobby", why: "paused" }]);
  assertEquals(told.filter((what) => what.startsWith("gap")), ["gap paused"]);
  assertEquals(lab.errors, []);
});

Deno.test("Where its own beats don't come back, a node subscribes anew, and tells one gap of each room", async () => {
  await using lab = new Lab();
  const [here, there] = [await lab.join(), await lab.join()];
  const page = await lab.page(here.node);
  here.engine.forget();
  await there.node.room("lobby").publish("show", ["missed"]);
  await lab.time.flow(9_000);
  assertEquals(here.node.status, "open");
  assertEquals(here.gaps, [{ room: "lobby", why: "engine" }]);
  await there.node.room("lobby").publish("show", ["heard"]);
  await lab.time.pass(0);
  assertEquals(page.shown, ["heard"]);
  assertEquals(lab.errors.length, 1);
  assert(`${lab.errors}`.includes("did not come back within 8000 ms"));
  assertEquals(here.node.nodes.length, 2);
});

Deno.test("A beat of its own that is missed, when the next one comes, is a gap of each room", async () => {
  await using lab = new Lab();
  const { node, engine, gaps } = await lab.join();
  await lab.page(node);
  await lab.time.flow(4_000);
  engine.loses = (text) => text.includes('"beat"');
  await lab.time.flow(2_000);
  engine.loses = () => false;
  assertEquals(gaps, []);
  await lab.time.flow(4_000);
  assertEquals(gaps, [{ room: "lobby", why: "engine" }]);
  assertEquals(node.status, "open");
});

Deno.test("Who joins while nothing arrives is a member, and waits no longer than that is known", async () => {
  await using lab = new Lab();
  const { node, engine, gaps } = await lab.join();
  engine.hangs = true;
  engine.isDeaf = true;
  let isDone = false;
  const joining = lab.page(node).then((page) => {
    isDone = true;
    return page;
  });
  await lab.time.flow(2_000);
  assertEquals([isDone, node.room("lobby").size], [false, 1]);
  await lab.time.flow(7_000);
  assert(isDone);
  await joining;
  await lab.page(node);
  engine.hangs = engine.isDeaf = false;
  await lab.time.flow(9_000);
  assertEquals(gaps.length, 1);
});

Deno.test("Where they never do, it goes on trying, and says so once", async () => {
  await using lab = new Lab();
  const { node, engine, gaps } = await lab.join();
  await lab.page(node);
  engine.isDeaf = true;
  await lab.time.flow(60_000);
  assertEquals(node.status, "lost");
  assertEquals(lab.errors.length, 1);
  assertEquals(gaps, []);
  engine.isDeaf = false;
  await lab.time.flow(9_000);
  assertEquals(node.status, "open");
  assertEquals(gaps.length, 1);
});

Deno.test("A node whose engine is lost takes nobody for dead", async () => {
  await using lab = new Lab();
  const [here, there] = [await lab.join(), await lab.join()];
  const told = lab.changes(here.node);
  await lab.page(there.node);
  await lab.time.pass(100);
  here.engine.lose();
  await lab.time.flow(60_000);
  assertEquals(here.node.nodes.length, 2);
  here.engine.find();
  await lab.time.flow(6_000);
  assertEquals(told.slice(0, 1), ["snapshot 1"]);
  assertEquals(told.filter((what) => what.startsWith("leave")), []);
  assertEquals(told.at(-1), "gap engine");
  assertEquals(lab.errors.length, 1);
});

Deno.test("Who joins while the engine is lost is a member at once, and of the others when it is back", async () => {
  await using lab = new Lab();
  const [here, there] = [await lab.join(), await lab.join()];
  here.engine.lose();
  const page = await lab.page(here.node);
  assertEquals(here.node.room("lobby").notify("show", ["here"]), 1);
  here.engine.find();
  await lab.time.pass(100);
  assertEquals(here.gaps.length, 1);
  await there.node.room("lobby").publish("show", ["there"]);
  await lab.time.pass(0);
  assertEquals(page.shown, ["here", "there"]);
  const { members } = await there.node.room("lobby").members();
  assertEquals(members.map(({ id }) => id), [page.id]);
});

Deno.test("members names who doesn't answer, within 2 seconds, and lists the others'", async () => {
  await using lab = new Lab();
  const [here, there, mute] = [
    await lab.join(),
    await lab.join(),
    await lab.join(),
  ];
  const page = await lab.page(there.node);
  await lab.page(mute.node);
  mute.engine.isMute = true;
  const listing = here.node.room("lobby").members();
  await lab.time.flow(2_000);
  const { members, missing, isStale } = await listing;
  assertEquals(members.map(({ id }) => id), [page.id]);
  assertEquals([missing, isStale], [[mute.node.id], false]);
});

Deno.test("changes that nobody reads end in a gap and a snapshot", async () => {
  await using lab = new Lab();
  const { node } = await lab.join();
  const changes = node.room("lobby").changes();
  assertEquals((await changes.next()).value!.type, "snapshot");
  const { peer } = await lab.page(node);
  for (let n = 0; n < 1_024; n++) await node.room("lobby").join(peer);
  const gap = (await changes.next()).value!;
  assert(gap.type === "gap");
  assertEquals([gap.gap.why, gap.gap.missed], ["slow", 1_025]);
  const snapshot = (await changes.next()).value!;
  assert(snapshot.type === "snapshot");
  assertEquals(snapshot.members.length, 1);
  node.room("lobby").leave(peer);
  assertEquals((await changes.next()).value!.type, "leave");
  await changes.return();
});

Deno.test("What ongap throws, now or later, is told to onerror", async () => {
  await using lab = new Lab();
  const { node, engine } = await lab.join();
  await lab.page(node);
  const room = node.room("lobby");
  for (
    const ongap of [
      () => {
        throw new Error("now");
      },
      () => Promise.reject(new Error("later")),
    ]
  ) {
    room.ongap = ongap;
    engine.lose();
    engine.find();
    await lab.time.pass(0);
  }
  assertEquals(lab.errors.map((error) => (error as Error).message), [
    "The engine is lost: other nodes are out of reach until it is back",
    "now",
    "The engine is lost: other nodes are out of reach until it is back",
    "later",
  ]);
});

Deno.test("A room that nobody has joined has no gaps, and is subscribed to by nobody", async () => {
  await using lab = new Lab();
  const { node, engine, gaps } = await lab.join();
  const before = engine.subscribed;
  engine.lose();
  node.room("lobby").notify("show", ["nobody"]);
  engine.find();
  await lab.time.flow(4_000);
  assertEquals(node.status, "open");
  assertEquals([gaps, engine.subscribed], [[], before]);
});

Deno.test("An engine that is closed leaves a node with its own members", async () => {
  const engine = memory();
  const errors: unknown[] = [];
  await using lab = new Lab();
  await using node = await cluster({
    engine,
    onerror: (error) => void errors.push(error),
  });
  const page = await lab.page(node);
  await engine.close();
  assertEquals(node.status, "closed");
  assertEquals(node.room("lobby").notify("show", ["own"]), 1);
  await lab.time.pass(0);
  assertEquals(page.shown, ["own"]);
  const error = await assertRejects(
    () => node.room("lobby").publish("show", ["own, too"]),
    EngineError,
    "the engine is closed",
  );
  assert(!error.sent);
  assertEquals(errors.length, 1);
});

Deno.test("Nothing of a node is left at its engine when it is closed", async () => {
  const engine = memory();
  const subjects = new Set<string>();
  const subscribe = engine.subscribe.bind(engine);
  engine.subscribe = (subject, receive) => {
    subjects.add(subject);
    return subscribe(subject, receive);
  };
  await using lab = new Lab();
  await using node = await cluster({ engine });
  await lab.page(node);
  await node.room("lobby").members();
  await node.close();
  assertEquals(subjects.size, 3);
  for (const subject of subjects) assertEquals(engine.listeners!(subject), 0);
});

Deno.test("The methods of a room's members are known by their types", async () => {
  await using nodes = await cluster();
  interface Page {
    show(text: string): void;
    clear(): void;
  }
  const room = nodes.room<Page, { n: number }>("typed");
  room.notify("show", ["hello"]);
  room.notify("clear");
  room.notify("clear", [], { except: "a.1" });
  room.notify("unknown", [1]);
  // @ts-expect-error: a text is wanted.
  room.notify("show", [1]);
  // @ts-expect-error: a text is wanted.
  await room.publish("show");
  const { members } = await room.members();
  const data: { n: number }[] = members.map(({ data }) => data);
  assertEquals(data, []);
  class Service extends Peer<Page, { user: string }> {
    override onopen(): Promise<void> {
      return room.join(this, { key: this.context.user, data: { n: 1 } });
    }
  }
  const [left, right] = socketPair();
  await using client = new Peer(left);
  await using service = new Service(right, { context: { user: "ann" } });
  await service.opened;
  await client.opened;
  assertEquals((await room.members()).members[0]!.key, "ann");
  // @ts-expect-error: its pages have other methods.
  const wrong = (peer: Peer<{ other(): void }>) => room.join(peer);
  assert(wrong);
});

Deno.test("A room with history is known by its options, and what its members may miss by its types", async () => {
  await using nodes = await cluster();
  interface Page {
    show(text: string): void;
  }
  const lobby: HistoryRoom<Page, { n: number }> = nodes.room("a", {
    history: true,
  });
  const [left, right] = socketPair();
  await using client = new Peer(left);
  await using peer = new Peer<Page>(right);
  await client.opened;
  const { isWhole, position }: CaughtUp = await lobby.catchUp(peer, 0, {
    data: { n: 1 },
  });
  const past: Past = await lobby.history();
  const since: Position | undefined = past.position ?? position;
  assertEquals([isWhole, past.said, since], [true, [], undefined]);
  const one: Room<Page> = lobby;
  lobby.notify("show", ["hello"]);
  lobby.notify("unknown", [1]);
  // What must not compile is not run.
  const wrong = async (
    options: { history: boolean },
    other: Peer<{ other(): void }>,
  ) => {
    // @ts-expect-error: since when?
    await lobby.catchUp(peer);
    // @ts-expect-error: what was caught up with may have no position.
    await lobby.catchUp(peer, position);
    // @ts-expect-error: a position is a text.
    await lobby.catchUp(peer, { epoch: "e", offset: 1 });
    // @ts-expect-error: so it is here.
    await lobby.history(new Date());
    // @ts-expect-error: its pages have other methods.
    await lobby.catchUp(other, 1);
    // @ts-expect-error: a number is wanted.
    await lobby.catchUp(peer, 1, { data: { n: "1" } });
    // @ts-expect-error: a text is wanted.
    lobby.notify("show", [1]);
    // @ts-expect-error: a text is wanted here, too.
    nodes.room<Page>("a", { history: true }).publish("show");
    // @ts-expect-error: what was said is not for the reader to change.
    past.position = "e.1";
    // @ts-expect-error: nothing is kept of it.
    nodes.room("a").history;
    // @ts-expect-error: nor perhaps of this one.
    nodes.room("a", options).history;
    // @ts-expect-error: it is no room with history because it could be one.
    const guessed: HistoryRoom = one;
    return guessed;
  };
  assert(wrong);
});

for (const { name, run } of [...roomCases, ...historyCases]) {
  Deno.test(`In memory: ${name}`, () =>
    hurry(async () => {
      const engine = memory();
      // An engine that is shared is closed with the stage.
      const connect = (): Promise<Engine> =>
        Promise.resolve({
          get status() {
            return engine.status;
          },
          publish: (subject, text) => engine.publish(subject, text),
          subscribe: (subject, receive) => engine.subscribe(subject, receive),
          openLog: (prefix, keep) => engine.openLog!(prefix, keep),
          watch: (told) => engine.watch(told),
          close: () => Promise.resolve(),
        });
      await using stage = new Stage(connect);
      await run(stage);
    }));
}

Deno.test("What arrives in one turn with the proof that the engine is back is no gap of its own", async () => {
  const bus = memory();
  await using stage = new Stage(() => Promise.resolve(bus));
  const engine = new FaultyEngine(bus);
  const subscribe = engine.subscribe.bind(engine);
  let behind: string | undefined;
  engine.subscribe = (subject, receive) =>
    subscribe(subject, (text) => {
      receive(text);
      if (behind !== undefined && text.includes('"beat"')) receive(behind);
    });
  const here = await stage.join(engine);
  const there = await stage.join();
  const page = stage.page(here);
  const lobby = here.room("lobby");
  const gaps: string[] = [];
  lobby.ongap = ({ why }) => void gaps.push(why);
  await lobby.join(page.peer);
  await there.room("lobby").publish("show", ["hello"]);
  await until(() => page.shown.length === 1);
  engine.lose();
  behind = `{"v":1,"n":"${there.id}","k":"beat","i":99,"at":[["lobby",9]]}\n`;
  engine.find();
  await until(() => gaps.length > 0);
  behind = undefined;
  await there.room("lobby").publish("show", ["again"]);
  await until(() => page.shown.length === 2);
  assertEquals(gaps, ["engine"]);
});
