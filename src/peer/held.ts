/**
 * Two bounds on memory, in characters, each for one connection and for all of the
 * process: calls that arrived and wait to be run, and answers that wait for the others
 * of their batch.
 *
 * @see PROTOCOL.md, "Limits"
 *
 * @module
 */

import type { Connection, Core } from "./core.ts";

// What a message counts for beside its characters: the objects that it becomes.
const leastLength = 1_024;

// The bound of all connections together. Where it is met, those go on that have no
// more than their share.
const most = 134_217_728;
const share = 65_536;

let all = 0;
let allAnswers = 0;

/** Puts a message on its connection's account; `false`: there is no room for it. */
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

/** Takes it off again. */
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

/** Puts an answer on its connection's account, or takes it off: less than 0. */
export function keep(connection: Connection, length: number): void {
  // What had to be let go of was, with all that the connection had.
  if (connection.ended !== undefined) return;
  connection.kept += length;
  allAnswers += length;
}

/** Takes all off that a connection has: it ended. */
export function letAllGo(connection: Connection): void {
  all -= connection.held;
  allAnswers -= connection.kept;
  connection.held = connection.kept = 0;
}
