/**
 * Close codes and reasons: read from events, and checked before they are sent.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6455#section-7.4}
 *
 * @module
 */

import type { CloseCode, CloseInfo } from "../wire/error.ts";
import { closeInTurn } from "../runtime/deno_closing.ts";
import { fit } from "../wire/utf8.ts";
import type { Socket, SocketEvent } from "./socket.ts";

const cut: typeof CloseCode.Abnormal = 1006;

/** The end of a connection that was cut. */
export const abnormal: CloseInfo = {
  code: cut,
  reason: "",
  wasClean: false,
};

/** Reads a close event of any runtime into the standard's values. */
export function readCloseEvent(event: SocketEvent): CloseInfo {
  // Deno says 0 instead of 1006.
  const code = event.code || cut;
  return {
    code,
    reason: event.reason ?? "",
    wasClean: event.wasClean ?? code !== cut,
  };
}

/** Cuts a reason to 123 bytes of UTF-8, the room of a close frame. */
export function cutReason(reason: string): string {
  return reason.slice(0, fit(reason, 123).length);
}

/** Whether a close frame may carry a code. */
export function isSendable(code: number): boolean {
  // Not 1004 to 1006, which are never sent.
  return /^(100[0-37-9]|101[0-4]|[34]\d{3})$/.test(`${code}`);
}

/** @throws {RangeError} A close frame may not carry the code. */
export function checkCode(code: number): void {
  if (isSendable(code)) return;
  throw new RangeError(
    `Cannot close with code ${code}: use 1000 or 3000 to 4999`,
  );
}

/** Starts the close handshake; without a code if the platform refuses this one. */
export function closeSocket(
  socket: Socket,
  { code, reason }: Partial<Pick<CloseInfo, "code" | "reason">> = {},
): void {
  closeInTurn(socket, () => {
    try {
      socket.close(code, reason);
    } catch {
      // A browser refuses the codes 1001 to 1014.
      socket.close();
    }
  });
}

/**
 * The listener to errors of an abandoned socket. Without a listener, a socket of
 * `ws` throws them.
 */
export function ignoreError(): void {}
