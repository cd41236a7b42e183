/** What runs the contenders: Deno as they are, or Node as bundles. */

import { fileURLToPath } from "node:url";
import { node24 } from "../tests/interop/node_program.ts";
import { fileOf } from "./contender.ts";

export interface Runtime {
  name: string;
  /** The command of `worker.ts`. */
  worker: string[];
  /** The path of a contender's module. */
  moduleOf(contender: string): string;
}

export const deno: Runtime = {
  name: "Deno",
  worker: [
    "deno",
    "run",
    "--no-prompt",
    "--v8-flags=--expose-gc",
    // What packages from npm want to know of the machine, and no other network.
    ...["--allow-env", "--allow-read", "--allow-sys"],
    "--allow-net=127.0.0.1",
    pathOf("worker.ts"),
  ],
  moduleOf: (contender) => pathOf(fileOf(contender)),
};

let bundled: Promise<Runtime> | undefined;

/** Node 24, for which everything is bundled once: it doesn't know the names in `deno.json`. */
export function node(): Promise<Runtime> {
  return bundled ??= bundle();
}

async function bundle(): Promise<Runtime> {
  const directory = await Deno.makeTempDir();
  addEventListener("unload", () => {
    Deno.removeSync(directory, { recursive: true });
  });
  const contenders = await Array.fromAsync(
    Deno.readDir(new URL("contenders", import.meta.url)),
    ({ name }) => pathOf(`contenders/${name}`),
  );
  const { success, stderr } = await new Deno.Command("deno", {
    args: [
      ...["bundle", "--platform", "deno", "--code-splitting"],
      ...["--outdir", directory, pathOf("worker.ts"), ...contenders],
    ],
  }).output();
  if (!success) {
    throw new Error(`Cannot bundle: ${new TextDecoder().decode(stderr)}`);
  }
  return {
    name: "Node",
    worker: [
      node24,
      "--expose-gc",
      "--no-deprecation",
      `${directory}/worker.js`,
    ],
    moduleOf: (contender) =>
      `${directory}/${fileOf(contender).replace(/ts$/, "js")}`,
  };
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}
