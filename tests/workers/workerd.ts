/** Cloudflare's runtime, from npm: a program for tests to start. */

// Imported so that Deno fetches the package that has the program in it.
import "@cloudflare/workerd-linux-64/package.json" with { type: "json" };
import { fileURLToPath } from "node:url";

const workerd = fileURLToPath(
  import.meta.resolve("@cloudflare/workerd-linux-64/bin/workerd"),
);
const root = new URL("../../", import.meta.url);

/** A workerd that serves a program. */
export interface Workerd extends AsyncDisposable {
  /** Where: `ws://127.0.0.1:1234/`. */
  readonly url: string;
}

/**
 * Bundles a program, as wrangler would, and serves it.
 *
 * @param program Its path in this folder.
 * @param objects The classes of its Durable Objects; each is bound by its name in
 * capitals.
 * @param compatibilityDate Which changes of the runtime it knows of.
 * @param imports Modules in the place of others, by their addresses.
 */
export async function start(
  program: string,
  objects: readonly string[],
  compatibilityDate: string,
  imports?: { readonly [name: string]: string },
): Promise<Workerd> {
  const folder = await Deno.makeTempDir({ prefix: "workerd_" });
  if (imports !== undefined) {
    await Deno.writeTextFile(
      `${folder}/imports.json`,
      JSON.stringify({ imports }),
    );
  }
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--platform=browser",
      "--no-check",
      ...imports === undefined ? [] : [`--import-map=${folder}/imports.json`],
      `--output=${folder}/program.js`,
      fileURLToPath(new URL(program, import.meta.url)),
    ],
    cwd: root,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return await serve(folder, objects, compatibilityDate);
}

/**
 * Serves `program.js` of a folder, which is gone afterwards.
 *
 * @param objects The classes of its Durable Objects; see {@linkcode start}.
 * @param compatibilityDate Which changes of the runtime it knows of.
 */
export async function serve(
  folder: string,
  objects: readonly string[],
  compatibilityDate: string,
): Promise<Workerd> {
  const list = (write: (name: string) => string): string =>
    objects.map(write).join(", ");
  await Deno.writeTextFile(
    `${folder}/config.capnp`,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "program", worker = .program),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "program")],
);
const program :Workerd.Worker = (
  modules = [(name = "program.js", esModule = embed "program.js")],
  compatibilityDate = "${compatibilityDate}",
  durableObjectNamespaces = [${
      list((name) => `(className = "${name}", uniqueKey = "${name}")`)
    }],
  durableObjectStorage = (inMemory = void),
  bindings = [${
      list((name) =>
        `(name = "${name.toUpperCase()}", durableObjectNamespace = (className = "${name}"))`
      )
    }],
);
`,
  );
  const process = new Deno.Command(workerd, {
    args: ["serve", "--control-fd=1", `${folder}/config.capnp`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  // Where it says that it listens, in a line of JSON.
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("\n")) {
    const { value, done } = await lines.read();
    if (done) throw new Error(`workerd ended, it said: ${said}`);
    said += value;
  }
  const { port } = JSON.parse(said.split("\n")[0]!);
  return {
    url: `ws://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      // Asked to end, it waits for its connections to.
      process.kill("SIGKILL");
      await lines.cancel();
      await process.status;
      await Deno.remove(folder, { recursive: true });
    },
  };
}
