/**
 * The sockets of `ws`, as a server's peers listen to them.
 *
 * @see {@link https://github.com/websockets/ws/blob/master/doc/ws.md}
 *
 * @module
 */

import type { SocketEvent } from "./socket.ts";
// @ts-types="./ws.d.ts"
import { WebSocket } from "ws";

type Listener = (event: SocketEvent) => void;

const abnormal = 1006;

/**
 * A socket that tells its peer what happens by functions that all sockets share,
 * and by no more than a {@linkcode SocketEvent}: a wrapper for each type and socket,
 * as `ws` has them, is a tenth of what an idle connection weighs (bench/, "2,000
 * idle"). Every listener but the peer's is told as usual.
 */
export class PeerSocket extends WebSocket {
  /** The peer's: the first that there is. */
  #listener: Listener | undefined;

  override addEventListener(
    type: string,
    listener: Listener,
    options?: object,
  ): void {
    if (options === undefined && typeof listener === "function") {
      this.#listener ??= listener;
    }
    const tell = tellerOf(type);
    if (tell === undefined || listener !== this.#listener) {
      super.addEventListener(type, listener, options);
    } else if (!this.listeners(type).includes(tell)) this.on(type, tell);
  }

  override removeEventListener(type: string, listener: Listener): void {
    const tell = tellerOf(type);
    if (tell !== undefined && listener === this.#listener) this.off(type, tell);
    super.removeEventListener(type, listener);
  }

  /** Tells the peer. */
  tell(event: SocketEvent): void {
    this.#listener?.(event);
  }
}

type Teller = (this: PeerSocket, ...args: never[]) => void;

/** What tells of such an event. The socket is open before there is a peer. */
function tellerOf(type: string): Teller | undefined {
  switch (type) {
    case "message":
      return tellMessage;
    case "error":
      return tellError;
    case "close":
      return tellClose;
  }
}

function tellMessage(this: PeerSocket, data: object, isBinary: boolean): void {
  this.tell({ type: "message", data: isBinary ? data : data.toString() });
}

function tellError(this: PeerSocket, error: Error): void {
  this.tell({ type: "error", error, message: error.message });
}

function tellClose(this: PeerSocket, code: number, reason: object): void {
  const wasClean = code !== abnormal;
  this.tell({ type: "close", code, reason: reason.toString(), wasClean });
}
