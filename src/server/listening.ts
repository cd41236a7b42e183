/**
 * A server that listens, on whatever platform: where, and how it stops.
 *
 * @module
 */

import {
  type Acceptor,
  type DrainOptions,
  type DrainReport,
  type ServicePeer,
  settled,
} from "./acceptor.ts";
import { Deferred } from "../line/deferred.ts";
import type { AsyncReleasable } from "../peer/contract.ts";
import { sayWhat } from "../presets/misuse.ts";

/** The part of a platform that listens for HTTP requests. */
export interface Listener<Addr> {
  /** Where. */
  readonly addr: Addr;
  /** Whether over TLS. */
  readonly isSecure: boolean;
  /** Resolves when it no longer listens and every request is answered. */
  readonly finished: Promise<void>;
  /** Listens no more; resolves when every request is answered. */
  stop(): Promise<void>;
  /** Cuts what is still connected, where the platform can. */
  cut(): void;
}

/** An address: of a host, or of a Unix socket. */
export interface Address {
  /** `"tcp"` or `"unix"`. */
  readonly transport: "tcp" | "unix";
  /** The IP address; `""` of a Unix socket. */
  readonly hostname: string;
  /** The port; `undefined` of a Unix socket. */
  readonly port?: number;
  /** The path of a Unix socket. */
  readonly path?: string;
}

/** The place to listen, on Bun and Node. */
export interface ListenOptions {
  /** Default 8000; any free one if 0. */
  port?: number;
  /** Default: every address of this machine. */
  hostname?: string;
  /** The path of a Unix socket, instead of a port. */
  path?: string;
  /** The certificate, for TLS, with its `key`: PEM. */
  cert?: string;
  /** The certificate's private key: PEM. */
  key?: string;
  /** Shuts the server down. */
  signal?: AbortSignal;
  /** Called when it listens. */
  onListen?: (this: void, addr: Address) => void;
}

/** `await using` shuts it down. Beside the class as that of {@linkcode BasePeer} is. */
export interface ListeningServer<
  Service extends ServicePeer = ServicePeer,
  Addr = unknown,
> extends AsyncReleasable {}

/**
 * A server that listens; made by `serve`.
 *
 * @typeParam Service The class of its connections' instances.
 * @typeParam Addr What the platform calls an address.
 */
export class ListeningServer<
  Service extends ServicePeer = ServicePeer,
  Addr = unknown,
> {
  /** The connections' instances, from the handshake to the close. */
  readonly peers: ReadonlySet<Service>;

  readonly #acceptor: Acceptor<never>;
  readonly #listener: Listener<Addr>;
  readonly #left = new Deferred<void>();
  #shutdown: Promise<void> | undefined;
  #drained: Promise<DrainReport> | undefined;

  /** @ignore Made by `serve`. */
  constructor(acceptor: Acceptor<never>, listener: Listener<Addr>) {
    this.#acceptor = acceptor;
    this.#listener = listener;
    this.peers = acceptor.peers as Set<ServicePeer> as Set<Service>;
    const { hostname } = listener.addr as { hostname?: string };
    if (hostname !== undefined) acceptor.listensOn(hostname);
  }

  /** Where it listens. */
  get addr(): Addr {
    return this.#listener.addr;
  }

  /**
   * The address to connect to, `ws://localhost:8888/`; `ws+unix:` and a path
   * for a Unix socket.
   */
  get url(): string {
    const { hostname = "", port, path } = this.addr as {
      hostname?: string;
      port?: number;
      path?: string;
    };
    if (port === undefined) return `ws+unix:${path}`;
    const host = hostname === "0.0.0.0" || hostname === "::"
      ? "localhost"
      : hostname.includes(":")
      ? `[${hostname}]`
      : hostname;
    return `${this.#listener.isSecure ? "wss" : "ws"}://${host}:${port}/`;
  }

  /**
   * Resolves when the server no longer listens and every request is answered, or
   * when a {@linkcode ListeningServer.drain} no longer waits for that.
   */
  get finished(): Promise<void> {
    return Promise.race([this.#listener.finished, this.#left.promise]);
  }

  /**
   * Stops: accepts no more connections, closes each with 1001, waits until they
   * are gone, at most 5 seconds, and then for the answers that `fetch` and
   * `authorize` still owe. A drain that goes on is cut short.
   */
  shutdown(): Promise<void> {
    return this.#shutdown ??= this.#stop();
  }

  async #stop(): Promise<void> {
    await this.#acceptor.close();
    await this.#listener.stop();
  }

  /**
   * Leaves well, for a deploy: accepts no more connections (503, and `fetch` goes
   * on), begins no more calls (-32009, not executed), lets those that run finish
   * and their answers leave, and closes each connection with 1012 "Server
   * restarts, retry in 1234 ms", another number for each. Then it listens no
   * more.
   *
   * It takes `within` at most, whatever methods and peers do, and is the same if
   * it is asked for again, or after a {@linkcode ListeningServer.shutdown}. It
   * waits for no stream that a method has returned.
   *
   * ```ts
   * import { connect } from "@jsonrpcws/peer/client";
   * import { serve } from "@jsonrpcws/peer/server";
   * import { assertEquals } from "@std/assert";
   *
   * const bell = Promise.withResolvers<string>();
   * const local = { wait: () => bell.promise };
   * const server = serve({ local, port: 0, onListen() {} });
   * const client = connect<typeof local>(server.url, { reconnect: false });
   * await client.opened;
   *
   * const call = client.remote.wait();
   * await client.request("rpc.ping"); // Both have arrived.
   * const drained = server.drain({ within: 10_000 });
   * bell.resolve("ding");
   * assertEquals(await call, "ding");
   * assertEquals((await client.closed).code, 1012);
   * assertEquals(await drained, { closed: 1, cut: 0, running: [] });
   * ```
   *
   * @returns How it was left.
   * @throws {RangeError} `within` or `spread` is no number of 0 or more.
   */
  drain(options: DrainOptions = {}): Promise<DrainReport> {
    const { within = 30_000 } = options;
    return this.#drained ??= this.#stopAfter(
      this.#acceptor.drain(options),
      performance.now() + within,
    );
  }

  async #stopAfter(
    drained: Promise<DrainReport>,
    end: number,
  ): Promise<DrainReport> {
    const report = await drained;
    const rest = Math.max(0, end - performance.now());
    this.#shutdown ??= this.#listener.stop();
    await settled(this.#shutdown, rest, undefined);
    this.#listener.cut();
    this.#left.resolve();
    return report;
  }

  /** Stops the server, see {@linkcode ListeningServer.shutdown}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }
}

/**
 * Refuses to serve by a runtime that isn't there.
 *
 * @param name The runtime's global name: `"Deno"`.
 * @param door Its door: `"/server"`.
 * @throws {TypeError} It says which doors there are.
 */
export function checkRuntime(name: string, door: string): void {
  if (name in globalThis) return;
  throw new TypeError(
    `Cannot serve: there is no ${name} here, which @jsonrpcws/peer${door} is for; take /server on Deno, /node on Node, /bun on Bun, /workers on Cloudflare's`,
  );
}

/**
 * Refuses a port that is none: in JavaScript it may be the string that an
 * environment variable is, which one runtime takes for a number and another for a path.
 *
 * @throws {TypeError} It is no number.
 * @throws {RangeError} No port has this number.
 */
export function checkPort(options: object): void {
  const { port } = options as { port?: unknown };
  if (port === undefined) return;
  const what = "it must be a whole number of 0 to 65,535";
  if (typeof port !== "number") {
    throw new TypeError(
      `Cannot listen on port ${
        sayWhat(port)
      }: ${what}, of a string make it by Number()`,
    );
  }
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return;
  throw new RangeError(`Cannot listen on port ${port}: ${what}`);
}

/** Tells where a server listens, and ends it with its signal. */
export function announce<Server extends ListeningServer<ServicePeer, Address>>(
  server: Server,
  { signal, onListen }: ListenOptions,
): Server {
  signal?.addEventListener("abort", () => void server.shutdown());
  if (signal?.aborted) void server.shutdown();
  onListen?.(server.addr);
  return server;
}
