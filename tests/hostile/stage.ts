/**
 * Where hostile peers perform: a victim, which is a server's instance or a client,
 * with nothing but bytes at its other end; somebody beside it who must not notice;
 * and the epilogue, which sees that nothing is left.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { connect } from "../../client.ts";
import {
  type CloseInfo,
  type Limits,
  Peer,
  type PeerOptions,
  type Socket,
  type SocketMaker,
} from "../../mod.ts";
import { connectOnce } from "../connect_once.ts";
import { RawSocket } from "../interop/raw_socket.ts";
import { type Except, type Platform, platforms, until } from "../servers.ts";

/** The hooks of a victim that fail, and how. */
export interface Failing {
  readonly how: "at once" | "later";
  readonly hooks: readonly string[];
}

/** Whoever is attacked: it has methods of every kind, also of bad ones. */
export class Victim extends Peer {
  /** Which of its hooks fail, if any do. */
  failing: Failing | undefined;
  /** What `onerror` was told. */
  readonly thrown: unknown[] = [];
  /** How its connections ended. */
  readonly ends: CloseInfo[] = [];
  /** How often its methods ran that count. */
  executed = 0;
  readonly #gate = Promise.withResolvers<string>();

  override local: object = {
    echo: (value: unknown) => value,
    length: (text: string) => text.length,
    count: () => ++this.executed,
    wait: () => (this.executed++, this.#gate.promise),
    openGate: () => this.openGate(),
    never: () => new Promise(() => {}),
    throwError: () => {
      throw new Error("secret");
    },
    throwString: () => {
      throw "secret";
    },
    throwNull: () => {
      throw null;
    },
    reject: () => Promise.reject(new Error("secret")),
    cycle: () => {
      const cycle: { self?: object } = {};
      return cycle.self = cycle;
    },
    bigint: () => 5n,
    flood: async () => {
      const text = "x".repeat(50_000);
      // As fast as the runtime hands it to the system, not as fast as it is read.
      while (this.executed < 1_000 && this.notify("value", [text])) {
        this.executed++;
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    },
    field: 5,
    get getter(): () => number {
      throw new Error("A getter was called");
    },
  };

  /** Lets every `wait` on. */
  openGate(): void {
    this.#gate.resolve("waited");
  }

  override onopen(): void | Promise<void> {
    return this.#fail("onopen");
  }

  override onclose(end: CloseInfo): void | Promise<void> {
    this.ends.push(end);
    return this.#fail("onclose");
  }

  override oninvalid(): void {
    return this.#fail("oninvalid") as void;
  }

  override onerror(error: unknown): void | Promise<void> {
    this.thrown.push(error);
    return this.#fail("onerror");
  }

  #fail(hook: string): void | Promise<void> {
    if (!this.failing?.hooks.includes(hook)) return;
    if (this.failing.how === "at once") throw new Error(hook);
    return Promise.reject(new Error(hook));
  }
}

/** What a performance is given. */
export interface Stage {
  /** Whether anybody may be the other end, or the one that the victim chose. */
  readonly isServer: boolean;
  readonly victim: Victim;
  /** The other end of its connection. */
  readonly hostile: RawSocket;
}

/** What a performance needs. */
export interface Props {
  /** The victim's limits, where they aren't the usual ones. */
  limits?: Partial<Limits>;
  /** Which of the victim's hooks fail. Default: none. */
  failing?: Failing;
  /** What reaches its `onerror`, as text. Default: nothing. */
  thrown?: readonly string[];
  /** Where it is not so. */
  except?: Except;
}

/** A test of three: towards each server's instance, and towards a client. */
export function hostileTest(
  title: string,
  props: Props,
  perform: (stage: Stage) => Promise<void>,
): void {
  for (const platform of platforms) {
    if (props.except?.[platform.name] !== undefined) continue;
    Deno.test(`${title}, towards a server on ${platform.name}`, () =>
      play(props, perform, () => stageServer(platform, props)));
  }
  Deno.test(`${title}, towards a client`, () =>
    play(props, perform, () => stageClient(props)));
}

/** A stage that can be left. */
interface Scene extends Stage {
  /** Where whoever comes afterwards connects to. */
  readonly url: string;
  /** Takes it down, and sees that nothing is left. */
  strike(): Promise<void>;
}

async function play(
  { thrown = [] }: Props,
  perform: (stage: Stage) => Promise<void>,
  stage: () => Promise<Scene>,
): Promise<void> {
  const prototypes = look();
  const { isServer, victim, hostile, url, strike } = await stage();
  await using neighbour = connectOnce(url);
  // They go on while it happens.
  const calls = (async () => {
    for (let n = 0; n < 50; n++) {
      assertEquals(await neighbour.request("echo", [n]), n);
    }
  })();
  const held = neighbour.request("wait");
  held.catch(() => {});
  await neighbour.request("echo", ["before"]);

  await perform({ isServer, victim, hostile });

  // Whoever comes afterwards is served.
  await using late = connectOnce(url);
  assertEquals(await late.request("echo", ["after"]), "after");
  // Whoever was there has noticed nothing.
  await calls;
  await neighbour.request("openGate");
  assertEquals(await held, "waited");
  assertEquals([neighbour.state, neighbour.unmatched], ["open", 0]);
  await Promise.all([neighbour, late].map((peer) => {
    peer.close();
    return peer.closed;
  }));
  // Nothing is left; what the runtime knows of, its sanitizers see.
  hostile[Symbol.dispose]();
  await strike();
  assertEquals(victim.state, "closed");
  assertEquals(victim.running, []);
  assertEquals(victim.ends.length, 1);
  // What a TypeError of JSON's says differs among engines.
  const errors = victim.thrown.map((it) =>
    it instanceof TypeError ? it.name : String(it)
  );
  assertEquals(errors, thrown);
  assertEquals(look(), prototypes);
}

/** The victim is the first instance of a server's. */
async function stageServer(
  platform: Platform,
  { limits = {}, failing }: Props,
): Promise<Scene> {
  const instances: Victim[] = [];
  const reported: unknown[] = [];
  class Service extends Victim {
    constructor(ws: Socket | SocketMaker, options: PeerOptions) {
      super(ws, options);
      if (instances.push(this) === 1) this.failing = failing;
    }
  }
  const onerror = (error: unknown): void => void reported.push(error);
  const server = await platform.serve(Service, { limits, onerror });
  const hostile = await RawSocket.connect(server.url);
  await until(() => instances.length === 1);
  const victim = instances[0]!;
  return {
    isServer: true,
    victim,
    hostile,
    url: server.url,
    async strike() {
      await until(() => server.peers.size === 0);
      await victim.closed;
      await server.shutdown();
      assertEquals(reported, []);
    },
  };
}

/** The victim is a client, and its server is the hostile one. */
async function stageClient(
  { limits = {}, failing }: Props,
): Promise<Scene> {
  class Client extends Victim {
    override failing = failing;
  }
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const victim = connect(
    `ws://127.0.0.1:${listener.addr.port}`,
    Client,
    { limits, reconnect: false },
  );
  const hostile = await RawSocket.accept(await listener.accept());
  // One whose onopen fails does not open, and says so itself.
  await victim.opened.catch(() => {});
  const server = await platforms[0]!.serve(Victim);
  return {
    isServer: false,
    victim,
    hostile,
    url: server.url,
    async strike() {
      victim.close();
      await victim.closed;
      await until(() => server.peers.size === 0);
      await server.shutdown();
      listener.close();
    },
  };
}

/** What no peer may change. */
function look(): string {
  return [Object, Array, Function, String, Promise].map(({ prototype }) =>
    Reflect.ownKeys(prototype).map(String).join()
  ).join(";");
}

// Milliseconds within which a message comes, or never.
const mostSilence = 20_000;

/** Waits for the next message, as long as one may take. */
export async function hear(hostile: RawSocket): Promise<unknown> {
  let why = "The connection has ended";
  const timer = setTimeout(() => {
    why = `No message came within ${mostSilence} ms`;
    hostile[Symbol.dispose]();
  }, mostSilence);
  try {
    const text = await hostile.text();
    assert(text !== undefined, why);
    return JSON.parse(text);
  } finally {
    clearTimeout(timer);
  }
}

/** Says something, and waits for as many messages. */
export async function ask(
  hostile: RawSocket,
  ...messages: readonly (string | object)[]
): Promise<unknown[]> {
  await hostile.say(...messages.map(toText));
  const answers: unknown[] = [];
  for (const _ of messages) answers.push(await hear(hostile));
  return answers;
}

/** A message as it is sent. */
export function toText(message: string | object): string {
  return typeof message === "string" ? message : JSON.stringify(message);
}
