/** A measured process seen from outside: started on a core of its own, asked and answered by lines. */

import { cpus } from "node:os";
import { lines, type Reply } from "./lines.ts";

/** The machine's processor and number of cores. */
export const machine: string = `${
  cpus()[0]?.model ?? "unknown CPU"
}, ${navigator.hardwareConcurrency} cores`;

/** True if processes can be pinned to cores here. */
export const pinned: boolean = navigator.hardwareConcurrency > 1 &&
  await hasTaskset();

// Milliseconds until a process that owes an answer is given up, and one that has
// nothing more to do.
const patience = 60_000;
const farewell = 5_000;

// Raises the number of files that a command may open as far as its rights go:
// sockets are files, and a shell's limit is often 1,024.
const openFiles = Deno.build.os === "windows"
  ? []
  : ["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "sh"];

export class Process implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #questions: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: AsyncIterator<string>;
  readonly #name: string;
  // The end of what it wrote beside its answers: packages that log would drown the tables.
  #log = "";

  /**
   * Runs a command; its greeting is the first {@linkcode read}.
   *
   * @param core The core to run on; `undefined`: any.
   */
  constructor(core: number | undefined, name: string, ...command: string[]) {
    this.#name = name;
    const [program, ...args] = [
      ...openFiles,
      ...(pinned && core !== undefined ? ["taskset", "-c", `${core}`] : []),
      ...command,
    ];
    this.#child = new Deno.Command(program!, {
      args,
      env: { NODE_ENV: "production" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#collect(this.#child.stderr);
    this.#questions = this.#child.stdin.getWriter();
    this.#answers = lines(this.#child.stdout);
  }

  /** Rejects when the process ends, which others may wait for in vain. */
  async watch(): Promise<never> {
    await this.#child.status;
    throw this.#end();
  }

  async ask<Answer>(question: unknown): Promise<Answer> {
    await this.#questions.write(
      new TextEncoder().encode(JSON.stringify(question) + "\n"),
    );
    return await this.read();
  }

  /** @throws {Error} It has no answer, has ended, or took a minute. */
  async read<Answer>(): Promise<Answer> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), patience);
    const { done, value } = await this.#answers.next();
    clearTimeout(timer);
    if (done) throw this.#end();
    const reply: Reply = JSON.parse(value);
    if ("answer" in reply) return reply.answer as Answer;
    throw new Error(`Cannot measure ${this.#name}: ${reply.error}`);
  }

  #end(): Error {
    return new Error(
      `Cannot measure ${this.#name}: it has ended\n${this.#log}`,
    );
  }

  async #collect(stderr: ReadableStream<Uint8Array>): Promise<void> {
    for await (const line of lines(stderr)) {
      this.#log = `${this.#log}${line}\n`.slice(-2000);
    }
  }

  /** Ends the process by closing its input, or if it doesn't care, at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), farewell);
    await this.#questions.close().catch(() => {});
    await this.#child.status;
    clearTimeout(timer);
  }
}

async function hasTaskset(): Promise<boolean> {
  try {
    return (await new Deno.Command("taskset", { args: ["--version"] }).output())
      .success;
  } catch {
    return false;
  }
}
