/**
 * Deno's sockets that are closed while they connect. Where the handshake is done in
 * that very turn, and the other end has cut the connection, Deno rejects a promise that
 * nobody can listen to, and so ends the process: "Uncaught (in promise) TypeError:
 * Connection reset by peer" (seen in 2.9.5). Once the turn is over, the socket is open,
 * or its handshake can be cancelled.
 *
 * To be deleted when tests/runtime_test.ts says that Deno ends no process for it.
 *
 * @module
 */

import { ReadyState, type Socket } from "../line/socket.ts";

const platform = globalThis as {
  Deno?: unknown;
  setImmediate?: (task: () => void) => void;
};

/** Closes a socket: at once, unless it is Deno's own and connects. */
export function closeInTurn(socket: Socket, close: () => void): void {
  if (
    platform.Deno !== undefined &&
    socket.readyState === ReadyState.Connecting &&
    socket instanceof WebSocket
  ) platform.setImmediate!(close);
  else close();
}
