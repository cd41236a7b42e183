// Prints which of the package's files a page draws in, by each bundler.
import { writeFile } from "node:fs/promises";
import { build as esbuild } from "esbuild";
import { build as vite } from "vite";

const marker = "@jsonrpcws/peer/";
const own = (files) =>
  files.filter((file) => file.includes(marker))
    .map((file) => file.slice(file.lastIndexOf(marker) + marker.length));

const [name, code] = process.argv.slice(2);
const entry = `${name}.js`;
await writeFile(entry, code);
const { metafile } = await esbuild({
  entryPoints: [entry],
  bundle: true,
  format: "esm",
  external: ["react"],
  metafile: true,
  write: false,
});
const drawn = Object.values(metafile.outputs).flatMap(({ inputs }) =>
  Object.keys(inputs).filter((file) => inputs[file].bytesInOutput > 0)
);
const { output } = await vite({
  configFile: false,
  logLevel: "silent",
  build: {
    write: false,
    minify: false,
    rollupOptions: { input: entry, external: ["react"] },
  },
});
const rendered = output.flatMap(({ modules = {} }) =>
  Object.keys(modules).filter((file) => modules[file].renderedLength > 0)
);
console.log(JSON.stringify([own(drawn).sort(), own(rendered).sort()]));
