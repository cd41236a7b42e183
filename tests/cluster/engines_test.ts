/**
 * The contract of `Engine`, kept by each of them: in memory, through a real NATS, and
 * through a real Redis.
 */

// Imported so that Deno fetches the package that has the program in it.
import "@oven/bun-linux-x64/package.json" with { type: "json" };
import { fileURLToPath } from "node:url";
import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import { createClient } from "@redis/client";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { cluster } from "../../cluster.ts";
import { nats } from "../../nats.ts";
import { redis, type RedisConnection } from "../../redis.ts";
import {
  type Engine,
  EngineError,
  type EngineStatus,
  type Entry,
  type Keep,
  type Log,
  type Place,
} from "../../src/cluster/engine.ts";
import { memory } from "../../src/cluster/memory.ts";
import { node24 } from "../interop/node_program.ts";
import { until } from "../interop/processes.ts";
import { TcpProxy } from "../tcp_proxy.ts";
import {
  type EngineKind,
  EngineServer,
  type EngineServerOptions,
} from "./servers.ts";

const bun = fileURLToPath(import.meta.resolve("@oven/bun-linux-x64/bin/bun"));

const kinds = ["memory", "nats", "redis"] as const;
const real = ["nats", "redis"] as const;

/** Engines on one bus, each by connections of its own, in the end all closed. */
class Bus implements AsyncDisposable {
  readonly kind: typeof kinds[number];
  /** The port that new connections are made to. */
  port: number;
  readonly #shared = memory();
  readonly #ends: (() => unknown)[] = [];

  constructor(kind: typeof kinds[number], port = 0) {
    this.kind = kind;
    this.port = port;
  }

  async engine(): Promise<Engine> {
    if (this.kind === "memory") return this.#shared;
    return this.kind === "nats" ? nats(await this.nats()) : await this.redis();
  }

  async nats(options: Parameters<typeof connect>[0] = {}): Promise<
    NatsConnection
  > {
    const connection = await connect({
      servers: `nats://127.0.0.1:${this.port}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      reconnectJitter: 0,
      timeout: 500,
      pingInterval: 200,
      ...options,
    });
    this.#ends.push(() => connection.close());
    return connection;
  }

  redisClient(user: { username?: string; password?: string } = {}) {
    const client = createClient({
      ...user,
      url: `redis://127.0.0.1:${this.port}`,
      disableOfflineQueue: true,
      pingInterval: 200,
      socket: { socketTimeout: 600, reconnectStrategy: 50 },
    });
    this.#ends.push(() => client.destroy());
    return client;
  }

  async redis(
    user: { username?: string; password?: string } = {},
  ): Promise<Engine> {
    const publisher = this.redisClient(user);
    const subscriber = this.redisClient(user);
    const engine = redis(publisher, subscriber);
    await publisher.connect();
    await subscriber.connect();
    return engine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) await end();
  }
}

/** A bus of a test's own, with its server. */
class Stage extends Bus {
  readonly server: EngineServer;

  private constructor(server: EngineServer) {
    super(server.kind, server.port);
    this.server = server;
  }

  static async start(
    kind: EngineKind,
    options: string | EngineServerOptions = {},
  ): Promise<Stage> {
    const all = typeof options === "string" ? { config: options } : options;
    return new Stage(await EngineServer.start(kind, all));
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

/** What an engine told, from now on. */
class Told {
  readonly statuses: EngineStatus[] = [];
  readonly causes: unknown[] = [];
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
    engine.watch((status, cause) => {
      this.statuses.push(status);
      this.causes.push(cause);
    });
  }

  async is(...statuses: EngineStatus[]): Promise<void> {
    await until(
      () => this.statuses.length >= statuses.length,
      `"${statuses}" is told, not "${this.statuses}"`,
    );
    assertEquals(this.statuses, statuses);
    assertEquals(this.#engine.status, statuses.at(-1));
  }
}

/** Subscribes, and keeps what comes. */
async function listen(engine: Engine, subject: string): Promise<string[]> {
  const texts: string[] = [];
  await engine.subscribe(subject, (text) => texts.push(text));
  return texts;
}

/** Waits until an engine has got all that was published to it so far. */
async function settle(engine: Engine, others = [engine]): Promise<void> {
  const subject = `settle.${crypto.randomUUID()}`;
  let count = 0;
  const takeBack: (() => void)[] = [];
  for (const other of others) {
    takeBack.push(await other.subscribe(subject, () => count++));
  }
  await engine.publish(subject, "");
  await until(() => count === others.length, "all of it has come");
  for (const each of takeBack) each();
}

async function fails(
  promise: Promise<unknown>,
  sent: boolean,
): Promise<EngineError> {
  const error = await assertRejects(() => promise, EngineError);
  assertEquals([error.name, error.sent], ["EngineError", sent]);
  return error;
}

/** What each engine must do. */
function each(rule: string, test: (bus: Bus) => Promise<void>): void {
  for (const kind of kinds) {
    Deno.test(`The engine ${name[kind]} ${rule}`, async () => {
      await using bus = kind === "memory"
        ? new Bus(kind)
        : await Stage.start(kind);
      await test(bus);
    });
  }
}

/** What those over a network must do. */
function eachReal(rule: string, test: (stage: Stage) => Promise<void>): void {
  for (const kind of real) {
    Deno.test(`The engine ${name[kind]} ${rule}`, async () => {
      await using stage = await Stage.start(kind);
      await test(stage);
    });
  }
}

const name = {
  memory: "in memory",
  nats: "through NATS",
  redis: "through Redis",
};

each(
  "delivers in the order of publishing, whatever the subjects, and once",
  async (bus) => {
    const [one, two] = [await bus.engine(), await bus.engine()];
    const [own, others]: [string[], string[]] = [[], []];
    const subjects = ["a", "b.c", "b.c.d"];
    for (const subject of subjects) {
      await one.subscribe(subject, (text) => own.push(text));
      await two.subscribe(subject, (text) => others.push(text));
    }
    const sent: string[] = [];
    const confirmed: Promise<unknown>[] = [];
    for (let number = 0; number < 3_000; number++) {
      sent.push(`${number}`);
      confirmed.push(one.publish(subjects[number % 3]!, `${number}`));
      if (number % 500 === 0) await confirmed.at(-1);
    }
    await Promise.all(confirmed);
    await settle(one, [one, two]);
    assertEquals(own, sent);
    assertEquals(others, sent);
  },
);

each(
  "misses nothing that is published once a subscription is confirmed",
  async (bus) => {
    const [one, two] = [await bus.engine(), await bus.engine()];
    const received: string[] = [];
    const sent: string[] = [];
    for (let number = 0; number < 300; number++) {
      const subject = `subject.${number}`;
      await one.subscribe(subject, (text) => received.push(text));
      sent.push(subject);
      await two.publish(subject, subject);
    }
    await settle(two, [one, two]);
    assertEquals(received, sent);
  },
);

each("delivers to each subscription, until it is taken back", async (bus) => {
  const engine = await bus.engine();
  const [first, second, third]: string[][] = [[], [], []];
  const takeBack = await engine.subscribe("a", (text) => first!.push(text));
  const takeBackToo = await engine.subscribe("a", (text) => second!.push(text));
  await engine.publish("a", "1");
  await settle(engine);
  takeBack();
  takeBack();
  await engine.publish("a", "2");
  await settle(engine);
  takeBackToo();
  await engine.publish("a", "3");
  await settle(engine);
  await engine.subscribe("a", (text) => third!.push(text));
  takeBack();
  takeBackToo();
  await engine.publish("a", "4");
  await settle(engine);
  assertEquals([first, second, third], [["1"], ["1", "2"], ["4"]]);
});

each(
  "calls nobody for a text that came before it was taken back",
  async (bus) => {
    const engine = await bus.engine();
    const received: string[] = [];
    const takeBack = await engine.subscribe("a", (text) => {
      received.push(text);
      takeBack();
    });
    await Promise.all(["1", "2", "3"].map((text) => engine.publish("a", text)));
    await settle(engine);
    assertEquals(received, ["1"]);
  },
);

each("keeps up with 10,000 subjects that come and go", async (bus) => {
  const engine = await bus.engine();
  const heard = new Set<string>();
  const subscribe = (subject: string): Promise<() => void> =>
    engine.subscribe(subject, (text) => heard.add(text));
  const subjects = Array.from({ length: 10_000 }, (_, index) => `s.${index}`);
  const publish = async (): Promise<void> => {
    heard.clear();
    await Promise.all(
      subjects.map((subject) => engine.publish(subject, subject)),
    );
    await settle(engine);
  };
  const all = await Promise.all(subjects.map(subscribe));
  await publish();
  assertEquals(heard.size, 10_000);
  // Half of them anew, in the same moment; the other half for good.
  const again = subjects.map((subject, index) => {
    all[index]!();
    return index % 2 === 0 ? subscribe(subject) : undefined;
  });
  await Promise.all(again);
  await publish();
  assertEquals(heard.size, 5_000);
  assert([...heard].every((subject) => Number(subject.slice(2)) % 2 === 0));
});

each(
  "hears whoever subscribed last, however often that changed meanwhile",
  async (bus) => {
    const engine = await bus.engine();
    for (let round = 0; round < 20; round++) {
      const received: number[] = [];
      const changes: Promise<() => void>[] = [];
      for (let number = 0; number < 10; number++) {
        const change = engine.subscribe("a", () => received.push(number));
        changes.push(change);
        if (number < 9) change.then((takeBack) => takeBack());
        if (number === round % 10) await change;
      }
      const takeBack = await changes[9]!;
      await engine.publish("a", "");
      await settle(engine);
      assertEquals(received, [9]);
      takeBack();
    }
  },
);

each("survives who throws, and goes on", async (bus) => {
  const engine = await bus.engine();
  const received: string[] = [];
  await engine.subscribe("a", (text) => {
    received.push(`throws at ${text}`);
    throw new Error("Mine");
  });
  await engine.subscribe("a", (text) => received.push(text));
  engine.watch(() => {
    throw new Error("Mine, too");
  });
  const told = new Told(engine);
  await engine.publish("a", "1");
  await engine.publish("a", "2");
  await settle(engine);
  assertEquals(received.toSorted(), ["1", "2", "throws at 1", "throws at 2"]);
  await engine.close();
  await told.is("closed");
});

each("takes every subject of printable ASCII, and no pattern", async (bus) => {
  const engine = await bus.engine();
  let ascii = "";
  for (let code = 0x21; code < 0x7f; code++) {
    const character = String.fromCharCode(code);
    if (!"*>.".includes(character)) ascii += character;
  }
  const subjects = [ascii, "a", "a.b", "a.b.c", "A.b", "$SYS.a", "_INBOX.a"];
  subjects.push("x".repeat(1_000), "constructor");
  for (const subject of subjects) {
    const texts = await listen(engine, subject);
    await engine.publish(subject, subject);
    await settle(engine);
    assertEquals(texts, [subject], subject);
  }
  const none = ["", "*", "a.*", ">", "a.>", "a b", "a\r\nb", "a\0b", "é"];
  none.push(".a", "a.", "a..b", "x".repeat(1_001), "a\n");
  for (const subject of none) {
    await assertRejects(() => engine.publish(subject, ""), TypeError);
    await assertRejects(() => engine.subscribe(subject, () => {}), TypeError);
  }
});

each(
  "carries texts as they are, up to 1 MiB and down to nothing",
  async (bus) => {
    const [one, two] = [await bus.engine(), await bus.engine()];
    const texts = [
      "x".repeat(1_048_576),
      "",
      "\0\r\n\u2028 äöü 😀",
      "😀".repeat(262_144),
      '{"jsonrpc":"2.0"}\n{}',
    ];
    const received = await listen(two, "a");
    for (const text of texts) await one.publish("a", text);
    await settle(one, [two]);
    assert(received.every((text, index) => text === texts[index]));
    assertEquals(received.length, texts.length);
  },
);

each("says how many heard a text, if it knows", async (bus) => {
  const [one, two] = [await bus.engine(), await bus.engine()];
  assertEquals(
    await one.publish("a", ""),
    bus.kind === "nats" ? undefined : 0,
  );
  await one.subscribe("a", () => {});
  await two.subscribe("a", () => {});
  assertEquals(
    await one.publish("a", ""),
    bus.kind === "nats" ? undefined : 2,
  );
});

each("closes once and for all, and tells it once", async (bus) => {
  const [one, two] = [await bus.engine(), await bus.engine()];
  const told = new Told(one);
  const forgotten: EngineStatus[] = [];
  const forget = one.watch((status) => forgotten.push(status));
  forget();
  forget();
  const received = await listen(one, "a");
  const late = one.subscribe("b", () => {});
  const closed = one.close();
  await fails(late, false);
  await closed;
  await one.close();
  await told.is("closed");
  assertEquals(forgotten, []);
  await fails(one.publish("a", ""), false);
  await fails(one.subscribe("a", () => {}), false);
  one.watch(() => forgotten.push("closed"));
  if (bus.kind !== "memory") {
    // The others are not concerned, nor are their connections.
    const others = await listen(two, "a");
    await two.publish("a", "1");
    await settle(two);
    assertEquals(others, ["1"]);
  }
  assertEquals([received, forgotten], [[], []]);
});

Deno.test("The engine in memory is one bus, two of them are two", async () => {
  const [one, two] = [memory(), memory()];
  const received = await listen(two, "a");
  assertEquals(await one.publish("a", ""), 0);
  await settle(two);
  assertEquals(received, []);
});

eachReal(
  "is closed with its connection, and leaves that open when it closes",
  async (stage) => {
    if (stage.kind === "nats") {
      const connection = await stage.nats();
      await nats(connection).close();
      assertEquals(connection.isClosed(), false);
      const told = new Told(nats(connection));
      await connection.close();
      await told.is("closed");
      assertEquals(nats(connection).status, "closed");
      return;
    }
    const [publisher, subscriber] = [stage.redisClient(), stage.redisClient()];
    const engine = redis(publisher, subscriber);
    assertEquals(engine.status, "lost");
    const told = new Told(engine);
    await publisher.connect();
    assertEquals(engine.status, "lost");
    await subscriber.connect();
    assertEquals(engine.status, "open");
    await engine.subscribe("a", () => {});
    assertEquals(await publisher.pubSubNumSub("a"), { a: 1 });
    await engine.close();
    assertEquals([publisher.isReady, subscriber.isReady], [true, true]);
    assertEquals(await publisher.pubSubNumSub("a"), { a: 0 });
    assertEquals(publisher.listenerCount("ready"), 0);
    const other = new Told(redis(publisher, subscriber));
    subscriber.destroy();
    await other.is("closed");
    await told.is("open", "closed");
  },
);

eachReal(
  "refuses at once what can't be published, and sends nothing later",
  async (stage) => {
    const [one, two] = [await stage.engine(), await stage.engine()];
    const [told, others] = [new Told(one), new Told(two)];
    const received = await listen(two, "a");
    await stage.server.stop();
    await told.is("lost");
    await others.is("lost");
    for (let number = 0; number < 10; number++) {
      const { message } = await fails(one.publish("a", `${number}`), false);
      assert(message.startsWith('Cannot publish "a": there is no connection'));
      await fails(one.subscribe("b", () => {}), false);
    }
    await stage.server.start();
    await told.is("lost", "open");
    await others.is("lost", "open");
    await one.publish("a", "now");
    await settle(one, [two]);
    assertEquals(received, ["now"]);
  },
);

eachReal(
  "is lost while its server restarts, and hears as before after that",
  async (stage) => {
    const engine = await stage.engine();
    const told = new Told(engine);
    const subjects = Array.from({ length: 1_000 }, (_, index) => `s.${index}`);
    const heard = new Set<string>();
    await Promise.all(
      subjects.map((it) => engine.subscribe(it, (text) => heard.add(text))),
    );
    const takenBack = await engine.subscribe("gone", (text) => heard.add(text));
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      await stage.server.stop(signal);
      await told.is("lost");
      assertInstanceOf(told.causes[0], Error);
      takenBack();
      await stage.server.start();
      await told.is("lost", "open");
      heard.clear();
      await Promise.all(subjects.map((it) => engine.publish(it, it)));
      const last = await engine.publish("gone", "gone");
      await settle(engine);
      assertEquals(heard.size, 1_000);
      if (stage.kind === "redis") await until(() => last === 0, "none is left");
      told.statuses.length = told.causes.length = 0;
    }
  },
);

eachReal(
  "says that a text may have been sent, if it was cut before an answer",
  async (stage) => {
    await using proxy = new TcpProxy(stage.port);
    stage.port = proxy.port;
    const engine = await stage.engine();
    const told = new Told(engine);
    await engine.publish("a", "1");
    // The server has them, and its answers go astray.
    proxy.mute();
    const publications = ["2", "3", "4"].map((it) => engine.publish("a", it));
    const subscription = engine.subscribe("b", () => {});
    // All is written by then.
    await new Promise((resolve) => setTimeout(resolve, 50));
    proxy.cut();
    for (const publication of publications) {
      const { message } = await fails(publication, true);
      assert(message.endsWith("was lost meanwhile"), message);
    }
    await assertRejects(() => subscription, EngineError);
    await told.is("lost");
    proxy.restore();
    await told.is("lost", "open");
    await settle(engine);
  },
);

eachReal(
  "notices a network that drops everything, by the pings of its client",
  async (stage) => {
    await using proxy = new TcpProxy(stage.port);
    const other = await stage.engine();
    stage.port = proxy.port;
    const engine = await stage.engine();
    const told = new Told(engine);
    const received = await listen(engine, "a");
    proxy.die();
    await other.publish("a", "missed");
    await fails(engine.publish("a", "sent, perhaps"), true);
    await told.is("lost");
    proxy.restore();
    await told.is("lost", "open");
    await other.publish("a", "heard");
    await settle(other, [engine]);
    assertEquals(received, ["heard"]);
  },
);

eachReal(
  "tells of every loss, whatever happens to its connections",
  async (stage) => {
    const { port, server } = stage;
    await using near = new TcpProxy(port);
    await using far = new TcpProxy(port);
    stage.port = near.port;
    const publisher = await stage.engine();
    stage.port = far.port;
    const subscriber = await stage.engine();

    // What the subscriber gets, in its order: numbers, and words of its engine.
    const events: (number | EngineStatus)[] = [];
    await subscriber.subscribe("a", (text) => events.push(Number(text)));
    subscriber.watch((status) => events.push(status));
    // How each number went; who is lost itself can't know what others hear.
    const outcomes: ("had" | "refused" | "unknown")[] = [];
    let isEnough = false;
    const publishing = (async () => {
      const under = new Set<Promise<void>>();
      while (!isEnough) {
        const number = outcomes.push("unknown") - 1;
        const publication = publisher.publish("a", `${number}`).then(() => {
          outcomes[number] = "had";
        }, (error) => {
          assertInstanceOf(error, EngineError);
          if (!error.sent) outcomes[number] = "refused";
        });
        under.add(publication);
        publication.then(() => under.delete(publication));
        if (number % 20 === 0) await new Promise((go) => setTimeout(go, 1));
      }
      await Promise.all(under);
    })();

    const pause = (): Promise<void> => new Promise((go) => setTimeout(go, 60));
    const isOpen = (): Promise<void> =>
      until(
        () => publisher.status === "open" && subscriber.status === "open",
        "both are open",
      );
    const cut = async (proxy: TcpProxy): Promise<void> => {
      proxy.cut();
      await pause();
      proxy.restore();
    };
    const faults = [
      () => cut(near),
      () => cut(far),
      () => Promise.all([cut(near), cut(far)]),
      () => server.restart(),
      () => server.restart("SIGTERM"),
      async () => {
        server.freeze();
        await pause();
        server.thaw();
      },
      async () => {
        far.mute();
        await until(() => subscriber.status === "lost", "it is lost");
        // An attempt of meanwhile has lost some of its answers, which no TCP does.
        await cut(far);
      },
    ];
    for (const fault of [...faults, ...faults.toReversed()]) {
      await pause();
      await fault();
      await isOpen();
    }
    await pause();
    isEnough = true;
    await publishing;
    await settle(publisher, [subscriber]);

    let next = 0;
    let isLost = false;
    for (const event of [...events, outcomes.length]) {
      if (typeof event === "string") {
        isLost ||= event === "lost";
        continue;
      }
      assert(event >= next, `${event} came after ${next - 1}`);
      for (; next < event; next++) {
        assert(
          isLost || outcomes[next] !== "had",
          `${next} was lost in silence`,
        );
      }
      assert(outcomes[event] !== "refused", `${event} was sent later`);
      next = event + 1;
      isLost = false;
    }
    assert(outcomes.includes("refused") && outcomes.includes("had"));
    assert(events.includes("lost"));
  },
);

Deno.test("The engine through Redis is lost when its subscriber is killed, and hears again", async () => {
  await using stage = await Stage.start("redis");
  const [engine, other] = [await stage.engine(), await stage.engine()];
  const admin = stage.redisClient();
  await admin.connect();
  const told = new Told(engine);
  const received = await listen(engine, "a");
  await other.close();
  await admin.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]);
  await told.is("lost", "open");
  await engine.publish("a", "1");
  await settle(engine);
  assertEquals(received, ["1"]);
});

Deno.test("The engine through Redis is lost when it was cut as too slow, and hears again", async () => {
  await using stage = await Stage.start("redis");
  const [engine, publisher] = [await stage.engine(), stage.redisClient()];
  await publisher.connect();
  const told = new Told(engine);
  const received = await listen(engine, "a");
  const limit = "client-output-buffer-limit";
  await publisher.configSet(limit, "pubsub 100000 0 0");
  await publisher.publish("a", "x".repeat(1_000_000));
  await told.is("lost", "open");
  await publisher.configSet(limit, "pubsub 33554432 8388608 60");
  await publisher.publish("a", "1");
  await settle(engine);
  assertEquals(received, ["1"]);
});

Deno.test("The engine through Redis publishes while its subscriber alone is lost", async () => {
  await using stage = await Stage.start("redis");
  await using proxy = new TcpProxy(stage.port);
  const other = await stage.engine();
  const publisher = stage.redisClient();
  stage.port = proxy.port;
  const subscriber = stage.redisClient();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const engine = redis(publisher, subscriber);
  const told = new Told(engine);
  const received = await listen(other, "a");
  proxy.cut();
  await told.is("lost");
  assertEquals(await engine.publish("a", "1"), 1);
  await settle(other);
  assertEquals(received, ["1"]);
  proxy.restore();
  await told.is("lost", "open");
});

Deno.test("The engine through Redis takes no connection with a queue, and none twice", async () => {
  await using stage = await Stage.start("redis");
  const [one, two] = [stage.redisClient(), createClient()];
  const queue = assertThrows(() => redis(one, two), TypeError);
  assert(queue.message.endsWith("set disableOfflineQueue: true"));
  assertThrows(() => redis(two, one), TypeError);
  const twice = assertThrows(() => redis(one, one), TypeError);
  assert(twice.message.endsWith("the second may be publisher.duplicate()"));
});

Deno.test("The engine through Redis closes when its client gives up", async () => {
  await using stage = await Stage.start("redis");
  await using proxy = new TcpProxy(stage.port);
  const subscriber = stage.redisClient();
  const publisher = createClient({
    url: `redis://127.0.0.1:${proxy.port}`,
    disableOfflineQueue: true,
    socket: { reconnectStrategy: false },
  });
  const engine = redis(publisher, subscriber);
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const told = new Told(engine);
  proxy.cut();
  await told.is("closed");
  assertInstanceOf(told.causes[0], Error);
});

Deno.test("The engine through Redis says what Redis refuses", async () => {
  await using stage = await Stage.start("redis");
  const [engine, admin] = [await stage.engine(), stage.redisClient()];
  await admin.connect();
  await admin.sendCommand(
    ["ACL", "SETUSER", "default", "resetchannels", "&chat.*"],
  );
  // Who is connected is cut, since what it may has become less.
  await until(() => engine.status === "open", "it is open");
  const received = await listen(engine, "chat.a");
  await engine.publish("chat.a", "1");
  const error = await fails(engine.publish("other", ""), false);
  assertInstanceOf(error.cause, Error);
  await fails(engine.subscribe("other", () => {}), false);
  await engine.publish("chat.a", "2");
  await until(() => received.length === 2, "both have come");
  assertEquals(engine.status, "open");
});

const permissions = (subjects: string): string =>
  `authorization {
  default_permissions: { publish: ${subjects}, subscribe: ${subjects} }
  users: [{ user: "a", password: "b" }]
}`;

Deno.test("The engine through NATS says what NATS refuses", async () => {
  await using stage = await Stage.start("nats", permissions('"chat.>"'));
  const connection = await stage.nats({ user: "a", pass: "b" });
  const engine = nats(connection);
  const told = new Told(engine);
  const received = await listen(engine, "chat.a");
  const all = [
    engine.publish("chat.a", "1"),
    engine.publish("other", ""),
    engine.publish("chat.a", "2"),
  ] as const;
  const error = await fails(all[1], false);
  assertInstanceOf(error.cause, Error);
  await Promise.all([all[0], all[2]]);
  await fails(engine.subscribe("other", () => {}), false);
  await engine.publish("chat.a", "3");
  await until(() => received.length === 3, "all have come");
  assertEquals([received, told.statuses], [["1", "2", "3"], []]);
});

Deno.test("The engine through NATS is lost when a subscription is taken from it", async () => {
  await using stage = await Stage.start("nats", permissions('">"'));
  const connection = await stage.nats({ user: "a", pass: "b" });
  const engine = nats(connection);
  const told = new Told(engine);
  const received = await listen(engine, "chat.a");
  await stage.server.reload(permissions('"other.>"'));
  await until(() => told.statuses.length > 0, "it is told");
  assertEquals(engine.status, "lost");
  await fails(engine.publish("other.a", ""), false);
  await stage.server.reload(permissions('">"'));
  await connection.reconnect();
  await until(() => engine.status === "open", "it is open");
  await engine.publish("chat.a", "1");
  await settle(engine);
  assertEquals(received, ["1"]);
});

Deno.test("The engine through NATS takes as many bytes as the server does", async () => {
  await using stage = await Stage.start("nats", "max_payload: 1000");
  const engine = await stage.engine();
  const received = await listen(engine, "a");
  await engine.publish("a", "ü".repeat(500));
  const { message } = await assertRejects(
    () => engine.publish("a", "ü".repeat(501)),
    RangeError,
  );
  assertEquals(
    message,
    "Cannot publish 1002 bytes: the server's max_payload is 1000",
  );
  await settle(engine);
  assertEquals(received.length, 1);
});

Deno.test("The engine through NATS is closed when its connection gives up", async () => {
  await using stage = await Stage.start("nats");
  const connection = await stage.nats({ maxReconnectAttempts: 1 });
  const told = new Told(nats(connection));
  await stage.server.stop();
  await told.is("lost", "closed");
});

const keep: Keep = { messages: 1_000, milliseconds: 60_000 };

async function openLog(
  engine: Engine,
  prefix = "chat",
  kept = keep,
): Promise<Log> {
  assert(engine.openLog !== undefined);
  return await engine.openLog(prefix, kept);
}

/** How a server keeps what it has confirmed, though it is killed. */
const saving: Record<EngineKind, EngineServerOptions> = {
  nats: {},
  redis: { args: ["--appendonly", "yes", "--appendfsync", "always"] },
};

/** A text, and where it stands if it was appended. */
type Heard = Partial<Place> & { readonly text: string };

/** Subscribes, and keeps what comes with its place. */
async function record(engine: Engine, subject: string): Promise<Heard[]> {
  const heard: Heard[] = [];
  await engine.subscribe(
    subject,
    (text, place) => heard.push({ ...place, text }),
  );
  return heard;
}

async function readAll(log: Log, subject: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let from = 1;; from = entries.at(-1)!.offset + 1) {
    const stretch = await log.read(subject, from, 256);
    entries.push(...stretch.entries);
    if (stretch.entries.length < 256) return entries;
  }
}

function textsOf(entries: readonly { readonly text: string }[]): string[] {
  return entries.map(({ text }) => text);
}

/** Numbers as texts, from 1 on. */
function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${index + 1}`);
}

each(
  "appends in the order of calling, and tells everybody the same places",
  async (bus) => {
    const engines = [await bus.engine(), await bus.engine()] as const;
    const heard: Heard[][] = [];
    for (const engine of engines) heard.push(await record(engine, "chat.a"));
    const logs = [await openLog(engines[0]), await openLog(engines[1])];
    await logs[0]!.append("chat.a", "first");
    const sent = numbers(400);
    const places = await Promise.all(logs.map((log, which) =>
      Promise.all(
        sent.map(async (text) => {
          // Another subject's, meanwhile.
          if (which === 0) void log.append("chat.b", text);
          return await log.append("chat.a", `${which} ${text}`);
        }),
      )
    ));
    for (const each of heard) {
      await until(() => each.length === 801, "all have come");
    }
    assertEquals(heard[0], heard[1]);
    assertMatch(heard[0]![0]!.epoch!, /^[\w-]{1,32}$/);
    heard[0]!.forEach(({ epoch, offset, previous }, index) => {
      const before = heard[0]![index - 1];
      assertEquals(epoch, heard[0]![0]!.epoch);
      assertEquals(previous, before?.offset ?? 0);
      assert(offset! > previous! && Number.isSafeInteger(offset));
    });
    for (const which of [0, 1]) {
      const own = heard[0]!.filter(({ text }) => text.startsWith(`${which} `));
      assertEquals(textsOf(own), sent.map((text) => `${which} ${text}`));
      assertEquals(
        own.map(({ offset }) => offset),
        places[which]!.map(({ offset }) => offset),
      );
    }
    const entries = await readAll(logs[1]!, "chat.a");
    assertEquals(
      entries.map(({ epoch, offset, text }) => ({ epoch, offset, text })),
      heard[0]!.map(({ epoch, offset, text }) => ({ epoch, offset, text })),
    );
  },
);

each(
  "reads from an offset on, as many as are wanted, and says which is the last",
  async (bus) => {
    const [one, two] = [await bus.engine(), await bus.engine()];
    const [log, other] = [await openLog(one), await openLog(two)];
    assertEquals((await log.read("chat.a", 1, 10)).entries, []);
    const places: Place[] = [];
    for (const text of numbers(60)) {
      places.push(await log.append("chat.a", text));
      // Others are between them.
      if (Number(text) % 3 === 0) await other.append("chat.b", text);
    }
    assert(
      places.every(({ previous }, index) =>
        [-1, places[index - 1]?.offset ?? 0].includes(previous)
      ),
    );
    const { epoch, offset: last } = places.at(-1)!;
    for (
      const [index, most] of [[0, 1_000], [0, 7], [20, 10], [59, 5], [21, 1]]
    ) {
      const from = places[index!]!.offset;
      const stretch = await other.read("chat.a", from, most!);
      assertEquals([stretch.epoch, stretch.last], [epoch, last]);
      assertEquals(
        textsOf(stretch.entries),
        numbers(60).slice(index!, index! + most!),
      );
      stretch.entries.forEach((entry, at) => {
        const before = places[index! + at - 1]?.offset ?? 0;
        assertEquals(entry.epoch, epoch);
        assertEquals(entry.offset, places[index! + at]!.offset);
        assert(entry.previous === before || at === 0 && entry.previous === -1);
      });
    }
    const behind = await other.read("chat.a", last + 1, 10);
    assertEquals(behind, { epoch, entries: [], last });
  },
);

each("keeps as many entries of each subject as it was told", async (bus) => {
  const engine = await bus.engine();
  const log = await openLog(engine, "chat", { ...keep, messages: 10 });
  const subjects = ["chat.a", "chat.b"];
  for (const text of numbers(25)) {
    for (const subject of subjects) await log.append(subject, text);
  }
  for (const subject of subjects) {
    const { entries, last } = await log.read(subject, 1, 100);
    assertEquals(textsOf(entries), numbers(25).slice(15));
    assertEquals(last, entries.at(-1)!.offset);
  }
});

each("keeps entries for as long as it was told, and goes on", async (bus) => {
  const engine = await bus.engine();
  const heard = await record(engine, "chat.a");
  const log = await openLog(engine, "chat", {
    messages: 10,
    milliseconds: 1_000,
  });
  for (const text of numbers(3)) await log.append("chat.a", text);
  assertEquals((await log.read("chat.a", 1, 10)).entries.length, 3);
  const pause = () => new Promise((resolve) => setTimeout(resolve, 100));
  while ((await log.read("chat.a", 1, 10)).entries.length > 0) await pause();
  const place = await log.append("chat.a", "4");
  const { epoch, entries, last } = await log.read("chat.a", 1, 10);
  assertEquals([epoch, textsOf(entries)], [place.epoch, ["4"]]);
  assertEquals(last, place.offset);
  await until(() => heard.length === 4, "all have come");
  assert([0, heard[2]!.offset].includes(heard[3]!.previous));
  assertEquals(heard[3]!.offset, place.offset);
  // One that is appended to all the time has no old ones either.
  const begin = performance.now();
  while (performance.now() - begin < 1_500) {
    await log.append("chat.b", `${performance.now() - begin}`);
    await pause();
  }
  const stretch = await log.read("chat.b", 1, 100);
  assert(stretch.entries.every(({ text }) => Number(text) > 200));
});

each("has the logs of all prefixes apart", async (bus) => {
  const engine = await bus.engine();
  const prefixes = ["a.b", "a_b", "a", "a.b.c", "A.b"];
  const logs = [];
  for (const prefix of prefixes) logs.push(await openLog(engine, prefix));
  for (const [index, log] of logs.entries()) {
    await log.append(`${prefixes[index]}.r.x`, prefixes[index]!);
  }
  for (const [index, log] of logs.entries()) {
    const { entries } = await log.read(`${prefixes[index]}.r.x`, 1, 10);
    assertEquals(textsOf(entries), [prefixes[index]]);
    for (const subject of ["other.x", "a", "", "a.b.*"]) {
      await assertRejects(() => log.append(subject, ""), TypeError);
      await assertRejects(() => log.read(subject, 1, 1), TypeError);
    }
  }
});

each(
  "carries texts as they are that are appended, or begin like none",
  async (bus) => {
    const [one, two] = [await bus.engine(), await bus.engine()];
    const texts = [
      "\u0001",
      "\u0001\n",
      "\u0001\u0001\n",
      "\u0001epoch 2 1\ntext",
      "",
      "\0\r\n\u2028 äöü 😀",
      "x".repeat(1_048_576),
      "😀".repeat(262_144),
    ];
    const heard = await record(two, "chat.a");
    const log = await openLog(one);
    for (const text of texts) {
      await one.publish("chat.a", text);
      await settle(one, [two]);
      const place = await log.append("chat.a", text);
      await until(() => heard.length === 2, "both have come");
      const [published, appended] = heard.splice(0);
      assert(published!.text === text && appended!.text === text);
      assertEquals([published!.epoch, published!.offset], [
        undefined,
        undefined,
      ]);
      assertEquals([appended!.epoch, appended!.offset], [
        place.epoch,
        place.offset,
      ]);
    }
    const { entries } = await log.read("chat.a", 1, 100);
    assert(entries.every(({ text }, index) => text === texts[index]));
    assertEquals(entries.length, texts.length);
  },
);

each("has no log any more once it is closed", async (bus) => {
  const engine = await bus.engine();
  const log = await openLog(engine);
  await log.append("chat.a", "1");
  await engine.close();
  await fails(log.append("chat.a", "2"), false);
  await fails(log.read("chat.a", 1, 1), false);
  await fails(openLog(engine), false);
});

eachReal(
  "refuses at once to append and to read while it is lost",
  async (stage) => {
    const engine = await stage.engine();
    const told = new Told(engine);
    const log = await openLog(engine);
    await log.append("chat.a", "1");
    await stage.server.stop();
    await told.is("lost");
    // Of two connections one may not have noticed.
    await assertRejects(() => log.append("chat.a", "2"), EngineError);
    const { message } = await fails(log.append("chat.a", "2"), false);
    assert(message.startsWith('Cannot append "chat.a": there is no'), message);
    await fails(log.read("chat.a", 1, 1), false);
    await fails(openLog(engine), false);
    await stage.server.start();
    await told.is("lost", "open");
    await log.append("chat.a", "3");
    const { entries } = await log.read("chat.a", 1, 10);
    assertEquals(entries.at(-1)!.text, "3");
  },
);

eachReal(
  "says that what was appended may be kept, if it was cut before an answer",
  async (stage) => {
    await using proxy = new TcpProxy(stage.port);
    const other = await stage.engine();
    stage.port = proxy.port;
    const engine = await stage.engine();
    const told = new Told(engine);
    const log = await openLog(engine);
    const heard = await record(other, "chat.a");
    await log.append("chat.a", "1");
    // The server has them, and its answers go astray.
    proxy.mute();
    const appended = ["2", "3"].map((text) => log.append("chat.a", text));
    const reading = log.read("chat.a", 1, 10);
    await until(() => heard.length === 3, "all have come");
    proxy.cut();
    for (const each of appended) {
      const { message } = await fails(each, true);
      assert(message.endsWith("was lost meanwhile"), message);
    }
    await fails(reading, false);
    await told.is("lost");
    proxy.restore();
    await told.is("lost", "open");
    const { entries } = await log.read("chat.a", 1, 10);
    assertEquals(textsOf(entries), ["1", "2", "3"]);
  },
);

eachReal("gives up what is under way when it is closed", async (stage) => {
  await using proxy = new TcpProxy(stage.port);
  stage.port = proxy.port;
  const engine = await stage.engine();
  const log = await openLog(engine);
  proxy.mute();
  const appended = log.append("chat.a", "1");
  const reading = log.read("chat.a", 1, 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  // What the client asks goes astray, too.
  const closed = engine.close();
  await fails(appended, true);
  await fails(reading, false);
  proxy.cut();
  await closed;
});

eachReal(
  "notices a network that drops everything while it appends",
  async (stage) => {
    await using proxy = new TcpProxy(stage.port);
    stage.port = proxy.port;
    const engine = await stage.engine();
    const told = new Told(engine);
    const log = await openLog(engine);
    proxy.die();
    await fails(log.append("chat.a", "sent, perhaps"), true);
    await until(() => told.statuses.includes("lost"), "it is told");
    proxy.restore();
    // Of two connections one may notice later, and be lost once more.
    const isKept = () => log.append("chat.a", "").then(() => true, () => false);
    while (!await isKept()) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },
);

eachReal(
  "begins anew when what it kept was deleted, and everybody is told so",
  async (stage) => {
    const [one, two] = [await stage.engine(), await stage.engine()];
    const heard = await record(two, "chat.a");
    const [log, other] = [await openLog(one), await openLog(two)];
    const before = await log.append("chat.a", "1");
    await log.append("chat.a", "2");
    if (stage.kind === "nats") {
      const connection = await stage.nats();
      const { streams } = (await connection.request("$JS.API.STREAM.NAMES"))
        .json<{ streams: string[] }>();
      await connection.request(`$JS.API.STREAM.DELETE.${streams[0]}`);
    } else {
      const client = stage.redisClient();
      await client.connect();
      await client.flushAll();
    }
    // In the order of calling.
    const places = await Promise.all(
      ["3", "4", "5"].map((text) => log.append("chat.a", text)),
    );
    const { epoch } = places[0]!;
    assert(epoch !== before.epoch);
    await until(() => heard.length === 5, "all have come");
    assertEquals(textsOf(heard), numbers(5));
    const epochs = [before.epoch, before.epoch, epoch, epoch, epoch];
    assertEquals(heard.map(({ epoch }) => epoch), epochs);
    assertEquals(heard[2]!.previous, 0);
    const stretch = await other.read("chat.a", 1, 10);
    assertEquals(stretch.epoch, epoch);
    assertEquals(textsOf(stretch.entries), ["3", "4", "5"]);
    await other.append("chat.a", "6");
    assertEquals((await readAll(log, "chat.a")).length, 4);
  },
);

eachReal(
  "goes on with its log after its server was killed, if that has kept it",
  async (stage) => {
    const [engine, other] = [await stage.engine(), await stage.engine()];
    const told = [new Told(engine), new Told(other)];
    const log = await openLog(engine);
    const before = await log.append("chat.a", "1");
    await stage.server.restart();
    for (const each of told) await each.is("lost", "open");
    const stretch = await log.read("chat.a", 1, 10);
    const after = await (await openLog(other)).append("chat.a", "2");
    const texts = textsOf(await readAll(log, "chat.a"));
    if (stage.kind === "nats") {
      assertEquals(stretch.epoch, before.epoch);
      assertEquals(after.epoch, before.epoch);
      assertEquals(texts, ["1", "2"]);
    } else {
      assertEquals(stretch, { entries: [] });
      assert(after.epoch !== before.epoch);
      assertEquals(texts, ["2"]);
    }
  },
);

for (const kind of real) {
  Deno.test(`The engine ${name[kind]} keeps all that it has confirmed, in order, whatever happens to its connections`, async () => {
    await using stage = await Stage.start(kind, saving[kind]);
    const { port, server } = stage;
    await using proxy = new TcpProxy(port);
    stage.port = proxy.port;
    const engine = await stage.engine();
    const log = await openLog(engine, "chat", { ...keep, messages: 100_000 });
    // How each number went: its place, or whether it may be there.
    const outcomes: (Place | "refused" | "unknown")[] = [];
    let isEnough = false;
    const appending = (async () => {
      const under = new Set<Promise<void>>();
      while (!isEnough) {
        const number = outcomes.push("unknown") - 1;
        const append = log.append("chat.a", `${number}`).then((place) => {
          outcomes[number] = place;
        }, (error) => {
          assertInstanceOf(error, EngineError);
          if (!error.sent) outcomes[number] = "refused";
        });
        under.add(append);
        append.then(() => under.delete(append));
        if (number % 20 === 0) await new Promise((go) => setTimeout(go, 1));
      }
      await Promise.all(under);
    })();
    const pause = (): Promise<void> => new Promise((go) => setTimeout(go, 60));
    const cut = async (): Promise<void> => {
      proxy.cut();
      await pause();
      proxy.restore();
    };
    const faults = [
      cut,
      () => server.restart(),
      () => server.restart("SIGTERM"),
      async () => {
        proxy.mute();
        await until(() => engine.status === "lost", "it is lost");
        await cut();
      },
    ];
    for (const fault of [...faults, ...faults.toReversed()]) {
      await pause();
      await fault();
      await until(() => engine.status === "open", "it is open");
    }
    await pause();
    isEnough = true;
    await appending;
    // A Redis that still loads what it has saved refuses it.
    const isLoaded = () =>
      log.read("chat.a", 1, 1).then(() => true, () => false);
    while (!await isLoaded()) await pause();
    const entries = await readAll(log, "chat.a");
    const kept = new Map(entries.map((entry) => [Number(entry.text), entry]));
    assertEquals(kept.size, entries.length);
    // What was cut on its way may come when the next connection is there.
    const sure = [...kept.keys()].filter((it) => outcomes[it] !== "unknown");
    assertEquals(sure, sure.toSorted((one, other) => one - other));
    for (const [number, outcome] of outcomes.entries()) {
      const entry = kept.get(number);
      if (outcome === "refused") assertEquals(entry, undefined);
      else if (outcome !== "unknown") {
        assertEquals(entry?.offset, outcome.offset, `${number} is lost`);
        assertEquals(entry?.epoch, outcome.epoch);
      }
    }
    assert(outcomes.includes("refused") && outcomes.includes("unknown"));
    assert(kept.size > 1_000);
  });
}

Deno.test("The engine through Redis gives no offset twice, though its server may have forgotten the last", async () => {
  await using stage = await Stage.start("redis", saving.redis);
  const [engine, other] = [await stage.engine(), await stage.engine()];
  const told = [new Told(engine), new Told(other)];
  const heard = await record(other, "chat.a");
  const log = await openLog(engine);
  const before = await log.append("chat.a", "1");
  await until(() => heard.length === 1, "it has come");
  await stage.server.restart();
  for (const each of told) await each.is("lost", "open");
  const after = await log.append("chat.a", "2");
  const last = await (await openLog(other)).append("chat.a", "3");
  assertEquals(after.epoch, before.epoch);
  assertEquals(after.previous, before.offset);
  assert(after.offset > 1e15 && Number.isSafeInteger(after.offset));
  assertEquals(last, {
    ...after,
    offset: after.offset + 1,
    previous: after.offset,
  });
  await until(() => heard.length === 3, "all have come");
  assertEquals(heard[2], { ...last, text: "3" });
  const { entries } = await log.read("chat.a", 1, 10);
  assertEquals(entries, [
    { ...before, text: "1" },
    { ...after, text: "2" },
    { ...last, text: "3" },
  ]);
});

Deno.test("The engine through Redis takes marks that nobody made for what was published", async () => {
  await using stage = await Stage.start("redis");
  const [engine, client] = [await stage.engine(), stage.redisClient()];
  await client.connect();
  const heard = await record(engine, "chat.a");
  const texts = [
    "\u0001",
    "\u0001epoch 2 1",
    "\u0001epoch 2\n",
    "\u0001epoch 1 1\n",
    "\u0001epoch 0 0\n",
    "\u0001epoch -1 0\n",
    "\u0001epoch 9999999999999999 1\n",
    "\u0001ep.och 2 1\n",
    `\u0001${"e".repeat(33)} 2 1\n`,
    "\u0001 2 1\n",
  ];
  for (const text of texts) await client.publish("chat.a", text);
  await settle(engine);
  assertEquals(heard, texts.map((text) => ({ text })));
});

Deno.test("The engine through Redis keeps nothing of what Redis refuses to append", async () => {
  await using stage = await Stage.start("redis");
  const [engine, admin] = [await stage.engine(), stage.redisClient()];
  await admin.connect();
  const heard = await record(engine, "chat.a");
  const log = await openLog(engine);
  const before = await log.append("chat.a", "1");
  await admin.configSet("maxmemory", "1");
  const error = await fails(log.append("chat.a", "2"), false);
  assertInstanceOf(error.cause, Error);
  assertEquals((await log.read("chat.a", 1, 10)).last, before.offset);
  await admin.configSet("maxmemory", "0");
  const { previous } = await log.append("chat.a", "3");
  assertEquals(previous, before.offset);
  await settle(engine);
  assertEquals(textsOf(heard), ["1", "3"]);
  await admin.sendCommand(["ACL", "SETUSER", "default", "-eval"]);
  await fails(log.append("chat.a", "4"), false);
  await fails(log.read("chat.a", 1, 10), false);
  assertEquals(engine.status, "open");
});

Deno.test("The engine through Redis says that it can't read an answer that makes no sense", async () => {
  const answers: unknown[] = [null, 1, "text", [], ["e"], ["e", "0", "0"]];
  answers.push(["e", "1", "1"], ["e", "x", "0"], ["e.", "1", "0"]);
  const stretches: unknown[] = [null, 1, "text", ["e"], ["e", "1"], [
    "e",
    "0",
    [],
  ]];
  stretches.push(["e", "1", [null]], ["e", "1", [["1-1"]]]);
  stretches.push(["e", "1", [["1-1", ["previous", "1", "text", ""]]]]);
  let answer: unknown;
  const connection = (): RedisConnection => ({
    isReady: true,
    publish: () => Promise.resolve("some"),
    subscribe: () => Promise.resolve(),
    unsubscribe: () => Promise.resolve(),
    sendCommand: () => Promise.resolve(answer),
    on() {},
    off() {},
  });
  const engine = redis(connection(), connection());
  assertEquals(await engine.publish("chat.a", ""), undefined);
  const log = await openLog(engine);
  for (answer of answers) await fails(log.append("chat.a", ""), true);
  for (answer of stretches) await fails(log.read("chat.a", 1, 1), false);
  answer = [];
  assertEquals(await log.read("chat.a", 1, 1), { entries: [] });
  await engine.close();
});

/** Says what a stream would publish again, in any order. */
function republish(
  connection: NatsConnection,
  [name, offset, previous]: readonly [string, unknown, unknown],
  text: string,
): void {
  const all = headers();
  all.set("Nats-Stream", name);
  all.set("Nats-Sequence", `${offset}`);
  all.set("Nats-Last-Sequence", `${previous}`);
  connection.publish("chat.a", text, { headers: all });
}

Deno.test("The engine through NATS has entries in their order, though the server has not", async () => {
  await using stage = await Stage.start("nats");
  const [engine, connection] = [await stage.engine(), await stage.nats()];
  const heard = await record(engine, "chat.a");
  const say = (
    ...entries: [name: string, offset: number, previous: number][]
  ) => {
    for (const entry of entries) {
      republish(connection, entry, entry.slice(0, 2).join(" "));
    }
  };
  say(["a_x", 4, 2], ["a_x", 9, 6], ["a_x", 6, 4], ["a_x", 4, 2], [
    "a_x",
    2,
    0,
  ]);
  say(["a_x", 15, 12], ["a_x", 12, 9], ["a_x", 15, 12]);
  // Of another stream, with one of the old that waits in vain.
  say(["a_x", 30, 20], ["a_y", 3, 2], ["a_y", 5, 4], ["a_y", 4, 3]);
  await until(() => heard.length >= 9, "all have come");
  const expected = ["4", "6", "9", "12", "15", "30"].map((it) => `a_x ${it}`);
  expected.push("a_y 3", "a_y 4", "a_y 5");
  assertEquals(textsOf(heard), expected);
  assertEquals(heard[0], { epoch: "x", offset: 4, previous: 2, text: "a_x 4" });
  // What doesn't come at all is waited for, but not for ever.
  say(["a_y", 9, 8], ["a_y", 8, 7]);
  await settle(engine);
  assertEquals(heard.length, 9);
  await until(() => heard.length === 11, "both have come");
  assertEquals(textsOf(heard.slice(9)), ["a_y 8", "a_y 9"]);
  say(["a_y", 7, 5], ["a_y", 10, 9]);
  await until(() => heard.length === 12, "it has come");
  assertEquals(heard[11]!.offset, 10);
  // Nor by who is lost meanwhile.
  say(["a_y", 20, 19]);
  await settle(engine);
  const told = new Told(engine);
  await stage.server.restart();
  await told.is("lost", "open");
  assertEquals(heard[12]!.offset, 20);
  await connection.flush();
  say(["a_y", 30, 29], ["a_y", 40, 39]);
  await until(() => heard.length === 14, "it has come");
  await engine.close();
});

Deno.test("The engine through NATS takes no place of headers that make no sense", async () => {
  await using stage = await Stage.start("nats");
  const [engine, connection] = [await stage.engine(), await stage.nats()];
  const heard = await record(engine, "chat.a");
  const all = [["a", 1, ""], ["a", "", 0], ["", 1, 0], ["a", 0, 0], [
    "a",
    1,
    1,
  ]];
  all.push(["a", "one", 0], ["a", 1, -1], ["a", 1e16, 0], ["a", 1.5, 0]);
  for (const [name, offset, previous] of all) {
    republish(connection, [`${name}`, offset, previous], "text");
  }
  await connection.flush();
  await settle(engine);
  assertEquals(heard, all.map(() => ({ text: "text" })));
});

/** A stream that an operator makes. */
async function makeStream(
  stage: Stage,
  name: string,
  config: Record<string, unknown> = {},
): Promise<void> {
  const connection = await stage.nats();
  const message = await connection.request(
    `$JS.API.STREAM.CREATE.${name}`,
    JSON.stringify({
      name,
      subjects: ["chat~log.>"],
      storage: "memory",
      max_age: 60_000_000_000,
      max_msgs_per_subject: 5,
      allow_direct: true,
      republish: { src: "chat~log.>", dest: "chat.>" },
      ...config,
    }),
  );
  assertEquals(message.json<{ error?: unknown }>().error, undefined);
}

Deno.test("The engine through NATS takes a stream that an operator has made as it is", async () => {
  await using stage = await Stage.start("nats");
  await makeStream(stage, "history_first");
  const engine = await stage.engine();
  const heard = await record(engine, "chat.a");
  const log = await openLog(engine);
  for (const text of numbers(8)) {
    assertEquals((await log.append("chat.a", text)).epoch, "first");
  }
  await until(() => heard.length === 8, "all have come");
  assert(heard.every(({ epoch }) => epoch === "first"));
  const { entries } = await log.read("chat.a", 1, 10);
  assertEquals(textsOf(entries), numbers(8).slice(3));
});

Deno.test("The engine through NATS says what a stream lacks that an operator has made", async () => {
  const lacking = [
    [{ allow_direct: false }, "allow_direct true"],
    [
      { republish: undefined },
      'republish {"src":"chat~log.>","dest":"chat.>"}',
    ],
    [
      { republish: { src: "chat~log.>", dest: "chats.>" } },
      'republish {"src":"chat~log.>","dest":"chat.>"}',
    ],
    [
      { subjects: ["chat~log.a"], republish: undefined },
      'subjects ["chat~log.>"]',
    ],
  ] as const;
  for (const [config, what] of lacking) {
    await using stage = await Stage.start("nats");
    await makeStream(stage, "history", config);
    const { message } = await fails(openLog(await stage.engine()), false);
    assertEquals(
      message,
      `Cannot open the log of "chat": the stream history must have ${what}`,
    );
  }
});

Deno.test("The engine through NATS says where JetStream is missing, and who may not use it", async () => {
  const cannot = 'Cannot open the log of "chat": ';
  {
    await using stage = await Stage.start("nats", { isPlain: true });
    const { message } = await fails(openLog(await stage.engine()), false);
    assertEquals(
      message,
      `${cannot}NATS has no JetStream: start nats-server with it, such as by -js`,
    );
  }
  for (
    const [subjects, missing] of [
      ['["chat.>"]', "$JS.API.STREAM.NAMES"],
      ['["chat.>", "$JS.API.STREAM.NAMES"]', "$JS.API.STREAM.CREATE.*"],
    ]
  ) {
    await using stage = await Stage.start("nats", permissions(subjects!));
    const connection = await stage.nats({ user: "a", pass: "b" });
    const { message } = await fails(openLog(nats(connection)), false);
    assertEquals(
      message.replace(/CREATE\..*/, "CREATE.*"),
      `${cannot}there is no permission for ${missing}`,
    );
  }
});

Deno.test("The engine through NATS says that it can't read an answer that makes no sense, or that none came", async () => {
  await using stage = await Stage.start("nats", { isPlain: true });
  const connection = await stage.nats();
  let answer: string | undefined = '{"streams":[1]}';
  for (const subject of ["$JS.API.>", "chat~log.>"]) {
    connection.subscribe(subject, {
      callback(_error, message) {
        if (answer !== undefined) message.respond(answer);
      },
    });
  }
  await connection.flush();
  const log = await openLog(await stage.engine());
  for (answer of ["", "text", "null", "{}", '{"stream":"a_b","seq":0}']) {
    await fails(log.append("chat.a", ""), true);
    await fails(log.read("chat.a", 1, 1), false);
  }
  answer = '{"error":{"description":"no space is left"}}';
  const { message } = await fails(log.append("chat.a", ""), false);
  assertEquals(message, 'Cannot append "chat.a": no space is left');
  answer = undefined;
  const { message: silence } = await fails(log.append("chat.a", ""), true);
  assertEquals(
    silence,
    'Cannot append "chat.a": no answer to chat~log.a came',
  );
});

Deno.test("The engine through NATS makes one stream, however many open its log at once", async () => {
  await using stage = await Stage.start("nats");
  const engines = await Promise.all(
    Array.from({ length: 8 }, () => stage.engine()),
  );
  const logs = await Promise.all(engines.map((engine) => openLog(engine)));
  const places = await Promise.all(logs.map((log) => log.append("chat.a", "")));
  assertEquals(new Set(places.map(({ epoch }) => epoch)).size, 1);
});

Deno.test("The engine through NATS appends as many bytes as the server takes", async () => {
  await using stage = await Stage.start("nats", "max_payload: 1000");
  const log = await openLog(await stage.engine());
  await log.append("chat.a", "ü".repeat(500));
  await assertRejects(
    () => log.append("chat.a", "ü".repeat(501)),
    RangeError,
    "1002 bytes: the server's max_payload is 1000",
  );
});

const guide = await Deno.readTextFile(
  new URL("../../docs/guide/engines.md", import.meta.url),
);

Deno.test("The listings of docs/guide/engines.md and of the doors run", async (test) => {
  const root = new URL("../../", import.meta.url);
  const listings = [guide];
  for (const door of ["nats.ts", "redis.ts"]) {
    const code = await Deno.readTextFile(new URL(door, root));
    listings.push(code.replaceAll(/^ \* ?/gm, ""));
  }
  const ends = { nats: "connection.close()", redis: "publisher.close()" };
  for (const kind of real) {
    await using server = await EngineServer.start(kind);
    const codes = listings
      .flatMap((text) => [...text.matchAll(/^```ts ignore\n(.*?)^```$/gms)])
      .map(([, code]) => code!)
      .filter((code) => code.includes(`${kind}://127.0.0.1`));
    assertEquals(codes.length, 2);
    for (const [index, code] of codes.entries()) {
      await test.step(`${kind} ${index}`, async () => {
        const child = new Deno.Command(Deno.execPath(), {
          args: [
            ...["run", "--lock=tests/deno.lock", "--no-check", "--allow-env"],
            ...["--allow-net=127.0.0.1", "--allow-read", "--allow-sys", "-"],
          ],
          cwd: root,
          env: { NO_COLOR: "1" },
          stdin: "piped",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const input = child.stdin.getWriter();
        await input.write(new TextEncoder().encode(
          code.replace(/(127\.0\.0\.1):\d+/, `$1:${server.port}`) +
            "\nconsole.log(nodes.status);" +
            // What is in the guide ends by itself.
            (code.includes(ends[kind]) ? "" : "Deno.exit();"),
        ));
        await input.close();
        const { stdout, stderr } = await child.output();
        const decoder = new TextDecoder();
        assertEquals(
          decoder.decode(stdout).trim(),
          code.includes(ends[kind]) ? "closed" : "open",
          decoder.decode(stderr),
        );
      });
    }
  }
});

Deno.test("The permissions that docs/guide/engines.md prints suffice, and allow no more", async (test) => {
  const printed = Array.from(
    guide.matchAll(/^```text\n(.*?)^```$/gms),
    ([, code]) => code!,
  );
  const [forNats, forRedis, forNatsHistory, forRedisHistory] = printed;
  assertEquals(printed.length, 4);
  const suffice = async (
    engine: Engine,
    hasHistory: boolean,
  ): Promise<void> => {
    await using one = await cluster({ engine, prefix: "chat" });
    await using two = await cluster({ engine, prefix: "chat" });
    await until(() => one.nodes.length === 2, "each knows the other");
    const publish = () =>
      one.room<{ show(): void }>("a room", { history: true }).publish("show");
    if (hasHistory) {
      await publish();
      const { said } = await two.room("a room", { history: true }).history();
      assertEquals(said.length, 1);
    } else await fails(publish(), false);
    const other = openLog(engine, "chats");
    await fails(other.then((log) => log.append("chats.a", "")), false);
    await fails(engine.publish("chats.all", ""), false);
    await fails(engine.subscribe("chats.all", () => {}), false);
    assertEquals([one.status, two.status], ["open", "open"]);
  };
  const user = { user: "chat", pass: "a secret" };
  await test.step("NATS", async () => {
    await using stage = await Stage.start("nats", forNats!);
    await suffice(nats(await stage.nats(user)), false);
  });
  await test.step("NATS, with history", async () => {
    const admin = '{ user: "admin", password: "admin" }';
    const config = forNatsHistory!.replace("users: [", `users: [${admin}, `);
    await using stage = await Stage.start("nats", config);
    const [, stream] = /^```json\n(.*?)^```$/ms.exec(guide)!;
    const { name } = JSON.parse(stream!);
    const connection = await stage.nats({ user: "admin", pass: "admin" });
    const make = async (name: string, config: string): Promise<void> => {
      const to = `$JS.API.STREAM.CREATE.${name}`;
      const { error } = (await connection.request(to, config)).json<
        { error?: unknown }
      >();
      assertEquals(error, undefined);
    };
    await make(name, stream!);
    await make("other", JSON.stringify({ name: "other", allow_direct: true }));
    const own = await stage.nats({ ...user, inboxPrefix: "chat.inbox" });
    await suffice(nats(own), true);
    for (const to of ["INFO.other", "CREATE.third", `DELETE.${name}`]) {
      await assertRejects(() => own.request(`$JS.API.STREAM.${to}`), Error);
    }
    const read = own.request("$JS.API.DIRECT.GET.other", '{"seq":1}');
    await assertRejects(() => read, Error);
  });
  for (
    const [users, hasHistory] of [
      [forRedis!, false],
      [forRedisHistory!, true],
    ] as const
  ) {
    await test.step(`Redis${hasHistory ? ", with history" : ""}`, async () => {
      await using stage = await Stage.start("redis");
      const admin = stage.redisClient();
      await admin.connect();
      for (const line of users.trim().split("\n").slice(1).toReversed()) {
        const [, ...user] = line.split(" ");
        await admin.sendCommand(["ACL", "SETUSER", ...user]);
      }
      const stranger = createClient({
        url: stage.server.url,
        socket: { reconnectStrategy: false },
      });
      await assertRejects(() => stranger.connect(), Error);
      const user = { username: "chat", password: "secret" };
      await suffice(await stage.redis(user), hasHistory);
      const client = stage.redisClient(user);
      await client.connect();
      await assertRejects(() => client.get("chat.r.a"), Error);
      await assertRejects(() => client.hmGet("other", "a"), Error);
    });
  }
});

Deno.test("The engines do the same in Node and in Bun", async (test) => {
  const folder = await Deno.makeTempDir({ prefix: "engines_" });
  try {
    const root = new URL("../../", import.meta.url);
    const bundle = `${folder}/engines.mjs`;
    const bundled = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["bundle", "--lock=tests/deno.lock", "--no-check"],
        ...["--platform=deno", "tests/cluster/engines_program.ts"],
        ...["-o", bundle],
      ],
      cwd: root,
    }).output();
    assert(bundled.success, new TextDecoder().decode(bundled.stderr));
    for (const [runtime, program] of [["Node", node24], ["Bun", bun]]) {
      for (const kind of real) {
        await test.step(`${name[kind]}, in ${runtime}`, async () => {
          await using server = await EngineServer.start(kind);
          const { stdout, stderr } = await new Deno.Command(program!, {
            args: [bundle, kind, `${server.port}`],
          }).output();
          assertEquals(
            new TextDecoder().decode(stdout).trim(),
            "open 1000 100 closed",
            new TextDecoder().decode(stderr),
          );
        });
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
