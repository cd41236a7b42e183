/**
 * The oldest Node that works: 22, for its `WebSocket`, `Promise.withResolvers` and
 * `URL.parse`. Without this check, Node 20 fails only in `serve`:
 * "Promise.withResolvers is not a function" (seen in 20.20.2).
 *
 * @module
 */

const oldest = 22;

/**
 * Refuses a Node that is too old.
 *
 * @param version The value of `process.versions.node`; Deno and Bun have it, too,
 * with the version that they imitate.
 * @throws {Error} Node is older than 22.
 */
export function checkNode(version: string): void {
  if (parseInt(version) >= oldest) return;
  throw new Error(
    `@jsonrpcws/peer needs Node ${oldest} or later, this is Node ${version}`,
  );
}
