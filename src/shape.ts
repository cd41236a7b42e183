/**
 * Objects that are kept for their shape alone.
 *
 * Between two messages nothing may be left of the first. A collection just then
 * finds no object of such a shape, so V8 forgets the shape, and with it all code
 * that it compiled for it: half a second of slow calls (bench/README.md).
 *
 * @module
 */

const kept: object[] = [];

/** Lets the engine remember what it learns of objects of this one's shape. */
export function keepShape(example: object): void {
  kept.push(example);
}

/**
 * Does so for the messages of sockets, where events are written in JavaScript, as
 * in Deno: most of what an event costs is getting to its listeners.
 */
export function keepEventShape(): void {
  const event = new MessageEvent("message");
  const target = new EventTarget();
  // Only one that was listened to has the shape of those that arrive.
  target.addEventListener("message", () => {});
  target.dispatchEvent(event);
  keepShape(event);
}
