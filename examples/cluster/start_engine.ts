/**
 * An engine for the chat on many servers: one that runs already, or a new one.
 *
 * @module
 */

/** An engine that runs. */
export interface RunningEngine {
  readonly address: string;
  /** The id of its process, if that was started here. */
  readonly pid: number | undefined;
  /** Ends it, if it was started here. */
  stop(): Promise<unknown>;
}

const programs = {
  // With JetStream, which keeps the messages.
  nats: (port: number, folder: string) => [
    ...["-a", "127.0.0.1", "-p", `${port}`, "-js", "-sd", folder],
  ],
  redis: (port: number, _folder: string) => [
    ...["--bind", "127.0.0.1", "--port", `${port}`],
    ...["--save", "", "--appendonly", "no"],
  ],
};

/**
 * Checks that an engine answers, or starts one.
 *
 * @param address The address of one that runs; `undefined` or empty: one is started.
 * @throws {Error} It can't be reached, or there is none to start.
 */
export async function startEngine(
  address: string | undefined,
): Promise<RunningEngine> {
  if (address) {
    const { hostname, port } = checked(address);
    try {
      (await Deno.connect({ hostname, port })).close();
    } catch (error) {
      const why = error instanceof Error ? error.message : error;
      throw new Error(`Cannot reach the engine at "${address}": ${why}`);
    }
    return { address, pid: undefined, stop: () => Promise.resolve() };
  }
  for (const kind of ["nats", "redis"] as const) {
    const port = freePort();
    const folder = await Deno.makeTempDir({ prefix: "jsonrpcws_chat_" });
    const child = spawn(`${kind}-server`, programs[kind](port, folder));
    if (child === undefined) {
      await Deno.remove(folder);
      continue;
    }
    await listens(port);
    return {
      address: `${kind}://127.0.0.1:${port}`,
      pid: child.pid,
      async stop() {
        try {
          child.kill("SIGTERM");
        } catch {
          // It has ended already.
        }
        await child.status;
        await Deno.remove(folder, { recursive: true });
      },
    };
  }
  throw new Error(
    "Cannot find an engine: install nats-server or redis-server, or set ENGINE to the address of one",
  );
}

function checked(address: string): { hostname: string; port: number } {
  const ports: { readonly [protocol: string]: number } = {
    "nats:": 4222,
    "redis:": 6379,
  };
  const url = URL.parse(address);
  const usual = ports[url?.protocol ?? ""];
  if (url === null || usual === undefined) {
    throw new TypeError(
      `Cannot use the engine "${address}": ENGINE must be an address such as "nats://127.0.0.1:4222" or "redis://127.0.0.1:6379"`,
    );
  }
  return { hostname: url.hostname, port: Number(url.port || usual) };
}

/** Starts a program of this machine; `undefined`: there is none of that name. */
function spawn(
  command: string,
  args: readonly string[],
): Deno.ChildProcess | undefined {
  // Debian puts servers where only root looks.
  for (const path of [command, `/usr/sbin/${command}`]) {
    try {
      return new Deno.Command(path, {
        args: [...args],
        stdin: "null",
        stdout: "null",
        stderr: "null",
        // Ctrl+C goes to all programs of a terminal, but the engine must end last.
        detached: true,
      }).spawn();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Waits until somebody listens on a port of this machine. */
async function listens(port: number): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      return (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    } catch (error) {
      if (attempt === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
