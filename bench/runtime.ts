/** What runs the contenders: Deno as they are, or Node as bundles. */

import { fileURLToPath, pathToFileURL } from "node:url";
import { node24 } from "../tests/interop/node_program.ts";

export interface Runtime {
  name: string;
  /**
   * The command of a process that does this for a contender, but for the arguments
   * after its module.
   */
  commandOf(contender: string, role: Role): Promise<string[]>;
}

/** What such a process does; see `worker.ts`, and `first.ts`. */
export type Role = "server" | "client" | "pair" | "first";

const files = Array.from(
  Deno.readDirSync(new URL("contenders", import.meta.url)),
  ({ name }) => name,
);

/**
 * The file of a contender, or of its client alone if that has one; see
 * `contender.ts`.
 *
 * @param suffix Of a client's file for this runtime alone, which goes first.
 */
function fileOf(contender: string, role: Role, suffix = ""): string {
  const name = contender.replaceAll(/\W/g, "_");
  const whole = `${name}.ts`;
  if (role === "server" || role === "pair") return whole;
  return [`${name}_client${suffix}.ts`, `${name}_client.ts`]
    .find((client) => files.includes(client)) ?? whole;
}

export const deno: Runtime = {
  name: "Deno",
  commandOf: (contender, role) =>
    Promise.resolve([
      "deno",
      "run",
      "--no-prompt",
      "--v8-flags=--expose-gc",
      // What packages from npm want to know of the machine, and no other network.
      ...["--allow-env", "--allow-read", "--allow-sys"],
      "--allow-net=127.0.0.1",
      ...role === "first" ? [pathOf("first.ts")] : [pathOf("worker.ts"), role],
      new URL(`contenders/${fileOf(contender, role)}`, import.meta.url).href,
    ]),
};

/** Deno with the sockets of `ws` for its clients, whose own would stall (README.md). */
export const denoWithWs: Runtime = {
  name: "Deno with clients on ws",
  async commandOf(contender, role) {
    const command = await deno.commandOf(contender, role);
    if (role !== "client") return command;
    const [program, run, ...args] = command;
    const sockets = pathOf("node_sockets.ts");
    return [program!, run!, `--preload=${sockets}`, ...args];
  },
};

/** Node 24, for which all is bundled: it doesn't know the names in `deno.json`. */
export const node: Runtime = {
  name: "Node",
  async commandOf(contender, role) {
    const file = fileOf(contender, role, "_on_node");
    const own = await bundled("worker.ts", "first.ts");
    // By itself, or what it shares with others would be files of their own.
    const its = await bundled("node_sockets.ts", `contenders/${file}`);
    const sockets = `${its}node_sockets.js`;
    return [
      ...[node24, "--expose-gc", "--no-deprecation"],
      ...role === "first"
        ? [fileURLToPath(`${own}first.js`), sockets]
        : ["--import", sockets, fileURLToPath(`${own}worker.js`), role],
      `${its}contenders/${file.replace(/ts$/, "js")}`,
    ];
  },
};

const bundles = new Map<string, Promise<string>>();

/** Bundles these files, once; resolves to the URL of the directory where they are. */
function bundled(...files: string[]): Promise<string> {
  const name = files.join();
  const directory = bundles.get(name) ?? bundle(files);
  bundles.set(name, directory);
  return directory;
}

async function bundle(files: string[]): Promise<string> {
  const directory = await Deno.makeTempDir();
  addEventListener("unload", () => {
    Deno.removeSync(directory, { recursive: true });
  });
  const { success, stderr } = await new Deno.Command("deno", {
    args: [
      ...["bundle", "--platform", "deno", "--code-splitting"],
      ...["--outdir", directory, ...files.map(pathOf)],
    ],
  }).output();
  if (!success) {
    throw new Error(`Cannot bundle: ${new TextDecoder().decode(stderr)}`);
  }
  // Or Node would read them as CommonJS first.
  await Deno.writeTextFile(`${directory}/package.json`, '{"type":"module"}');
  return pathToFileURL(`${directory}/`).href;
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}
