/** The runtimes of the contenders: Deno runs the sources, Node and Bun bundles. */

// Imported so that Deno fetches the package that has the program in it.
import "@oven/bun-linux-x64/package.json" with { type: "json" };

import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { node24 } from "../tests/interop/node_program.ts";

export interface Runtime {
  name: string;
  /**
   * The command of a process with this role for a contender, without the arguments
   * after its module.
   */
  commandOf(contender: string, role: Role): Promise<string[]>;
  /** The same for clients that send large frames; absent if all can. */
  withLargeFrames?: Runtime;
}

/** The role of such a process; see `worker.ts`, and `first.ts`. */
export type Role = "server" | "client" | "pair" | "first";

/** The runtimes of a checkout's contenders, which the bench of that checkout starts. */
export interface Runtimes {
  /** Deno as it is. */
  deno: Runtime;
  /** Node 24, for which all is bundled: it doesn't know the names in `deno.json`. */
  node: Runtime;
  /** Bun, which runs bundles, too. */
  bun: Runtime;
}

/** @param bench The URL of that checkout's folder `bench/`. */
export function runtimesOf(bench: URL): Runtimes {
  const lock = pathOf("../tests/deno.lock");
  const config = [
    `--config=${pathOf("../deno.json")}`,
    // An older checkout has its lock file where Deno looks by itself.
    ...existsSync(lock) ? [`--lock=${lock}`] : [],
  ];
  const files = Array.from(
    Deno.readDirSync(new URL("contenders/", bench)),
    ({ name }) => name,
  );
  const bundles = new Map<string, Promise<string>>();

  const deno: Runtime = {
    name: "Deno",
    commandOf: (contender, role) =>
      Promise.resolve(denoCommand(contender, role)),
    withLargeFrames: {
      // Its own clients would stall (README.md).
      name: "Deno with clients on ws",
      commandOf: (contender, role) =>
        Promise.resolve(
          role === "client"
            ? denoCommand(contender, role, [
              `--preload=${pathOf("node_sockets.ts")}`,
            ])
            : denoCommand(contender, role),
        ),
    },
  };

  const node: Runtime = {
    name: "Node",
    async commandOf(contender, role) {
      const file = fileOf(contender, role, "_on_node");
      const own = await bundled("worker.ts", "first.ts");
      // Bundled alone, because code shared with others would be further files.
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

  const bun: Runtime = {
    name: "Bun",
    async commandOf(contender, role) {
      const file = fileOf(contender, role);
      const own = await bundled("worker.ts", "first.ts");
      const its = await bundled(`contenders/${file}`);
      return [
        ...[bunProgram, "run", "--expose-gc"],
        ...role === "first"
          ? [fileURLToPath(`${own}first.js`)]
          : [fileURLToPath(`${own}worker.js`), role],
        `${its}${file.replace(/ts$/, "js")}`,
      ];
    },
  };
  return { deno, node, bun };

  function denoCommand(
    contender: string,
    role: Role,
    flags: string[] = [],
  ): string[] {
    return [
      ...["deno", "run", ...config, ...flags],
      "--no-prompt",
      "--v8-flags=--expose-gc",
      // The permissions that packages from npm need, and no network but loopback.
      ...["--allow-env", "--allow-read", "--allow-sys"],
      "--allow-net=127.0.0.1",
      ...role === "first" ? [pathOf("first.ts")] : [pathOf("worker.ts"), role],
      new URL(`contenders/${fileOf(contender, role)}`, bench).href,
    ];
  }

  /**
   * The file of a contender, or of its client alone if that has one; see
   * `contender.ts`.
   *
   * @param suffix The ending of a client's file for this runtime alone, which goes first.
   */
  function fileOf(contender: string, role: Role, suffix = ""): string {
    const name = contender.replaceAll(/\W/g, "_");
    const whole = `${name}.ts`;
    if (role === "server" || role === "pair") return whole;
    return [`${name}_client${suffix}.ts`, `${name}_client.ts`]
      .find((client) => files.includes(client)) ?? whole;
  }

  /** Bundles these files, once; resolves to the URL of the directory where they are. */
  function bundled(...files: string[]): Promise<string> {
    const name = files.join();
    const directory = bundles.get(name) ?? bundle(config, files.map(pathOf));
    bundles.set(name, directory);
    return directory;
  }

  function pathOf(file: string): string {
    return fileURLToPath(new URL(file, bench));
  }
}

export const bunProgram: string = fileURLToPath(
  import.meta.resolve("@oven/bun-linux-x64/bin/bun"),
);

export async function bundle(
  config: string[],
  paths: string[],
): Promise<string> {
  const directory = await Deno.makeTempDir();
  addEventListener("unload", () => {
    Deno.removeSync(directory, { recursive: true });
  });
  const { success, stderr } = await new Deno.Command("deno", {
    args: [
      ...["bundle", ...config, "--platform", "deno", "--code-splitting"],
      ...["--outdir", directory, ...paths],
    ],
  }).output();
  if (!success) {
    throw new Error(`Cannot bundle: ${new TextDecoder().decode(stderr)}`);
  }
  // Without this, Node would read them as CommonJS first.
  await Deno.writeTextFile(`${directory}/package.json`, '{"type":"module"}');
  return pathToFileURL(`${directory}/`).href;
}
