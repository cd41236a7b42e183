/**
 * The servers that clusters talk through, as processes of their own: `nats-server` and
 * `redis-server`, each on a free port with a folder of its own, ended by its id.
 *
 * ```ts ignore
 * await using server = await EngineServer.start("nats");
 * await server.restart();
 * ```
 *
 * @module
 */

import { debian, freePort, type Program, start } from "../interop/processes.ts";
import {
  type TemporaryFolder,
  temporaryFolder,
} from "../interop/temporary_folder.ts";

/** Which server. */
export type EngineKind = "nats" | "redis";

/** What a server is started with beside its address. */
export interface EngineServerOptions {
  /** Further arguments of its command. */
  readonly args?: readonly string[];
  /** Lines of its configuration, which may be written anew: see `reload`. */
  readonly config?: string;
  /** Whether a `nats-server` has no JetStream. Default false. */
  readonly isPlain?: boolean;
}

/** A server that may be stopped, started again at the same port, and frozen. */
export class EngineServer implements AsyncDisposable {
  readonly kind: EngineKind;
  /** Of 127.0.0.1; the same after a restart. */
  readonly port: number;
  readonly #folder: TemporaryFolder;
  readonly #options: EngineServerOptions;
  #program: Program | undefined;

  private constructor(
    kind: EngineKind,
    folder: TemporaryFolder,
    options: EngineServerOptions,
  ) {
    this.kind = kind;
    this.port = freePort();
    this.#folder = folder;
    this.#options = options;
  }

  /**
   * Starts one, which is installed before where that is possible.
   *
   * @throws {Error} It is missing and can't be installed: the message says what to do.
   */
  static async start(
    kind: EngineKind,
    options: EngineServerOptions = {},
  ): Promise<EngineServer> {
    const folder = await temporaryFolder(`jsonrpcws_${kind}_`);
    const server = new EngineServer(kind, folder, options);
    try {
      await server.start();
    } catch (error) {
      await folder[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  /** The address for the client of this kind. */
  get url(): string {
    return `${this.kind}://127.0.0.1:${this.port}`;
  }

  /** The id of its process. */
  get pid(): number {
    return this.#program!.pid;
  }

  /** Starts it again at the same port. */
  async start(): Promise<void> {
    const { kind, port } = this;
    const command = await debian(`${kind}-server`, `${kind}-server`);
    const folder = this.#folder.path;
    const args = kind === "nats"
      ? ["-a", "127.0.0.1", "-p", `${port}`, "-sd", folder]
      : ["--bind", "127.0.0.1", "--port", `${port}`, "--dir", folder];
    if (kind === "nats" && this.#options.isPlain !== true) args.push("-js");
    if (kind === "redis") args.push("--save", "", "--appendonly", "no");
    if (this.#options.config !== undefined) {
      const path = `${folder}/server.conf`;
      await Deno.writeTextFile(path, this.#options.config);
      if (kind === "nats") args.push("-c", path);
      else args.unshift(path);
    }
    args.push(...this.#options.args ?? []);
    this.#program = await start(command, { args, port });
  }

  /** Writes another configuration for a `nats-server`, which reads it at once. */
  async reload(config: string): Promise<void> {
    await Deno.writeTextFile(`${this.#folder.path}/server.conf`, config);
    Deno.kill(this.pid, "SIGHUP");
  }

  /** Ends it; by SIGKILL unless told otherwise. */
  async stop(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    await this.#program?.stop(signal);
    this.#program = undefined;
  }

  /** Ends it and starts it again. */
  async restart(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  /** Lets it do nothing any more, with its connections open. */
  freeze(): void {
    Deno.kill(this.pid, "SIGSTOP");
  }

  /** Lets it go on. */
  thaw(): void {
    Deno.kill(this.pid, "SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#folder[Symbol.asyncDispose]();
  }
}
