/**
 * Starts anvil, the Ethereum node of Foundry for development: its executable
 * comes in a package of npm that has nothing else in it.
 *
 * @see {@link https://getfoundry.sh/anvil}
 */

// The import is what makes Deno fetch the package; its files have no other door.
import manifest from "@foundry-rs/anvil-linux-amd64/package.json" with {
  type: "json",
};
import { type Program, start } from "./processes.ts";

/** A chain of its own, with ten funded accounts and a block for each transaction. */
export interface Anvil extends AsyncDisposable {
  /** Its WebSocket. */
  readonly url: string;
  readonly program: Program;
}

/** Starts anvil on a free port. */
export async function startAnvil(): Promise<Anvil> {
  const { os, arch } = Deno.build;
  if (os !== "linux" || arch !== "x86_64") {
    throw new Error(
      `Cannot start anvil on ${os} ${arch}: its package here is the one for Linux on x86_64`,
    );
  }
  const path = import.meta.resolve(
    `${manifest.name}/${manifest.bin.anvil.replace("./", "")}`,
  );
  const program = await start(decodeURIComponent(new URL(path).pathname), {
    args: ["--port", "0"],
  });
  try {
    const listening = await program.line(/^Listening on /);
    return {
      url: `ws://${listening.slice("Listening on ".length)}`,
      program,
      [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
    };
  } catch (error) {
    await program.stop();
    throw error;
  }
}
