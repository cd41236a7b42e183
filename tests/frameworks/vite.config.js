import { fileURLToPath } from "node:url";

// The repository, and what makes a page of its framework's files; elsewhere the
// package is installed, and this is as the framework's own template has it.
const { REPOSITORY: root, PLUGIN: name } = process.env;
const plugin = name && await import(name);

export default {
  plugins: plugin ? [(plugin.default ?? plugin.svelte)()] : [],
  resolve: {
    alias: [
      { find: "@jsonrpcws/peer/client", replacement: `${root}/client.ts` },
      { find: "@jsonrpcws/peer/react", replacement: `${root}/react.ts` },
      { find: "@jsonrpcws/peer", replacement: `${root}/mod.ts` },
    ],
    // The library's React is the page's.
    dedupe: ["react"],
  },
  server: {
    fs: { allow: [root, fileURLToPath(new URL(".", import.meta.url))] },
    hmr: false,
  },
};
