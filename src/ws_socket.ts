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

/**
 * A socket that tells its peer of messages and errors by functions that all sockets
 * share, and by no more than a {@linkcode SocketEvent}: a wrapper for each, as `ws`
 * has it, is a part of what an idle connection weighs (bench/, "2,000 idle").
 *
 * The peer is taken to be who listens first: a service that did so before it called
 * `super` would be told so little. Everybody else is told as usual.
 */
export class PeerSocket extends WebSocket {
  /** The peer, once there is one. */
  peer: { close(code: number, reason: string): void } | undefined;
  #listener: Listener | undefined;

  override addEventListener(
    type: string,
    listener: Listener,
    options?: object,
  ): void {
    if (options === undefined && typeof listener === "function") {
      this.#listener ??= listener;
    }
    // There is no peer yet when it opens.
    if (type === "open" && listener === this.#listener) return;
    const tell = this.#tellerOf(type, listener);
    if (tell === undefined || options !== undefined) {
      super.addEventListener(type, listener, options);
    } else if (!this.listeners(type).includes(tell)) this.on(type, tell);
  }

  override removeEventListener(type: string, listener: Listener): void {
    const tell = this.#tellerOf(type, listener);
    if (tell === undefined) super.removeEventListener(type, listener);
    else this.off(type, tell);
  }

  /** How a listener is told; `undefined`: as `ws` does it. */
  #tellerOf(type: string, listener: Listener): Teller | undefined {
    if (listener !== this.#listener) return undefined;
    if (type === "message") return PeerSocket.#tellMessage;
    return type === "error" ? PeerSocket.#tellError : undefined;
  }

  static #tellMessage(this: PeerSocket, data: object, isBinary: boolean): void {
    this.#listener?.({
      type: "message",
      data: isBinary ? data : data.toString(),
    });
  }

  static #tellError(this: PeerSocket, error: Error): void {
    this.#listener?.({ type: "error", error, message: error.message });
  }
}

type Teller = (this: PeerSocket, ...args: never[]) => void;
