/**
 * Long frames of Deno's client socket: each frame of more than 1,024 bytes takes 44
 * ms (seen in 2.9.5), because Deno writes it in two parts and the second waits
 * until the other side has acknowledged the first.
 *
 * To be deleted when tests/seconds/runtime_test.ts says that a long frame is as fast
 * as a short one.
 *
 * @module
 */

import type { Socket } from "../line/socket.ts";

const mostLength = 1_024;

const isDeno = globalThis.navigator?.userAgent?.startsWith("Deno/") ?? false;

/** Bounds the shared frames of Deno's own socket to the length that is fast. */
export function boundFrames(socket: Socket): void {
  if (!isDeno) return;
  (socket as { frameLength?: number | undefined }).frameLength = mostLength;
}
