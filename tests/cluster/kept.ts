/**
 * Which rooms of the tests keep what is said in them: nodes and clients know it by
 * their names.
 *
 * @module
 */

/** The name of a room with history. */
export function keptRoom(name: string): string {
  return `kept ${name}`;
}

/** Whether a room has history. */
export function isKept(name: string): boolean {
  return name.startsWith("kept ");
}
