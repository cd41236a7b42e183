/**
 * Objects that are kept for their shape alone.
 *
 * Between two messages nothing may be left of the first. A collection just then
 * finds no object of such a shape, so V8 forgets the shape, and with it all code
 * that it compiled for it: half a second of slow calls (bench/README.md).
 *
 * @module
 */

import type { SocketEvent } from "../line/socket.ts";

const kept: { shapes: object[]; event?: SocketEvent } = { shapes: [] };

/** Lets the engine remember what it learns of objects of this one's shape. */
export function keepShape(example: object): void {
  kept.shapes.push(example);
}

const mostLength = 256;

/**
 * Does so for the events of sockets, of which the last small one is kept: where
 * they are written in JavaScript, as in Deno and in `ws`, most of what an event
 * costs is getting to its listener.
 */
export function keepEvent(event: SocketEvent): void {
  if ((event.data as string).length < mostLength) kept.event = event;
}
