/**
 * Rooms with history whose log is slow, broken or hostile, or has lost something.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Cluster,
  cluster,
  type Engine,
  EngineError,
  type Entry,
  type Gap,
  type HistoryRoom,
  type Log,
  memory,
  type Stretch,
} from "../cluster.ts";
import { connect } from "../client.ts";
import { Peer } from "../mod.ts";
import { serve } from "../server.ts";
import { FakeTime } from "./fake_time.ts";
import { FaultyEngine } from "./cluster/faulty_engine.ts";
import { type Page, type PageMethods, Stage } from "./cluster/stage.ts";
import { until } from "./interop/processes.ts";

/** An engine of which a part is another one. */
function changed(engine: Engine, parts: Partial<Engine>): Engine {
  return {
    get status() {
      return engine.status;
    },
    publish: (...what) => engine.publish(...what),
    subscribe: (...what) => engine.subscribe(...what),
    openLog: (...what) => engine.openLog!(...what),
    watch: (told) => engine.watch(told),
    close: () => engine.close(),
    ...parts,
  };
}

/** An engine whose log reads as a test says. */
function reading(
  engine: Engine,
  read: (log: Log, ...what: Parameters<Log["read"]>) => Promise<Stretch>,
): Engine {
  return changed(engine, {
    async openLog(prefix, keep) {
      const log = await engine.openLog!(prefix, keep);
      return {
        append: (...what) => log.append(...what),
        read: (...what) => read(log, ...what),
      };
    },
  });
}

/** An engine whose log has some entries. */
function of(engine: Engine, entries: () => readonly Entry[]): Engine {
  return reading(engine, (_log, _subject, from, most) =>
    Promise.resolve({
      epoch: entries()[0]!.epoch,
      entries: entries().filter(({ offset }) => offset >= from).slice(0, most),
      last: entries().at(-1)!.offset,
    }));
}

/** What a node appends that says so: as text. */
function said(text: string, node = "other"): string {
  const body = { jsonrpc: "2.0", method: "show", params: [text] };
  return `{"v":1,"n":"${node}","k":"notify","m":"show"}\n${
    JSON.stringify(body)
  }`;
}

/** Some entries of a log, each of which says its offset. */
function entries(epoch: string, from: number, to: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, n) => ({
    epoch,
    offset: from + n,
    previous: from + n - 1,
    text: said(`${epoch}${from + n}`),
  }));
}

function texts(entries: readonly Entry[]): string[] {
  return entries.map(({ text }) => JSON.parse(text.split("\n")[1]!).params[0]);
}

interface Scene {
  readonly bus: Engine;
  readonly engine: FaultyEngine;
  readonly node: Cluster;
  readonly lobby: HistoryRoom<PageMethods>;
  readonly gaps: Gap[];
  /** Says what it says as the log would: with a place. */
  hear(...entries: Entry[]): void;
}

/** A node over an engine that is made of one in memory. */
async function enact(
  stage: Stage,
  make: (engine: Engine) => Engine = (engine) => engine,
): Promise<Scene> {
  const bus = memory();
  const receivers = new Set<(entry: Entry) => void>();
  const hearing = changed(bus, {
    subscribe(subject, receive) {
      if (subject === stage.room("lobby")) {
        receivers.add(({ text, ...place }) => receive(text, place));
      }
      return bus.subscribe(subject, receive);
    },
  });
  const engine = new FaultyEngine(make(hearing));
  const node = await stage.join(engine);
  const lobby = node.room<PageMethods>("lobby", { history: true });
  const gaps: Gap[] = [];
  lobby.ongap = (gap) => void gaps.push(gap);
  return {
    bus,
    engine,
    node,
    lobby,
    gaps,
    hear(...entries) {
      for (const entry of entries) {
        for (const receive of receivers) receive(entry);
      }
    },
  };
}

function stage(): Stage {
  return new Stage(() => Promise.resolve(memory()));
}

async function member(stage: Stage, { node, lobby }: Scene): Promise<Page> {
  const page = stage.page(node);
  await lobby.join(page.peer);
  return page;
}

Deno.test("A room whose entries are all too old has missed nothing: what follows is no gap, and is caught up with", async () => {
  using time = new FakeTime();
  const engine = memory();
  const history = { milliseconds: 1_000 };
  await using first = await cluster({ engine, history });
  await first.room("lobby", { history: true }).publish("show", ["old"]);
  await time.flow(2_000);
  await using stages = stage();
  await using node = await cluster({ engine, history });
  const lobby = node.room<PageMethods>("lobby", { history: true });
  const gaps: Gap[] = [];
  lobby.ongap = (gap) => void gaps.push(gap);
  const page = stages.page(node);
  const { position } = await lobby.catchUp(page.peer, 10);
  await lobby.publish("show", ["new"]);
  await time.pass(0);
  assertEquals([page.shown, gaps], [["new"], []]);
  const back = stages.page(node);
  const { isWhole } = await lobby.catchUp(back.peer, position!);
  await time.pass(0);
  assertEquals([isWhole, back.shown], [true, ["new"]]);
});

Deno.test("What came and became too old while a node was away is a gap, though nothing was there before", async () => {
  using time = new FakeTime();
  const bus = memory();
  const history = { milliseconds: 1_000 };
  const engine = new FaultyEngine(bus);
  await using first = await cluster({ engine: bus, history });
  await using node = await cluster({ engine, history, onerror() {} });
  await using stages = stage();
  const lobby = node.room<PageMethods>("lobby", { history: true });
  const gaps: Gap[] = [];
  lobby.ongap = (gap) => void gaps.push(gap);
  await lobby.join(stages.page(node).peer);
  engine.lose();
  await first.room("lobby", { history: true }).publish("show", ["missed"]);
  await time.flow(2_000);
  engine.find();
  await time.flow(4_000);
  assertEquals(gaps, [{ room: "lobby", why: "engine" }]);
});

Deno.test("After an outage that is longer than anything is kept, what nothing is kept of is a gap; after a shorter one it is none", async () => {
  for (const [outage, gaps] of [[30_000, 0], [90_000, 1]] as const) {
    using time = new FakeTime();
    const bus = memory();
    const history = { milliseconds: 60_000 };
    const engine = new FaultyEngine(bus);
    await using other = await cluster({ engine: bus, history });
    await using node = await cluster({ engine, history, onerror() {} });
    await using stages = stage();
    const lobby = node.room<PageMethods>("lobby", { history: true });
    let told = 0;
    lobby.ongap = () => void told++;
    await lobby.join(stages.page(node).peer);
    await time.flow(120_000);
    engine.lose();
    if (gaps > 0) {
      await other.room("lobby", { history: true }).publish("show", ["missed"]);
      await time.flow(outage - 20_000);
      // What is too old of other rooms is forgotten then.
      await other.room("another", { history: true }).publish("show", ["1"]);
    }
    await time.flow(20_000);
    engine.find();
    await time.flow(4_000);
    assertEquals([node.status, told], ["open", gaps]);
  }
});

Deno.test("What is gone from a log between two pages of it is a gap", async () => {
  await using stages = stage();
  let pages: Entry[][] = [[]];
  const scene = await enact(stages, (engine) =>
    reading(engine, () => {
      const [entries = []] = pages.splice(0, 1);
      const epoch = entries[0]?.epoch;
      return Promise.resolve({ epoch, entries });
    }));
  const page = await member(stages, scene);
  await scene.lobby.history();
  pages = [entries("e", 1, 256), entries("e", 300, 310)];
  scene.engine.lose();
  scene.engine.find();
  await until(() => page.shown.length >= 256);
  await until(() => page.shown.at(-1) === "e310");
  assertEquals(scene.gaps, [{ room: "lobby", why: "engine" }]);
});

Deno.test("A log that has begun anew is read from its first entry, and is one gap", async () => {
  await using stages = stage();
  let log = entries("a", 1, 30);
  const scene = await enact(stages, (engine) => of(engine, () => log));
  const page = await member(stages, scene);
  await scene.lobby.history();
  for (
    const [now, told] of [
      [entries("b", 1, 40), entries("b", 1, 40)],
      [entries("c", 1, 5), entries("c", 1, 5)],
      [entries("c", 1, 3), entries("c", 1, 3)],
      [entries("d", 31, 50), entries("d", 31, 50)],
    ]
  ) {
    log = now!;
    page.shown.length = scene.gaps.length = 0;
    scene.engine.lose();
    scene.engine.find();
    await until(() => page.shown.length >= told!.length);
    assertEquals(page.shown, texts(told!));
    assertEquals(scene.gaps.length, 1);
    const { said } = await scene.lobby.history();
    assertEquals(said.length, told!.length);
  }
});

Deno.test("What could not be read of a log before it began anew is a gap", async () => {
  await using stages = stage();
  let log = entries("e", 1, 5);
  const scene = await enact(stages, (engine) => of(engine, () => log));
  const page = await member(stages, scene);
  await scene.lobby.history();
  scene.engine.isUnreadable = true;
  scene.hear(...entries("e", 7, 7));
  await until(() => stages.errors.length > 0);
  scene.hear(...entries("f", 1, 1));
  log = entries("f", 1, 2);
  scene.engine.isUnreadable = false;
  scene.hear(...entries("f", 2, 2));
  await until(() => page.shown.length > 1);
  assertEquals(page.shown, ["f1", "f2"]);
  assertEquals(scene.gaps, [{ room: "lobby", why: "hole" }]);
});

Deno.test("What is heard after an engine was lost and before it is known to be back is told after the loss", async () => {
  for (
    const [heard, shown] of [
      [entries("e", 60, 60), ["e58", "e59", "e60"]],
      [entries("f", 1, 1), ["f1"]],
    ] as const
  ) {
    await using stages = stage();
    let log = entries("e", 1, 5);
    const scene = await enact(stages, (engine) => of(engine, () => log));
    const page = await member(stages, scene);
    await scene.lobby.history();
    log = heard[0]!.epoch === "e" ? entries("e", 58, 60) : [...heard];
    scene.engine.lose();
    scene.engine.loses = (text) => text.includes('"beat"');
    scene.engine.find();
    scene.hear(...heard);
    await until(() => page.shown.length >= shown.length);
    assertEquals(scene.node.status, "lost");
    assertEquals(page.shown, [...shown]);
    assertEquals(scene.gaps, [{ room: "lobby", why: "engine" }]);
  }
});

Deno.test("A log that begins anew while it is read is told once and in order, after a gap", async () => {
  await using stages = stage();
  let log = entries("e", 1, 5);
  let answer: (() => void) | undefined;
  let answers = true;
  const scene = await enact(stages, (engine) => {
    const engineOf = of(engine, () => log);
    return reading(engineOf, async (log, ...what) => {
      if (!answers) await new Promise<void>((resolve) => answer = resolve);
      return log.read(...what);
    });
  });
  const page = await member(stages, scene);
  await scene.lobby.history();
  answers = false;
  const anew = entries("f", 1, 3);
  scene.hear(...entries("e", 7, 8), ...anew.slice(0, 2));
  await until(() => answer !== undefined);
  log = anew;
  answers = true;
  answer!();
  await until(() => page.shown.length >= 3);
  scene.hear(...anew.slice(2), ...entries("f", 4, 4));
  await until(() => page.shown.at(-1) === "f4");
  assertEquals(page.shown, ["f1", "f2", "f3", "f4"]);
  assert(scene.gaps.length > 0);
});

Deno.test("A log that doesn't answer is given up after some beats, told of once, and read when it does", async () => {
  using time = new FakeTime();
  await using stages = stage();
  let answers = false;
  const scene = await enact(stages, (engine) =>
    reading(
      engine,
      (log, ...what) => answers ? log.read(...what) : new Promise(() => {}),
    ));
  const page = stages.page(scene.node);
  const caughtUp = scene.lobby.catchUp(page.peer, 10);
  await time.flow(60_000);
  assertEquals(await caughtUp, { isWhole: false, position: undefined });
  assertEquals(stages.errors.length, 1);
  assert(stages.errors[0] instanceof EngineError);
  await scene.lobby.publish("show", ["1"]);
  answers = true;
  await time.flow(14_000);
  await scene.lobby.publish("show", ["2"]);
  await time.pass(0);
  assertEquals(page.shown.at(-1), "2");
  assertEquals((await scene.lobby.history()).said.length, 2);
  assertEquals(stages.errors.length, 1);
});

Deno.test("A log that always answers the same is read to its end", async () => {
  await using stages = stage();
  let reads = 0;
  const scene = await enact(stages, (engine) =>
    reading(engine, async () => {
      if (++reads > 100) await new Promise(() => {});
      return { epoch: "e", entries: entries("e", 1, 300), last: 300 };
    }));
  const page = await member(stages, scene);
  const past = await scene.lobby.history();
  assertEquals(past.said.length, 100);
  assertEquals(past.position, "e.300");
  scene.hear(...entries("e", 301, 301));
  await until(() => page.shown.length === 1);
  assert(reads < 10);
});

Deno.test("What has no true place is not taken, and no more than complained of", async () => {
  await using stages = stage();
  const [sound] = entries("e", 1, 1);
  const wrong: Partial<Entry>[] = [
    { offset: 2 ** 53 },
    { offset: 1.5 },
    { offset: 0, previous: -1 },
    { offset: NaN },
    { offset: 5, previous: 9 },
    { previous: -2 },
    { epoch: "" },
    { epoch: "e".repeat(1_000) },
    { epoch: '","method":"hide' },
  ];
  const scene = await enact(stages, (engine) =>
    reading(
      engine,
      () => Promise.resolve({ epoch: "e", entries: [sound!], last: 1 }),
    ));
  const page = await member(stages, scene);
  await scene.lobby.history();
  for (const part of wrong) scene.hear({ ...sound!, ...part });
  scene.hear(...entries("e", 2, 2));
  await until(() => page.shown.length > 0);
  assertEquals([page.shown, page.positions], [["e2"], ["e.2"]]);
  assertEquals(scene.gaps, []);
  assertEquals(stages.errors.length, 1);

  for (const part of wrong) {
    const entry = { ...sound!, ...part };
    await using stages = stage();
    const { lobby } = await enact(stages, (engine) =>
      changed(engine, {
        openLog: () =>
          Promise.resolve({
            append: () => Promise.resolve(entry),
            read: () => Promise.resolve({ epoch: "e", entries: [entry] }),
          }),
      }));
    assertEquals((await lobby.history()).isWhole, false);
    const error = await assertRejects(
      () => lobby.publish("show", ["1"]),
      EngineError,
    );
    assert(error.sent);
  }
});

Deno.test("What is kept that is no notification is told to nobody, and is no part of the history", async () => {
  await using stages = stage();
  const texts = [
    "",
    "no JSON\n{}",
    '{"v":1,"n":"other","k":"presence","s":1}\n[]',
    '{"v":1,"n":"other","k":"later"}\n{"method":"show"}',
    '{"v":1,"n":"other","k":"notify","m":"show"}\nnull',
    '{"v":1,"n":"other","k":"notify","m":"show"}\n',
    '{"v":1,"n":"other","k":"notify"}\n{"jsonrpc":"2.0","method":"show"}',
  ];
  const wrong = entries("e", 1, texts.length).map((entry, n) => ({
    ...entry,
    text: texts[n]!,
  }));
  const last = texts.length + 1;
  const scene = await enact(
    stages,
    (engine) =>
      reading(
        engine,
        () => Promise.resolve({ epoch: "e", entries: [], last: 0 }),
      ),
  );
  const page = await member(stages, scene);
  await scene.lobby.history();
  scene.hear(...wrong, ...entries("e", last, last));
  await until(() => page.shown.length > 0);
  assertEquals(page.positions, [`e.${last}`]);
  const { said } = await scene.lobby.history();
  assertEquals(said.map(({ position }) => position), [`e.${last}`]);
  const late = stages.page(scene.node);
  await scene.lobby.catchUp(late.peer, 100);
  await until(() => late.shown.length > 0);
  assertEquals(late.shown, [`e${last}`]);
  assertEquals(stages.errors.length, 1);
});

Deno.test("An entry that comes twice, too early or behind a hole in the log is told once, in order, after a gap if that stays", async () => {
  await using stages = stage();
  let log = entries("e", 1, 5);
  const scene = await enact(stages, (engine) => of(engine, () => log));
  const page = await member(stages, scene);
  await scene.lobby.history();
  const [six, seven, eight, nine, ten] = entries("e", 6, 10);
  scene.hear(six!, six!);
  log = entries("e", 1, 8);
  scene.hear(eight!, seven!, six!);
  await until(() => page.shown.length === 3);
  assertEquals([page.shown, scene.gaps], [["e6", "e7", "e8"], []]);
  // The log has neither.
  scene.hear(ten!, nine!);
  await until(() => page.shown.length === 4);
  assertEquals(page.shown.at(-1), "e10");
  assertEquals(scene.gaps, [{ room: "lobby", why: "hole" }]);
  // An entry of another log at the same place is read for, too.
  log = entries("f", 1, 10);
  scene.hear(log[9]!);
  await until(() => page.shown.at(-1) === "f10");
  assertEquals(page.shown.slice(4), texts(log));
  assertEquals(scene.gaps.length, 2);
});

Deno.test("What is heard while the log is read takes no more memory than a room", async () => {
  await using stages = stage();
  const log: Entry[] = [];
  let answer: (() => void) | undefined;
  const scene = await enact(stages, (engine) =>
    reading(engine, async () => {
      await new Promise<void>((resolve) => answer = resolve);
      return { epoch: "e", entries: log, last: log.length };
    }));
  const page = await member(stages, scene);
  const long = entries("e", 1, 3).map((entry) => ({
    ...entry,
    text: said("x".repeat(600_000)),
  }));
  await until(() => answer !== undefined);
  scene.hear(...long);
  log.push(...long);
  answer!();
  await until(() => page.shown.length > 0);
  assertEquals(page.positions, ["e.3"]);
  assertEquals(scene.gaps, [{ room: "lobby", why: "hole" }]);
});

Deno.test("A peer that another node has told of a room's first notification has missed nothing", async () => {
  await using stages = stage();
  const bus = memory();
  const here = new FaultyEngine(bus);
  const node = await stages.join(here);
  const lobby = node.room<PageMethods>("lobby", { history: true });
  await lobby.join(stages.page(node).peer);
  await lobby.history();
  const other = await stages.join(bus);
  const there = other.room<PageMethods>("lobby", { history: true });
  const page = stages.page(other);
  await there.join(page.peer);
  here.misses = () => true;
  await there.publish("show", ["1"]);
  await until(() => page.shown.length === 1);
  const back = stages.page(node);
  const [position] = page.positions;
  const caughtUp = await lobby.catchUp(back.peer, position!);
  assertEquals(caughtUp, { isWhole: true, position });
});

Deno.test("A number of the last ones may be a fraction: it is no more than that", async () => {
  await using stages = stage();
  const { lobby } = await enact(stages);
  for (const text of ["1", "2", "3"]) await lobby.publish("show", [text]);
  for (
    const [since, count] of [[0, 0], [0.5, 0], [1.9, 1], [1e308, 3]] as const
  ) {
    assertEquals((await lobby.history(since)).said.length, count);
  }
});

Deno.test("What nothing was said in has no position, though its log is known", async () => {
  await using stages = stage();
  const scene = await enact(
    stages,
    (engine) =>
      reading(engine, () => Promise.resolve({ epoch: "e", entries: [] })),
  );
  const page = await member(stages, scene);
  assertEquals((await scene.lobby.history()).position, undefined);
  scene.hear(...entries("e", 1, 1));
  await until(() => page.shown.length > 0);
  assertEquals((await scene.lobby.history()).position, "e.1");
});

Deno.test("The log of a room that nobody is in is not read, whatever becomes of the engine", async () => {
  using time = new FakeTime();
  await using stages = stage();
  let reads = 0;
  const scene = await enact(
    stages,
    (engine) =>
      reading(engine, (log, ...what) => {
        reads++;
        return log.read(...what);
      }),
  );
  scene.engine.lose();
  await time.flow(4_000);
  scene.engine.find();
  await time.flow(10_000);
  assertEquals([scene.node.status, reads, scene.gaps], ["open", 0, []]);
});

Deno.test("The beats of a node that is alone say nothing of what was said in its rooms", async () => {
  using time = new FakeTime();
  const engine = memory();
  await using node = await cluster({ engine });
  const beats: string[] = [];
  await engine.subscribe("jsonrpcws.all", (text) => void beats.push(text));
  for (let n = 0; n < 300; n++) {
    await node.room(`${n}`, { history: true }).publish("show", ["hello"]);
  }
  await time.flow(4_000);
  assertEquals(beats.filter((text) => text.includes('"at"')), []);
  await using other = await cluster({ engine });
  await other.room("0", { history: true }).history();
  await node.room("0", { history: true }).publish("show", ["hello"]);
  await time.flow(2_000);
  assertEquals(beats.filter((text) => text.includes('"at":[["0"')).length, 1);
});

Deno.test("A member whom catchUp refuses misses nothing meanwhile", async () => {
  await using stages = stage();
  const scene = await enact(stages);
  const page = await member(stages, scene);
  await scene.lobby.publish("show", ["1"]);
  const [epoch] = (await scene.lobby.history()).position!.split(".");
  const refused = scene.lobby.catchUp(page.peer, 1, { key: 5 as never });
  scene.hear({ epoch: epoch!, offset: 2, previous: 1, text: said("2") });
  await assertRejects(() => refused, TypeError, "key must be a text");
  await page.peer.request("rpc.ping");
  assertEquals(page.shown, ["1", "2"]);
});

Deno.test("A peer that is closed catches up with nothing", async () => {
  await using stages = stage();
  const scene = await enact(stages);
  await member(stages, scene);
  await scene.lobby.publish("show", ["1"]);
  const { peer } = stages.page(scene.node);
  peer.close();
  await peer.closed;
  const caughtUp = await scene.lobby.catchUp(peer, 10);
  assertEquals(caughtUp, { isWhole: false, position: undefined });
  assertEquals(scene.lobby.size, 1);
});

Deno.test("Who catches up counts among those whom a notification is for", async () => {
  await using stages = stage();
  const scene = await enact(stages);
  const [page, other] = [stages.page(scene.node), stages.page(scene.node)];
  const caughtUp = scene.lobby.catchUp(page.peer, 10);
  await scene.lobby.join(other.peer);
  const pending = scene.lobby.catchUp(page.peer, 10);
  const except = other.peer;
  assertEquals(scene.lobby.notify("show", ["1"]), 2);
  assertEquals(scene.lobby.notify("show", ["2"], { except }), 1);
  await Promise.all([caughtUp, pending]);
  await until(() => page.shown.length === 2);
});

Deno.test("A room that is let go of before its subscription is confirmed anew reads nothing for those who come later", async () => {
  using time = new FakeTime();
  await using stages = stage();
  let hangs = false;
  const scene = await enact(stages, (engine) =>
    changed(engine, {
      subscribe: (subject, receive) =>
        hangs && subject === stages.room("lobby")
          ? new Promise(() => {})
          : engine.subscribe(subject, receive),
    }));
  const page = await member(stages, scene);
  await scene.lobby.publish("show", ["1"]);
  await scene.lobby.history();
  hangs = true;
  // All is subscribed to anew, and all but the room is confirmed.
  scene.engine.forget();
  await time.flow(12_000);
  assertEquals(scene.node.status, "open");
  scene.lobby.leave(page.peer);
  await time.flow(12_000);
  hangs = false;
  await scene.lobby.publish("show", ["2"]);
  const late = await member(stages, scene);
  await time.pass(0);
  assertEquals(late.shown, []);
  await scene.lobby.publish("show", ["3"]);
  await time.pass(0);
  assertEquals(late.shown, ["3"]);
});

Deno.test("A node that is closed while the log is read, asked or not, leaves nothing behind", async () => {
  await using stages = stage();
  const answers: ((stretch: Stretch) => void)[] = [];
  const scene = await enact(
    stages,
    (engine) =>
      reading(engine, () => new Promise((resolve) => answers.push(resolve))),
  );
  const page = stages.page(scene.node);
  const caughtUp = scene.lobby.catchUp(page.peer, 10);
  const past = scene.lobby.history();
  await until(() => answers.length > 0);
  await scene.node.close();
  assertEquals((await caughtUp).isWhole, false);
  assertEquals((await past).isWhole, false);
  for (const answer of answers) {
    answer({ epoch: "e", entries: entries("e", 1, 3), last: 3 });
  }
  await page.peer.request("rpc.ping");
  assertEquals([page.shown, scene.lobby.size], [[], 0]);
  await assertRejects(() => scene.lobby.history(), EngineError, "is closed");
  await assertRejects(
    () => scene.lobby.catchUp(page.peer, 1),
    EngineError,
    "is closed",
  );
  assertEquals(scene.bus.listeners!(stages.room("lobby")), 0);
});

Deno.test("What an engine appended and did not confirm is told to all, once", async () => {
  await using stages = stage();
  const scene = await enact(stages, (engine) =>
    changed(engine, {
      async openLog(prefix, keep) {
        const log = await engine.openLog!(prefix, keep);
        return {
          read: (...what) => log.read(...what),
          async append(...what) {
            await log.append(...what);
            throw new EngineError("Cannot append: lost meanwhile", true);
          },
        };
      },
    }));
  const page = await member(stages, scene);
  const error = await assertRejects(
    () => scene.lobby.publish("show", ["1"]),
    EngineError,
  );
  assert(error.sent);
  await until(() => page.shown.length === 1);
  assertEquals((await scene.lobby.history()).said.length, 1);
});

Deno.test("An engine's log that can't be opened is asked for again", async () => {
  using time = new FakeTime();
  await using stages = stage();
  let isThere = false;
  const scene = await enact(stages, (engine) =>
    changed(engine, {
      openLog: (...what) => {
        if (!isThere) throw new EngineError("Cannot open the log", false);
        return engine.openLog!(...what);
      },
    }));
  const page = stages.page(scene.node);
  const caughtUp = await scene.lobby.catchUp(page.peer, 10);
  assertEquals(caughtUp.isWhole, false);
  await assertRejects(() => scene.lobby.publish("show", ["1"]), EngineError);
  isThere = true;
  await scene.lobby.publish("show", ["2"]);
  await time.flow(4_000);
  await scene.lobby.publish("show", ["3"]);
  await time.pass(0);
  assertEquals(page.shown.at(-1), "3");
  assertEquals(stages.errors.length, 1);
});

Deno.test("The log in memory keeps no more than 256 Mi characters, of whatever is appended to last", async () => {
  const log = await memory().openLog!("a", {
    messages: 100,
    milliseconds: 3_600_000,
  });
  const text = "x".repeat(1_048_576);
  const subjects = Array.from({ length: 300 }, (_, n) => `a.${n}`);
  for (const subject of subjects) await log.append(subject, text);
  const kept: number[] = [];
  for (const subject of subjects) {
    kept.push((await log.read(subject, 1, 10)).entries.length);
  }
  const count = kept.filter((length) => length === 1).length;
  assert(count > 200 && count <= 256, `${count}`);
  assertEquals(kept.slice(-count), Array(count).fill(1));
  // Also of one subject.
  for (let n = 0; n < 10; n++) await log.append("a.long", text.repeat(64));
  const { length } = (await log.read("a.long", 1, 10)).entries;
  assertEquals(length, 3);
});

Deno.test("An honest client that has missed 100 notifications of 10 kB, or 10,000 small ones, is sent all of them", async () => {
  await using nodes = await cluster({ history: { messages: 10_000 } });
  interface Shown {
    show(text: string): void;
  }
  class Service extends Peer<Shown> {
    override local = {
      enter: (room: string, since: number) =>
        nodes.room<Shown>(room, { history: true }).catchUp(this, since),
    };
  }
  await using server = serve(Service, { port: 0, onListen() {} });
  const long = nodes.room<Shown>("long", { history: true });
  const many = nodes.room<Shown>("many", { history: true });
  const text = "x".repeat(10_000);
  for (let n = 0; n < 100; n++) await long.publish("show", [`${n} ${text}`]);
  for (let n = 0; n < 10_000; n++) await many.publish("show", [`${n}`]);
  for (const [room, count] of [["long", 100], ["many", 10_000]] as const) {
    const shown: string[] = [];
    const local = { show: (text: string): void => void shown.push(text) };
    await using client = connect<Service["local"]>(server.url, {
      local,
      reconnect: false,
    });
    const { isWhole } = await client.remote.enter(room, 1e6);
    assertEquals([isWhole, shown.length], [true, count]);
    assert(shown.every((text, n) => parseInt(text) === n));
  }
});
