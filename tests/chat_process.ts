/** Starts the chat as its users do: a program of its own, with narrow permissions. */

import {
  exampleCommand,
  type ExampleProcess,
  startExample,
} from "./example_process.ts";

const path = "examples/server.ts";

/** The command of examples/server.ts, ready to run; only `stderr` can be shown. */
export function chatCommand(
  port: string,
  stderr: "piped" | "inherit" = "piped",
): Deno.Command {
  return exampleCommand(path, port, stderr);
}

/** Starts the chat, on a free port unless told, and waits until it listens. */
export function startChat(port = "0"): Promise<ExampleProcess> {
  return startExample(path, "Chat", port);
}
