/**
 * Some nodes of one cluster in this process, each with an engine of its own.
 *
 * @module
 */

import { type Cluster, cluster, type Engine } from "../../cluster.ts";
import { Peer, type PeerOptions } from "../../mod.ts";
import { socketPair } from "../../testing.ts";

/** What must hold, and how that is tried. */
export interface Case {
  readonly name: string;
  run(stage: Stage): Promise<void>;
}

/** What a page of the tests may be told. */
export interface PageMethods {
  show(text: string, number?: number): void;
  hide(): void;
}

/** A page that is connected to a node: what it was told. */
export interface Page {
  readonly client: Peer;
  /** Its peer on the node. */
  readonly peer: Peer<PageMethods>;
  readonly id: string;
  /** What it was shown. */
  readonly shown: string[];
  /** Where that stands in the room's history. */
  readonly positions: string[];
}

/** What is connected to a node, and has methods of its own. */
export interface Callee<Local> {
  readonly page: Peer;
  /** Its peer on the node. */
  readonly server: Peer<Local>;
  readonly id: string;
}

/** Where nodes and their pages play. */
export class Stage implements AsyncDisposable {
  /** What reached `onerror` of a node. */
  readonly errors: unknown[] = [];
  readonly prefix: string = `stage-${crypto.randomUUID().slice(0, 8)}`;
  readonly #connect: () => Promise<Engine>;
  readonly #stack = new AsyncDisposableStack();

  /** @param connect Makes one more connection to the bus. */
  constructor(connect: () => Promise<Engine>) {
    this.#connect = connect;
  }

  /** Makes one more connection to the bus, and ends it with the stage. */
  async engine(): Promise<Engine> {
    const engine = await this.#connect();
    this.#stack.defer(() => engine.close());
    return engine;
  }

  /** Lets a node join. */
  async join(engine?: Engine, prefix: string = this.prefix): Promise<Cluster> {
    return this.#stack.use(
      await cluster({
        engine: engine ?? await this.engine(),
        prefix,
        onerror: (error) => void this.errors.push(error),
      }),
    );
  }

  /** The subject of a room. */
  room(name: string): string {
    return `${this.prefix}.r.${name}`;
  }

  /** The subject that every node hears. */
  get all(): string {
    return `${this.prefix}.all`;
  }

  /** The subject of a node's inbox. */
  inbox(node: string): string {
    return `${this.prefix}.n.${node}`;
  }

  /** Connects to a node what has methods of its own. */
  callee<Local extends object>(
    node: Cluster,
    local: Local,
    options: { page?: PeerOptions; server?: PeerOptions } = {},
  ): Callee<Local> {
    const [left, right] = socketPair();
    const page = this.#stack.use(
      new Peer(left, { local, onerror() {}, ...options.page }),
    );
    const server = this.#stack.use(
      new Peer<Local>(right, { onerror() {}, ...options.server }),
    );
    return { page, server, id: node.idOf(server) };
  }

  /** Connects a page to a node. */
  page(node: Cluster, options: PeerOptions = {}): Page {
    const [left, right] = socketPair();
    const shown: string[] = [];
    const positions: string[] = [];
    const client: Peer = this.#stack.use(
      new Peer(left, {
        local: {
          show: (text: string): void => {
            shown.push(text);
            const { position } = client.call.members;
            if (typeof position === "string") positions.push(position);
          },
          hide: (): void => void shown.push("nothing"),
        },
        ...options.version !== undefined && { version: options.version },
      }),
    );
    const peer = this.#stack.use(
      new Peer<PageMethods>(right, { onerror() {}, ...options }),
    );
    return { client, peer, id: node.idOf(peer), shown, positions };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
