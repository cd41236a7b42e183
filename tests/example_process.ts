/** Starts an example as its users do: a program of its own, by its own command. */

import { assert, assertEquals } from "@std/assert";

/** A running example; disposing of it presses Ctrl+C and waits for a clean end. */
export interface ExampleProcess extends AsyncDisposable {
  /** The address that it printed. */
  readonly url: URL;
  /** Ends it without a word to anybody, and waits until it has gone. */
  kill(): Promise<void>;
}

const root = new URL("../", import.meta.url);

/**
 * The command in the first comment of an example, ready to run; only `stderr`
 * can be shown.
 *
 * @param env Variables beside those that say where it listens.
 */
export function exampleCommand(
  path: string,
  port: string,
  stderr: "piped" | "inherit" = "piped",
  env: Record<string, string> = {},
): Deno.Command {
  const [line = ""] = Deno.readTextFileSync(new URL(path, root)).split("\n");
  assert(line.startsWith("// deno run ") && line.endsWith(` ${path}`), line);
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...line.split(" ").slice(3)],
    cwd: root,
    env: { ...env, NO_COLOR: "1", HOSTNAME: "", PORT: port },
    stdin: "null",
    stdout: "piped",
    stderr,
  });
}

/**
 * Starts an example, on a free port unless told, and waits until it listens.
 *
 * @param path Its file: "examples/server.ts".
 * @param name What it calls itself: "Chat".
 */
export async function startExample(
  path: string,
  name: string,
  port = "0",
): Promise<ExampleProcess> {
  const child = exampleCommand(path, port, "inherit").spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();

  let printed = "";
  while (!printed.includes("\n")) {
    const { value, done } = await output.read();
    if (done) throw new Error(`Cannot start ${path}: it printed "${printed}"`);
    printed += value;
  }
  const [address = ""] = /http:\/\/localhost:\d+/.exec(printed) ?? [];
  assertEquals(printed, `${name} at ${address}\n`);

  let isKilled = false;
  return {
    url: new URL(address),
    async kill() {
      isKilled = true;
      child.kill("SIGKILL");
      await output.cancel();
      await child.status;
    },
    async [Symbol.asyncDispose]() {
      if (isKilled) return;
      child.kill("SIGINT");
      assertEquals((await output.read()).done, true);
      const { success, signal } = await child.status;
      assertEquals({ success, signal }, { success: true, signal: null });
    },
  };
}

/**
 * Options of a server that has the page of a running example, while the connections
 * are in the test's hands.
 */
export function withPage({ url }: { url: URL }): {
  port: number;
  hostname: string;
  onListen(): void;
  fetch(request: Request): Promise<Response>;
} {
  return {
    port: 0,
    hostname: "127.0.0.1",
    onListen() {},
    fetch: (request) => fetch(new URL(new URL(request.url).pathname, url)),
  };
}

/** The address of that page. */
export function pageOf({ url }: { url: string }): URL {
  return new URL(`http://localhost:${new URL(url).port}`);
}
