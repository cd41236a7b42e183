/**
 * Closing a socket of Deno's while it connects. If the handshake ends in that same
 * turn and the other side has cut the connection, Deno rejects a promise that
 * nobody can listen to, which ends the process: "Uncaught (in promise) TypeError:
 * Connection reset by peer" (seen in 2.9.5). One turn later the socket is either
 * open, or its handshake can be cancelled.
 *
 * To be deleted when tests/seconds/runtime_test.ts says that Deno ends no process
 * for it.
 *
 * @module
 */

import { ReadyState, type Socket } from "../line/socket.ts";

const platform = globalThis as {
  Deno?: unknown;
  setImmediate?: (task: () => void) => void;
};

/**
 * Calls `close`: after the turn for Deno's own socket while it connects, else at
 * once.
 */
export function closeInTurn(socket: Socket, close: () => void): void {
  if (
    platform.Deno !== undefined &&
    socket.readyState === ReadyState.Connecting &&
    socket instanceof WebSocket
  ) platform.setImmediate!(close);
  else close();
}
