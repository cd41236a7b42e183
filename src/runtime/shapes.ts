/**
 * Objects that are kept only for their shape (V8's hidden class).
 *
 * Between two messages, no object of the first may be left. If the garbage
 * collector runs then, V8 drops the shape and all code that was compiled for it:
 * half a second of slow calls (bench/README.md). Classes with such short-lived
 * objects keep one in a static member; calling a function here would be a side
 * effect, which keeps a bundler from dropping the class.
 *
 * @module
 */

import type { SocketEvent } from "../line/socket.ts";

const kept: { event?: SocketEvent; messages?: readonly unknown[] } = {};

const mostLength = 256;

// The orders of members that this library writes, and most others.
const usual = [
  '{"jsonrpc":"2.0","method":"","params":[],"id":1}',
  '{"jsonrpc":"2.0","method":"","id":1}',
  '{"jsonrpc":"2.0","result":null,"id":1}',
  '{"jsonrpc":"2.0","id":1,"method":"","params":[]}',
  '{"jsonrpc":"2.0","id":1,"result":null}',
];

/**
 * Keeps one example of each message, and the last small event of each class of
 * events: in Deno and in `ws`, whose events are JavaScript objects, most of an
 * event's cost is reaching its listener. Not each event is stored, because storing
 * a young object in an old one costs the collector something (bench/, "one
 * process": 3 %).
 */
export function keepEvent(event: SocketEvent): void {
  kept.messages ??= usual.map((text): unknown => JSON.parse(text));
  if (
    kept.event?.constructor !== event.constructor &&
    (event.data as string).length < mostLength
  ) kept.event = event;
}
