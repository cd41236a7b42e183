/** The size of the client as a browser downloads it. */

export interface BundleSize {
  minified: number;
  gzipped: number;
}

/** Bundles a module for browsers and returns its size in bytes. */
export async function bundleSize(module: URL): Promise<BundleSize> {
  const { success, stdout, stderr } = await new Deno.Command("deno", {
    args: ["bundle", "--platform", "browser", "--minify", module.href],
  }).output();
  if (!success) {
    throw new Error(
      `Cannot bundle ${module.href}: ${new TextDecoder().decode(stderr)}`,
    );
  }
  const gzip = new Blob([stdout]).stream().pipeThrough(
    new CompressionStream("gzip"),
  );
  const gzipped = await new Response(gzip).bytes();
  return { minified: stdout.length, gzipped: gzipped.length };
}
