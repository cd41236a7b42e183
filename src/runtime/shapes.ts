/**
 * Objects that are kept for their shape alone.
 *
 * Between two messages nothing may be left of the first. A collection just then
 * finds no object of such a shape, so V8 forgets the shape, and with it all code
 * that it compiled for it: half a second of slow calls (bench/README.md). A class
 * whose objects are that short-lived keeps one itself, in a static member: a call
 * that did it would be an effect, for which a bundler keeps all that it touches.
 *
 * @module
 */

import type { SocketEvent } from "../line/socket.ts";

const kept: { event?: SocketEvent; messages?: readonly unknown[] } = {};

const mostLength = 256;

// What this library writes, and what most others do.
const usual = [
  '{"jsonrpc":"2.0","method":"","params":[],"id":1}',
  '{"jsonrpc":"2.0","method":"","id":1}',
  '{"jsonrpc":"2.0","result":null,"id":1}',
  '{"jsonrpc":"2.0","id":1,"method":"","params":[]}',
  '{"jsonrpc":"2.0","id":1,"result":null}',
];

/**
 * Lets the engine remember what it learns of messages, an example of each of which
 * is kept, and of sockets' events, of which a small one of the last kind is: where they
 * are written in JavaScript, as in Deno and in `ws`, most of what an event costs is
 * getting to its listener. Not each anew: to store what is young in what is old costs
 * the collector something (bench/, "one process": 3 %).
 */
export function keepEvent(event: SocketEvent): void {
  kept.messages ??= usual.map((text): unknown => JSON.parse(text));
  if (
    kept.event?.constructor !== event.constructor &&
    (event.data as string).length < mostLength
  ) kept.event = event;
}
