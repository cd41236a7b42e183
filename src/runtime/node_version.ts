/**
 * The oldest Node: 22, whose `WebSocket` a client takes, and which knows
 * `Promise.withResolvers` and `URL.parse`. With 20 the first to be told of it was who
 * called `serve`: "Promise.withResolvers is not a function" (seen in 20.20.2).
 *
 * @module
 */

const oldest = 22;

/**
 * Refuses a Node that is too old.
 *
 * @param version As `process.versions.node` has it; Deno and Bun say which they are
 * like.
 * @throws {Error} It is.
 */
export function checkNode(version: string): void {
  if (parseInt(version) >= oldest) return;
  throw new Error(
    `@jsonrpcws/peer needs Node ${oldest} or later, this is Node ${version}`,
  );
}
