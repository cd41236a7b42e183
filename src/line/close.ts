/**
 * Close codes and reasons, as runtimes tell them and as they may be sent.
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

/** What is told of a connection that was cut. */
export const abnormal: CloseInfo = {
  code: cut,
  reason: "",
  wasClean: false,
};

/** What a close event tells, in the standard's words on any runtime. */
export function readCloseEvent(event: SocketEvent): CloseInfo {
  // Deno says 0 where the standard says 1006.
  const code = event.code || cut;
  return {
    code,
    reason: event.reason ?? "",
    wasClean: event.wasClean ?? code !== cut,
  };
}

/** Cuts a close reason to the 123 bytes that a close frame has room for. */
export function cutReason(reason: string): string {
  return reason.slice(0, fit(reason, 123).length);
}

/** Whether a close frame may carry a code. */
export function isSendable(code: number): boolean {
  // Not 1004 to 1006, which only say that there is none.
  return /^(100[0-37-9]|101[0-4]|[34]\d{3})$/.test(`${code}`);
}

/** @throws {RangeError} A close frame may not carry the code. */
export function checkCode(code: number): void {
  if (isSendable(code)) return;
  throw new RangeError(
    `Cannot close with code ${code}: use 1000 or 3000 to 4999`,
  );
}

/** Starts the close handshake, with another code if this one may not be said. */
export function closeSocket(
  socket: Socket,
  { code, reason }: Partial<Pick<CloseInfo, "code" | "reason">> = {},
): void {
  closeInTurn(socket, () => {
    try {
      socket.close(code, reason);
    } catch {
      // A browser may not say 1001 to 1014, but close it can.
      socket.close();
    }
  });
}

/**
 * Listens to the errors of a socket that is given up: to those of `ws`, an error
 * that nobody listens to is a throw.
 */
export function ignoreError(): void {}
