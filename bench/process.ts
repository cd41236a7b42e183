/** A measured process seen from outside: started on a core of its own, asked and answered by lines. */

import { lines } from "./lines.ts";

/** Whether processes can be pinned to cores here. */
export const pinned: boolean = navigator.hardwareConcurrency > 1 &&
  await hasTaskset();

/** A script beside this file, and the flags of `deno run` for it. */
export interface Script {
  file: string;
  flags: string[];
}

export class Process implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #questions: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: AsyncIterator<string>;
  readonly #name: string;

  /** Runs a script with these arguments on this core; its greeting is the first {@linkcode read}. */
  constructor(core: number, { file, flags }: Script, ...args: string[]) {
    this.#name = [file, ...args].join(" ");
    const script = new URL(file, import.meta.url).href;
    const deno = ["deno", "run", "--no-prompt", ...flags, script, ...args];
    const [command, ...rest] = pinned
      ? ["taskset", "-c", `${core}`, ...deno]
      : deno;
    const options = { args: rest, stdin: "piped", stdout: "piped" } as const;
    this.#child = new Deno.Command(command!, options).spawn();
    this.#questions = this.#child.stdin.getWriter();
    this.#answers = lines(this.#child.stdout);
  }

  async ask<Answer>(question: unknown): Promise<Answer> {
    await this.#questions.write(
      new TextEncoder().encode(JSON.stringify(question) + "\n"),
    );
    return await this.read();
  }

  async read<Answer>(): Promise<Answer> {
    const { done, value } = await this.#answers.next();
    if (done) {
      throw new Error(
        `Cannot read an answer: process "${this.#name}" has ended`,
      );
    }
    return JSON.parse(value);
  }

  /** Ends the process by closing its input. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#questions.close().catch(() => {});
    await this.#child.status;
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
