/**
 * A listening server on any platform: its address, its shutdown and its drain.
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

/** The platform's HTTP server. */
export interface Listener<Addr> {
  /** The address that it listens on. */
  readonly addr: Addr;
  /** Whether it listens over TLS. */
  readonly isSecure: boolean;
  /** Resolves when it has stopped listening and every request is answered. */
  readonly finished: Promise<void>;
  /** Stops listening; resolves when every request is answered. */
  stop(): Promise<void>;
  /** Cuts the connections that are left, where the platform can. */
  cut(): void;
}

/** The address of a host or a Unix socket. */
export interface Address {
  /** `"tcp"` or `"unix"`. */
  readonly transport: "tcp" | "unix";
  /** The IP address; `""` for a Unix socket. */
  readonly hostname: string;
  /** The port; absent for a Unix socket. */
  readonly port?: number;
  /** The path of a Unix socket; absent for a host. */
  readonly path?: string;
}

/** The address to listen on, for Bun and Node. */
export interface ListenOptions {
  /** The port. Default 8000; 0 takes any free one. */
  port?: number;
  /** The address to listen on. Default: all addresses of this machine. */
  hostname?: string;
  /** The path of a Unix socket, instead of a port. */
  path?: string;
  /** The certificate for TLS, in PEM; needs `key`. */
  cert?: string;
  /** The certificate's private key, in PEM. */
  key?: string;
  /** Shuts the server down when it aborts. */
  signal?: AbortSignal;
  /** Called once the server listens. */
  onListen?: (this: void, addr: Address) => void;
}

/**
 * A server that listens; `await using` shuts it down. An interface beside the
 * class, for the same reason as that of {@linkcode BasePeer}.
 */
export interface ListeningServer<
  Service extends ServicePeer = ServicePeer,
  Addr = unknown,
> extends AsyncReleasable {}

/**
 * A server that listens; made by `serve`.
 *
 * @typeParam Service The class of its connections' instances.
 * @typeParam Addr The platform's type of an address.
 */
export class ListeningServer<
  Service extends ServicePeer = ServicePeer,
  Addr = unknown,
> {
  /** The instances of the service, from the handshake to the close. */
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

  /** The address that it listens on. */
  get addr(): Addr {
    return this.#listener.addr;
  }

  /**
   * The URL to connect to, `ws://localhost:8888/`; for a Unix socket `ws+unix:` and
   * its path.
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
   * Resolves when the server has stopped listening and every request is answered,
   * or when a {@linkcode ListeningServer.drain} has run out of time.
   */
  get finished(): Promise<void> {
    return Promise.race([this.#listener.finished, this.#left.promise]);
  }

  /**
   * Stops the server: accepts no more connections, closes each one with 1001, waits
   * at most 5 seconds until they are gone, and then for the answers that `fetch`
   * and `authorize` still owe. It cuts a running drain short.
   */
  shutdown(): Promise<void> {
    return this.#shutdown ??= this.#stop();
  }

  async #stop(): Promise<void> {
    await this.#acceptor.close();
    await this.#listener.stop();
  }

  /**
   * Stops the server without losing a call, for a deploy: refuses new connections
   * (503; `fetch` goes on) and new calls (-32009, not executed), lets running
   * methods finish and their answers leave, and closes each connection with 1012
   * "Server restarts, retry in 1234 ms", a random number for each. Then it stops
   * listening.
   *
   * It takes at most `within`, whatever methods and peers do. A second call returns
   * the same promise. It doesn't wait for streams that a method has returned.
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
   * @returns Resolves with the numbers of connections that closed and were cut, and
   * the methods that still ran.
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
 * Refuses to serve if the runtime of this door isn't there.
 *
 * @param name The runtime's global name: `"Deno"`.
 * @param door Its door: `"/server"`.
 * @throws {TypeError} The runtime is another one; the message lists the doors.
 */
export function checkRuntime(name: string, door: string): void {
  if (name in globalThis) return;
  throw new TypeError(
    `Cannot serve: there is no ${name} here, which @jsonrpcws/peer${door} is for; take /server on Deno, /node on Node, /bun on Bun, /workers on Cloudflare's`,
  );
}

/**
 * Refuses a port that is no number of 0 to 65,535. Often it is a string from an
 * environment variable, which one runtime takes for a number and another for a
 * path.
 *
 * @throws {TypeError} The port is no number.
 * @throws {RangeError} The port is not a whole number of 0 to 65,535.
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

/** Calls `onListen`, and shuts the server down when `signal` aborts. */
export function announce<Server extends ListeningServer<ServicePeer, Address>>(
  server: Server,
  { signal, onListen }: ListenOptions,
): Server {
  signal?.addEventListener("abort", () => void server.shutdown());
  if (signal?.aborted) void server.shutdown();
  onListen?.(server.addr);
  return server;
}
