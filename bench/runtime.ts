/** What runs the contenders: Deno as they are, or Node as bundles. */

import { fileURLToPath } from "node:url";
import { node24 } from "../tests/interop/node_program.ts";

export interface Runtime {
  name: string;
  /** The command of `worker.ts`. */
  worker: string[];
  /** The path of a contender's module, for this role of `worker.ts`. */
  moduleOf(contender: string, role: Role): string;
}

/** What a process of a contender does. */
export type Role = "server" | "client" | "pair" | "first";

const files = Array.from(
  Deno.readDirSync(new URL("contenders", import.meta.url)),
  ({ name }) => name,
);

/** The file of a contender, or of its client alone if that has one; see `contender.ts`. */
function fileOf(contender: string, role: Role): string {
  const name = contender.replaceAll(/\W/g, "_");
  const client = `${name}_client.ts`;
  return role !== "server" && role !== "pair" && files.includes(client)
    ? client
    : `${name}.ts`;
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
  moduleOf: (contender, role) =>
    pathOf(`contenders/${fileOf(contender, role)}`),
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
  const contenders = files.map((name) => pathOf(`contenders/${name}`));
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
    moduleOf: (contender, role) =>
      `${directory}/contenders/${fileOf(contender, role).replace(/ts$/, "js")}`,
  };
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}
