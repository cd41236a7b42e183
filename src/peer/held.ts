/**
 * Two accounts of memory in characters, for calls that arrived and wait to be run,
 * and for answers that wait for the others of their batch. Each has a bound for one
 * connection and one for all of the process.
 *
 * @see PROTOCOL.md, "Limits"
 *
 * @module
 */

import type { Connection, Core } from "./core.ts";

// Characters that a message counts beside its text, for the objects that it
// becomes.
const leastLength = 1_024;

// The bound of all connections together. When it is reached, a connection may still
// have its share.
const most = 134_217_728;
const share = 65_536;

let all = 0;
let allAnswers = 0;

/** Counts a message; `false`: there is no room for it. */
export function hold(
  { connection, limits: { held: ours } }: Core,
  length: number,
): boolean {
  const held = connection.held + length + leastLength;
  const added = all + length + leastLength;
  if (held > ours || added > most && held > share) return false;
  connection.held = held;
  all = added;
  return true;
}

/** Takes a message off the account. */
export function letGo(connection: Connection, length: number): void {
  connection.held -= length + leastLength;
  all -= length + leastLength;
}

/** Whether an answer may wait for others of its batch. */
export function mayKeep(
  { connection, limits: { sentLength } }: Core,
  length: number,
): boolean {
  const kept = connection.kept + length;
  return kept <= sentLength &&
    (allAnswers + length <= most || kept <= share);
}

/** Counts an answer; a negative length takes it off. */
export function keep(connection: Connection, length: number): void {
  // An ended connection has been taken off as a whole.
  if (connection.ended !== undefined) return;
  connection.kept += length;
  allAnswers += length;
}

/** Takes everything of an ended connection off both accounts. */
export function letAllGo(connection: Connection): void {
  all -= connection.held;
  allAnswers -= connection.kept;
  connection.held = connection.kept = 0;
}
