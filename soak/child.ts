/** A process of the soak test, seen from its parent. */

import { lines } from "../bench/lines.ts";

/** A script beside this file at work. It speaks JSON, a line a message. */
export class Child {
  /** The status at its end. */
  readonly status: Promise<Deno.CommandStatus>;
  readonly #process: Deno.ChildProcess;
  readonly #name: string;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: AsyncGenerator<string>;

  /** Starts it. */
  constructor(file: string, task: unknown) {
    this.#name = file;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--v8-flags=--expose-gc",
        "--allow-net=127.0.0.1",
        "--allow-write",
        new URL(file, import.meta.url).href,
        JSON.stringify(task),
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.status = this.#process.status;
    this.#input = this.#process.stdin.getWriter();
    this.#output = lines(this.#process.stdout);
  }

  /** Its next message. */
  async read<Message>(): Promise<Message> {
    const { done, value } = await this.#output.next();
    if (done) {
      const { code, signal } = await this.status;
      throw new Error(
        `Cannot read from ${this.#name}: it ended with ${signal ?? code}`,
      );
    }
    return JSON.parse(value);
  }

  /** Sends it a line, whose meaning it knows. */
  async tell(): Promise<void> {
    await this.#input.write(new TextEncoder().encode("\n"));
  }

  /** Sends it a signal, and waits until it is gone. */
  async kill(signal: "SIGKILL" | "SIGTERM"): Promise<Deno.CommandStatus> {
    try {
      this.#process.kill(signal);
    } catch {
      // It is gone already.
    }
    return await this.leave();
  }

  /**
   * Closes its input and waits until it ends by itself, for 20 s at most. After that
   * something keeps it alive, and it is killed.
   */
  async leave(): Promise<Deno.CommandStatus> {
    await this.#input.close().catch(() => {});
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 20_000);
    try {
      // Its last output is read, or it could not end.
      while (!(await this.#output.next()).done);
      return await this.status;
    } finally {
      clearTimeout(timer);
    }
  }
}
