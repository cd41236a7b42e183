/** Starts the chat as its users do: a program of its own, with narrow permissions. */

import { assertEquals } from "@std/assert";

/** A running chat; disposing of it presses Ctrl+C and waits for a clean end. */
export interface ChatProcess extends AsyncDisposable {
  /** The address that it printed. */
  readonly url: URL;
}

const root = new URL("../", import.meta.url);

/** The command of examples/server.ts, ready to run; only `stderr` can be shown. */
export function chatCommand(
  port: string,
  stderr: "piped" | "inherit" = "piped",
): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-net",
      "--allow-read=.",
      "--allow-env=PORT,HOSTNAME",
      "examples/server.ts",
    ],
    cwd: root,
    env: { NO_COLOR: "1", HOSTNAME: "", PORT: port },
    stdin: "null",
    stdout: "piped",
    stderr,
  });
}

/** Starts the chat, on a free port unless told, and waits until it listens. */
export async function startChat(port = "0"): Promise<ChatProcess> {
  const child = chatCommand(port, "inherit").spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();

  let printed = "";
  while (!printed.includes("\n")) {
    const { value, done } = await output.read();
    if (done) throw new Error(`Cannot start the chat: it printed "${printed}"`);
    printed += value;
  }
  const [, address = ""] =
    /^Chat at (http:\/\/localhost:\d+)\n$/.exec(printed) ??
      [];
  assertEquals(printed, `Chat at ${address}\n`);

  return {
    url: new URL(address),
    async [Symbol.asyncDispose]() {
      child.kill("SIGINT");
      assertEquals((await output.read()).done, true);
      const { success, signal } = await child.status;
      assertEquals({ success, signal }, { success: true, signal: null });
    },
  };
}
