/** The size of the client as a browser downloads it, with what a program imports beside it. */

export interface BundleSize {
  /** The program in `bundles/`. */
  program: string;
  minified: number;
  gzipped: number;
}

/** The programs in `bundles/` that import this library, the smallest first. */
export const programs: readonly string[] = [
  "slim",
  "slim + subscriptions",
  "slim + references",
  "slim + streams",
  "slim + schemas",
  "whole",
  "subscriptions",
  "schemas",
  "all",
];

/** Those that import others. */
export const others: readonly string[] = [
  "birpc",
  "rpc-websockets",
  "json-rpc-2.0",
  "kkrpc",
  "trpc",
  "orpc",
  "socket.io",
  "vscode-jsonrpc",
  "capnweb",
];

/** Bundles a program for browsers and returns its size in bytes. */
export async function bundleSize(program: string): Promise<BundleSize> {
  const name = program.replaceAll(/\W+/g, "_");
  const path = others.includes(program) ? `others/${name}` : name;
  const module = new URL(`bundles/${path}.ts`, import.meta.url).href;
  const { success, stdout, stderr } = await new Deno.Command("deno", {
    args: ["bundle", "--platform", "browser", "--minify", module],
  }).output();
  if (!success) {
    throw new Error(
      `Cannot bundle ${module}: ${new TextDecoder().decode(stderr)}`,
    );
  }
  const gzip = new Blob([stdout]).stream().pipeThrough(
    new CompressionStream("gzip"),
  );
  const gzipped = await new Response(gzip).bytes();
  return { program, minified: stdout.length, gzipped: gzipped.length };
}
