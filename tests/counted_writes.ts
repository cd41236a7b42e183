/**
 * How often a connection hands something to the system.
 *
 * @module
 */

import type { Duplex } from "node:stream";

/** Counts from here on. */
export function countedWrites(connection: Duplex): () => number {
  let count = 0;
  const { _write, _writev } = connection;
  connection._write = (...rest): void => {
    count++;
    _write.apply(connection, rest);
  };
  connection._writev = (...rest): void => {
    count++;
    _writev!.apply(connection, rest);
  };
  return () => count;
}
