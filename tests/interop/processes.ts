/**
 * Programs that nobody here wrote, run beside a test: installed if missing,
 * started, awaited until they are ready, and ended by their process id.
 *
 * ```ts ignore
 * import { debian, freePort, start } from "./processes.ts";
 *
 * const port = freePort();
 * await using server = await start(await debian("aria2", "aria2c"), {
 *   args: ["--enable-rpc", `--rpc-listen-port=${port}`],
 *   port,
 * });
 * ```
 *
 * @module
 */

/** How a program is started, and how it is known to be ready. */
export interface StartOptions {
  /** The arguments. Default: none. */
  args?: readonly string[];
  /** Variables beside those of this process. */
  env?: Record<string, string>;
  /** The working directory. Default: that of this process. */
  cwd?: string;
  /** Ready when this port of 127.0.0.1 accepts a connection. */
  port?: number;
  /** Ready when it has printed a line with this in it. */
  line?: string | RegExp;
  /** Milliseconds until it must be ready. Default 20,000. */
  timeout?: number;
}

/** A program that runs; made by {@linkcode start}. */
export class Program implements AsyncDisposable {
  /** Every line that it has printed so far, on stdout and on stderr. */
  readonly lines: string[] = [];
  /** Settles when it has ended, for whatever reason. */
  readonly ended: Promise<Deno.CommandStatus>;

  readonly #command: string;
  readonly #child: Deno.ChildProcess;
  readonly #readers: ReadableStreamDefaultReader<Uint8Array>[];
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #drained: Promise<unknown>;
  readonly #waiting = new Set<() => void>();
  #hasEnded = false;

  /** @ignore Made by {@linkcode start}. */
  constructor(command: string, child: Deno.ChildProcess) {
    this.#command = command;
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#input.closed.catch(() => {}); // It may end before it is spoken to.
    this.#readers = [child.stdout.getReader(), child.stderr.getReader()];
    this.#drained = Promise.all(this.#readers.map((it) => this.#drain(it)));
    this.ended = child.status.finally(() => {
      this.#hasEnded = true;
      this.#wake();
    });
  }

  /** The process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /**
   * Waits for a line, also one that was printed before.
   *
   * @param pattern What the line contains or matches.
   * @param timeout Milliseconds. Default 20,000.
   * @returns The line.
   * @throws {Error} The program ended, or the time was up: the message has what
   * it printed.
   */
  async line(pattern: string | RegExp, timeout = 20_000): Promise<string> {
    const find = () =>
      this.lines.find((line) =>
        typeof pattern === "string"
          ? line.includes(pattern)
          : pattern.test(line)
      );
    await this.#until(
      () => find() !== undefined,
      `print ${JSON.stringify(String(pattern))}`,
      timeout,
    );
    return find()!;
  }

  /** Waits until a port of 127.0.0.1 accepts a connection. */
  async port(port: number, timeout = 20_000): Promise<void> {
    let accepts = false;
    let stopped = false;
    const probe = async () => {
      while (!accepts && !stopped) {
        accepts = await isListening(port);
        if (accepts) this.#wake();
        else await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const probed = probe();
    try {
      await this.#until(() => accepts, `listen on port ${port}`, timeout);
    } finally {
      stopped = true;
      await probed;
    }
  }

  /** Types a text into its standard input. */
  async write(text: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(text));
  }

  /** Ends its standard input, as ^D does. */
  async endInput(): Promise<void> {
    await this.#input.close();
  }

  /**
   * Ends the program, if it has not ended, and waits until it is gone: by this
   * signal, and by SIGKILL three seconds later.
   *
   * @param signal Default: SIGTERM.
   */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    if (!this.#hasEnded) this.#kill(signal);
    const timer = setTimeout(() => this.#kill("SIGKILL"), 3_000);
    const status = await this.ended;
    clearTimeout(timer);
    // A child of its own may still hold the other end of the pipes.
    await Promise.all(this.#readers.map((reader) => reader.cancel()));
    await this.#drained;
    await this.#input.abort().catch(() => {});
    return status;
  }

  /** Ends the program, see {@linkcode Program.stop}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has just ended by itself.
    }
  }

  async #drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      const text = rest + decoder.decode(value, { stream: !done });
      const lines = text.split(/\r?\n/);
      rest = done ? "" : lines.pop()!;
      this.lines.push(...lines.filter((line) => line !== ""));
      this.#wake();
      if (done) return;
    }
  }

  #wake(): void {
    for (const check of this.#waiting) check();
  }

  async #until(
    holds: () => boolean,
    what: string,
    timeout: number,
  ): Promise<void> {
    let isLate = false;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        isLate = true;
        check();
      }, timeout);
      const check = () => {
        if (!holds() && !this.#hasEnded && !isLate) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
    // What it printed last may still be in the pipe when it has ended.
    if (!holds() && this.#hasEnded) await this.#drained;
    if (holds()) return;
    const why = isLate ? `not within ${timeout} ms` : "it has ended";
    throw new Error(
      `${this.#command} did not ${what}: ${why}\n${this.lines.join("\n")}`,
    );
  }
}

/**
 * Starts a program, and waits until it is ready.
 *
 * @throws {Error} It did not get ready; the message has what it printed.
 */
export async function start(
  command: string,
  options: StartOptions = {},
): Promise<Program> {
  const { args = [], env, cwd, port, line, timeout } = options;
  const child = new Deno.Command(command, {
    args: [...args],
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const program = new Program(command, child);
  try {
    if (line !== undefined) await program.line(line, timeout);
    if (port !== undefined) await program.port(port, timeout);
  } catch (error) {
    await program.stop();
    throw error;
  }
  return program;
}

/** Waits until a condition holds; for what tells nobody when it happens. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what = `${holds}`,
  timeout = 20_000,
): Promise<void> {
  const end = performance.now() + timeout;
  while (!await holds()) {
    if (performance.now() > end) {
      throw new Error(`Not within ${timeout} ms: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A port of 127.0.0.1 that nobody listens on. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

/** Whether a port of 127.0.0.1 accepts a connection. */
export async function isListening(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes sure that a command exists, by installing its Debian package if it does
 * not: on Debian and its kin, as root.
 *
 * @returns The path of the command.
 * @throws {Error} It is missing and can't be installed: the message says what
 * to do.
 */
export async function debian(name: string, command: string): Promise<string> {
  await install(name, () => Promise.resolve(lookUp(command) !== undefined));
  return lookUp(command)!;
}

/**
 * Makes sure that Debian's Python can import a module, by installing the
 * module's Debian package if it can't.
 *
 * @param modules Names of modules by the names of their packages.
 * @returns The path of that Python.
 * @throws {Error} One is missing and can't be installed: the message says what
 * to do.
 */
export async function debianPython(
  modules: Record<string, string>,
): Promise<string> {
  // By its path: another Python before it on the PATH has not its modules.
  const python = "/usr/bin/python3";
  for (const [name, module] of Object.entries(modules)) {
    await install(name, async () => {
      if (!isExecutable(python)) return false;
      const { success } = await new Deno.Command(python, {
        args: ["-c", `import ${module}`],
        stdout: "null",
        stderr: "null",
      }).output();
      return success;
    });
  }
  return python;
}

/** Installs a package unless what it is wanted for is there. */
async function install(
  name: string,
  isThere: () => Promise<boolean>,
): Promise<void> {
  if (await isThere()) return;
  if (await canInstall()) {
    // What is known of the packages may do; to fetch it anew takes long.
    await aptGet("install", "-y", "--no-install-recommends", name);
    if (await isThere()) return;
    await aptGet("update");
    await aptGet("install", "-y", "--no-install-recommends", name);
    if (await isThere()) return;
  }
  throw new Error(
    `Cannot find what this test talks to: install ${name} (on Debian as root: apt-get install ${name})`,
  );
}

/** The path of a command, `undefined` if it is nowhere. */
export function lookUp(command: string): string | undefined {
  return `${Deno.env.get("PATH") ?? ""}:/usr/bin:/usr/sbin`.split(":")
    .map((folder) => `${folder}/${command}`)
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && (mode === null || (mode & 0o111) !== 0);
  } catch {
    return false;
  }
}

async function canInstall(): Promise<boolean> {
  if (lookUp("apt-get") === undefined) return false;
  // Asked of id(1), since Deno.uid() would need one permission more.
  const { stdout } = await new Deno.Command("id", { args: ["-u"] }).output();
  return new TextDecoder().decode(stdout).trim() === "0";
}

/** Runs apt-get in sight of the user; it waits while another one runs. */
async function aptGet(...args: string[]): Promise<void> {
  console.log(`$ apt-get ${args.join(" ")}`);
  await new Deno.Command("apt-get", {
    args: ["-o", "DPkg::Lock::Timeout=120", ...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
}
