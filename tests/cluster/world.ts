/**
 * A world for a cluster: server processes, a load balancer before them, and bad
 * connections to their engine. All of it is ended with the world, by ids.
 *
 * @module
 */

import { lines } from "../../bench/lines.ts";
import { connect } from "../../client.ts";
import type { CaughtUp, Position } from "../../cluster.ts";
import { type Peer, RpcError } from "../../mod.ts";
import { until } from "../interop/processes.ts";
import { TcpProxy } from "../tcp_proxy.ts";
import type { EngineAddress } from "./engines.ts";
import type { Client, NodeTask, Page } from "./node_program.ts";

/** What a test's client may call. */
export type Service = Client["local"];

/** A message of a room, as a client heard it. */
export interface Heard {
  readonly room: string;
  /** The node that published it. */
  readonly from: string;
  readonly number: number;
  /** Where it stands; `undefined`: the room keeps nothing. */
  readonly position: Position | undefined;
}

/** A client, which writes down what it hears. */
export interface TestClient extends AsyncDisposable {
  readonly peer: Peer<Service>;
  readonly remote: Peer<Service>["remote"];
  readonly heard: Heard[];
  /** What was answered each time that it caught up with the room it follows. */
  readonly caughtUp: CaughtUp[];
  /** What was said when it was closed; `undefined`: it was not. */
  readonly closed:
    | { readonly code: number; readonly reason: string }
    | undefined;
  /** Whether a call of `wait` runs. */
  isWaiting(name: string): boolean;
  /** The names of those that were cancelled. */
  readonly cancelled: ReadonlySet<string>;
  /** Answers a call of `wait`. */
  answer(name: string): void;
  /**
   * Resolves once something holds, which is looked at with each event.
   *
   * @throws {Error} It doesn't within 20 s.
   */
  until(holds: () => boolean): Promise<void>;
}

/** Options of a client beside its address. */
export interface ClientOptions {
  /** Default: 2.0. */
  version?: "1.0" | "2.0";
  /** Whether it comes back. Default `false`. */
  reconnect?: boolean;
  /** Whether it writes down what it hears. Default `true`. */
  records?: boolean;
  /**
   * A room with history, in which it catches up with what it has missed, whenever it
   * is connected.
   */
  follows?: string;
  /** Called with each message of a room. */
  onheard?: (heard: Heard) => void;
}

// Milliseconds that something may take that is waited for.
const patience = 20_000;

/** Connects a client that can be called. */
export async function connectClient(
  url: string,
  options: ClientOptions = {},
): Promise<TestClient> {
  const { version, reconnect = false, records = true, onheard } = options;
  const { follows } = options;
  const caughtUp: CaughtUp[] = [];
  let position: Position | undefined;
  const follow = async (room: string): Promise<void> => {
    const since = position;
    try {
      const caught = await peer.request("catchUp", [room, since ?? 0]);
      // Unless it has heard something meanwhile.
      if (position === since) position = caught.position;
      caughtUp.push(caught);
    } catch {
      // The connection was lost: the next one asks again.
    }
    wake();
  };
  const heard: Heard[] = [];
  const running = new Map<string, (answer: string) => void>();
  const cancelled = new Set<string>();
  const watching = new Set<() => void>();
  const wake = (): void => {
    for (const look of watching) look();
  };
  let closed: TestClient["closed"];
  const peer: Peer<Service> = connect<Service>(url, {
    reconnect,
    ...version !== undefined && { version },
    local: {
      show(room, from, number): void {
        const { members } = peer.call;
        position = members?.position as Position | undefined;
        const message = { room, from, number, position };
        if (records) heard.push(message);
        onheard?.(message);
        wake();
      },
      echo: (value) => value,
      fail(code, message, data): never {
        throw new RpcError(code, message, data);
      },
      wait(name): Promise<string> {
        const { signal } = peer.call;
        return new Promise((resolve, reject) => {
          running.set(name, resolve);
          signal.addEventListener("abort", () => {
            running.delete(name);
            cancelled.add(name);
            reject(signal.reason);
            wake();
          });
          wake();
        });
      },
      async *count(to) {
        for (let number = 1; number <= to; number++) yield number;
      },
    } satisfies Page,
    onattempt() {},
    onopen() {
      if (follows !== undefined) void follow(follows);
    },
    onclose({ code, reason, retryIn }) {
      if (retryIn === undefined) closed = { code, reason };
      wake();
    },
    onerror() {},
  });
  await peer.opened;
  return {
    peer,
    remote: peer.remote,
    heard,
    caughtUp,
    get closed() {
      return closed;
    },
    isWaiting: (name) => running.has(name),
    cancelled,
    answer(name) {
      running.get(name)?.(name);
      running.delete(name);
    },
    until(holds) {
      return new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          watching.delete(look);
          reject(new Error(`Not within ${patience} ms: ${holds}`));
        }, patience);
        const look = (): void => {
          if (!holds()) return;
          clearTimeout(timer);
          watching.delete(look);
          resolve();
        };
        watching.add(look);
        look();
      });
    },
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}

/** A process that is one node. */
export class NodeProcess implements AsyncDisposable {
  /** Its id in the cluster. */
  readonly id: string;
  readonly url: string;
  /** The way to its engine, if it goes by a way of its own. */
  readonly line: TcpProxy | undefined;
  /** A client that is no member of anything, to ask and tell it. */
  readonly control: TestClient;
  readonly #process: Deno.ChildProcess;
  readonly #output: AsyncGenerator<string>;
  #isStopped = false;
  #isEnded = false;

  private constructor(
    process: Deno.ChildProcess,
    output: AsyncGenerator<string>,
    id: string,
    url: string,
    line: TcpProxy | undefined,
    control: TestClient,
  ) {
    this.#process = process;
    this.#output = output;
    this.id = id;
    this.url = url;
    this.line = line;
    this.control = control;
  }

  /** Starts one, and waits until it serves. */
  static async start(
    task: NodeTask,
    line: TcpProxy | undefined,
  ): Promise<NodeProcess> {
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--no-check",
        "--allow-env",
        "--allow-net=127.0.0.1",
        "--allow-read",
        "--allow-sys",
        new URL("node_program.ts", import.meta.url).href,
        JSON.stringify(task),
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const output = lines(process.stdout);
    const { done, value } = await output.next();
    if (done) {
      const { code } = await process.status;
      await process.stdin.close().catch(() => {});
      throw new Error(`Cannot start a node: it ended with ${code}`);
    }
    const { id, url } = JSON.parse(value);
    const control = await connectClient(url);
    return new NodeProcess(process, output, id, url, line, control);
  }

  /** What it is called by whoever connects. */
  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** SIGSTOP: it does nothing any more, and doesn't know. */
  stop(): void {
    this.#isStopped = true;
    this.#process.kill("SIGSTOP");
  }

  /** SIGCONT: it goes on as if nothing had been. */
  continue(): void {
    this.#isStopped = false;
    this.#process.kill("SIGCONT");
  }

  /** SIGKILL: it is gone at once. */
  async kill(): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#process.kill("SIGKILL");
    await this.#gone();
  }

  /** Tells it to end, waits until it has, and says how. */
  async end(): Promise<Deno.CommandStatus> {
    if (this.#isStopped) this.continue();
    this.#isEnded = true;
    await this.#process.stdin.close().catch(() => {});
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 15_000);
    try {
      return await this.#gone();
    } finally {
      clearTimeout(timer);
    }
  }

  async #gone(): Promise<Deno.CommandStatus> {
    while (!(await this.#output.next()).done);
    const status = await this.#process.status;
    await this.#process.stdin.close().catch(() => {});
    await this.control[Symbol.asyncDispose]();
    await this.line?.[Symbol.asyncDispose]();
    return status;
  }

  /** Ends it, if it has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isEnded) await this.end();
  }
}

/** What passes each new connection to the next server that takes it. */
export class Balancer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #ports: () => readonly number[];
  readonly #ends = new Set<Deno.Conn>();
  readonly #running = new Set<Promise<void>>();
  #next = 0;

  /** @param ports The servers' of now. */
  constructor(ports: () => readonly number[]) {
    this.#ports = ports;
    this.#run(this.#listen());
  }

  /** Where clients connect. */
  get url(): string {
    return `ws://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const end of this.#ends) close(end);
    await Promise.all(this.#running);
  }

  #run(work: Promise<void>): void {
    const running = work.finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #listen(): Promise<void> {
    for await (const client of this.#listener) this.#run(this.#join(client));
  }

  async #join(client: Deno.TcpConn): Promise<void> {
    const server = await this.#connect();
    if (server === undefined) return close(client);
    for (const end of [client, server]) end.setNoDelay();
    this.#ends.add(client).add(server);
    await Promise.all([
      client.readable.pipeTo(server.writable).catch(() => {}),
      server.readable.pipeTo(client.writable).catch(() => {}),
    ]);
    this.#ends.delete(client);
    this.#ends.delete(server);
    close(client);
    close(server);
  }

  async #connect(): Promise<Deno.TcpConn | undefined> {
    const ports = this.#ports();
    for (const _ of ports) {
      const port = ports[this.#next++ % ports.length]!;
      try {
        return await Deno.connect({ hostname: "127.0.0.1", port });
      } catch {
        // It is down: the next one.
      }
    }
    return undefined;
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It was closed.
  }
}

/** How many nodes, over what. */
export interface WorldOptions {
  /** The engine's server. */
  readonly engine: EngineAddress;
  /** Default: one that no other world has. */
  readonly prefix?: string;
  /** Default 3. */
  readonly nodes?: number;
  /**
   * Whether each node goes to the engine by a way of its own, which can be cut.
   * Default `false`.
   */
  readonly lines?: boolean;
}

/** Nodes, and a balancer before them. */
export class World implements AsyncDisposable {
  readonly nodes: NodeProcess[] = [];
  readonly balancer: Balancer;
  readonly prefix: string;
  readonly #options: WorldOptions;

  private constructor(options: WorldOptions) {
    this.#options = options;
    this.prefix = options.prefix ?? `world-${crypto.randomUUID().slice(0, 8)}`;
    this.balancer = new Balancer(() => this.nodes.map(({ port }) => port));
  }

  /** Starts the nodes, and waits until each knows of all. */
  static async start(options: WorldOptions): Promise<World> {
    const world = new World(options);
    try {
      const { nodes = 3 } = options;
      await Promise.all(Array.from({ length: nodes }, () => world.add()));
      await world.meet();
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
    return world;
  }

  /** Starts one more node. */
  async add(): Promise<NodeProcess> {
    const { engine, lines = false } = this.#options;
    const line = lines ? new TcpProxy(engine.port) : undefined;
    const port = line?.port ?? engine.port;
    try {
      const node = await NodeProcess.start(
        { engine: { ...engine, port }, prefix: this.prefix },
        line,
      );
      this.nodes.push(node);
      return node;
    } catch (error) {
      await line?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Kills a node, and forgets it. */
  async kill(node: NodeProcess): Promise<void> {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    await node.kill();
  }

  /** Waits until each node knows of all others, and of no more. */
  async meet(): Promise<void> {
    const all = this.nodes.map(({ id }) => id).sort().join();
    await Promise.all(
      this.nodes.map(({ control }) =>
        until(async () =>
          [...await control.remote.nodes()].sort().join() === all
        )
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.balancer[Symbol.asyncDispose]();
  }
}
