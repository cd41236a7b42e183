/**
 * `deno task pack`: the package for npm, as a tarball. What `deno pack` makes, with
 * what npm wants to know beside it. `--repository` is where its source is; without,
 * it is git's remote `origin`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * What package.json says beside what deno.json does. `exports` has one code for all
 * who import it: each door is one platform's, or everybody's, and says so where it is
 * another one. But it has that code twice, see {@linkcode build}.
 */
const more = {
  description:
    "JSON-RPC over WebSockets where both ends are equal: each exposes methods and calls the other's, typed from end to end without generated code.",
  keywords: ["json-rpc", "jsonrpc", "websocket", "rpc", "bidirectional"],
  // Promise.withResolvers, in what /node serves with.
  engines: { node: ">=22" },
  // So that a page which imports one door gets no other's code.
  sideEffects: false,
  // What has a scope is private by itself.
  publishConfig: { access: "public" },
};

/**
 * The address of a repository as package.json has it, without who may write there.
 *
 * @param address What git or somebody says: `https://host/owner/name` or
 * `git@host:owner/name.git`.
 * @returns `undefined` if it is nobody else's, a folder.
 */
export function repositoryOf(address: string): string | undefined {
  const [, host, path] = /^(?:\w+@)?([\w.-]+):(?!\/)(.+)$/.exec(address) ?? [];
  if (host !== undefined) return `git+ssh://git@${host}/${path}`;
  const url = URL.parse(address.replace(/^git\+/, ""));
  if (url === null || !/^(https?|ssh):$/.test(url.protocol)) return undefined;
  if (url.protocol !== "ssh:") url.username = url.password = "";
  return `git+${url.href}`;
}

/** Where this checkout is from; `undefined`: nowhere. */
async function findRepository(): Promise<string | undefined> {
  const args = ["remote", "get-url", "origin"];
  const address = await run("git", args, root).catch(() => "");
  return repositoryOf(address.trim());
}

/**
 * Makes the tarball in a folder, and says where it is.
 *
 * @param repository Where its source is. Default: the package doesn't say.
 */
export async function pack(
  folder: string,
  repository?: string,
): Promise<string> {
  const scratch = await Deno.makeTempDir({ prefix: "pack_" });
  try {
    const raw = `${scratch}/raw.tgz`;
    await run(Deno.execPath(), [
      "pack",
      "--quiet",
      "--allow-dirty",
      "--no-source-maps",
      `--output=${raw}`,
    ], root);
    await run("tar", ["-xzf", raw], scratch);
    const file = `${scratch}/package/package.json`;
    const { name, version, dependencies, exports, ...rest } = JSON.parse(
      await Deno.readTextFile(file),
    );
    await build(`${scratch}/package`);
    // A page's own, of /react alone: the package brings none.
    const { react: _, ...others } = dependencies;
    const manifest = {
      name,
      version,
      ...more,
      ...repository !== undefined &&
        { repository: { type: "git", url: repository } },
      ...rest,
      exports: withBuilt(exports),
      dependencies: others,
      peerDependencies: { react: ">=18" },
      peerDependenciesMeta: { react: { optional: true } },
    };
    await Deno.writeTextFile(file, `${JSON.stringify(manifest, null, 2)}\n`);
    const args = ["pack", "--silent", "--pack-destination", folder];
    const packed = await run("npm", args, `${scratch}/package`);
    return `${folder}/${packed.trim()}`;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** A door in the `exports` of package.json: files by who imports them. */
interface Door {
  readonly types: string;
  readonly [condition: string]: string;
}

/**
 * Puts the doors' code into few files, in `built/`: Node loads `/client` from there
 * in 22 ms, from its 60 modules in 49. For bundlers the modules stay as they are, so
 * that a page gets only what it imports.
 */
async function build(folder: string): Promise<void> {
  const doors = Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => name.endsWith(".js"));
  await run(Deno.execPath(), [
    ...["bundle", "--quiet", "--platform", "deno", "--code-splitting"],
    // Or a class in it is called "_RpcError", in whatever prints one.
    "--keep-names",
    ...["node:*", "react", "ws"].flatMap((name) => ["--external", name]),
    ...["--outdir", "built", ...doors],
  ], folder);
}

/** The same doors, with the built code for Node and whoever calls itself so, as Bun does. */
function withBuilt(exports: { [door: string]: Door }): object {
  return Object.fromEntries(
    Object.entries(exports).map(([name, { types, ...others }]) => {
      const node = others["default"]!.replace("./", "./built/");
      // The first condition that holds is taken.
      return [name, { types, node, ...others }];
    }),
  );
}

/** Runs a program to its end, with variables of its own, and returns what it printed. */
export async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", ...env },
  }).output();
  const [printed, complained] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  if (success) return printed!;
  throw new Error(
    `${command} ${args.join(" ")} failed:\n${printed}${complained}`,
  );
}

if (import.meta.main) {
  const given = Deno.args.map((it) => /^--repository=(.*)$/.exec(it)?.[1])
    .find((it) => it !== undefined);
  const repository = given === undefined
    ? await findRepository()
    : repositoryOf(given);
  if (repository === undefined) {
    console.error(
      given === undefined
        ? "The package doesn't say where its source is: git knows no remote origin, give --repository=https://host/owner/name"
        : `Cannot take repository "${given}": write it as https://host/owner/name`,
    );
    if (given !== undefined) Deno.exit(1);
  }
  console.log(await pack(Deno.cwd(), repository));
}
