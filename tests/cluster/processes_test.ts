/**
 * Three processes, a real engine, and everything that may befall them.
 */

import { assert, assertEquals } from "@std/assert";
import { createClient } from "@redis/client";
import type { Change, Gap } from "../../cluster.ts";
import { connectEngine } from "./engines.ts";
import { until } from "../interop/processes.ts";
import { keptRoom } from "./kept.ts";
import { type EngineKind, EngineServer } from "./servers.ts";
import {
  connectClient,
  type NodeProcess,
  type TestClient,
  World,
} from "./world.ts";

// A node that says nothing is dead within this many milliseconds.
const deadWithin = 8_000;

for (const kind of ["nats", "redis"] as const) {
  Deno.test(`Three processes over ${kind}`, async (t) => {
    await using server = await EngineServer.start(kind);
    await using world = await World.start({ engine: server, lines: true });
    for (const [name, run] of Object.entries(steps)) {
      await t.step(name, async () => {
        await using stage = new Stage(world, server);
        await run(stage);
      });
    }
    // Each ends as it is told to, with nothing that keeps it.
    await t.step("A node ends when it is told to", async () => {
      for (const node of world.nodes.splice(0)) {
        const { code, signal } = await node.end();
        assertEquals([code, signal], [0, null]);
      }
    });
  });
}

/** What one step needs, and leaves behind for the next to begin anew. */
class Stage implements AsyncDisposable {
  readonly world: World;
  readonly server: EngineServer;
  readonly #stack = new AsyncDisposableStack();
  #rooms = 0;

  constructor(world: World, server: EngineServer) {
    this.world = world;
    this.server = server;
  }

  get kind(): EngineKind {
    return this.server.kind;
  }

  get nodes(): [NodeProcess, NodeProcess, NodeProcess] {
    return this.world.nodes as [NodeProcess, NodeProcess, NodeProcess];
  }

  /** The name of a room that nobody has used. */
  room(): string {
    return `room ${++rooms}.${this.#rooms++}`;
  }

  /** The name of a room with history that nobody has used. */
  keptRoom(): string {
    return keptRoom(this.room());
  }

  /** A client that comes back, by the balancer, and catches up with a room. */
  async follower(room: string): Promise<TestClient> {
    const client = this.#stack.use(
      await connectClient(this.world.balancer.url, {
        reconnect: true,
        follows: room,
      }),
    );
    await client.until(() => client.caughtUp.length > 0);
    return client;
  }

  /** A client of a node. */
  async client(
    node: NodeProcess,
    options?: Parameters<typeof connectClient>[1],
  ): Promise<TestClient> {
    return this.#stack.use(await connectClient(node.url, options));
  }

  /** A client of a node that is in a room. */
  async member(
    node: NodeProcess,
    room: string,
    key?: string,
  ): Promise<TestClient & { readonly id: string }> {
    const client = await this.client(node);
    await client.remote.join(room, key);
    return Object.assign(client, { id: await client.remote.id() });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

let rooms = 0;

const steps: { readonly [name: string]: (stage: Stage) => Promise<void> } = {
  async "What is said reaches the members of all nodes, in its publisher's order"(
    stage,
  ) {
    const room = stage.room();
    const members = await Promise.all(
      stage.nodes.map((node) => stage.member(node, room)),
    );
    await Promise.all(
      stage.nodes.map(({ control }) => control.remote.burst(room, 200)),
    );
    for (const { control } of stage.nodes) {
      const { error } = await control.remote.publish(room);
      assertEquals(error, undefined);
    }
    const wanted = Array.from({ length: 201 }, (_, n) => n + 1);
    for (const member of members) {
      await member.until(() => member.heard.length >= 603);
      for (const { id } of stage.nodes) {
        const numbers = member.heard.filter(({ from }) => from === id)
          .map(({ number }) => number);
        assertEquals(numbers, wanted);
      }
    }
  },

  async "Who is in a room is the same at every node, and both tabs of a user are"(
    stage,
  ) {
    const room = stage.room();
    const [first, second, third] = stage.nodes;
    const ann = await stage.member(first, room, "ann");
    const annsOther = await stage.member(second, room, "ann");
    const bob = await stage.member(third, room, "bob");
    const ids = [ann.id, annsOther.id, bob.id].sort();
    for (const { control } of stage.nodes) {
      const { members, missing } = await control.remote.who(room);
      assertEquals(missing, []);
      assertEquals(members.map(({ id }) => id).sort(), ids);
      assertEquals(members.filter(({ key }) => key === "ann").length, 2);
    }
    const report = await first.control.remote.disconnect(
      { key: "ann" },
      4403,
      "banned",
    );
    assertEquals(report, { closed: 2, missing: [] });
    for (const client of [ann, annsOther]) {
      await client.until(() => client.closed !== undefined);
      assertEquals(client.closed, { code: 4403, reason: "banned" });
    }
    assertEquals(bob.closed, undefined);
  },

  async "Who has joined misses nothing that another process publishes then"(
    stage,
  ) {
    const [first, second] = stage.nodes;
    const client = await stage.client(first);
    for (let turn = 0; turn < 100; turn++) {
      const room = stage.room();
      await client.remote.join(room);
      const { error } = await second.control.remote.publish(room);
      assertEquals(error, undefined);
      await client.until(() => client.heard.at(-1)?.room === room);
    }
    assertEquals(client.heard.length, 100);
  },

  async "What is said before a close from another node arrives before it"(
    stage,
  ) {
    const [first, second] = stage.nodes;
    for (let turn = 0; turn < 30; turn++) {
      const room = stage.room();
      const member = await stage.member(first, room);
      await second.control.remote.sayAndClose(room, member.id);
      await member.until(() => member.closed !== undefined);
      assertEquals(member.heard.length, 1);
      assertEquals(member.closed, { code: 4001, reason: "said" });
    }
  },

  async "A member that speaks 1.0 hears the same as the others"(stage) {
    const room = stage.room();
    const [first, second] = stage.nodes;
    const old = await stage.client(first, { version: "1.0" });
    await old.remote.join(room);
    const other = await stage.member(first, room);
    await second.control.remote.burst(room, 50);
    await first.control.remote.burst(room, 50);
    for (const { heard, until } of [old, other]) {
      await until(() => heard.length === 100);
    }
    // In order of each; of two nodes there is no common one.
    const ofSecond = (client: TestClient) =>
      client.heard.filter(({ from }) => from === second.id);
    assertEquals(ofSecond(old), ofSecond(other));
    const id = await old.remote.id();
    const outcome = await second.control.remote.ask(id, "echo", ["hello"]);
    assertEquals(outcome.result, "hello");
  },

  async "A peer is called from another process, and tells the truth"(stage) {
    const [first, second] = stage.nodes;
    const client = await stage.client(first);
    const { remote } = second.control;
    const id = await client.remote.id();
    const echoed = await remote.ask(id, "echo", [{ deep: ["ä€😀\n"] }]);
    assertEquals(echoed.result, { deep: ["ä€😀\n"] });
    const failed = await remote.ask(id, "fail", [409, "Taken", { by: "ann" }]);
    assertEquals(
      [failed.error, failed.code, failed.message, failed.data],
      ["RpcError", 409, "Taken", { by: "ann" }],
    );
    const late = await remote.ask(id, "wait", ["late"], { timeout: 100 });
    assertEquals(late.error, "TimeoutError");
    await client.until(() => client.cancelled.has("late"));
    const aborted = remote.ask(id, "wait", ["aborted"], { name: room(id) });
    await client.until(() => client.isWaiting("aborted"));
    await remote.abort(room(id));
    assertEquals((await aborted).error, "AbortError");
    await client.until(() => client.cancelled.has("aborted"));
    const closing = remote.ask(id, "wait", ["closing"]);
    await client.until(() => client.isWaiting("closing"));
    client.peer.close(4002, "enough");
    const closed = await closing;
    assertEquals(
      [closed.error, closed.code, closed.sent],
      ["ConnectionClosedError", 4002, true],
    );
    const gone = await remote.ask(id, "echo", [1]);
    assertEquals([gone.error, gone.sent], ["ConnectionClosedError", false]);
    const nowhere = await remote.ask("nowhere.1", "echo", [1]);
    assertEquals([nowhere.error, nowhere.sent], [
      "ConnectionClosedError",
      false,
    ]);
    assert(nowhere.took < 1_000);
    for (const what of ["function", "stream"] as const) {
      assertEquals((await remote.callWith(id, what)).error, "TypeError");
    }
  },

  async "Two prefixes don't hear each other, though all else is the same"(
    stage,
  ) {
    await using other = await World.start({ engine: stage.server, nodes: 1 });
    const [first] = stage.nodes;
    const [stranger] = other.nodes;
    const room = stage.room();
    const here = await stage.member(first, room, "ann");
    const there = await stage.member(stranger!, room, "ann");
    assertEquals(await stranger!.control.remote.nodes(), [stranger!.id]);
    await first.control.remote.publish(room);
    await stranger!.control.remote.publish(room);
    assertEquals((await first.control.remote.who(room)).members.length, 1);
    await first.control.remote.disconnect({ key: "ann" });
    await here.until(() => here.closed !== undefined);
    assertEquals(here.heard.map(({ from }) => from), [first.id]);
    assertEquals(await there.peer.request("node"), stranger!.id);
    assertEquals(there.heard.map(({ from }) => from), [stranger!.id]);
  },

  async "What no node understands is dropped, and a call among it is answered"(
    stage,
  ) {
    const [first] = stage.nodes;
    const { engine, end } = await connectEngine(stage.server);
    const { prefix } = stage.world;
    const answers: string[] = [];
    const leave = await engine.subscribe(
      `${prefix}.n.newer`,
      (text) => void answers.push(text),
    );
    const room = stage.room();
    const member = await stage.member(first, room);
    const say = (subject: string, text: string) =>
      engine.publish(`${prefix}.${subject}`, text);
    const inbox = `n.${first.id}`;
    const header = '{"v":2,"n":"newer","k":"call","c":7,"to":"x"}';
    await say(inbox, `${header}\n[]`);
    await say(inbox, '{"v":1,"n":"newer","k":"sing","c":8}\n');
    for (
      const text of ["", "\n", "{", "[]", "null", "1\n2", `{"v":1}\n`, "\u0000"]
    ) {
      for (const subject of [inbox, "all"]) await say(subject, text);
    }
    await until(() => answers.length >= 2, "two answers");
    for (const text of answers) assert(text.includes("unsupported"), text);
    assertEquals(answers.length, 2);
    // It goes on.
    await first.control.remote.publish(room);
    await member.until(() => member.heard.length === 1);
    leave();
    await engine.close();
    await end();
  },

  async "A node that is killed takes its members along, once, and its calls reject"(
    stage,
  ) {
    const [first, second, third] = stage.nodes;
    const room = stage.room();
    await stage.member(second, room);
    const lost = await Promise.all(
      [1, 2, 3].map(() => stage.member(third, room)),
    );
    const { remote } = first.control;
    await remote.watch(room);
    await until(async () => (await remote.log(room)).changes.length > 0);
    const calling = remote.ask(lost[0]!.id, "wait", ["killed"]);
    await lost[0]!.until(() => lost[0]!.isWaiting("killed"));
    const start = performance.now();
    await stage.world.kill(third);
    const outcome = await calling;
    assertEquals(
      [outcome.error, outcome.sent],
      ["ConnectionClosedError", true],
    );
    await until(async () => await leaves(first, room) === 3, "three leaves");
    assert(performance.now() - start < deadWithin + 1_000);
    const { changes } = await remote.log(room);
    const left = changes.flatMap((change) =>
      change.type === "leave" ? [change] : []
    );
    assertEquals(
      left.map(({ member }) => member.id).sort(),
      lost.map(({ id }) => id).sort(),
    );
    for (const { why } of left) assertEquals(why, "node");
    const late = await remote.ask(lost[1]!.id, "echo", [1]);
    assertEquals([late.error, late.sent], ["ConnectionClosedError", false]);
    assert(late.took < 1_000);
    await stage.world.add();
    await stage.world.meet();
    // Who is new is none of those who are gone.
    assertEquals((await remote.who(room)).members.length, 1);
    assertEquals(await leaves(first, room), 3);
  },

  async "A node that is stopped is missing, then dead, and comes back without ghosts"(
    stage,
  ) {
    const [first, second, third] = stage.nodes;
    const room = stage.room();
    const here = await stage.member(first, room);
    const paused = await stage.member(third, room, "ann");
    const leaving = await stage.member(third, room);
    const { remote } = first.control;
    await remote.watch(room);
    await until(async () => (await remote.log(room)).changes.length > 0);
    third.stop();
    // Asked anew by who has not asked yet, it can't answer, and is named.
    const who = await second.control.remote.who(room);
    assertEquals(who.missing, [third.id]);
    assertEquals(who.members.map(({ id }) => id), [here.id]);
    const banned = await remote.disconnect({ key: "nobody" });
    assertEquals(banned, { closed: 0, missing: [third.id] });
    const calling = remote.ask(paused.id, "wait", ["paused"]);
    await until(async () => await leaves(first, room) === 2, "two leaves");
    const outcome = await calling;
    assertEquals([outcome.error, outcome.sent], [
      "ConnectionClosedError",
      true,
    ]);
    assertEquals(await remote.who(room), {
      members: [{ id: here.id, node: first.id }],
      missing: [],
      isStale: false,
    } as never);
    leaving.peer.close();
    third.continue();
    await stage.world.meet();
    await until(async () => {
      const { members } = await remote.who(room);
      return members.length === 2;
    }, "the member of the node that was stopped");
    const { changes } = await remote.log(room);
    const of = (id: string) =>
      changes.flatMap((change) =>
        (change.type === "join" || change.type === "leave") &&
          change.member.id === id
          ? [change.type]
          : []
      );
    assertEquals(of(paused.id), ["leave", "join"]);
    // Who went meanwhile may have been there for a moment, but is not a ghost.
    assertEquals(of(leaving.id)[0], "leave");
    for (const { control } of stage.nodes) {
      const { members } = await control.remote.who(room);
      assertEquals(
        members.map(({ id }) => id).sort(),
        [here.id, paused.id].sort(),
      );
    }
    // What it was asked before it stopped, nobody wants any more.
    assertEquals(paused.isWaiting("paused"), false);
    const again = await remote.ask(paused.id, "echo", ["hello"]);
    assertEquals(again.result, "hello");
  },

  async "An engine that is restarted is one gap in each room, and nobody leaves"(
    stage,
  ) {
    const names = [stage.room(), stage.room(), stage.room()];
    const members: TestClient[] = [];
    for (const node of stage.nodes) {
      for (const room of names) {
        members.push(await stage.member(node, room));
        await node.control.remote.watch(room);
      }
    }
    const [first] = stage.nodes;
    await settled(stage.nodes, names, 3);
    await stage.server.stop();
    for (const { control } of stage.nodes) {
      await until(async () => await control.remote.status() === "lost");
    }
    const { members: known, isStale } = await first.control.remote.who(
      names[0]!,
    );
    assertEquals([known.length, isStale], [3, true]);
    const failed = await first.control.remote.publish(names[0]!);
    assertEquals([failed.error, failed.sent], ["EngineError", false]);
    // Who is here has it all the same.
    await members[0]!.until(() => members[0]!.heard.length === 1);
    await stage.server.start();
    for (const { control } of stage.nodes) {
      await until(async () => await control.remote.status() === "open");
    }
    await onlyGaps(stage.nodes, names, "engine");
    // And all is as it was.
    await first.control.remote.publish(names[1]!);
    const inRoom = members.filter((_, index) => index % names.length === 1);
    for (const member of inRoom) {
      await member.until(() => member.heard.length === 1);
    }
    await onlyGaps(stage.nodes, names, "engine");
  },

  async "A node whose way to the engine is cut has one gap in each room, and nobody leaves"(
    stage,
  ) {
    // A hook that throws harms nobody.
    const names = [`${stage.room()} throws`, stage.room()];
    const [first, second, third] = stage.nodes;
    const members: TestClient[] = [];
    for (const node of stage.nodes) {
      for (const room of names) {
        members.push(await stage.member(node, room));
        await node.control.remote.watch(room);
      }
    }
    await settled(stage.nodes, names, 3);
    third.line!.cut();
    await until(async () => await third.control.remote.status() === "lost");
    await second.control.remote.publish(names[0]!);
    third.line!.restore();
    await until(async () => await third.control.remote.status() === "open");
    await onlyGaps([third], names, "engine");
    const errors = await third.control.remote.errors();
    assert(errors.some((error) => error.includes("Thrown by ongap")));
    for (const room of names) await second.control.remote.publish(room);
    for (const member of members.slice(4)) {
      await member.until(() => member.heard.length === 1);
    }
    // To the others nothing has happened.
    for (const room of names) {
      const { changes, gaps } = await logOf(first, room);
      assertEquals(gaps, []);
      assertEquals(changes.filter(({ type }) => type === "leave"), []);
    }
  },

  async "A node that hears nothing, though nobody told it so, finds out by itself"(
    stage,
  ) {
    const room = stage.room();
    const [first, second, third] = stage.nodes;
    const here = await stage.member(first, room);
    const there = await stage.member(third, room);
    await first.control.remote.watch(room);
    await third.control.remote.watch(room);
    await settled([first, third], [room], 2);
    third.line!.die();
    await until(async () => await third.control.remote.status() === "lost");
    // It takes nobody for dead: that it hears nothing is no news of others.
    const { changes } = await third.control.remote.log(room);
    assertEquals(changes.filter(({ type }) => type === "leave"), []);
    // Long before it hears again, or it could not be told from what is missed then.
    await second.control.remote.publish(room);
    await until(async () => await leaves(first, room) === 1, "one leave");
    third.line!.cut();
    third.line!.restore();
    await until(async () => await third.control.remote.status() === "open");
    await stage.world.meet();
    await settled([first, third], [room], 2);
    await first.control.remote.publish(room);
    await there.until(() => there.heard.length === 1);
    await here.until(() => here.heard.length === 2);
    await onlyGaps([third], [room], "engine");
  },

  async "Redis may cut who is subscribed, or reads too slowly: one gap, nobody leaves"(
    stage,
  ) {
    if (stage.kind !== "redis") return;
    const room = stage.room();
    const [first] = stage.nodes;
    const members: TestClient[] = [];
    for (const node of stage.nodes) {
      members.push(await stage.member(node, room));
      await node.control.remote.watch(room);
    }
    await settled(stage.nodes, [room], 3);
    const admin = createClient({
      url: `redis://127.0.0.1:${stage.server.port}`,
    });
    admin.on("error", () => {});
    await admin.connect();
    try {
      await admin.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]);
      await until(async () => {
        for (const node of stage.nodes) {
          if ((await logOf(node, room)).gaps.length === 0) return false;
        }
        return true;
      }, "a gap at each node");
      for (const { control } of stage.nodes) {
        await until(async () => await control.remote.status() === "open");
      }
      await onlyGaps(stage.nodes, [room], "engine");
      await first.control.remote.publish(room);
      for (const member of members) {
        await member.until(() => member.heard.length === 1);
      }
      // What one node doesn't read fills Redis' buffer for it.
      const [, , third] = stage.nodes;
      await members[2]!.remote.join("overrun");
      await overrun(stage, admin, third, "overrun");
      await until(async () => {
        const { gaps } = await logOf(third, room);
        return gaps.length === 2;
      }, "a second gap");
      await until(async () => await third.control.remote.status() === "open");
      await first.control.remote.publish(room);
      for (const member of members) {
        await member.until(() => member.heard.length === 2);
      }
      const { changes, gaps } = await logOf(first, room);
      assertEquals(gaps.length, 1);
      assertEquals(changes.filter(({ type }) => type === "leave"), []);
    } finally {
      admin.destroy();
    }
  },

  async "All members of a room with history hear the same, in one order"(
    stage,
  ) {
    const room = stage.keptRoom();
    const members = await keepers(stage, room);
    await Promise.all(
      stage.nodes.map(({ control }) => control.remote.burst(room, 50)),
    );
    for (const member of members) {
      await member.until(() => member.heard.length >= 150);
    }
    for (const { id } of stage.nodes) isHeard(members, id, 50);
    // Who comes later is sent the same: as much as is kept.
    const late = await stage.client(stage.nodes[1]);
    const { isWhole } = await late.remote.catchUp(room, 1_000);
    assertEquals(isWhole, true);
    assertEquals(late.heard, members[0]!.heard.slice(-100));
  },

  async "A node whose way to the engine is cut reads what was said in a room with history"(
    stage,
  ) {
    const room = stage.keptRoom();
    const [first, second, third] = stage.nodes;
    const members = await keepers(stage, room);
    await say(second, room, 1);
    third.line!.cut();
    await until(async () => await third.control.remote.status() === "lost");
    await say(second, room, 40);
    const failed = await third.control.remote.publish(room);
    assertEquals([failed.error, failed.sent], ["EngineError", false]);
    third.line!.restore();
    await say(second, room, 9);
    for (const member of members) {
      await member.until(() => member.heard.length >= 50);
    }
    // What it could not publish is not said later.
    await until(async () => await third.control.remote.status() === "open");
    await say(third, room, 1);
    for (const member of members) {
      await member.until(() => member.heard.length >= 51);
    }
    isHeard(members, second.id, 50);
    assertEquals(members[0]!.heard.at(-1)!.from, third.id);
    await noGaps([first, third], room);
  },

  async "A node that hears nothing reads what was said in a room with history, once it knows"(
    stage,
  ) {
    const room = stage.keptRoom();
    const [, second, third] = stage.nodes;
    const members = await keepers(stage, room);
    await say(second, room, 1);
    third.line!.die();
    // As long as nobody knows, and from then on.
    await say(second, room, 30);
    await until(async () => await third.control.remote.status() === "lost");
    await say(second, room, 30);
    assert(members[2]!.heard.length <= 1);
    third.line!.cut();
    third.line!.restore();
    for (const member of members) {
      await member.until(() => member.heard.length >= 61);
    }
    await until(async () => await third.control.remote.status() === "open");
    await stage.world.meet();
    isHeard(members, second.id, 61);
    await noGaps(stage.nodes, room);
  },

  async "A node that is stopped reads what was said in a room with history, when it goes on"(
    stage,
  ) {
    const room = stage.keptRoom();
    const [first, second, third] = stage.nodes;
    const members = await keepers(stage, room);
    third.stop();
    for (let second = 0; second < 8; second++) {
      await say(first, room, 10);
      await new Promise((done) => setTimeout(done, 1_000));
    }
    third.continue();
    await say(second, room, 10);
    for (const member of members) {
      await member.until(() => member.heard.length >= 90);
    }
    await stage.world.meet();
    isHeard(members, first.id, 80);
    isHeard(members, second.id, 10);
    await noGaps(stage.nodes, room);
  },

  async "Clients of a node that is killed catch up at another one, and miss nothing"(
    stage,
  ) {
    const room = stage.keptRoom();
    const [first, second, third] = stage.nodes;
    const followers = await Promise.all(
      Array.from({ length: 9 }, () => stage.follower(room)),
    );
    const nodeOf = await Promise.all(
      followers.map(({ remote }) => remote.node()),
    );
    const lost = followers.filter((_, index) => nodeOf[index] === third.id);
    assert(lost.length > 0);
    await say(third, room, 10);
    const { number: before } = await say(first, room, 20);
    assertEquals(before, 20);
    const saying = say(first, room, 40);
    await stage.world.kill(third);
    await saying;
    await say(second, room, 20);
    for (const client of followers) {
      await client.until(() => client.heard.length >= 90);
      assert(client.caughtUp.every(({ isWhole }) => isWhole));
    }
    for (const client of lost) {
      await client.until(() => client.caughtUp.length === 2);
    }
    isHeard(followers, first.id, 60);
    isHeard(followers, second.id, 20);
    isHeard(followers, third.id, 10);
    await stage.world.add();
    await stage.world.meet();
  },

  async "Who was away for longer than is kept is told so, and goes on"(stage) {
    const room = stage.keptRoom();
    const [first, second] = stage.nodes;
    const client = await stage.client(first);
    await client.remote.catchUp(room, 0);
    await say(second, room, 1);
    await client.until(() => client.heard.length === 1);
    const { position } = client.heard[0]!;
    await client.remote.leave(room);
    await say(second, room, 150);
    const caught = await client.remote.catchUp(room, position!);
    assertEquals(caught.isWhole, false);
    assertEquals(client.heard.length, 1);
    await say(second, room, 1);
    await client.until(() => client.heard.length === 2);
    assertEquals(client.heard[1]!.number, 152);
    await client.remote.leave(room);
    await say(second, room, 50);
    const again = await client.remote.catchUp(room, client.heard[1]!.position!);
    assertEquals(again.isWhole, true);
    assertEquals(
      client.heard.slice(1).map(({ number }) => number),
      Array.from({ length: 51 }, (_, index) => 152 + index),
    );
  },

  async "An engine that is restarted has kept a room's history, or tells one gap"(
    stage,
  ) {
    const room = stage.keptRoom();
    const [first, second] = stage.nodes;
    const members = await keepers(stage, room);
    await say(first, room, 20);
    for (const member of members) {
      await member.until(() => member.heard.length === 20);
    }
    const { position } = members[0]!.heard[9]!;
    await stage.server.stop();
    for (const { control } of stage.nodes) {
      await until(async () => await control.remote.status() === "lost");
    }
    const failed = await second.control.remote.publish(room);
    assertEquals([failed.error, failed.sent], ["EngineError", false]);
    await stage.server.start();
    for (const { control } of stage.nodes) {
      await until(async () => await control.remote.status() === "open");
    }
    // To a file it was written; Redis had it in memory.
    const isKept = stage.kind === "nats";
    if (!isKept) await onlyGaps(stage.nodes, [room], "engine");
    const back = await stage.client(second);
    const caught = await back.remote.catchUp(room, position!);
    assertEquals(caught.isWhole, isKept);
    await say(first, room, 10);
    for (const member of members) {
      await member.until(() => member.heard.length >= 30);
    }
    isHeard(members, first.id, 30);
    const missed = isKept ? members[0]!.heard.slice(10, 20) : [];
    await back.until(() => back.heard.length >= missed.length + 10);
    assertEquals(back.heard, [...missed, ...members[0]!.heard.slice(20)]);
    if (isKept) await noGaps(stage.nodes, room);
    else await onlyGaps(stage.nodes, [room], "engine");
  },

  async "Whom Redis cuts reads what was said in a room with history"(stage) {
    if (stage.kind !== "redis") return;
    const room = stage.keptRoom();
    const [first, second, third] = stage.nodes;
    const members = await keepers(stage, room);
    // Where it shows that it was cut.
    const plain = stage.room();
    await stage.member(third, plain);
    await third.control.remote.watch(plain);
    const admin = createClient({ url: stage.server.url });
    admin.on("error", () => {});
    await admin.connect();
    try {
      const saying = say(second, room, 30);
      await admin.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]);
      await saying;
      for (const member of members) {
        await member.until(() => member.heard.length >= 30);
      }
      for (const { control } of stage.nodes) {
        await until(async () => await control.remote.status() === "open");
      }
      // What one node doesn't read fills Redis' buffer for it.
      await members[2]!.remote.join("overrun");
      await overrun(stage, admin, third, "overrun", async () => {
        await say(first, room, 20);
      });
      await until(async () => {
        const { gaps } = await logOf(third, plain);
        return gaps.length === 2;
      }, "two gaps");
      for (const member of members) {
        await member.until(() => member.heard.length >= 50);
      }
      await until(async () => await third.control.remote.status() === "open");
      await say(third, room, 1);
      for (const member of members) {
        await member.until(() => member.heard.length >= 51);
      }
      isHeard(members, second.id, 30);
      isHeard(members, first.id, 20);
      await noGaps(stage.nodes, room);
    } finally {
      admin.destroy();
    }
  },
};

/** A member of each node in a room with history, whose gaps are noted. */
async function keepers(stage: Stage, room: string): Promise<TestClient[]> {
  const members: TestClient[] = [];
  for (const node of stage.nodes) {
    members.push(await stage.member(node, room));
    await node.control.remote.watch(room);
  }
  await settled(stage.nodes, [room], members.length);
  return members;
}

/** Lets a node say so many things in a room, one when the engine has the other. */
async function say(
  { control }: NodeProcess,
  room: string,
  count: number,
): Promise<{ readonly number: number }> {
  let number = 0;
  for (let index = 0; index < count; index++) {
    const { error, ...published } = await control.remote.publish(room);
    assertEquals(error, undefined, published.message);
    number = published.number;
  }
  return { number };
}

/** Each has heard what a node has said, once and in order, and all the same. */
function isHeard(
  clients: readonly TestClient[],
  from: string,
  count: number,
): void {
  for (const client of clients) {
    const numbers = client.heard.filter((heard) => heard.from === from)
      .map(({ number }) => number);
    assertEquals(numbers, Array.from({ length: count }, (_, n) => n + 1));
    assertEquals(client.heard, clients[0]!.heard);
    const positions = client.heard.map(({ position }) => position);
    assertEquals(new Set(positions).size, client.heard.length);
  }
}

/** Nodes have told no gap of a room. */
async function noGaps(
  nodes: readonly NodeProcess[],
  room: string,
): Promise<void> {
  for (const { control } of nodes) {
    assertEquals((await control.remote.log(room)).gaps, []);
  }
}

/** Lets Redis send a node more than it reads, while something else is said. */
async function overrun(
  { world }: Stage,
  admin: {
    sendCommand(args: string[]): Promise<unknown>;
    publish(subject: string, text: string): Promise<unknown>;
  },
  node: NodeProcess,
  room: string,
  meanwhile?: () => Promise<void>,
): Promise<void> {
  const limit = "pubsub 8000000 8000000 0";
  await admin.sendCommand([
    "CONFIG",
    "SET",
    "client-output-buffer-limit",
    limit,
  ]);
  node.stop();
  const text = "x".repeat(1_000_000);
  const subject = `${world.prefix}.r.${encodeURIComponent(room)}`;
  for (let turn = 0; turn < 50; turn++) await admin.publish(subject, text);
  await meanwhile?.();
  node.continue();
}

/** The name of what a test does to a call of a peer. */
function room(id: string): string {
  return `call of ${id}`;
}

/** How many leaves a node was told of in a room. */
async function leaves({ control }: NodeProcess, room: string): Promise<number> {
  const { changes } = await control.remote.log(room);
  return changes.filter(({ type }) => type === "leave").length;
}

/** Waits until nodes know of so many members of rooms. */
async function settled(
  nodes: readonly NodeProcess[],
  rooms: readonly string[],
  members: number,
): Promise<void> {
  for (const { control } of nodes) {
    for (const room of rooms) {
      await until(async () => {
        const { members: all, missing } = await control.remote.who(room);
        return all.length === members && missing.length === 0;
      }, `${members} members`);
    }
  }
}

/**
 * What a node was told in a room. Who knows no number of another yet may be told of
 * one hole too many, by a beat that was long on its way (docs/cluster.md).
 */
async function logOf(
  { control }: NodeProcess,
  room: string,
): Promise<{ changes: readonly Change[]; gaps: readonly Gap[] }> {
  const { changes, gaps } = await control.remote.log(room);
  return {
    changes,
    gaps: gaps.filter(({ why, missed }) =>
      why !== "hole" || missed !== undefined
    ),
  };
}

/** Nodes have one gap in each of some rooms, and nobody has left. */
async function onlyGaps(
  nodes: readonly NodeProcess[],
  rooms: readonly string[],
  why: string,
): Promise<void> {
  for (const node of nodes) {
    for (const room of rooms) {
      const log = () => logOf(node, room);
      await until(async () => (await log()).gaps.length > 0, "a gap");
      const { changes, gaps } = await log();
      assertEquals(gaps.map(({ why }) => why), [why]);
      assertEquals(changes.filter(({ type }) => type === "leave"), []);
    }
  }
}
