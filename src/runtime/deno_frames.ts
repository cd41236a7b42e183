/**
 * Deno's frames: its own socket takes 44 ms for each frame of more than 1,024 bytes
 * that a client sends (seen in 2.9.5). It writes two parts, and the second one waits
 * until the other end has acknowledged the first.
 *
 * To be deleted when tests/runtime_test.ts says that a long frame is as fast as a
 * short one.
 *
 * @module
 */

import type { Socket } from "../line/socket.ts";

const mostLength = 1_024;

const isDeno = globalThis.navigator?.userAgent?.startsWith("Deno/") ?? false;

/** Has the messages that share a frame of Deno's own socket make no longer ones. */
export function boundFrames(socket: Socket): void {
  if (!isDeno) return;
  (socket as { frameLength?: number | undefined }).frameLength = mostLength;
}
