/**
 * Where real Node finds the package `ws`: sources that run from a folder without
 * node_modules name it as Deno does.
 *
 * @module
 */

const url = import.meta.resolve("ws/package.json").replace(
  "package.json",
  "wrapper.mjs",
);

/** Statements to begin a program of Node's with. */
export const resolveWs: string = `
  (await import("node:module")).registerHooks({
    resolve: (name, context, next) => name === "ws"
      ? { url: ${JSON.stringify(url)}, shortCircuit: true }
      : next(name, context),
  });
`;
