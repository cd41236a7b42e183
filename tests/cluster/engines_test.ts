/**
 * The contract of `Engine`, kept by each of them: in memory, through a real NATS, and
 * through a real Redis.
 */

// Imported so that Deno fetches the package that has the program in it.
import "@oven/bun-linux-x64/package.json" with { type: "json" };
import { fileURLToPath } from "node:url";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { createClient } from "@redis/client";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { cluster } from "../../cluster.ts";
import { nats } from "../../nats.ts";
import { redis } from "../../redis.ts";
import {
  type Engine,
  EngineError,
  type EngineStatus,
} from "../../src/cluster/engine.ts";
import { memory } from "../../src/cluster/memory.ts";
import { node24 } from "../interop/node_program.ts";
import { until } from "../interop/processes.ts";
import { TcpProxy } from "../tcp_proxy.ts";
import { type EngineKind, EngineServer } from "./servers.ts";

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

  static async start(kind: EngineKind, config?: string): Promise<Stage> {
    const options = config === undefined ? {} : { config };
    return new Stage(await EngineServer.start(kind, options));
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
  const [forNats, forRedis] = Array.from(
    guide.matchAll(/^```text\n(.*?)^```$/gms),
    ([, code]) => code!,
  );
  const suffice = async (engine: Engine): Promise<void> => {
    await using one = await cluster({ engine, prefix: "chat" });
    await using two = await cluster({ engine, prefix: "chat" });
    await until(() => one.nodes.length === 2, "each knows the other");
    await fails(engine.publish("chats.all", ""), false);
    await fails(engine.subscribe("chats.all", () => {}), false);
    assertEquals([one.status, two.status], ["open", "open"]);
  };
  await test.step("NATS", async () => {
    await using stage = await Stage.start("nats", forNats!);
    const user = { user: "chat", pass: "a secret" };
    await suffice(nats(await stage.nats(user)));
  });
  await test.step("Redis", async () => {
    await using stage = await Stage.start("redis");
    const admin = stage.redisClient();
    await admin.connect();
    for (const line of forRedis!.trim().split("\n").slice(1).toReversed()) {
      const [, ...user] = line.split(" ");
      await admin.sendCommand(["ACL", "SETUSER", ...user]);
    }
    const stranger = createClient({
      url: stage.server.url,
      socket: { reconnectStrategy: false },
    });
    await assertRejects(() => stranger.connect(), Error);
    const user = { username: "chat", password: "secret" };
    const engine = await stage.redis(user);
    await suffice(engine);
    const client = stage.redisClient(user);
    await client.connect();
    await assertRejects(() => client.get("a"), Error);
  });
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
            "open 1000 closed",
            new TextDecoder().decode(stderr),
          );
        });
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
